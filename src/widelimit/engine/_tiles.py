"""Kernels tile by tile, where all moments at once would not fit into memory."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import PyTree, Tracer
from ..arch import AbstractLayer, as_samples, example_shape, is_sample
from ._base import Block
from ._cost import Cost, Size, reference_cost
from ._progress import progress
from ._reference import Reference

SURE = 1 << 12
"""Bytes per entry and pair of positions that no layer needs more of: where these fit, nothing is counted."""


def tiled(engine: Reference, net: AbstractLayer, batches: tuple[PyTree, PyTree], memory: int) -> Block:
    """Return both kernels of two batches, at most ``memory`` bytes of moments at a time.

    All tiles have the same size, the last ones overlap those before, so that nothing is compiled for ragged edges; of a
    symmetric kernel half is computed. Traced inputs are not divided.
    """
    x1, x2 = (as_samples(x) for x in batches)
    rows, columns = (jax.tree.leaves(x)[0].shape[0] for x in (x1, x2))
    price = None if _traced(net, (x1, x2)) else _price(net, x1, rows * columns, memory)
    if price is None or price.bytes <= memory:
        return engine.block(net, x1, x2)
    side = max(1, math.isqrt(int(memory / price.bytes * rows * columns)))
    height = min(rows, side)
    width = min(columns, max(1, side * side // height))
    symmetric = batches[0] is batches[1]
    out: Any = None
    total = rows * columns / (1 + symmetric)
    with progress("kernel", total, price.seconds) as done:
        for i in _starts(rows, height):
            for j in _starts(columns, width):
                if symmetric and j + width <= i:
                    continue
                tile = engine.block(net, _part(x1, i, height), _part(x2, j, width))
                out = out or Block(*(np.empty((rows, columns), a.dtype) for a in tile))  # type: ignore[arg-type]
                for whole, a in zip(out, map(np.asarray, tile), strict=True):
                    whole[i : i + height, j : j + width] = a
                done(height * width)
    if symmetric:
        for whole in out:
            for i in range(rows):
                whole[i, :i] = whole[:i, i]
    return Block(*(jnp.asarray(a) for a in out))


def tiled_diagonal(engine: Reference, net: AbstractLayer, x: PyTree, memory: int) -> Block:
    """Return both kernels of each input with itself, at most ``memory`` bytes of moments at a time."""
    x = as_samples(x)
    count = jax.tree.leaves(x)[0].shape[0]
    price = None if _traced(net, x) else _price(net, x, count, memory)
    if price is None or price.bytes <= memory:
        return engine.diagonal(net, x)
    height = min(count, max(1, int(memory / price.bytes * count)))
    out: Any = None
    with progress("diagonal", count, price.seconds) as done:
        for i in _starts(count, height):
            part = engine.diagonal(net, _part(x, i, height))
            out = out or Block(*(np.empty(count, a.dtype) for a in part))  # type: ignore[arg-type]
            for whole, a in zip(out, map(np.asarray, part), strict=True):
                whole[i : i + height] = a
            done(height)
    return Block(*(jnp.asarray(a) for a in out))


def _traced(net: AbstractLayer, x: PyTree) -> bool:
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((net, x, jnp.zeros(()))))


def _price(net: AbstractLayer, x: PyTree, entries: int, memory: int) -> Cost | None:
    # Counting operations takes a moment: it is not done where it cannot matter.
    values = [s.values for s in jax.tree.leaves(x, is_leaf=is_sample)]
    positions = max(math.prod(a.shape[1:] if np.issubdtype(a.dtype, np.integer) else a.shape[1:-1]) for a in values)
    if entries * positions**2 * SURE < memory:
        return None
    try:
        kind = np.dtype(np.float64 if any(a.dtype == np.float64 for a in values) else np.float32)
        return reference_cost(net, example_shape(x), Size(entries, 1, kind))
    except ValueError:
        return None


def _starts(count: int, step: int) -> list[int]:
    # The last tile ends at the end.
    return [min(low, count - step) for low in range(0, count, step)]


def _part(x: PyTree, start: int, count: int) -> PyTree:
    return jax.tree.map(lambda a: a[start : start + count], x)
