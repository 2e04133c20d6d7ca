"""Kernels of more examples than fit into memory, a block of them at a time; all inside one compiled function.

Blocks have one size: the last one is filled up by repeating an example, and what it adds is cut off.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .._typing import Array, Callable, PyTree

Get = Callable[[PyTree], PyTree]
Pair = Callable[[PyTree, PyTree], list[Array]]


def each(fn: Callable[[PyTree], PyTree], x: PyTree, b: int) -> PyTree:
    """Return ``fn`` of a batch, a pytree of arrays (n, ...), by blocks of ``b`` examples."""
    blocks, n = _split(x, b)
    if len(jax.tree.leaves(blocks)[0]) == 1:
        return fn(x)
    return jax.tree.map(lambda out: jnp.reshape(out, (-1, *out.shape[2:]))[:n], lax.map(fn, blocks))


def all_pairs(get: Get, pair: Pair, batches: tuple[PyTree, PyTree], how: tuple[int, bool]) -> list[Array]:
    """Return ``pair(get(x1), get(x2))`` by blocks: ``how`` is their size, and whether all of ``get(x2)`` is kept."""
    (first, n), (second, m) = (_split(x, how[0]) for x in batches)
    fetch, source = (lambda block: block, lax.map(get, second)) if how[1] else (get, second)

    def row(x: PyTree) -> list[Array]:
        a = get(x)
        return lax.map(lambda block: pair(a, fetch(block)), source)

    return [_joined(out)[:n, :m] for out in lax.map(row, first)]


def pairs_with_itself(
    get: Get, pair: Pair, x: PyTree, how: tuple[int, bool], mirror: Callable[[Array], Array]
) -> list[Array]:
    """Return ``pair(get(x), get(x))`` by blocks, half of them as mirror images.

    Block row i takes the columns i, i + 1, ..., i + k//2 modulo the number k of blocks.
    """
    blocks, n = _split(x, how[0])
    k = len(jax.tree.leaves(blocks)[0])
    fetch, source = (lambda block: block, lax.map(get, blocks)) if how[1] else (get, blocks)

    def take(i: Array) -> PyTree:
        return fetch(jax.tree.map(lambda a: a[i], source))

    def row(i: Array) -> list[Array]:
        a = take(i)
        return lax.map(lambda d: pair(a, take((i + d) % k)), jnp.arange(k // 2 + 1))

    i, j = np.meshgrid(np.arange(k), np.arange(k), indexing="ij")
    there = (j - i) % k <= k // 2
    rows, steps = np.where(there, i, j), np.where(there, (j - i) % k, (i - j) % k)
    images = jax.vmap(jax.vmap(mirror))

    def assembled(out: Array) -> Array:
        grid = out[rows, steps]
        chosen = jnp.reshape(there, (k, k, *[1] * (grid.ndim - 2)))
        return _joined(jnp.where(chosen, grid, images(grid)))[:n, :n]

    return [assembled(out) for out in lax.map(row, jnp.arange(k))]


def _split(x: PyTree, most: int) -> tuple[PyTree, int]:
    n = len(jax.tree.leaves(x)[0])
    count = -(-n // most)
    size = -(-n // count)
    index = np.minimum(np.arange(count * size), n - 1)
    return jax.tree.map(lambda a: jnp.reshape(jnp.asarray(a)[index], (count, size, *jnp.shape(a)[1:])), x), n


def _joined(out: Array) -> Array:
    # (k, l, b, c, ...) -> (k b, l c, ...)
    k, count, b, c = out.shape[:4]
    return jnp.reshape(jnp.swapaxes(out, 1, 2), (k * b, count * c, *out.shape[4:]))
