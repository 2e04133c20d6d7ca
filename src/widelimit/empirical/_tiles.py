"""A matrix over two batches, computed tile by tile in one compiled program.

Tiles are of one size whatever the number of examples: the last one of an axis is moved back so that it ends with the
batch, and writes the entries it shares with its neighbour once more. Nothing is padded, nothing has to divide.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .._typing import Array, Callable, PyTree


def length(x: PyTree) -> int:
    """Return the number of examples of a batch."""
    return jax.tree.leaves(x)[0].shape[0]


def balanced(n: int, most: int) -> int:
    """Return the size of the fewest equal blocks of at most ``most`` that cover n, overlapping as little as may be."""
    most = max(1, min(n, most))
    return -(-n // -(-n // most))


def tiles(
    rows: Callable[[PyTree], Any],
    columns: Callable[[PyTree], Any] | None,
    pair: Callable[[Any, Any], PyTree],
    batches: tuple[PyTree, PyTree | None],
    sizes: tuple[int, int],
) -> PyTree:
    r"""Return ``pair(rows(x), columns(x'))`` for all pairs of examples.

    Parameters
    ----------
    rows, columns
        What is needed of a block of the first and of the second batch; ``columns=None`` for ``rows``.
    pair
        From these, a pytree of blocks of shapes (b1, b2, \*o) or, for no second axis of outputs, likewise.
    batches
        The two batches; None for the first one again. Then, for ``columns=None``, the matrix is taken to be symmetric
        under exchange of the examples and of two output axes, and only half of its tiles are computed.
    sizes
        Examples in a block.

    Returns
    -------
    PyTree
        Arrays of shapes (n1, n2, \*o).
    """
    x1, second = batches
    x2 = x1 if second is None else second
    symmetric = second is None and columns is None
    make = rows if columns is None else columns
    (n1, n2), (b1, b2) = (length(x1), length(x2)), sizes
    if b1 == n1 and b2 == n2:
        first = rows(x1)
        return pair(first, first if symmetric else make(x2))

    def tile(first: Any, j: Array) -> PyTree:
        return pair(first, make(_block(x2, j, b2)))

    def row(out: PyTree, i: Array) -> tuple[PyTree, None]:
        first = rows(_block(x1, i, b1))

        def cell(out: PyTree, j: Array) -> tuple[PyTree, None]:
            if not symmetric:
                return _write(out, tile(first, j), (i * b1, j * b2)), None
            new = lax.cond(j < i, lambda: _read(out, (i * b1, j * b1), b1), lambda: tile(first, j))
            out = _write(out, new, (i * b1, j * b1))
            return _write(out, jax.tree.map(exchanged, new), (j * b1, i * b1)), None

        return lax.scan(cell, out, jnp.arange(-(-n2 // b2)))[0], None

    shapes = jax.eval_shape(lambda: tile(rows(_block(x1, 0, b1)), jnp.asarray(0)))
    out = jax.tree.map(lambda s: jnp.zeros((n1, n2, *s.shape[2:]), s.dtype), shapes)
    return lax.scan(row, out, jnp.arange(-(-n1 // b1)))[0]


def by_blocks(fn: Callable[[PyTree], PyTree], x: PyTree, size: int) -> PyTree:
    """Return ``fn`` of a batch, an array or pytree of arrays with the batch axis first, by blocks of examples."""
    n = length(x)
    if size >= n:
        return fn(x)

    def step(out: PyTree, i: Array) -> tuple[PyTree, None]:
        new = fn(_block(x, i, size))
        return jax.tree.map(lambda o, a: lax.dynamic_update_slice_in_dim(o, a, i * size, 0), out, new), None

    shapes = jax.eval_shape(lambda: fn(_block(x, 0, size)))
    out = jax.tree.map(lambda s: jnp.zeros((n, *s.shape[1:]), s.dtype), shapes)
    return lax.scan(step, out, jnp.arange(-(-n // size)))[0]


def exchanged(block: Array) -> Array:
    """Return the block of the exchanged batches: examples transposed, and two axes of outputs with them."""
    return jnp.swapaxes(block, 0, 1) if block.ndim != 4 else jnp.transpose(block, (1, 0, 3, 2))


def _block(x: PyTree, i: Array | int, size: int) -> PyTree:
    # The slice is moved back by itself where it would pass the end.
    return jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, i * size, size), x)


def _write(out: PyTree, new: PyTree, start: tuple[Array, Array]) -> PyTree:
    zero = jnp.zeros_like(start[0])
    return jax.tree.map(lambda o, a: lax.dynamic_update_slice(o, a, (*start, *[zero] * (o.ndim - 2))), out, new)


def _read(out: PyTree, start: tuple[Array, Array], size: int) -> PyTree:
    zero = jnp.zeros_like(start[0])
    return jax.tree.map(
        lambda o: lax.dynamic_slice(o, (*start, *[zero] * (o.ndim - 2)), (size, size, *o.shape[2:])), out
    )
