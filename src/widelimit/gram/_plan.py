"""What a stored matrix will take, told before work starts: tiles, time, disk and memory."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
import shutil
from typing import Any

from .. import _check
from ..arch import as_samples, example_shape
from ..engine import Auto, thread_count
from ..kernels import NNGP, NTK
from ._schedule import AbstractSchedule, Distributed
from ._source import Source
from ._tiling import Tiling, balanced

MOST = 2048
"""Rows of a tile: 16 MB in float32."""

SECONDS = 60.0
"""Time of one thread that a tile should take at most: so much is lost where a build is killed."""

LANES = 16
"""Rows that compiled loops take at once; tiles are multiples of it."""

BUFFERS = 3
"""Copies of a tile that one computation holds: both kernels, and what is written."""


@dataclasses.dataclass(frozen=True)
class StoredPlan:
    """What `build_stored` will take; print it to read it. Times are within a factor of about three.

    Attributes
    ----------
    n, tile, tiles
        Rows of the matrix, rows of a tile, and tiles on and above the diagonal.
    dtype
        Of the entries.
    seconds
        Estimate of the time on this machine; None where it is not known.
    engine
        Which engine runs and why, as a sentence; None where it is not known.
    disk, free
        Bytes that the store takes, and those that are free where it goes.
    memory
        Bytes that tiles under way take at once, beside inputs.
    """

    n: int
    tile: int
    tiles: int
    dtype: str
    seconds: float | None
    engine: str | None
    disk: int
    free: int
    memory: int

    def __str__(self) -> str:
        """Return all of it in a few sentences."""
        time = "an unknown time" if self.seconds is None else in_words(self.seconds)
        engine = f" {self.engine}." if self.engine else ""
        return (
            f"{self.tiles} tiles of {self.tile} x {self.tile} in {self.dtype}, for a symmetric matrix of {self.n} "
            f"rows: {size(self.disk)} on disk ({size(self.free)} are free), {time}, {size(self.memory)} of "
            f"memory.{engine}"
        )


def plan_stored(
    kernel: Any,
    x: Any,
    path: str | os.PathLike[str],
    tile: int | None = None,
    *,
    schedule: AbstractSchedule | None = None,
) -> StoredPlan:
    """Return what building a stored matrix will take; nothing is computed or written.

    Parameters
    ----------
    kernel, x, path, tile, schedule
        As for `build_stored`.

    Raises
    ------
    ValueError
        If an argument does not fit.
    """
    schedule = Distributed() if schedule is None else schedule
    source = Source.of(kernel, x).ready()
    tiling = tiling_of(source, tile)
    choice = _choice(source, tiling.side)
    seconds = engine = None
    working = 0.0
    if choice is not None:
        engine, working = f"{type(choice.engine).__name__}: {choice.reason}", choice.bytes or 0.0
        if choice.seconds is not None:
            share = thread_count() / schedule.at_once
            seconds = share * choice.seconds * tiling.n * (tiling.n + 1) / 2 / tiling.side**2
    itemsize, entries = source.dtype.itemsize, tiling.side**2
    memory = schedule.at_once * max(BUFFERS * entries * itemsize, working + entries * itemsize)
    disk = tiling.total * entries * itemsize
    return StoredPlan(
        tiling.n,
        tiling.side,
        tiling.total,
        source.dtype.name,
        seconds,
        engine,
        disk,
        free_bytes(pathlib.Path(path)),
        int(memory),
    )


def tiling_of(source: Source, tile: int | None) -> Tiling:
    """Return tiles of the given size, or of one that takes a minute of one thread at most."""
    if tile is not None:
        _check.positive_int(tile, "tile")
        return Tiling(source.n, min(tile, source.n))
    most = MOST
    choice = _choice(source, min(source.n, 512))
    if choice is not None and choice.seconds:
        per_entry = choice.seconds * thread_count() / min(source.n, 512) ** 2
        most = min(most, math.isqrt(int(SECONDS / per_entry)))
    side = balanced(source.n, max(LANES, most // LANES * LANES)).side
    return Tiling(source.n, min(source.n, -(-side // LANES) * LANES))


def free_bytes(path: pathlib.Path) -> int:
    """Return the bytes that are free where a path is, or will be."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def size(count: float) -> str:
    """Return a number of bytes in words."""
    for unit, factor in (("GB", 2**30), ("MB", 2**20)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{max(1, round(count / 2**10))} KB"


def in_words(seconds: float) -> str:
    """Return a time in words."""
    for unit, factor in (("days", 172800), ("h", 7200), ("min", 100)):
        if seconds >= factor:
            return f"about {seconds / {'days': 86400, 'h': 3600, 'min': 60}[unit]:.2g} {unit}"
    return f"about {seconds:.2g} s" if seconds >= 0.1 else "less than 0.1 s"


def _choice(source: Source, side: int) -> Any:
    # Of a tile aside from the diagonal, whose inputs are two batches.
    kernel = source.kernel
    if not isinstance(kernel, NTK | NNGP) or not isinstance(kernel.engine, Auto):
        return None
    one, other = source.some(side), source.some(side)
    kernel.net.out_shape(_shape(one.x))
    return kernel.engine.select(kernel.net, one.x, other.x)


def _shape(x: Any) -> Any:
    return example_shape(as_samples(x))
