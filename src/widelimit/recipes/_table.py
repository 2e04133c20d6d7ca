"""Tables of a CSV file: read, checked cell by cell, and turned into numbers."""

import csv
import dataclasses
import difflib
import io
import math
import pathlib
import re

import numpy as np

MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-"}
LONGEST_CELL = 100_000
MOST_CATEGORIES = 64
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclasses.dataclass(frozen=True)
class Column:
    """One column: its name and either its numbers or its category labels."""

    name: str
    cells: tuple[str, ...]
    numbers: np.ndarray | None


def read_csv(path: pathlib.Path) -> list[Column]:
    """Read a CSV file with a header line.

    The delimiter is one of comma, semicolon and tab, whichever the header has most of. Every cell has to be there.

    Raises
    ------
    ValueError
        If the file is no such table; the message names line and column.
    """
    header, rows = _split(_text(path), path)
    columns = []
    for j, name in enumerate(header):
        cells = []
        for line, row in rows:
            cell = row[j].strip()
            if cell.lower() in MISSING:
                raise ValueError(
                    f"{path.name}, line {line}, column {name!r}: the value is missing ({cell!r}); expected every cell "
                    "to be filled. Remove the row or fill in a value."
                )
            if len(cell) > LONGEST_CELL:
                raise ValueError(f"{path.name}, line {line}, column {name!r}: the cell has {len(cell)} characters.")
            cells.append(cell)
        columns.append(Column(name, tuple(cells), _numbers(path, name, rows, cells)))
    return columns


def find_column(columns: list[Column], target: str | None, path: pathlib.Path) -> Column:
    """Return the column named ``target``, or say which ones there are."""
    names = [column.name for column in columns]
    if target is None:
        raise ValueError(f"{path.name} needs a target column: give target, one of {', '.join(names)}.")
    if target not in names:
        near = difflib.get_close_matches(target, names, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{path.name} has no column {target!r}; it has {', '.join(names)}.{hint}")
    return columns[names.index(target)]


def encode(columns: list[Column], path: pathlib.Path) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Return numbers (n, features), feature names and notes; categories become one column per label."""
    parts, names, notes = [], [], []
    for column in columns:
        if column.numbers is not None:
            parts.append(column.numbers[:, None])
            names.append(column.name)
            continue
        labels = sorted(set(column.cells))
        if len(labels) > min(MOST_CATEGORIES, max(2, len(column.cells) // 2)):
            raise ValueError(
                f"{path.name}, column {column.name!r} is not numeric and has {len(labels)} different values in "
                f"{len(column.cells)} rows, so it looks like an identifier or free text. Remove the column."
            )
        cells = np.array(column.cells)
        parts.append(np.stack([cells == label for label in labels], 1).astype(np.float64))
        names += [f"{column.name}={label}" for label in labels]
        notes.append(f"Column {column.name!r} is categorical: one feature for each of its {len(labels)} values.")
    if not parts:
        raise ValueError(f"{path.name} has no column beside the target; expected at least one feature.")
    return np.concatenate(parts, 1), tuple(names), tuple(notes)


def _text(path: pathlib.Path) -> str:
    raw = path.read_bytes()
    if b"\0" in raw:
        raise ValueError(f"{path.name} holds a NUL byte at offset {raw.index(0)}; expected a text file.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} is not UTF-8 text: byte {raw[error.start]:#04x} at offset {error.start}. Save it as UTF-8."
        ) from None


def _split(text: str, path: pathlib.Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    csv.field_size_limit(10 * LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        lines = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise ValueError(f"{path.name}, line {reader.line_num}: {error}.") from None
    if not lines:
        raise ValueError(f"{path.name} is empty; expected a header line and rows.")
    header = [name.strip() for name in lines[0][1]]
    if all(_number(name) is not None for name in header):
        raise ValueError(f"{path.name} starts with numbers; expected a header line that names the columns.")
    for name in header:
        if not name or header.count(name) > 1:
            raise ValueError(f"{path.name}: the column name {name!r} is empty or appears twice; expected unique names.")
    if len(lines) == 1:
        raise ValueError(f"{path.name} has a header but no rows.")
    for line, row in lines[1:]:
        if len(row) != len(header):
            raise ValueError(f"{path.name}, line {line} has {len(row)} cells; expected {len(header)} as in the header.")
    return header, lines[1:]


def _number(cell: str) -> float | None:
    value = float(cell) if NUMBER.fullmatch(cell) else math.nan
    return value if math.isfinite(value) else None


def _numbers(path: pathlib.Path, name: str, rows: list, cells: list[str]) -> np.ndarray | None:
    values = [_number(cell) for cell in cells]
    odd = [i for i, value in enumerate(values) if value is None]
    if not odd:
        return np.array(values, np.float64)
    infinite = [i for i in odd if cells[i].lower().lstrip("+-") in ("inf", "infinity")]
    if infinite or len(odd) < 0.2 * len(cells):
        i = (infinite or odd)[0]
        raise ValueError(
            f"{path.name}, line {rows[i][0]}, column {name!r}: {cells[i]!r} is not a finite number, while most of the "
            "column is numeric. Correct the cell or remove the row."
        )
    return None
