"""Data for experiments: built-in sets, CSV and NPZ files, split and standardised."""

from __future__ import annotations

import dataclasses
import difflib
import enum
import pathlib
import zipfile
from typing import Any

import numpy as np

from .. import _check
from .._typing import Callable
from ._table import encode, find_column, read_csv


class Task(enum.Enum):
    """What the targets are."""

    REGRESSION = "regression"
    CLASSIFICATION = "classification"


@dataclasses.dataclass(frozen=True)
class Dataset:
    r"""Training and test data as float64 arrays.

    Attributes
    ----------
    name
        Where it comes from.
    x_train, x_test
        Inputs (n, d), standardised with the training rows only.
    y_train, y_test
        Targets (n, o). Two classes are one output of ±1; C classes are C outputs of 1 − 1/C and −1/C.
    task
        Regression or classification.
    feature_names
        One per input column.
    notes
        Sentences about what was done to the data.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    task: Task
    feature_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def error_name(self) -> str:
        """What `error` measures."""
        return "RMSE" if self.task is Task.REGRESSION else "error rate"

    def error(self, outputs: np.ndarray) -> float:
        """Return the root mean square error of ``outputs`` (m, o) on the test targets, or the error rate."""
        if not np.isfinite(outputs).all():
            return float("nan")
        if self.task is Task.REGRESSION:
            return float(np.sqrt(np.mean((outputs - self.y_test) ** 2)))
        if self.y_test.shape[1] == 1:
            return float(np.mean((outputs > 0) != (self.y_test > 0)))
        return float(np.mean(outputs.argmax(1) != self.y_test.argmax(1)))


@dataclasses.dataclass(frozen=True)
class _Raw:
    # Numbers as they come, before splitting.
    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...]
    notes: tuple[str, ...]


def load(
    source: str, *, target: str | None = None, n_train: int | None = None, n_test: int | None = None, seed: int = 0
) -> Dataset:
    """Load data by name or from a file.

    Parameters
    ----------
    source
        ``sine`` (a toy of one input), ``digits`` (odd or even, ±1), ``digits:onehot`` (ten classes), ``diabetes``, or
        the path of a ``.csv`` or ``.npz`` file. An NPZ file holds ``x`` and ``y``.
    target
        Column of a CSV file to predict, or key of the targets in an NPZ file.
    n_train, n_test
        Numbers of examples; by default 16 and 64 for ``sine``, else up to 128 and 128.
    seed
        Of the random split (for ``sine``, of the training inputs).

    Raises
    ------
    ValueError
        If the source does not exist or cannot be used; the message says where and what to do.
    """
    for value, name in ((n_train, "n_train"), (n_test, "n_test")):
        if value is not None:
            _check.positive_int(value, name)
    if n_train == 1:
        raise ValueError("n_train is 1; expected at least two training examples.")
    if source in BUILT_IN:
        return BUILT_IN[source](n_train, n_test, seed)
    path = pathlib.Path(source)
    reader = READERS.get(path.suffix.lower())
    if not path.exists():
        near = difflib.get_close_matches(source, BUILT_IN, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"data is {source!r}: no such file, and no built-in set ({', '.join(BUILT_IN)}).{hint}")
    if reader is None or not path.is_file():
        raise ValueError(f"data is {source!r}; expected a file ending in {' or '.join(READERS)}.")
    try:
        raw = reader(path, target)
    except OSError as error:
        raise ValueError(f"data is {source!r}, which cannot be read: {error.strerror or error}.") from None
    return _split(path.name, raw, n_train or 128, n_test or 128, seed)


def _sine(n_train: int | None, n_test: int | None, seed: int) -> Dataset:
    x = np.sort(np.random.default_rng(seed).uniform(-1.5, 1.5, n_train or 16))[:, None]
    grid = np.linspace(-2, 2, n_test or 64)[:, None]
    notes = ("Targets are sin(2x) without noise; test inputs reach beyond the training inputs.",)
    return Dataset("sine", x, np.sin(2 * x), grid, np.sin(2 * grid), Task.REGRESSION, ("x",), notes)


def _digits(onehot: bool) -> Callable[[int | None, int | None, int], Dataset]:
    def read(n_train: int | None, n_test: int | None, seed: int) -> Dataset:
        bunch = _sklearn("digits").load_digits()
        names = tuple(f"pixel {i}" for i in range(64))
        y = bunch.target if onehot else np.where(bunch.target % 2 == 0, 1.0, -1.0)
        note = "Ten digits, one output each." if onehot else "Digits: even is +1, odd is −1."
        raw = _Raw(bunch.data / 16, y, names, (note,))
        name = "digits:onehot" if onehot else "digits"
        return _split(name, raw, n_train or 128, n_test or 128, seed, scale=_scale_together)

    return read


def _diabetes(n_train: int | None, n_test: int | None, seed: int) -> Dataset:
    bunch = _sklearn("diabetes").load_diabetes()
    raw = _Raw(bunch.data, bunch.target.astype(float), tuple(bunch.feature_names), ())
    return _split("diabetes", raw, n_train or 128, n_test or 128, seed)


BUILT_IN: dict[str, Callable[[int | None, int | None, int], Dataset]] = {
    "sine": _sine,
    "digits": _digits(onehot=False),
    "digits:onehot": _digits(onehot=True),
    "diabetes": _diabetes,
}


def _sklearn(name: str) -> Any:
    try:
        from sklearn import datasets
    except ImportError:
        raise ValueError(f"the data set {name!r} needs scikit-learn: pip install 'widelimit[sklearn]'.") from None
    return datasets


def _read_csv(path: pathlib.Path, target: str | None) -> _Raw:
    columns = read_csv(path)
    wanted = find_column(columns, target, path)
    x, names, notes = encode([c for c in columns if c is not wanted], path)
    y = wanted.numbers
    if y is None:
        if len(set(wanted.cells)) > 100:
            raise ValueError(
                f"{path.name}, column {wanted.name!r}: the target is not numeric and has {len(set(wanted.cells))} "
                "different values; expected numbers or at most 100 classes."
            )
        y = np.array(wanted.cells)
    elif len(np.unique(y)) == 2:
        y = y.astype(str)
        notes = (*notes, f"Target {wanted.name!r} has two values: classification.")
    return _Raw(x, y, names, notes)


def _read_npz(path: pathlib.Path, target: str | None) -> _Raw:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (zipfile.BadZipFile, EOFError, KeyError) as error:
        raise ValueError(f"{path.name} is damaged or no NPZ file: {error}.") from None
    except ValueError as error:
        raise ValueError(f"{path.name} cannot be used: {error}. Save plain numeric arrays with numpy.savez.") from None
    key = target or "y"
    inputs = "x" if "x" in arrays else "X"
    for name in (inputs, key):
        if name not in arrays:
            raise ValueError(f"{path.name} holds {', '.join(arrays) or 'nothing'}; expected arrays 'x' and {key!r}.")
    x, y = _check.real(arrays[inputs], inputs), arrays[key]
    notes: tuple[str, ...] = ()
    if y.dtype.kind in "iub" and len(np.unique(y)) <= 20:
        notes = (f"{key} holds whole numbers of {len(np.unique(y))} values: classification.",)
    elif y.dtype.kind not in "US":
        y = np.asarray(_check.real(y, key), np.float64)
    if x.ndim < 2 or y.ndim not in (1, 2) or len(x) != len(y):
        raise ValueError(
            f"{path.name}: x has shape {x.shape} and {key} {y.shape}; expected (n, ...) and (n,) or (n, o)."
        )
    if x.ndim > 2:
        notes = (*notes, f"Inputs of shape {x.shape[1:]} are flattened.")
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    return _Raw(x, y, tuple(f"x{i}" for i in range(x.shape[1])), notes)


READERS = {".csv": _read_csv, ".npz": _read_npz}


def _scale_each(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return train.mean(0), train.std(0)


def _scale_together(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Every column by the same number, as for pixels, of which some hardly vary.
    mean = train.mean(0)
    return mean, np.full(train.shape[1], (train - mean).std())


def _split(
    name: str,
    raw: _Raw,
    n_train: int,
    n_test: int,
    seed: int,
    scale: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] = _scale_each,
) -> Dataset:
    n = len(raw.x)
    if n < 8:
        raise ValueError(f"{name} has {n} rows; expected at least 8 to learn from and to test on.")
    notes = raw.notes
    if n_train + n_test > n:
        kept = min(n_train, n - max(2, n // 5))
        n_train, n_test = kept, min(n_test, n - kept)
        notes = (*notes, f"Of {n} rows, {n_train} train and {n_test} test.")
    order = np.random.default_rng(seed).permutation(n)
    train, test = order[:n_train], order[n_train : n_train + n_test]
    mean, std = scale(raw.x[train])
    varies = np.ptp(raw.x[train], axis=0) > 0
    if scale is _scale_each:
        if not varies.any():
            raise ValueError(f"{name} has no feature that varies over the training rows.")
        if not varies.all():
            dropped = ", ".join(np.array(raw.names)[~varies])
            notes = (*notes, f"Left out, since constant over the training rows: {dropped}.")
    else:
        varies[:] = True
    x = (raw.x[:, varies] - mean[varies]) / std[varies]
    y, task, more = _targets(name, raw.y, train)
    names = tuple(np.array(raw.names)[varies].tolist())
    return Dataset(name, x[train], y[train], x[test], y[test], task, names, (*notes, *more))


def _targets(name: str, y: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, Task, tuple[str, ...]]:
    if y.dtype.kind == "f":
        y = y[:, None] if y.ndim == 1 else y
        if y.shape == (len(y), 1) and set(np.unique(y)) == {-1.0, 1.0}:
            return y, Task.CLASSIFICATION, ()
        mean, std = y[train].mean(0), y[train].std(0)
        if not (std > 0).all():
            raise ValueError(f"{name}: the target is constant over the training rows; expected one that varies.")
        numbers = ", ".join(f"{m:.6g} ± {s:.6g}" for m, s in zip(mean, std, strict=True))
        return (y - mean) / std, Task.REGRESSION, (f"The target is standardised from {numbers}.",)
    if y.ndim != 1:
        raise ValueError(f"{name}: class labels have shape {y.shape}; expected (n,).")
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(f"{name}: the target has the one value {classes[0]!r}; expected at least two classes.")
    if len(classes) == 2:
        note = f"Classes: {classes[0]} is −1, {classes[1]} is +1."
        return np.where(y == classes[1], 1.0, -1.0)[:, None], Task.CLASSIFICATION, (note,)
    onehot = (y[:, None] == classes).astype(np.float64) - 1 / len(classes)
    return onehot, Task.CLASSIFICATION, (f"{len(classes)} classes, one centred output each.",)
