"""Tiles in the files of a Zarr array, with their checksums: written so that they are complete, read if they are right.

A chunk of the array is a tile, without compression: rows one after another, little endian, the last tiles filled up
with NaN. Chunks below the diagonal are not there, and Zarr reads them as NaN.
"""

from __future__ import annotations

import collections
import concurrent.futures
import hashlib
import pathlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from ._durable import PART, append_durably, sync_folder, write_durably
from ._manifest import ARRAY, NAME, Digests
from ._schedule import need_scale
from ._tiling import Tile, Tiling

CHUNKS, JOURNAL = "c", "build.journal"

AHEAD = 2
"""Tiles that are read and checked ahead, in threads of their own."""


class DamagedError(Exception):
    """A tile is missing or is not what was written."""


class Shelf(NamedTuple):
    """The files of a stored matrix.

    Attributes
    ----------
    folder
        The Zarr array.
    tiling
        Its tiles.
    dtype
        Of the entries.
    """

    folder: pathlib.Path
    tiling: Tiling
    dtype: np.dtype

    @property
    def bytes_per_tile(self) -> int:
        """Size of the file of a tile."""
        return self.tiling.side**2 * self.dtype.itemsize

    def file(self, place: tuple[int, int]) -> pathlib.Path:
        """Return the file of a tile."""
        i, j = place
        return self.folder / CHUNKS / str(i) / str(j)

    def write(self, place: tuple[int, int], tile: np.ndarray) -> str:
        """Write a tile, and return its checksum.

        Raises
        ------
        UnwritableError
            If the disk does not take it.
        """
        side, kind = self.tiling.side, self.dtype.newbyteorder("<")
        if tile.shape != (side, side):
            whole = np.full((side, side), np.nan, kind)
            whole[: tile.shape[0], : tile.shape[1]] = tile
            tile = whole
        data = np.ascontiguousarray(tile, kind).data.cast("B")
        write_durably(self.file(place), data)
        return hashlib.sha256(data).hexdigest()

    def read(self, place: tuple[int, int], digest: str) -> np.ndarray:
        """Return a tile, checked.

        Raises
        ------
        DamagedError
            If it is not there, or has another checksum.
        """
        try:
            raw = np.fromfile(self.file(place), np.uint8)
        except FileNotFoundError:
            raise DamagedError("is missing") from None
        except OSError as error:
            raise DamagedError(f"cannot be read ({error.strerror})") from None
        if raw.size != self.bytes_per_tile or hashlib.sha256(raw.data).hexdigest() != digest:
            raise DamagedError("is damaged: its checksum is not the one that was recorded")
        rows, columns = self.tiling.shape(place)
        kind = self.dtype.newbyteorder("<")
        return raw.view(kind).reshape(self.tiling.side, -1)[:rows, :columns].astype(self.dtype, copy=False)

    def tiles(self, places: Iterable[tuple[int, int]], digests: Digests) -> Iterator[Tile]:
        """Give tiles in order, read and checked ahead."""
        for place, found in self.checked(places, digests):
            if isinstance(found, DamagedError):
                raise ValueError(
                    f"tile {place} of {self.folder} {found}. Build the matrix again with the same call: it "
                    "computes anew what is damaged, and keeps the rest."
                )
            yield place, found

    def checked(
        self, places: Iterable[tuple[int, int]], digests: Digests
    ) -> Iterator[tuple[tuple[int, int], np.ndarray | DamagedError]]:
        """Give tiles in order, or what is wrong with them, read and checked ahead."""

        def read(place: tuple[int, int]) -> np.ndarray | DamagedError:
            try:
                return self.read(place, digests[place])
            except DamagedError as error:
                return error

        with concurrent.futures.ThreadPoolExecutor(AHEAD) as pool:
            under_way: collections.deque = collections.deque()
            for place in places:
                under_way.append((place, pool.submit(read, place)))
                if len(under_way) > AHEAD:
                    first, future = under_way.popleft()
                    yield first, future.result()
            while under_way:
                first, future = under_way.popleft()
                yield first, future.result()

    def note(self, place: tuple[int, int], digest: str) -> None:
        """Record the checksum of a tile that is on the disk.

        Raises
        ------
        UnwritableError
            If the disk does not take it.
        """
        append_durably(self.folder / JOURNAL, _line(place, digest))

    def noted(self) -> Digests:
        """Return the recorded checksums; a line that is not whole does not count."""
        try:
            text = (self.folder / JOURNAL).read_bytes()
        except FileNotFoundError:
            return {}
        found: Digests = {}
        places = set(self.tiling.pairs())
        for line in text.split(b"\n")[:-1]:
            with suppress(ValueError):
                i, j, digest = line.decode().split(" ")
                if _line((int(i), int(j)), digest) == line + b"\n" and (int(i), int(j)) in places:
                    found[int(i), int(j)] = digest
        return found

    def begin_journal(self, digests: Digests) -> None:
        """Write the journal anew with what holds."""
        lines = b"".join(_line(place, digest) for place, digest in sorted(digests.items()))
        write_durably(self.folder / JOURNAL, lines)

    def end_journal(self) -> None:
        """Remove the journal, behind the manifest that has all it says."""
        (self.folder / JOURNAL).unlink(missing_ok=True)
        sync_folder(self.folder)

    def tidy(self) -> None:
        """Remove the half-written files of killed processes."""
        for path in self.folder.rglob(f"*{PART}"):
            path.unlink(missing_ok=True)


def array_metadata(tiling: Tiling, dtype: np.dtype) -> bytes:
    """Return the ``zarr.json`` of a stored matrix, as the Zarr library writes it."""
    need_scale()
    import zarr

    attributes: Any = {"about": "symmetric; chunks below the diagonal are left out and read as NaN", "manifest": NAME}
    with tempfile.TemporaryDirectory() as folder:
        zarr.create_array(
            folder,
            shape=(tiling.n, tiling.n),
            chunks=(tiling.side, tiling.side),
            dtype=dtype.newbyteorder("<"),
            fill_value=float("nan"),
            compressors=None,
            filters=None,
            attributes=attributes,
            zarr_format=3,
        )
        return (pathlib.Path(folder) / ARRAY).read_bytes()


def _line(place: tuple[int, int], digest: str) -> bytes:
    return f"{place[0]} {place[1]} {digest}\n".encode()
