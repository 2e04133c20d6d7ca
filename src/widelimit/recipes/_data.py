"""Data for experiments: built-in sets, CSV and NPZ files, split and standardised."""

from __future__ import annotations

import dataclasses
import enum
import pathlib
from typing import Any

import numpy as np

from .. import _check
from .._typing import Callable
from ._columns import Columns, array_columns, table_columns
from ._table import encode, find_column, labels, listed, read_csv, read_npz, suggestion

FEWEST_ROWS = 8
MOST_WHOLE_CLASSES = 20
SMALLEST_STD = 1e-150
"""Below it, squares underflow in float64 and the standard deviation loses its digits."""


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
    classes
        Names of the classes in the order of the outputs (of two classes: that of −1, that of +1); none for regression.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    task: Task
    feature_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

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


def load(
    source: str, *, target: str | None = None, n_train: int | None = None, n_test: int | None = None, seed: int = 0
) -> Dataset:
    r"""Load data by name or from a file, as float64 arrays with x ← (x − mean) / std over the training rows.

    A CSV file needs a header and the name of its ``target`` column; text columns become one 0/1 feature per value. An
    NPZ file holds ``x`` of shape (n, ...) and ``y`` of shape (n,) or (n, o), and may hold ``x_test`` and ``y_test``.
    Text, or whole numbers of at most 20 values in an NPZ file, or two numbers in a CSV file, are classes. Features
    that are constant over the training rows are left out. Pixels of ``digits`` are divided by one common std.

    Parameters
    ----------
    source
        ``sine`` (y = sin 2x, x uniform in [−1.5, 1.5], tested on an even grid over [−2, 2], not standardised),
        ``digits`` (8×8 pixels, odd −1 or even +1), ``digits:onehot`` (ten classes), ``diabetes`` (regression on ten
        features), or the path of a ``.csv`` or ``.npz`` file.
    target
        Column of a CSV file to predict, or key of the targets in an NPZ file (by default ``y``).
    n_train, n_test
        Numbers of examples; by default 16 and 64 for ``sine``, else up to 128 and 128. Where they exceed the rows
        there are, at least a fifth of the rows, and at least two, are kept for testing.
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
    if seed < 0:
        raise ValueError(f"seed is {seed}; expected a whole number that is zero or more.")
    if source in BUILT_IN:
        if target is not None:
            raise ValueError(f"target is {target!r}, but the data set {source!r} has its own target. Leave target out.")
        return BUILT_IN[source](n_train, n_test, seed)
    return _split(read_file(source, target), n_train or 128, n_test or 128, seed)


Scale = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""From training inputs (n, d) to mean, divisor and whether to keep the column, each (d,)."""


def _scale_each(train: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return train.mean(0), train.std(0), np.ptp(train, axis=0) > 0


def _scale_together(train: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Every column by the same number, as for pixels, of which some hardly vary.
    mean, d = train.mean(0), train.shape[1]
    return mean, np.full(d, (train - mean).std()), np.ones(d, bool)


@dataclasses.dataclass(frozen=True)
class Raw:
    """Numbers as they come, before splitting.

    With ``classes``, y (n,) counts them; without, y (n, o) is real. The last ``given_test`` rows are test rows by the
    file's own word. ``columns`` says how another file becomes such numbers; one example of an NPZ file is flattened.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    features: tuple[str, ...]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    given_test: int = 0
    scale: Scale = _scale_each
    columns: Columns = dataclasses.field(default_factory=lambda: array_columns(()))


def _sine(n_train: int | None, n_test: int | None, seed: int) -> Dataset:
    x = np.sort(np.random.default_rng(seed).uniform(-1.5, 1.5, n_train or 16))[:, None]
    grid = np.linspace(-2, 2, n_test or 64)[:, None]
    notes = ("Targets are sin(2x) without noise; test inputs reach beyond the training inputs.",)
    return Dataset("sine", x, np.sin(2 * x), grid, np.sin(2 * grid), Task.REGRESSION, ("x",), notes)


def _digits(n_train: int | None, n_test: int | None, seed: int) -> Dataset:
    bunch = _sklearn("digits").load_digits()
    raw = _pixels("digits", bunch.data, (bunch.target % 2 == 0).astype(int), ("odd", "even"))
    return _split(raw, n_train or 128, n_test or 128, seed)


def _digits_onehot(n_train: int | None, n_test: int | None, seed: int) -> Dataset:
    bunch = _sklearn("digits:onehot").load_digits()
    raw = _pixels("digits:onehot", bunch.data, bunch.target, tuple("0123456789"))
    return _split(raw, n_train or 128, n_test or 128, seed)


def _pixels(name: str, x: np.ndarray, y: np.ndarray, classes: tuple[str, ...]) -> Raw:
    features = tuple(f"pixel {i}" for i in range(64))
    return Raw(name, x / 16, y, features, classes, scale=_scale_together)


def _diabetes(n_train: int | None, n_test: int | None, seed: int) -> Dataset:
    bunch = _sklearn("diabetes").load_diabetes()
    raw = Raw("diabetes", bunch.data, bunch.target.astype(np.float64)[:, None], tuple(bunch.feature_names))
    return _split(raw, n_train or 128, n_test or 128, seed)


BUILT_IN: dict[str, Callable[[int | None, int | None, int], Dataset]] = {
    "sine": _sine,
    "digits": _digits,
    "digits:onehot": _digits_onehot,
    "diabetes": _diabetes,
}


def _sklearn(name: str) -> Any:
    try:
        from sklearn import datasets
    except ImportError:
        raise ValueError(f'the data set {name!r} needs scikit-learn: pip install "widelimit[sklearn]"') from None
    return datasets


def read_file(source: str, target: str | None) -> Raw:
    """Return what a CSV or NPZ file holds, or say why it cannot be used."""
    path = pathlib.Path(source)
    reader = READERS.get(path.suffix.lower())
    try:
        if not source or not path.exists():
            hint = suggestion(source, list(BUILT_IN))
            raise ValueError(f"data is {source!r}: no such file, and no built-in set ({', '.join(BUILT_IN)}).{hint}")
        if reader is None or not path.is_file():
            what = ", a directory" if path.is_dir() else ""
            raise ValueError(f"data is {source!r}{what}; expected a file ending in {' or '.join(READERS)}.")
        return reader(path, target)
    except OSError as error:
        raise ValueError(f"data is {source[:200]!r}, which cannot be read: {error.strerror or error}.") from None


def _enough_rows(n: int, name: str) -> None:
    if n < FEWEST_ROWS:
        raise ValueError(f"{name} has {n} rows; expected at least {FEWEST_ROWS} to learn from and to test on.")


def _read_csv(path: pathlib.Path, target: str | None) -> Raw:
    columns = read_csv(path)
    wanted = find_column(columns, target, path)
    _enough_rows(len(wanted.cells), path.name)
    others = [column for column in columns if column is not wanted]
    x, features, notes = encode(others, path)
    y, classes = wanted.numbers, ()
    if y is None:
        labels(wanted, path)
        y, classes = _classes(np.array(wanted.cells))
    elif len(np.unique(y)) == 2:
        y, classes = _classes(y)
        notes = (*notes, f"Target {wanted.name!r} has two values: classification.")
    else:
        y = y[:, None]
    return Raw(path.name, x, y, features, classes, notes, columns=table_columns(others, path))


def _classes(y: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    # Numbers are ordered as numbers, so that 9 comes before 10.
    values, codes = np.unique(y, return_inverse=True)
    return codes, tuple(str(value).removesuffix(".0") for value in values.tolist())


def _read_npz(path: pathlib.Path, target: str | None) -> Raw:
    x, y, given_test = read_npz(path, target)
    notes: tuple[str, ...] = ()
    shape = x.shape[1:]
    if x.ndim > 2:
        notes = (f"Inputs of shape {shape} are flattened.",)
    x = x.astype(np.float64).reshape(len(x), -1)
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "backslashreplace")
    values = np.unique(y)
    whole = y.dtype.kind in "iub" and len(values) <= MOST_WHOLE_CLASSES
    signs = y.size == len(y) and values.tolist() == [-1, 1]
    classes = ()
    if whole or signs or y.dtype.kind == "U":
        if y.size != len(y):
            raise ValueError(
                f"{path.name}: class labels have shape {y.shape}; expected (n,). Give one label per row, as by "
                "y.argmax(1), or floats for a regression."
            )
        y, classes = _classes(y.ravel())
        notes = (*notes, f"The target has {len(classes)} distinct labels or whole numbers: classification.")
    else:
        y = y.astype(np.float64).reshape(len(y), -1)
    features = tuple(f"x{i}" for i in range(x.shape[1]))
    return Raw(path.name, x, y, features, classes, notes, given_test, columns=array_columns(shape))


READERS: dict[str, Callable[[pathlib.Path, str | None], Raw]] = {".csv": _read_csv, ".npz": _read_npz}


def _split(raw: Raw, n_train: int, n_test: int, seed: int) -> Dataset:
    train, test, counts = _rows(raw, n_train, n_test, seed)
    x, features, dropped = _standardised(raw, train)
    y, about = _targets(raw, train)
    task = Task.CLASSIFICATION if raw.classes else Task.REGRESSION
    notes = (*raw.notes, counts, *dropped, about)
    return Dataset(raw.name, x[train], y[train], x[test], y[test], task, features, notes, raw.classes)


def _rows(raw: Raw, n_train: int, n_test: int, seed: int) -> tuple[np.ndarray, np.ndarray, str]:
    n = len(raw.x) - raw.given_test
    _enough_rows(n, raw.name)
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    if raw.given_test:
        train, test = order[:n_train], n + rng.permutation(raw.given_test)[:n_test]
        note = f"Of {n} training rows {len(train)} are used, of {raw.given_test} test rows {len(test)}."
        return train, test, note
    if n_train + n_test > n:
        n_train = min(n_train, n - max(2, -(-n // 5)))
    train, test = order[:n_train], order[n_train : n_train + n_test]
    return train, test, f"Of {n} rows, {len(train)} train and {len(test)} test."


def _standardised(raw: Raw, train: np.ndarray) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    # All rows by the mean and divisor of the training rows, names of the features that are left, and notes.
    with np.errstate(all="ignore"):
        mean, std, keep = raw.scale(raw.x[train])
        x = (raw.x[:, keep] - mean[keep]) / std[keep]
    names = np.array(raw.features)
    if not keep.any():
        raise ValueError(f"{raw.name} has no feature that varies over the training rows; expected at least one.")
    good = _precise(x, std[keep])
    if not good.all():
        raise ValueError(
            f"{raw.name}, feature {str(names[keep][~good][0])!r}: values too large or too small to be standardised in "
            "float64; expected magnitudes between 1e-150 and 1e150. Give it in another unit."
        )
    left_out = names[~keep].tolist()
    notes = (f"Left out, since constant over the training rows: {listed(left_out)}.",) if left_out else ()
    return x, tuple(names[keep].tolist()), notes


def _precise(values: np.ndarray, std: np.ndarray) -> np.ndarray:
    # Which columns of standardised values (n, d) were neither overflowing nor underflowing.
    return np.isfinite(values).all(0) & np.isfinite(std) & (std > SMALLEST_STD)


def _targets(raw: Raw, train: np.ndarray) -> tuple[np.ndarray, str]:
    if not raw.classes:
        return _standardised_targets(raw, train)
    present = [raw.classes[i] for i in np.unique(raw.y[train])]
    if len(present) < 2:
        where = "" if len(raw.classes) == 1 else " in the training rows; take more of them or another seed"
        raise ValueError(
            f"{raw.name}: the target has the one value {present[0]!r}; expected at least two classes{where}."
        )
    if len(raw.classes) == 2:
        note = f"Classes: {raw.classes[0]} is −1, {raw.classes[1]} is +1."
        return np.where(raw.y == 1, 1.0, -1.0)[:, None], note
    c = len(raw.classes)
    note = f"{c} classes, one centred output each: {1 - 1 / c:.3g} for the class, −{1 / c:.3g} for the others."
    return (raw.y[:, None] == np.arange(c)).astype(np.float64) - 1 / c, note


def _standardised_targets(raw: Raw, train: np.ndarray) -> tuple[np.ndarray, str]:
    with np.errstate(all="ignore"):
        mean, std, varies = _scale_each(raw.y[train])
        y = (raw.y - mean) / std
    if not varies.all():
        raise ValueError(f"{raw.name}: the target is constant over the training rows; expected one that varies.")
    if not _precise(y, std).all():
        raise ValueError(f"{raw.name}: the target is too large or too small to be standardised. Use another unit.")
    numbers = listed([f"{m:.6g} ± {s:.6g}" for m, s in zip(mean, std, strict=True)])
    return y, f"The target is standardised from {numbers} (mean ± standard deviation of the training rows)."
