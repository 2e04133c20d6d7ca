"""A model of a table: architecture and ridge chosen, tested on rows that it has not seen, and kept."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from .. import _check, features, gp
from .._plain import plain
from .._typing import Callable
from ..gp import Finding
from ..kernels import AbstractKernel, ScaledInputs, ScaledOutputs
from ._columns import Columns
from ._data import Raw, read_file
from ._environment import environment
from ._learners import AbstractLearner, Exact, Learnt, OnLandmarks, Rows
from ._model import Model
from ._table import listed

SCHEMA = "widelimit/fit/1"
LEVEL = 0.95
MOST_ROWS = 20_000
"""Rows up to which the whole kernel matrix is used."""
LANDMARKS = 1000
CRITERIA: dict[str, Callable[[], gp.AbstractCriterion]] = {
    "evidence": gp.Evidence,
    "loo": gp.LeaveOneOutError,
    "density": gp.LeaveOneOutDensity,
    "accuracy": gp.LeaveOneOutAccuracy,
    "cv": gp.CrossValidation,
}
"""What may choose among candidates."""


@dataclasses.dataclass(frozen=True)
class FitConfig:
    """How to fit a table.

    Attributes
    ----------
    criterion
        A name of `CRITERIA`; by default ``evidence`` for regression and ``loo`` for classes.
    depths
        Numbers of hidden layers to compare; each with ReLU and erf, two scales of biases, NTK and NNGP.
    test
        Share of the rows that is held out for the test.
    rows
        Most rows on which candidates are compared.
    seed
        Of the split.
    relevance
        Whether to refine the best candidate: a scale of its own for each feature, weights, biases and noise, all where
        up to 800 rows are likeliest, if rows that are left out are better predicted so (`gp.refine`). It takes a minute
        or so, and finds features that say nothing.
    landmarks
        Rows through which the kernel is known (Nyström): memory is of these alone, and time grows with the rows. None
        for the whole kernel matrix up to 20,000 rows, and 1,000 landmarks beyond.
    """

    criterion: str | None = None
    depths: tuple[int, ...] = (1, 2, 3, 5)
    test: float = 0.2
    rows: int = 2000
    seed: int = 0
    relevance: bool = False
    landmarks: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.criterion is not None and self.criterion not in CRITERIA:
            raise ValueError(f"criterion is {self.criterion!r}; expected one of {', '.join(CRITERIA)}.")
        for depth in self.depths:
            _check.positive_int(depth, "depths")
        if not self.depths:
            raise ValueError("depths is empty; expected at least one number of hidden layers.")
        if not 0 < self.test <= 0.9:
            raise ValueError(f"test is {self.test}; expected a share of the rows between 0 and 0.9, such as 0.2.")
        _check.positive_int(self.rows, "rows")
        if self.landmarks is not None:
            _check.positive_int(self.landmarks, "landmarks")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; expected a whole number that is zero or more.")

    def chosen_by(self, classes: bool) -> str:
        """Return the name of the criterion."""
        return self.criterion or ("loo" if classes else "evidence")


@dataclasses.dataclass(frozen=True)
class Fit:
    """A fitted model and the report of it.

    Attributes
    ----------
    model
        Of all rows.
    choice
        The candidates, on the training rows.
    document
        Every number, as plain objects.
    """

    model: Model
    choice: gp.Choice
    document: dict[str, Any]


Progress = Callable[[float, float, str], object]


def fit(source: str, target: str | None, config: FitConfig = FitConfig(), progress: Progress | None = None) -> Fit:
    """Fit a table: choose, test on rows held out, then learn from all rows.

    Inputs are standardised, categories become one 0/1 feature each; a target of text or of two numbers is classes.
    The candidates are compared on the training rows, and the best is tested on the others. The model that is returned
    has the same architecture and ridge, and is fitted on all rows; from more rows it can be expected to be no worse.

    Parameters
    ----------
    source
        A ``.csv`` or ``.npz`` file.
    target
        The column to predict (or key of an NPZ file, by default ``y``).
    config
        What to compare, and how.
    progress
        Called as work goes on with (done, total, what is being done).

    Raises
    ------
    ValueError
        If the data cannot be used; the message says where and what to do.
    """
    started, tell = time.perf_counter(), progress or (lambda *_: None)
    raw = read_file(source, target)
    train, test = _split(raw, config)
    first = _scaled(raw, train)
    x, y = first.standardised(raw.x), _targets(raw)
    criterion = CRITERIA[config.chosen_by(bool(raw.classes))]()
    among = gp.candidates(depths=config.depths)
    steps = len(among) + 3
    choice = gp.choose(
        among,
        x[train],
        _standard(y[train], bool(raw.classes)),
        criterion=criterion,
        rows=config.rows,
        progress=lambda done, _: tell(done, steps, f"candidate {done} of {len(among)}"),
    )
    chosen = _plainly(choice, first)
    if config.relevance:
        refinement = gp.refine(
            choice.best,
            x[train],
            _standard(y[train], bool(raw.classes)),
            progress=lambda done, of: tell(len(among) + done / of, steps, f"scales of features, search {done} of {of}"),
        )
        chosen = _refined(chosen, refinement)
    tell(len(among) + 1, steps, "testing on held-out rows")
    learner = _learner(config, chosen, (len(raw.x), bool(raw.classes)))
    seen = Rows(x[train] * chosen.scales, y[train], raw.classes)
    tried = learner.first(chosen.kernel, seen)
    findings = gp.diagnose(chosen.kernel, seen.x, seen.y, ridge=tried.ridge, border=tried.border)
    scores = tried.predictor.scores(x[test] * chosen.scales, y[test], LEVEL)
    tell(len(among) + 2, steps, "fitting all rows")
    whole = _scaled(raw, np.arange(len(raw.x)), first.keep)
    last = dataclasses.replace(whole, std=whole.std / chosen.scales)
    predictor = learner.again(chosen.kernel, Rows(last.standardised(raw.x), y, raw.classes), tried.ridge)
    seconds = time.perf_counter() - started
    document = _document((raw, config, choice, last), (scores, findings, chosen, tried), (train, test), seconds)
    tell(steps, steps, "done")
    return Fit(Model(predictor, last, target or "y", document["verdict"]), choice, document)


def _split(raw: Raw, config: FitConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return training and test rows: those of the file, or a random part, of each class alike."""
    n = len(raw.x)
    if raw.given_test:
        train, test = np.arange(n - raw.given_test), np.arange(n - raw.given_test, n)
    else:
        train, test = _drawn(raw, config)
    if raw.classes:
        counts = np.bincount(raw.y[train], minlength=len(raw.classes))
        if len(raw.classes) < 2 or (counts == 0).any():
            lonely = raw.classes[int(counts.argmin())]
            what = "one class only" if len(raw.classes) < 2 else f"no training row of class {lonely[:100]!r}"
            raise ValueError(f"{raw.name} has {what}; expected at least two classes, each with two rows or more.")
    return train, test


def _drawn(raw: Raw, config: FitConfig) -> tuple[np.ndarray, np.ndarray]:
    n = len(raw.x)
    order = np.random.default_rng(config.seed).permutation(n)
    if raw.classes:
        order = order[np.argsort(raw.y[order], kind="stable")]
    count = max(2, round(config.test * n))
    # Evenly spaced places of the order by class.
    places = np.unique(((np.arange(count) + 0.5) * n / count).astype(int))
    test = np.sort(order[places])
    return np.setdiff1d(np.arange(n), test), test


def _scaled(raw: Raw, rows: np.ndarray, kept: np.ndarray | None = None) -> Columns:
    part = raw.x[rows]
    keep = np.ptp(part, axis=0) > 0 if kept is None else kept
    if not keep.any():
        raise ValueError(f"{raw.name} has no feature that varies over the training rows; expected at least one.")
    with np.errstate(all="ignore"):
        mean, std = part[:, keep].mean(0), part[:, keep].std(0)
        good = np.isfinite((raw.x[:, keep] - mean) / std).all(0) & np.isfinite(std) & (std > 1e-150)
    if not good.all():
        name = dataclasses.replace(raw.columns, keep=keep).features[int(np.argmin(good))]
        raise ValueError(
            f"{raw.name}, feature {name!r}: values too large or too small to be standardised in float64; expected "
            "magnitudes between 1e-150 and 1e150. Give it in another unit."
        )
    low, high = part[:, keep].min(0), part[:, keep].max(0)
    return dataclasses.replace(raw.columns, keep=keep, mean=mean, std=std, low=low, high=high)


def _targets(raw: Raw) -> np.ndarray:
    """Return targets (n, o): numbers, or one indicator for each class."""
    if raw.classes:
        return (raw.y[:, None] == np.arange(len(raw.classes))).astype(np.float64)
    y = raw.y
    with np.errstate(all="ignore"):
        spread = y.std(0)
    if not (np.ptp(y, axis=0) > 0).all():
        raise ValueError(f"{raw.name}: the target is constant; expected one that varies.")
    if not np.isfinite(spread).all() or not (spread > 1e-150).all():
        raise ValueError(f"{raw.name}: the target is too large or too small for float64. Use another unit.")
    return y


def _standard(y: np.ndarray, classes: bool) -> np.ndarray:
    centred = y - y.mean(0)
    spread = centred.std(0)
    return centred if classes else centred / np.where(spread > 0, spread, 1)


@dataclasses.dataclass(frozen=True)
class _Chosen:
    # A kernel of inputs whose standardised features are multiplied by scales (d,), and what is to be said of these.
    name: str
    kernel: AbstractKernel
    ridge: float
    border: str
    scales: np.ndarray
    notes: tuple[str, ...] = ()


def _plainly(choice: gp.Choice, columns: Columns) -> _Chosen:
    best = choice.best
    return _Chosen(best.name, best.kernel, best.ridge, best.at_border, np.ones(len(columns.mean)))


def _refined(chosen: _Chosen, refinement: gp.Refinement) -> _Chosen:
    before, best = refinement.tried[0].density, max(refinement.tried[1:], key=lambda one: one.density).density
    note = f"Log density of a left-out target: {best:.3g} with a scale for each feature, {before:.3g} without"
    if refinement.found is None:
        return dataclasses.replace(chosen, notes=(f"{note}; none is used.",))
    outer = refinement.found.kernel
    assert isinstance(outer, ScaledOutputs)
    inner = outer.kernel
    assert isinstance(inner, ScaledInputs)
    ridge, scales = refinement.found.noise / float(outer.variance), np.asarray(inner.scales, np.float64)
    note = f"{note}; they are used."
    return _Chosen(f"{chosen.name}, refined", inner.kernel, ridge, chosen.border, scales, (note,))


def _learner(config: FitConfig, chosen: _Chosen, data: tuple[int, bool]) -> AbstractLearner:
    rows, classes = data
    if config.landmarks is None and rows <= MOST_ROWS:
        return Exact(chosen.ridge, chosen.border)
    by_evidence = config.chosen_by(classes) in ("evidence", "density")
    criterion = features.Evidence() if by_evidence else features.LeaveOneOut()
    return OnLandmarks(config.landmarks or LANDMARKS, criterion)


def _document(
    what: tuple[Raw, FitConfig, gp.Choice, Columns],
    outcome: tuple[dict[str, Any], tuple[Finding, ...], _Chosen, Learnt],
    rows: tuple[np.ndarray, np.ndarray],
    seconds: float,
) -> dict[str, Any]:
    raw, config, choice, columns = what
    scores, findings, chosen, tried = outcome
    train, test = rows
    kind = "classification" if raw.classes else "regression"
    table = [
        {f.name: getattr(row, f.name) for f in dataclasses.fields(row) if f.name != "kernel"} for row in choice.table
    ]
    dropped = [name for name in raw.features if name not in columns.features]
    notes = [
        *raw.notes,
        *chosen.notes,
        *tried.notes,
        f"Of {len(raw.x)} rows, {len(train)} train and {len(test)} test; the model learns from all.",
    ]
    if dropped:
        notes.append(f"Left out, since constant: {listed(dropped)}.")
    border = f"at the {tried.border} ridge that was tried, " if tried.border else ""
    return plain(
        {
            "schema": SCHEMA,
            "data": {
                "name": raw.name,
                "task": kind,
                "features": list(columns.features),
                "classes": list(raw.classes),
                "train_examples": len(train),
                "test_examples": len(test),
                "notes": notes,
            },
            "config": config,
            "criterion": config.chosen_by(bool(raw.classes)),
            "candidates": table,
            "compared_rows": len(choice.rows),
            "test": scores,
            "findings": [dataclasses.asdict(finding) for finding in findings],
            "relevance": dict(zip(columns.features, chosen.scales.tolist(), strict=True))
            if (chosen.scales != 1).any()
            else {},
            "verdict": f"{chosen.name}, {border}{scores['sentence']}",
            "environment": environment(seconds),
        }
    )
