"""How much of a kernel the plane engine computes at a time: pairs of inputs and planes side by side."""

import math
from typing import Any, NamedTuple

import jax
import numpy as np

from .._typing import Tracer
from . import _program as program
from ._planes_plan import Stage

LANES = {"cpu": 2**18}
"""Numbers of an array that one operation works on, by platform: what the caches hold."""

MANY = 2**24
"""The same on other devices: what keeps all of their units busy."""

MEMORY = 2**28
"""Bytes of a tile where the device does not tell what is free."""

ARRAYS = 16
"""Arrays of the planes side by side that are alive at once."""

COPIES = 6
"""Arrays of all planes in front of and behind a pooling that are alive at once."""


class Tile(NamedTuple):
    """Rows and columns of a tile, and how many planes run side by side in each stage."""

    rows: int
    columns: int
    chunks: tuple[int, ...]


def tile_of(
    stages: tuple[Stage, ...], operations: tuple, batches: tuple[Any, Any], kind: np.dtype, memory: int | None
) -> Tile:
    """Return the tile in which the kernel of two batches is computed, of at most ``memory`` bytes."""
    device, shape = _device(batches[0]), [max(1, len(x)) for x in batches]
    lanes = LANES.get(device.platform, MANY)
    cells = [max(math.prod(level.space) for level in stage.levels) for stage in stages]
    bytes_of_a_pair = kind.itemsize * max(
        ARRAYS * most + COPIES * _kept(stage, operations) for stage, most in zip(stages, cells, strict=True)
    )
    pairs = max(1, min((memory or _free(device)) // bytes_of_a_pair, lanes // max(cells)))
    rows = min(shape[0], max(1, math.isqrt(pairs)))
    columns = min(shape[1], max(1, pairs // rows))
    rows = min(shape[0], max(1, pairs // columns))
    chunks = tuple(_chunk(stage, lanes // (most * rows * columns)) for stage, most in zip(stages, cells, strict=True))
    return Tile(rows, columns, chunks)


def _kept(stage: Stage, operations: tuple) -> int:
    # Numbers of a pair in all planes behind a stage, where a pooling needs them at once.
    if stage.last == len(operations) or not isinstance(operations[stage.last], program.Pool):
        return 0
    return math.prod(map(len, stage.offsets)) * math.prod(stage.space)


def _chunk(stage: Stage, most: int) -> int:
    # A divisor of the number of planes, so that none are left over.
    count = math.prod(map(len, stage.offsets))
    return max(d for d in range(1, max(1, min(most, count)) + 1) if count % d == 0)


def _device(x: Any) -> Any:
    # Where a batch is; arrays of NumPy and of a transformation go to the first device.
    concrete = isinstance(x, jax.Array) and not isinstance(x, Tracer)
    return next(iter(x.devices())) if concrete else jax.devices()[0]


def _free(device: Any) -> int:
    stats = device.memory_stats() or {}
    if "bytes_limit" not in stats:
        return MEMORY
    return max(MEMORY, (stats["bytes_limit"] - stats.get("bytes_in_use", 0)) // 2)
