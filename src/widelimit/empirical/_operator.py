r"""The empirical NTK as a linear operator, never formed.

.. math:: \Theta(X, X')\,v = J(X)\big(\eta\,J(X')^\top v\big)

by one backward and one forward derivative of the whole batch.
"""

from __future__ import annotations

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import ApplyFn, Array, Params, PyTree
from ._outputs import AbstractOutputs, Full, Trace
from ._problem import Flat, Problem, flatten, output_shapes, require_trainable, scaled
from ._size import Measure, measure
from ._tiles import balanced, by_blocks, length


class NTKOperator(eqx.Module):
    r"""The matrix :math:`\Theta(X, X')` of an empirical NTK as an operator on vectors; see `ntk_operator`."""

    problem: Problem
    x1: PyTree
    x2: PyTree
    outputs: AbstractOutputs
    memory: int = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, int]:
        r"""The shape (n1·o, n2·o) for `Full`, (n1, n2) for `Trace`."""
        o = 1
        if isinstance(self.outputs, Full):
            o = sum(leaf.size for leaf in jax.tree.leaves(output_shapes(self.problem, self.x1)))
        return length(self.x1) * o, length(self.x2) * o

    def matmat(self, v: Array) -> Array:
        """Return the product with a matrix of shape (shape[1], k), in the dtype of the inputs."""
        _check_rows(v, self.shape[1], 2, "(columns of the operator, k)")
        return self._product(v)

    def matvec(self, v: Array) -> Array:
        """Return the product with a vector of shape (shape[1],), in the dtype of the inputs."""
        _check_rows(v, self.shape[1], 1, "(columns of the operator,)")
        return self._product(v[:, None])[:, 0]

    def transpose(self) -> NTKOperator:
        """Return the transposed operator."""
        return NTKOperator(self.problem, self.x2, self.x1, self.outputs, self.memory)

    def _product(self, v: Array) -> Array:
        _check.finite(v, "v")
        dtype = result_dtype(*jax.tree.leaves((self.x1, self.x2)))
        product = functools.partial(_matmat, self.memory)
        return evaluate(product, self.problem, self.x1, self.x2, self.outputs, v, compute=dtype, result=dtype)


def ntk_operator(
    f: ApplyFn,
    params: Params,
    x1: PyTree,
    x2: PyTree | None = None,
    learning_rates: PyTree = None,
    *,
    outputs: AbstractOutputs = Full(),
    memory: int = 2**30,
) -> NTKOperator:
    r"""Return the empirical NTK of two batches as a linear operator.

    .. math:: v \mapsto J(X)\big(\eta\,J(X')^\top v\big)

    Entries are ordered example by example, outputs within: entry :math:`i\,o + a` is output a of example i.

    Parameters
    ----------
    f
        ``f(params, batch) -> outputs``, pytrees with the batch axis first, treating examples independently.
    params
        A pytree of arrays.
    x1, x2
        Batches; ``x2=None`` for ``x1`` again.
    learning_rates
        A pytree prefix of ``params``: numbers, booleans (trainable or not) or arrays. None: all one.
    outputs
        `Full()` for all pairs of outputs, (n1·o, n2·o); `Trace()` for their mean, (n1, n2), at o times the cost.
    memory
        Budget in bytes for what a product holds beside parameters, inputs and the result.

    Returns
    -------
    NTKOperator
        With ``shape``, ``matvec``, ``matmat`` and ``transpose``. A product costs about three evaluations of the model
        on each batch per column.

    Raises
    ------
    ValueError
        If the inputs are no batches or do not match, the model has no trainable parameter or one that is NaN or
        infinite, or ``outputs`` is of another kind.
    """
    if not isinstance(outputs, Full | Trace):
        raise ValueError(f"outputs is {outputs}; expected Full() or Trace(): others are no matrix.")
    _check.positive_int(memory, "memory")
    _check.parameters(params)
    x1 = _check.batch(x1, "x1")
    x2 = x1 if x2 is None else _check.batch(x2, "x2")
    _check.same_batch(x1, x2)
    problem = Problem(f, params, learning_rates)
    require_trainable(problem)
    return NTKOperator(problem, x1, x2, outputs, memory)


def _check_rows(v: Array, rows: int, ndim: int, words: str) -> None:
    if jnp.ndim(v) != ndim or v.shape[0] != rows:
        raise ValueError(f"v has shape {jnp.shape(v)}; expected {words}, here ({rows}{', k' if ndim == 2 else ','}).")


@eqx.filter_jit
def _matmat(memory: int, problem: Problem, x1: PyTree, x2: PyTree, outputs: AbstractOutputs, v: Array) -> Array:
    flat = flatten(problem)
    measured = measure(flat, x1)
    o, n1, n2, k = measured.outputs, length(x1), length(x2), v.shape[1]
    if isinstance(outputs, Full):
        columns = jnp.reshape(v, (n2, o, k))
    else:
        # Each output on its own: columns (b, column) that are v in output b and zero elsewhere.
        columns = jnp.einsum("nk,ab->nabk", v, jnp.eye(o, dtype=v.dtype)).reshape(n2, o, o * k)
    columns = jnp.moveaxis(columns, -1, 0)
    size, examples = _sizes(memory, measured, max(n1, n2), len(columns))
    products = by_blocks(lambda c: _product(flat, x1, x2, c, examples), columns, size)
    if isinstance(outputs, Full):
        return jnp.reshape(jnp.moveaxis(products, 0, -1), (n1 * o, k))
    return jnp.einsum("akna->nk", jnp.reshape(products, (o, k, n1, o))) / o


def _product(flat: Flat, x1: PyTree, x2: PyTree, columns: Array, size: int) -> Array:
    """Return the products with columns (k, n2, o), which are (k, n1, o)."""

    def batch(leaves: list[Array], x: PyTree) -> Array:
        return jax.vmap(flat.one, (None, 0))(leaves, x)

    def pulled(i: Array) -> list[Array]:
        start = jnp.minimum(i * small, n2 - small)
        x = jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, start, small), x2)
        part = lax.dynamic_slice_in_dim(columns, start, small, 1)
        # A last block that was moved back counts what it shares with its neighbour only once.
        part = jnp.where((start + jnp.arange(small) >= i * small)[:, None], part, 0)
        out, pull = jax.vjp(lambda leaves: batch(leaves, x), flat.leaves)
        return jax.vmap(pull)(part.astype(out.dtype))[0]

    def pushed(x: PyTree) -> Array:
        def along(tangent: list[Array]) -> Array:
            return jax.jvp(lambda leaves: batch(leaves, x), (flat.leaves,), (tangent,))[1]

        return jax.vmap(along, out_axes=1)(gradient)

    n2 = length(x2)
    small = balanced(n2, size)
    gradient = pulled(jnp.asarray(0))
    if small < n2:
        gradient, _ = lax.scan(
            lambda total, i: (jax.tree.map(jnp.add, total, pulled(i)), None), gradient, jnp.arange(1, -(-n2 // small))
        )
    gradient = scaled(gradient, flat.rates)
    return jnp.moveaxis(by_blocks(pushed, x1, balanced(length(x1), size)), 1, 0)


def _sizes(memory: int, size: Measure, n: int, k: int) -> tuple[int, int]:
    """Return how many columns and how many examples to take at a time."""
    # Of each column its gradient, once accumulated, once new and once scaled; of each example all activations,
    # and again for each column.
    columns = balanced(k, memory // 2 // (3 * size.parameters + 2 * size.activations))
    rest = memory - 3 * columns * size.parameters
    return columns, max(1, min(n, rest // (2 * size.activations * (1 + columns))))
