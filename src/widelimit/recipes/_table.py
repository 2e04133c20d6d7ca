"""Tables of a CSV file, checked cell by cell and turned into numbers, and arrays of an NPZ file."""

import csv
import dataclasses
import difflib
import io
import math
import pathlib
import re
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _check

MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}
INFINITE = {"inf", "infinity"}
LONGEST_CELL = 100_000
MOST_CATEGORIES = 64
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
COMMA_NUMBER = re.compile(r"[+-]?\d+(,\d+)*", re.ASCII)
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError)

Row = tuple[int, list[str]]
"""The line a row starts at, counted from 1 with the header, and its cells."""


@dataclasses.dataclass(frozen=True)
class Column:
    """One column: its name and either its numbers or its category labels."""

    name: str
    cells: tuple[str, ...]
    numbers: np.ndarray | None


def read_csv(path: pathlib.Path) -> list[Column]:
    """Read a CSV file with a header line.

    The delimiter is one of comma, semicolon and tab, whichever splits the header into most cells. Every cell has to be
    there. A column is numeric if every cell is a finite number such as ``-1.5`` or ``1e3``; a column with fewer than
    20 % other cells is refused, since those are most likely typing errors.

    Raises
    ------
    ValueError
        If the file is no such table; the message names line and column.
    """
    header, rows = _parse(_text(path), path)
    _check_header(header, path)
    if not rows:
        raise ValueError(f"{path.name} has a header but no rows.")
    for line, row in rows:
        _check_row(line, row, header, path)
    lines = [line for line, _ in rows]
    cells = zip(*([cell.strip() for cell in row] for _, row in rows), strict=True)
    return [_column(name, column, lines, path) for name, column in zip(header, cells, strict=True)]


def find_column(columns: list[Column], target: str | None, path: pathlib.Path) -> Column:
    """Return the column named ``target``, or say which ones there are."""
    names = [column.name for column in columns]
    if target is None:
        raise ValueError(f"{path.name} needs a target column: give target, one of {listed(names)}.")
    if target not in names:
        raise ValueError(f"{path.name} has no column {target!r}; it has {listed(names)}.{suggestion(target, names)}")
    return columns[names.index(target)]


def labels(column: Column, path: pathlib.Path) -> list[str]:
    """Return the sorted labels of a categorical column: at most 64, and fewer than half as many as rows."""
    found, rows = sorted(set(column.cells)), len(column.cells)
    if len(found) > MOST_CATEGORIES or 2 * len(found) >= rows:
        raise ValueError(
            f"{path.name}, column {column.name!r} is not numeric and has {len(found)} different values in {rows} rows, "
            f"so it looks like an identifier or free text; expected at most {MOST_CATEGORIES} values, and fewer than "
            "half the rows. Remove the column, or merge rare values."
        )
    return found


def encode(columns: list[Column], path: pathlib.Path) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Return numbers (n, features), feature names and notes; categories become one 0/1 column per label."""
    parts, names, notes = [], [], []
    for column in columns:
        if column.numbers is not None:
            parts.append(column.numbers[:, None])
            names.append(column.name)
            continue
        found = labels(column, path)
        parts.append((np.array(column.cells)[:, None] == np.array(found)).astype(np.float64))
        names += [f"{column.name}={label}" for label in found]
        notes.append(f"Column {column.name!r} is categorical: one feature for each of its {len(found)} values.")
    if not parts:
        raise ValueError(f"{path.name} has no column beside the target; expected at least one feature.")
    return np.concatenate(parts, 1), tuple(names), tuple(notes)


def read_npz(path: pathlib.Path, target: str | None) -> tuple[np.ndarray, np.ndarray, int]:
    """Read inputs (n, ...), targets (n,) or (n, o), and how many of the last rows are test rows of the file's own.

    The arrays are ``x`` (or ``X``) and ``target`` (by default ``y``); with ``_test`` after both names come test rows.

    Raises
    ------
    ValueError
        If the file is damaged, lacks an array, or holds one that cannot be used; the message says which.
    """
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path.name} is damaged or no NPZ file. Write it with numpy.savez(file, x=..., y=...).")
    try:
        with np.load(path, allow_pickle=False) as archive:
            key, inputs = target or "y", "x" if "x" in archive else "X"
            for name in (inputs, key):
                if name not in archive:
                    raise ValueError(f"it holds {listed(archive.files) or 'nothing'}; expected arrays 'x' and {key!r}")
            if key == inputs:
                raise ValueError(f"target is {key!r}, the inputs; expected the key of the targets")
            x, y = _pair(archive, inputs, key)
            tests = [name for name in (f"{inputs}_test", f"{key}_test") if name in archive]
            if not tests:
                return x, y, 0
            if len(tests) == 1:
                raise ValueError(f"it holds {tests[0]!r} alone; expected both {inputs}_test and {key}_test, or neither")
            x_test, y_test = _pair(archive, *tests)
    except DAMAGE as error:
        raise ValueError(f"{path.name} is damaged: {error}. Write it again with numpy.savez.") from None
    except ValueError as error:
        raise ValueError(f"{path.name} cannot be used: {str(error).rstrip('.')}.") from None
    alike = x.shape[1:] == x_test.shape[1:] and y.shape[1:] == y_test.shape[1:]
    if not alike or (y.dtype.kind in "US") != (y_test.dtype.kind in "US"):
        raise ValueError(
            f"{path.name}: test examples have shapes {x_test.shape[1:]} and {y_test.shape[1:]} ({y_test.dtype}), "
            f"training examples {x.shape[1:]} and {y.shape[1:]} ({y.dtype}); expected the same."
        )
    return np.concatenate([x, x_test]), np.concatenate([y, y_test]), len(x_test)


def listed(names: Sequence[str], most: int = 20) -> str:
    """Return names separated by commas; of many, the first ``most`` and how many there are."""
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text}, ... ({len(names)} in all)"


def suggestion(given: str, names: Sequence[str]) -> str:
    """Return a question naming the entry of ``names`` closest to ``given``, or nothing."""
    near = difflib.get_close_matches(given, names, 1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _text(path: pathlib.Path) -> str:
    raw = path.read_bytes()
    if b"\0" in raw:
        raise ValueError(f"{path.name} holds a NUL byte at offset {raw.index(0)}; expected text. Save it as UTF-8.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} is not UTF-8 text: byte {raw[error.start]:#04x} at offset {error.start}. Save it as UTF-8."
        ) from None


def _delimiter(text: str) -> str:
    # Cells are counted as the reader sees them, so that a comma within quotes does not count.
    first = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    return max(",;\t", key=lambda delimiter: len(next(csv.reader([first], delimiter=delimiter), [])))


def _parse(text: str, path: pathlib.Path) -> tuple[list[str], list[Row]]:
    lines: list[Row] = []
    start = 1
    try:
        delimiter = _delimiter(text)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
        for row in reader:
            if len(row) > 1 or "".join(row).strip():
                lines.append((start, row))
            start = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{path.name}, line {start}: {error}. Look for a quote that is not closed, or a very long cell."
        ) from None
    if not lines:
        raise ValueError(f"{path.name} is empty; expected a header line and rows.")
    return [name.strip() for name in lines[0][1]], lines[1:]


def _check_header(header: list[str], path: pathlib.Path) -> None:
    if all(_number(name) is not None for name in header):
        raise ValueError(
            f"{path.name} starts with numbers; expected a header line that names the columns. Add one, such as "
            "'x1,x2,y'."
        )
    seen = set()
    for name in header:
        if not name or name in seen:
            raise ValueError(
                f"{path.name}: the column name {name[:100]!r} is empty or appears twice; expected unique names. "
                "Rename the column."
            )
        seen.add(name)


def _check_row(line: int, row: list[str], header: list[str], path: pathlib.Path) -> None:
    if len(row) != len(header):
        raise ValueError(
            f"{path.name}, line {line} has {len(row)} cells; expected {len(header)} as in the header. Quote cells that "
            "hold the delimiter."
        )
    for name, cell in zip(header, row, strict=True):
        place, bare = f"{path.name}, line {line}, column {name!r}", cell.strip().lower().lstrip("+-")
        if bare in MISSING:
            raise ValueError(
                f"{place}: the value is missing ({cell.strip()!r}); expected every cell to be filled. Remove the row "
                "or fill in a value."
            )
        if bare in INFINITE:
            raise ValueError(f"{place}: {cell.strip()!r} is not a finite number. Correct the cell or remove the row.")
        if len(cell) > LONGEST_CELL:
            raise ValueError(f"{place}: the cell has {len(cell)} characters; expected at most {LONGEST_CELL}.")


def _number(cell: str) -> float | None:
    value = float(cell) if NUMBER.fullmatch(cell) else math.nan
    return value if math.isfinite(value) else None


def _column(name: str, cells: tuple[str, ...], lines: list[int], path: pathlib.Path) -> Column:
    values = [_number(cell) for cell in cells]
    odd = [i for i, value in enumerate(values) if value is None]
    if not odd:
        return Column(name, cells, np.array(values, np.float64))
    place = f"{path.name}, line {lines[odd[0]]}, column {name!r}: {cells[odd[0]][:100]!r}"
    if all(COMMA_NUMBER.fullmatch(cell) for cell in cells):
        raise ValueError(f"{place} looks like a number with a comma. Write 1.5 for one and a half, 1500 for 1,500.")
    if 5 * len(odd) < len(cells):
        raise ValueError(
            f"{place} is not a finite number, while most of the column is numeric. Correct the cell or remove the row."
        )
    return Column(name, cells, None)


def _pair(archive: Any, inputs: str, key: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = (_array(archive, name) for name in (inputs, key))
    _check.real(x, inputs)
    if y.dtype.kind not in "bUS":
        _check.real(y, key)
    if x.ndim < 2 or y.ndim not in (1, 2) or len(x) != len(y) or 0 in (*x.shape, *y.shape):
        raise ValueError(
            f"{inputs} has shape {x.shape} and {key} {y.shape}; expected (n, ...) and (n,) or (n, o), none empty. "
            f"Of n scalars make {inputs}[:, None]"
        )
    return x, y


def _array(archive: Any, name: str) -> np.ndarray:
    try:
        array = archive[name]
    except ValueError as error:
        raise ValueError(f"{name!r}: {error} Save plain numeric arrays with numpy.savez") from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name!r} is no array. Save arrays with numpy.savez")
    return array
