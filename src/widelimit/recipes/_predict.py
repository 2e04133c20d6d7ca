"""Predictions of a kept model for a table that comes later."""

from __future__ import annotations

import csv
import dataclasses
import io
import pathlib
from typing import Any

import numpy as np

from .. import gp
from .._typing import Callable
from ._gram import read_inputs
from ._model import Model
from ._table import listed, read_csv
from ._write import write_one

ENDINGS = (".csv", ".npz")


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What a model says of a table.

    Attributes
    ----------
    columns
        Named columns of equal length: ``mean``, ``std``, ``low``, ``high`` (with a number behind where there are many
        targets), or ``class`` and one ``p(label)`` for each class.
    notes
        Sentences about the table.
    """

    columns: dict[str, np.ndarray]
    notes: tuple[str, ...]


def predict(model: Model, source: str, *, level: float = 0.95) -> Predictions:
    """Predict a table.

    Parameters
    ----------
    model
        A fitted model.
    source
        A ``.csv`` or ``.npz`` file with the columns of the one that was fitted, in any order; the target may be there
        and is not looked at.
    level
        Of the intervals.

    Raises
    ------
    ValueError
        If a column is missing, or a cell is no number or no category that the model knows.
    """
    gp.check_level(level)
    x, notes = _inputs(model, pathlib.Path(source))
    return Predictions(model.predictor.columns(x, level), (*notes, *_extrapolated(model, x, source)))


def write_predictions(predictions: Predictions, path: pathlib.Path) -> None:
    """Write predictions as CSV or NPZ, complete or not at all.

    Parameters
    ----------
    predictions
        What to write.
    path
        A file that ends in ``.csv`` or ``.npz``.
    """
    content = WRITERS[path.suffix.lower()](predictions.columns)
    write_one(path, lambda file: file.write(content))


def check_ending(path: pathlib.Path) -> None:
    """Refuse a file of predictions that is neither CSV nor NPZ, before any work."""
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"out is {str(path)!r}; expected a file that ends in {' or '.join(ENDINGS)}.")


def _inputs(model: Model, path: pathlib.Path) -> tuple[np.ndarray, tuple[str, ...]]:
    if path.suffix.lower() == ".npz":
        x = read_inputs(path)
        return model.columns.array(x, path), ()
    if path.suffix.lower() != ".csv" or not path.is_file():
        what = "no such file" if not path.exists() else "which is no table"
        raise ValueError(f"the data are {str(path)[:200]!r}: {what}; expected a .csv or .npz file.")
    try:
        columns = read_csv(path)
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror or error}.") from None
    ignored = (model.target,)
    x = model.columns.table(columns, path, ignored)
    extra = model.columns.unknown(columns, ignored)
    notes = ()
    if extra:
        notes = (f"{path.name}: columns that the model does not know are not used: {listed(extra)}.",)
    return x, notes


def _extrapolated(model: Model, x: np.ndarray, source: str) -> tuple[str, ...]:
    far, worst = model.columns.far(x)
    if not far.any():
        return ()
    return (
        f"{pathlib.Path(source).name}: {far.sum()} of {len(x)} rows hold values far beyond all that the model has seen "
        f"({worst}); what it says of them is extrapolation.",
    )


def _csv(columns: dict[str, np.ndarray]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*(values.tolist() for values in columns.values()), strict=True):
        writer.writerow(row)
    return text.getvalue().encode()


def _npz(columns: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **columns)
    return buffer.getvalue()


WRITERS: dict[str, Callable[[dict[str, np.ndarray]], bytes]] = {".csv": _csv, ".npz": _npz}
