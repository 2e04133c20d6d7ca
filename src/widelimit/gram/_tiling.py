"""A symmetric matrix in square tiles, of which those on and above the diagonal stand for all."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np


class Tiling(NamedTuple):
    """Tiles of ``side`` rows and columns over n; those of the last row and column are what is left.

    Attributes
    ----------
    n
        Rows of the matrix.
    side
        Rows of a tile.
    """

    n: int
    side: int

    @property
    def across(self) -> int:
        """Tiles along one axis."""
        return -(-self.n // self.side)

    @property
    def total(self) -> int:
        """Tiles on and above the diagonal."""
        return self.across * (self.across + 1) // 2

    def pairs(self) -> list[tuple[int, int]]:
        """Return the places (i, j) with i <= j of the tiles, row by row."""
        return [(i, j) for i in range(self.across) for j in range(i, self.across)]

    def span(self, i: int) -> slice:
        """Return the rows of the matrix that belong to row i of tiles."""
        return slice(i * self.side, min((i + 1) * self.side, self.n))

    def shape(self, place: tuple[int, int]) -> tuple[int, int]:
        """Return the shape of the tile at a place."""
        rows, columns = (self.span(i) for i in place)
        return rows.stop - rows.start, columns.stop - columns.start


def balanced(n: int, most: int) -> Tiling:
    """Return the fewest tiles of at most ``most`` rows that cover n, as equal as may be."""
    most = max(1, min(n, most))
    return Tiling(n, -(-n // -(-n // most)))


def side_within(memory: float, bytes_per_entry: float) -> int:
    """Return the side of the largest square tile that takes at most ``memory`` bytes."""
    return max(1, math.isqrt(int(memory / bytes_per_entry)))


Tile = tuple[tuple[int, int], np.ndarray]
"""A place (i, j), i <= j, and the tile there."""

Products = tuple[np.ndarray, np.ndarray | None]
"""What a tile adds to rows i, and to rows j, of a product."""


def symmetric_product(tiling: Tiling, tiles: Iterable[Tile], v: np.ndarray) -> np.ndarray:
    r"""Return the product of a symmetric matrix with v, (n, k), in float64, each tile used for its mirror image too.

    .. math:: w_i \mathrel{+}= K_{ij} v_j,\qquad w_j \mathrel{+}= K_{ij}^\top v_i \quad (i < j)
    """
    v = np.asarray(v, np.float64)
    out = np.zeros((tiling.n, v.shape[1]))
    for place, tile in tiles:
        add_products(out, tiling, place, products(tiling, place, tile, v))
    return out


def products(tiling: Tiling, place: tuple[int, int], tile: np.ndarray, v: np.ndarray) -> Products:
    """Return what a tile adds to the product in its own rows, and in those of its mirror image if there is one."""
    i, j = place
    exact = tile.astype(np.float64)
    return exact @ v[tiling.span(j)], None if i == j else exact.T @ v[tiling.span(i)]


def add_products(out: np.ndarray, tiling: Tiling, place: tuple[int, int], parts: Products) -> None:
    """Add what a tile contributes."""
    for i, part in zip(place, parts, strict=True):
        if part is not None:
            out[tiling.span(i)] += part


def assembled(tiling: Tiling, tiles: Iterable[Tile], rows: range, columns: range, dtype: np.dtype) -> np.ndarray:
    """Return the part of the matrix at ``rows`` and ``columns``, from the tiles that `touched` names."""
    out = np.empty((len(rows), len(columns)), dtype)
    where = [_by_tile(tiling, picked) for picked in (rows, columns)]
    for (i, j), tile in tiles:
        for (a, b), part in (((i, j), tile), ((j, i), tile.T))[: 1 if i == j else 2]:
            if a in where[0] and b in where[1]:
                (to_rows, rows_of), (to_columns, columns_of) = where[0][a], where[1][b]
                out[np.ix_(to_rows, to_columns)] = part[np.ix_(rows_of, columns_of)]
    return out


def touched(tiling: Tiling, rows: range, columns: range) -> Iterator[tuple[int, int]]:
    """Give the places (i, j), i <= j, of the tiles that a part of the matrix needs."""
    first, second = (_by_tile(tiling, picked) for picked in (rows, columns))
    yield from sorted({(min(i, j), max(i, j)) for i in first for j in second})


def _by_tile(tiling: Tiling, picked: range) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    # For each row of tiles: which places of the part it fills, and with which of its own rows.
    entries = np.array(picked, dtype=int)
    owner = entries // tiling.side
    return {int(i): (np.flatnonzero(owner == i), entries[owner == i] - i * tiling.side) for i in np.unique(owner)}
