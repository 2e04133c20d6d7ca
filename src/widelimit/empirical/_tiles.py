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
    columns: Callable[[PyTree], Any],
    pair: Callable[[Any, Any], Array],
    batches: tuple[PyTree, PyTree],
    sizes: tuple[int, int],
) -> Array:
    r"""Return ``pair(rows(x), columns(x'))`` for all pairs of examples.

    Parameters
    ----------
    rows, columns
        What is needed of a block of the first and of the second batch.
    pair
        From these, a tile of shape (b1, b2, \*o).
    batches
        The two batches.
    sizes
        Examples in a block of each.

    Returns
    -------
    Array
        Shape (n1, n2, \*o).
    """
    (x1, x2), (b1, b2) = batches, sizes
    n1, n2 = length(x1), length(x2)
    if b1 == n1 and b2 == n2:
        return pair(rows(x1), columns(x2))

    def tile(first: Any, j: Array | int) -> Array:
        return pair(first, columns(_block(x2, j, b2)))

    def row(out: Array, i: Array) -> tuple[Array, None]:
        first = rows(_block(x1, i, b1))

        def cell(out: Array, j: Array) -> tuple[Array, None]:
            return _write(out, tile(first, j), i * b1, j * b2), None

        return lax.scan(cell, out, jnp.arange(-(-n2 // b2)))[0], None

    shape = jax.eval_shape(lambda: tile(rows(_block(x1, 0, b1)), 0))
    out = jnp.zeros((n1, n2, *shape.shape[2:]), shape.dtype)
    return lax.scan(row, out, jnp.arange(-(-n1 // b1)))[0]


def mirrored_tiles(
    rows: Callable[[PyTree], Any],
    mirror: Callable[[Array], Array],
    pair: Callable[[Any, Any], Array],
    x: PyTree,
    size: int,
) -> Array:
    r"""Return ``pair(rows(x), rows(x'))`` for all pairs of one batch, half of the tiles as mirror images.

    Parameters
    ----------
    rows, pair
        As for `tiles`.
    mirror
        The tile of (x', x) from that of (x, x').
    x
        The batch.
    size
        Examples in a block.

    Returns
    -------
    Array
        Shape (n, n, \*o).
    """
    n = length(x)
    if size == n:
        first = rows(x)
        return pair(first, first)

    def tile(first: Any, j: Array | int) -> Array:
        return pair(first, rows(_block(x, j, size)))

    def row(out: Array, i: Array) -> tuple[Array, None]:
        first = rows(_block(x, i, size))

        def cell(out: Array, j: Array) -> tuple[Array, None]:
            new = lax.cond(j < i, lambda: _read(out, i * size, j * size, size), lambda: tile(first, j))
            return _write(_write(out, new, i * size, j * size), mirror(new), j * size, i * size), None

        return lax.scan(cell, out, jnp.arange(-(-n // size)))[0], None

    shape = jax.eval_shape(lambda: tile(rows(_block(x, 0, size)), 0))
    out = jnp.zeros((n, n, *shape.shape[2:]), shape.dtype)
    return lax.scan(row, out, jnp.arange(-(-n // size)))[0]


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


def _block(x: PyTree, i: Array | int, size: int) -> PyTree:
    # The slice is moved back by itself where it would pass the end.
    return jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, i * size, size), x)


def _write(out: Array, new: Array, i: Array, j: Array) -> Array:
    return lax.dynamic_update_slice(out, new, (i, j, *[jnp.zeros_like(i)] * (out.ndim - 2)))


def _read(out: Array, i: Array, j: Array, size: int) -> Array:
    return lax.dynamic_slice(out, (i, j, *[jnp.zeros_like(i)] * (out.ndim - 2)), (size, size, *out.shape[2:]))
