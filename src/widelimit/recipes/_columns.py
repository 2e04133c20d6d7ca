"""From the columns of a table to the inputs of a kernel, and the same again for a table that comes later."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np

from ._table import Column, labels, listed, suggestion


@dataclasses.dataclass(frozen=True)
class Columns:
    r"""What was learnt about the columns of a table: which there are, their categories, their scale.

    Attributes
    ----------
    names
        Of the input columns of a CSV file, in order; empty for arrays.
    categories
        For each of them its labels, or None for numbers.
    shape
        Of one example of an array, as it comes; empty for tables.
    keep
        Which of the encoded features vary, (features,).
    mean, std, low, high
        Of those, over the rows that were learnt from; the last two are the least and the largest value.
    """

    names: tuple[str, ...]
    categories: tuple[tuple[str, ...] | None, ...]
    shape: tuple[int, ...]
    keep: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features behind encoding that are kept."""
        found: list[str] = []
        for name, known in zip(self.names, self.categories, strict=True):
            found += [name] if known is None else [f"{name}={label}" for label in known]
        found = found or [f"x{i}" for i in range(len(self.keep))]
        return tuple(name for name, kept in zip(found, self.keep, strict=True) if kept)

    def table(self, columns: list[Column], path: pathlib.Path, ignored: tuple[str, ...] = ()) -> np.ndarray:
        """Return the standardised inputs (n, d) of a table that comes later.

        Parameters
        ----------
        columns
            Of the table, in any order.
        path
            Where it comes from.
        ignored
            Names that may be there and are not looked at, as the target.

        Raises
        ------
        ValueError
            If a column is missing, is text where there were numbers, or has a category that was never seen.
        """
        if not self.names:
            raise ValueError(f"{path.name} is a table, but the model was fitted on arrays; give a .npz file.")
        there = {column.name: column for column in columns}
        missing = [name for name in self.names if name not in there]
        extra = [name[:100] for name in there if name not in self.names and name not in ignored]
        if missing:
            hint = suggestion(missing[0], extra) or f" Its other columns are {listed(extra, 5) or 'none'}."
            raise ValueError(f"{path.name} has no column {listed([repr(name[:100]) for name in missing], 5)}.{hint}")
        parts = [_encoded(there[name], known, path) for name, known in zip(self.names, self.categories, strict=True)]
        return self.standardised(np.concatenate(parts, 1))

    def unknown(self, columns: list[Column], ignored: tuple[str, ...] = ()) -> list[str]:
        """Return the names of columns that the model does not know."""
        return [column.name for column in columns if column.name not in (*self.names, *ignored)]

    def array(self, x: np.ndarray, path: pathlib.Path) -> np.ndarray:
        """Return the standardised inputs (n, d) of an array (n, ...) that comes later."""
        if self.names:
            raise ValueError(f"{path.name} holds arrays, but the model was fitted on a table; give a .csv file.")
        if x.shape[1:] != self.shape:
            raise ValueError(f"{path.name} holds examples of shape {x.shape[1:]}; the model expects {self.shape}.")
        return self.standardised(x.reshape(len(x), -1))

    def standardised(self, x: np.ndarray) -> np.ndarray:
        """Return encoded features (n, all features) as inputs of the kernel (n, d)."""
        return (x[:, self.keep] - self.mean) / self.std

    def far(self, x: np.ndarray) -> tuple[np.ndarray, str]:
        """Return which standardised inputs (n, d) lie beyond what was learnt from, and the farthest value in words.

        Beyond is what exceeds the range of a feature by more than its width.
        """
        values = x * self.std + self.mean
        excess = np.maximum(values - self.high, self.low - values) / (self.high - self.low)
        row, place = np.unravel_index(int(excess.argmax()), excess.shape)
        name, value, low, high = self.features[place], values[row, place], self.low[place], self.high[place]
        return excess.max(1) > 1, f"row {row + 1}: {name} is {value:.6g}, was {low:.6g} to {high:.6g}"

    def to_dict(self) -> dict[str, Any]:
        """Return what is not an array as plain objects."""
        return {
            "names": list(self.names),
            "categories": [None if known is None else list(known) for known in self.categories],
            "shape": list(self.shape),
        }


NOTHING = (np.zeros(0, bool), *np.zeros((4, 0)))
"""Statistics that have yet to be found."""


def table_columns(columns: list[Column], path: pathlib.Path) -> Columns:
    """Return the columns of a table whose scale has yet to be found."""
    names = tuple(column.name for column in columns)
    known = tuple(None if column.numbers is not None else tuple(labels(column, path)) for column in columns)
    return Columns(names, known, (), *NOTHING)


def array_columns(shape: tuple[int, ...]) -> Columns:
    """Return the columns of arrays whose scale has yet to be found."""
    return Columns((), (), shape, *NOTHING)


def _encoded(column: Column, known: tuple[str, ...] | None, path: pathlib.Path) -> np.ndarray:
    if known is None:
        if column.numbers is None:
            raise ValueError(
                f"{path.name}, column {column.name!r} holds {column.cells[0][:100]!r}; expected numbers, as in the "
                "data that the model was fitted on."
            )
        return column.numbers[:, None]
    cells = np.array(column.cells)
    strange = sorted(set(column.cells) - set(known))
    if strange:
        raise ValueError(
            f"{path.name}, column {column.name!r} holds {strange[0][:100]!r}, which the model has never seen; it "
            f"knows {listed(list(known), 10)}.{suggestion(strange[0], known)}"
        )
    return (cells[:, None] == np.array(known)).astype(np.float64)
