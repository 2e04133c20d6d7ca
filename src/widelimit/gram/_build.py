"""Building a matrix on disk, so that whatever ends the process, the next call goes on from there."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from .. import _check
from ..kernels import AbstractKernel
from ._durable import LOCK, PART, UnwritableError, locked, write_durably
from ._manifest import ARRAY, NAME, Digests, Manifest, kernel_identity, known_by, library_version, read_manifest
from ._plan import free_bytes, size, tiling_of
from ._schedule import AbstractSchedule, Distributed, need_scale
from ._shelf import DamagedError, Shelf, array_metadata
from ._source import Source, tile_on_one_thread
from ._stored import Progress, Stored


def build_stored(
    kernel: AbstractKernel,
    x: Any,
    path: str | os.PathLike[str],
    tile: int | None = None,
    *,
    schedule: AbstractSchedule | None = None,
    label: str | None = None,
    progress: Progress | None = None,
) -> Stored:
    r"""Compute the matrix of a kernel on n inputs, tile by tile, into a folder, and return it opened.

    .. math:: K_{ij} = K(x_i, x_j),\qquad i \le j \text{ tile by tile}

    The folder is a Zarr array (format 3, one chunk a tile, those below the diagonal left out) with a manifest
    ``widelimit.json``. A tile counts when it is on the disk, whole, and its SHA-256 is recorded: a build that was
    killed at any moment goes on from there in the next call, after comparing all tiles with their checksums; those
    that are damaged are computed anew. The bytes of a finished folder do not depend on interruptions, on the schedule
    or on the number of cores: every tile is computed on one thread. (Other processors may round otherwise.)

    Parameters
    ----------
    kernel
        Any kernel with one number for two inputs.
    x
        n inputs, an array or a pytree of arrays; their dtype is that of the matrix.
    path
        A folder, which may be new, or one that an earlier call has begun.
    tile
        Rows and columns of a tile; n need not divide. None for that of the folder, or at most 2048 and what takes a
        minute of one thread.
    schedule
        Where tiles are computed; None for `Distributed` in threads of this machine.
    label
        What a kernel is known by that is no `NTK` or `NNGP` of a network with a JSON form: a text that names the
        model and its parameters. It is compared when a build goes on.
    progress
        Called with the number of tiles that are done, that of all, and a word.

    Raises
    ------
    ValueError
        If an argument does not fit; the folder was made of another kernel, other inputs, dtype or tile; another process
        builds it; the matrix does not fit on the disk; or the disk becomes full. What is there is kept.
    KeyboardInterrupt
        At Ctrl-C, saying how many tiles are kept.
    """
    need_scale()
    schedule = Distributed() if schedule is None else schedule
    _check.instance(schedule, AbstractSchedule, "schedule", "gram.Distributed()")
    if tile is not None:
        _check.positive_int(tile, "tile")
    source, folder = Source.of(kernel, x).ready(), pathlib.Path(path)
    identity = kernel_identity(kernel, label)
    build = _Build(source, folder, schedule, progress or (lambda *_: None))
    _make_folder(folder, lambda: _check_space(folder, _shelf(source, folder, tile), None))
    with locked(folder):
        try:
            return build.run(identity, tile)
        except UnwritableError as error:
            missing = size(build.missing_bytes)
            raise ValueError(
                f"{folder} cannot be written: {error.reason}. {build.kept()} To go on, see to it that {missing} can be "
                "written there, and make the same call again."
            ) from None
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{build.kept()} The same call goes on from there.") from None


class _Build:
    # One build: what is there is checked, what is missing computed and written.
    def __init__(self, source: Source, folder: pathlib.Path, schedule: AbstractSchedule, progress: Progress) -> None:
        self.source, self.folder, self.schedule, self.progress = source, folder, schedule, progress
        self.shelf: Shelf | None = None
        self.digests: Digests = {}

    @property
    def missing_bytes(self) -> int:
        """Bytes of the tiles that are not there."""
        return (self.shelf.tiling.total - len(self.digests)) * self.shelf.bytes_per_tile if self.shelf else 0

    def kept(self) -> str:
        """Return a sentence on what there is."""
        total = self.shelf.tiling.total if self.shelf else "all"
        return f"{len(self.digests)} of {total} tiles are kept in {self.folder}."

    def run(self, identity: dict[str, Any], tile: int | None) -> Stored:
        """Return the matrix, finished."""
        manifest = self._begun(identity, tile)
        self.shelf = shelf = Shelf(self.folder, manifest.tiling, np.dtype(manifest.dtype))
        shelf.tidy()
        self._check_tiles(shelf, manifest)
        missing = [place for place in shelf.tiling.pairs() if place not in self.digests]
        if missing or manifest.digests is None:
            _refuse_version(manifest, self.folder)
            _check_space(self.folder, shelf, len(missing))
            shelf.begin_journal(self.digests)
            self._compute(shelf, missing)
            manifest = dataclasses.replace(manifest, digests=self.digests)
            manifest.write(self.folder)
        shelf.end_journal()
        return Stored(shelf, manifest)

    def _begun(self, identity: dict[str, Any], tile: int | None) -> Manifest:
        """Return the manifest of the folder, made if there is none, and refuse one of another matrix."""
        if not (self.folder / NAME).exists():
            tiling = tiling_of(self.source, tile)
            array = array_metadata(tiling, self.source.dtype)
            manifest = Manifest.begun(identity, known_by(self.source.x, tiling.side), array)
            # The manifest first: without it, what is in a folder is somebody else's.
            manifest.write(self.folder)
            write_durably(self.folder / ARRAY, array)
            return manifest
        manifest = read_manifest(self.folder)
        side = manifest.tiling.side if tile is None else min(tile, self.source.n)
        wanted = dataclasses.replace(manifest, kernel=identity, **known_by(self.source.x, side))
        manifest.refuse_other(wanted, self.folder)
        if side != manifest.tiling.side:
            raise ValueError(
                f"tile is {tile}, but {self.folder} has tiles of {manifest.tiling.side} rows. Leave tile out, or give "
                "another path."
            )
        if not manifest.is_array(self.folder):
            write_durably(self.folder / ARRAY, array_metadata(manifest.tiling, np.dtype(manifest.dtype)))
            if not manifest.is_array(self.folder):
                raise ValueError(
                    f"{self.folder / ARRAY} was damaged, and the Zarr that is installed writes another one. Install "
                    "the one that wrote it, or delete that folder and build anew."
                )
        return manifest

    def _check_tiles(self, shelf: Shelf, manifest: Manifest) -> None:
        """Take over the tiles that agree with their recorded checksums."""
        recorded = shelf.noted() if manifest.digests is None else manifest.digests
        for done, (place, found) in enumerate(shelf.checked(sorted(recorded), recorded), 1):
            if not isinstance(found, DamagedError):
                self.digests[place] = recorded[place]
            self.progress(done, len(recorded), "checking")

    def _compute(self, shelf: Shelf, missing: list[tuple[int, int]]) -> None:
        total = shelf.tiling.total

        def keep(place: tuple[int, int], result: Any) -> None:
            digest = result if isinstance(result, str) else shelf.write(place, result)
            shelf.note(place, digest)
            self.digests[place] = digest
            self.progress(len(self.digests), total, "tiles")

        self.progress(len(self.digests), total, "tiles")
        self.schedule.run(_written if self.schedule.is_here else _computed, (self.source, shelf), missing, keep)


def _computed(shared: tuple[Source, Shelf], place: tuple[int, int]) -> np.ndarray:
    source, shelf = shared
    return tile_on_one_thread(source, (shelf.tiling.span(place[0]), shelf.tiling.span(place[1])))


def _written(shared: tuple[Source, Shelf], place: tuple[int, int]) -> str:
    return shared[1].write(place, _computed(shared, place))


def _shelf(source: Source, folder: pathlib.Path, tile: int | None) -> Shelf:
    return Shelf(folder, tiling_of(source, tile), source.dtype)


def _make_folder(folder: pathlib.Path, check: Any) -> None:
    """Make the folder where it is new, after a check, and refuse one that is something else."""
    try:
        names = {path.name for path in folder.iterdir()} if folder.exists() else None
        if names is None:
            check()
            folder.mkdir(parents=True, exist_ok=True)
    except NotADirectoryError:
        raise ValueError(f"{folder} is a file; expected a folder, which may be new.") from None
    except OSError as error:
        raise ValueError(f"{folder} cannot be made or read: {error.strerror}.") from None
    foreign = sorted(name for name in names or () if name != LOCK and not name.endswith(PART))
    if foreign and NAME not in foreign:
        raise ValueError(
            f"{folder} holds other things ({foreign[0]}); expected a new folder, or one of a stored matrix."
        )


def _check_space(folder: pathlib.Path, shelf: Shelf, tiles: int | None) -> None:
    needed = (shelf.tiling.total if tiles is None else tiles) * shelf.bytes_per_tile
    free = free_bytes(folder)
    if needed > free:
        raise ValueError(
            f"{folder} needs {size(needed)} on disk, and {size(free)} are free there. Free some, give a path on "
            "another disk, take float32, or solve without storing: gram.Lazy."
        )


def _refuse_version(manifest: Manifest, folder: pathlib.Path) -> None:
    if manifest.version != library_version():
        raise ValueError(
            f"{folder} was begun by widelimit {manifest.version}, and this is {library_version()}, whose tiles may "
            "differ in their last digits. Go on with the other one, or delete that folder."
        )
