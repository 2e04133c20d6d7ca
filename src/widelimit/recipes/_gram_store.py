"""Kernel matrices of data on disk, beyond memory."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np

from .. import arch, kernels
from .._typing import Callable
from ..gram import (
    AbstractSchedule,
    Distributed,
    StoredPlan,
    build_stored,
    need_scale,
    open_stored,
    plan_stored,
    verify_stored,
)
from ._gram import kernel_named

Progress = Callable[[float, float, str], None]


@dataclasses.dataclass(frozen=True)
class StoreConfig:
    """A kernel matrix that goes into a folder.

    Attributes
    ----------
    net
        The network.
    path
        The folder, a Zarr array.
    kernel
        ``ntk`` or ``nngp``.
    tile
        Rows of a tile; None for what takes a minute at most.
    scheduler
        Address of the scheduler of a Dask cluster; None for threads of this machine.
    """

    net: arch.AbstractLayer
    path: pathlib.Path
    kernel: str = "ntk"
    tile: int | None = None
    scheduler: str | None = None

    def built(self) -> kernels.AbstractKernel:
        """Return the kernel."""
        return kernel_named(self.kernel)(self.net)


def store_plan(config: StoreConfig, x: np.ndarray) -> StoredPlan:
    """Return what storing the matrix would take.

    Raises
    ------
    ValueError
        If something does not fit.
    """
    return plan_stored(config.built(), x, config.path, config.tile)


def store_gram(config: StoreConfig, x: np.ndarray, progress: Progress | None = None) -> str:
    """Compute the matrix of inputs, or what is missing of it, into the folder, and return a line on what is there.

    Raises
    ------
    ValueError
        As `widelimit.gram.build_stored` does, or if no scheduler answers.
    KeyboardInterrupt
        At Ctrl-C, saying what is kept and how to go on.
    """
    try:
        with _schedule(config.scheduler) as schedule:
            stored = build_stored(config.built(), x, config.path, config.tile, schedule=schedule, progress=progress)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"interrupted. {error} So does the same command.") from None
    n, tiling = stored.shape[0], stored.shelf.tiling
    return f"{config.path}, {n} x {n} in {stored.manifest.dtype}, {tiling.total} tiles of {tiling.side} rows"


def verify_gram(config: StoreConfig, x: np.ndarray, progress: Progress | None = None) -> str:
    """Check that the folder holds the matrix of inputs, undamaged, and return a line that says so.

    Raises
    ------
    ValueError
        Saying what is wrong.
    """
    open_stored(config.path, config.built(), x)
    count = verify_stored(config.path, progress=progress)
    return f"{config.path}: all {count} tiles are as they were written, for these inputs and this network."


@contextlib.contextmanager
def _schedule(address: str | None) -> Iterator[AbstractSchedule]:
    if address is None:
        yield Distributed()
        return
    need_scale()
    from distributed import Client

    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"scheduler is {address!r}, where none answers ({error}); start one with: dask scheduler"
        ) from None
    with client:
        yield Distributed(client)
