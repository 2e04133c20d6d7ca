r"""The empirical NTK of any function of parameters, by contracting Jacobians."""

import abc
import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import ApplyFn, Array, Params


class AbstractOutputs(eqx.Module):
    """What becomes of the output axes of an empirical kernel."""

    @abc.abstractmethod
    def contract(self, j1: Array, j2: Array) -> Array:
        """Contract two Jacobians of shapes (n1, o, p) and (n2, o, p) over the parameters."""


class Trace(AbstractOutputs):
    r"""The mean over outputs, :math:`\frac1o\sum_a\Theta_{aa}(x, x')`: shape (n1, n2).

    For a readout of any width it converges to the infinite kernel.
    """

    def contract(self, j1: Array, j2: Array) -> Array:
        """Contract two Jacobians over parameters and outputs."""
        return _flat(j1) @ _flat(j2).T / j1.shape[1]


class Full(AbstractOutputs):
    r"""All pairs of outputs, :math:`\Theta_{ab}(x, x')`: shape (n1, n2, o, o)."""

    def contract(self, j1: Array, j2: Array) -> Array:
        """Contract two Jacobians over the parameters."""
        return jnp.einsum("nap,mbp->nmab", j1, j2)


def empirical_ntk(
    f: ApplyFn,
    params: Params,
    x1: Array,
    x2: Array | None = None,
    *,
    outputs: AbstractOutputs = Trace(),
    memory: int = 2**29,
) -> Array:
    r"""Return the empirical NTK :math:`\Theta(x, x') = \sum_\theta \partial_\theta f(x)\,\partial_\theta f(x')`.

    Parameters
    ----------
    f
        ``f(params, batch) -> (n, o)`` or ``(n,)``, treating the examples of a batch independently.
    params
        Its parameters, a pytree of floating arrays.
    x1, x2
        Batches; ``x2=None`` for ``x1`` again.
    outputs
        What becomes of the output axes.
    memory
        Budget in bytes for the two Jacobians that are held at a time. Examples are taken in blocks that fit.

    Returns
    -------
    Array
        Shape (n1, n2) for `Trace`, (n1, n2, o, o) for `Full`; dtype of the outputs.

    Notes
    -----
    Cost: :math:`n_1n_2\,o\,P` multiply-adds for `Trace` with :math:`P` parameters, and :math:`o` backward passes per
    example and block.
    """
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    out = jax.eval_shape(f, params, x1[:1])
    row = size * math.prod(out.shape[1:]) * out.dtype.itemsize
    block = max(1, memory // (2 * row))
    second = x1 if x2 is None else x2
    rows = [
        [
            _block(f, outputs, params, x1[i : i + block], second[j : j + block])
            for j in range(0, len(second), block)
        ]
        for i in range(0, len(x1), block)
    ]
    return jnp.concatenate([jnp.concatenate(row, 1) for row in rows], 0)


def empirical_ntk_diagonal(
    f: ApplyFn, params: Params, x: Array, *, outputs: AbstractOutputs = Trace()
) -> Array:
    """Return the empirical NTK of each input with itself: (n,) for `Trace`, (n, o, o) for `Full`."""
    return jax.lax.map(lambda one: _block(f, outputs, params, one[None], one[None])[0, 0], x)


@eqx.filter_jit
def _block(f: ApplyFn, outputs: AbstractOutputs, params: Params, x1: Array, x2: Array) -> Array:
    def jacobian(x: Array) -> list[Array]:
        def one(params: Params, x: Array) -> Array:
            return jnp.ravel(f(params, x[None])[0])

        leaves = jax.tree.leaves(jax.vmap(jax.jacrev(one), (None, 0))(params, x))
        return [jnp.reshape(leaf, (*leaf.shape[:2], -1)) for leaf in leaves]

    blocks = [outputs.contract(a, b) for a, b in zip(jacobian(x1), jacobian(x2), strict=True)]
    return functools.reduce(jnp.add, blocks)


def _flat(j: Array) -> Array:
    return jnp.reshape(j, (j.shape[0], -1))
