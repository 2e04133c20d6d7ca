r"""The empirical NTK of any function of parameters."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import ApplyFn, Array, Params
from ._features import Features, feature_size, gradient_features
from ._outputs import AbstractOutputs, Trace


def empirical_ntk(
    f: ApplyFn,
    params: Params,
    x1: Array,
    x2: Array | None = None,
    *,
    outputs: AbstractOutputs = Trace(),
    memory: int = 2**30,
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
        Budget in bytes for the gradients that are held at a time. Examples are taken in blocks that fit.

    Returns
    -------
    Array
        Shape (n1, n2) for `Trace`, (n1, n2, o, o) for `Full`; dtype of the outputs.

    Notes
    -----
    One forward and o backward passes per example (and per block of the other batch, where gradients exceed the
    budget), then for a (c, q) weight that multiplies one vector per example :math:`n_1n_2(c + oq)` multiply-adds,
    for p other parameters :math:`n_1n_2\,o\,p`.
    """
    second = x1 if x2 is None else x2
    row = feature_size(f, params, x1) * jnp.result_type(*jax.tree.leaves(params)).itemsize
    block = max(1, memory // (2 * row))
    rows = []
    for i in range(0, len(x1), block):
        first = _features(f, params, x1[i : i + block])
        rows.append([_contract(outputs, first, _features(f, params, b)) for b in _blocks(second, block)])
    return jnp.concatenate([jnp.concatenate(row, 1) for row in rows], 0)


def empirical_ntk_diagonal(f: ApplyFn, params: Params, x: Array, *, outputs: AbstractOutputs = Trace()) -> Array:
    """Return the empirical NTK of each input with itself: (n,) for `Trace`, (n, o, o) for `Full`."""

    def one(x: Array) -> Array:
        features = gradient_features(f, params, x[None])
        return _contract(outputs, features, features)[0, 0]

    return jax.lax.map(one, x)


_features = eqx.filter_jit(gradient_features)


@eqx.filter_jit
def _contract(outputs: AbstractOutputs, a: Features, b: Features) -> Array:
    parts = [outputs.contract(g1, g2, h1 @ h2.T) for (h1, g1), (h2, g2) in zip(a.factors, b.factors, strict=True)]
    one = jnp.asarray(1.0, jax.tree.leaves(a)[0].dtype)
    parts += [outputs.contract(j1, j2, one) for j1, j2 in zip(a.jacobians, b.jacobians, strict=True)]
    return functools.reduce(jnp.add, parts)


def _blocks(x: Array, size: int) -> list[Array]:
    return [x[i : i + size] for i in range(0, len(x), size)]
