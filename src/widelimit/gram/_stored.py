"""A Gram matrix on disk: read tile by tile, each one checked whenever it is read."""

from __future__ import annotations

import dataclasses
import os
import pathlib

import equinox as eqx
import jax
import numpy as np

from .._typing import Array, Callable, PyTree
from ..kernels import AbstractKernel
from ._dense import AbstractGram
from ._manifest import Manifest, kernel_identity, known_by, read_manifest
from ._shelf import ARRAY, DamagedError, Shelf
from ._source import columns_of, entries_of, given, is_traced
from ._tiling import assembled, symmetric_product, touched

Progress = Callable[[float, float, str], None]
"""``progress(done, total, what)``."""


class Stored(AbstractGram):
    r"""The matrix in a folder that `build_stored` made; open it with `open_stored`.

    .. math:: (Kv)_i = \sum_j K_{ij} v_j

    by one pass over the tiles on and above the diagonal, in float64. A few tiles are in memory at a time, and each is
    compared with its SHA-256 when it is read. Within a transformation of JAX, products are calls back to the host; they
    have no derivatives.

    Attributes
    ----------
    shelf
        Where tiles are.
    manifest
        What the matrix was made of, and the checksums.
    """

    shelf: Shelf = eqx.field(static=True)
    manifest: Manifest = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (n, n)."""
        n = self.shelf.tiling.n
        return n, n

    def matmat(self, v: Array) -> Array:
        """Return the product with a matrix of shape (n, k), in the wider of both dtypes."""
        columns_of(v, self.shape[0])
        dtype = np.dtype(np.result_type(self.shelf.dtype, v.dtype))
        if not is_traced(v):
            return given(self._product(np.asarray(v)), dtype)
        dtype = np.dtype(jax.dtypes.canonicalize_dtype(dtype))
        out = jax.ShapeDtypeStruct(v.shape, dtype)
        return jax.pure_callback(lambda v: self._product(v).astype(dtype), out, v, vmap_method="sequential")

    def tile(self, rows: slice, columns: slice) -> Array:
        """Return a rectangular part."""
        tiling = self.shelf.tiling
        first, second = (entries_of(part, tiling.n) for part in (rows, columns))
        tiles = self.shelf.tiles(touched(tiling, first, second), self._digests())
        return given(assembled(tiling, tiles, first, second, self.shelf.dtype), self.shelf.dtype)

    def diagonal(self) -> Array:
        """Return the diagonal, (n,)."""
        places = [(i, i) for i in range(self.shelf.tiling.across)]
        parts = [tile.diagonal() for _, tile in self.shelf.tiles(places, self._digests())]
        return given(np.concatenate(parts), self.shelf.dtype)

    def _product(self, v: np.ndarray) -> np.ndarray:
        tiling = self.shelf.tiling
        return symmetric_product(tiling, self.shelf.tiles(tiling.pairs(), self._digests()), v)

    def _digests(self) -> dict:
        return self.manifest.digests or {}


def open_stored(
    path: str | os.PathLike[str], kernel: AbstractKernel | None = None, x: PyTree = None, *, label: str | None = None
) -> Stored:
    """Return a stored matrix, to be read; nothing is written.

    Parameters
    ----------
    path
        The folder that `build_stored` made.
    kernel, x
        What the matrix should be of; None not to compare.
    label
        As for `build_stored`.

    Raises
    ------
    ValueError
        If there is no such store, it is damaged or not finished, or was made of another kernel or other inputs. A tile
        that is damaged is found when it is read.
    """
    folder = pathlib.Path(path)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {str(folder)!r}; expected one that gram.build_stored made.")
    found = wanted = read_manifest(folder)
    if kernel is not None:
        wanted = dataclasses.replace(wanted, kernel=kernel_identity(kernel, label))
    if x is not None:
        wanted = dataclasses.replace(wanted, **known_by(x, found.tiling.side))
    found.refuse_other(wanted, folder)
    if found.digests is None:
        raise ValueError(f"{folder} is not finished. Call gram.build_stored with the same arguments: it goes on.")
    if not found.is_array(folder):
        raise ValueError(f"{folder / ARRAY} is damaged or missing. Call gram.build_stored with the same arguments.")
    return Stored(Shelf(folder, found.tiling, np.dtype(found.dtype)), found)


def verify_stored(path: str | os.PathLike[str], *, progress: Progress | None = None) -> int:
    """Read all tiles of a stored matrix, compare them with their checksums, and return how many there are.

    Parameters
    ----------
    path
        The folder that `build_stored` made.
    progress
        Called with the number of tiles that are read, that of all, and a word.

    Raises
    ------
    ValueError
        As for `open_stored`, or if tiles are damaged, naming them.
    """
    shelf, manifest = (stored := open_stored(path)).shelf, stored.manifest
    total, damaged = shelf.tiling.total, []
    for done, (place, found) in enumerate(shelf.checked(shelf.tiling.pairs(), manifest.digests or {}), 1):
        if isinstance(found, DamagedError):
            damaged.append(f"tile {place} {found}")
        if progress is not None:
            progress(done, total, "checking")
    if damaged:
        more = f", and {len(damaged) - 3} more" if len(damaged) > 3 else ""
        raise ValueError(
            f"{path}: {'; '.join(damaged[:3])}{more}. Call gram.build_stored with the same arguments: it computes "
            "anew what is damaged, and keeps the rest."
        )
    return total
