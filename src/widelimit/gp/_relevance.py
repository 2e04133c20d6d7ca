"""Whether a scale of its own for each feature helps, asked of rows that were left out while the scales were found."""

from __future__ import annotations

import dataclasses

import numpy as np

from .. import _check
from .._typing import Callable
from ..kernels import AbstractKernel, ScaledInputs, ScaledOutputs
from ..solve import Cholesky
from ._choice import SHUFFLE, Scored, drawn_rows, unheard, varying
from ._maximize import Maximum, maximize
from ._posterior import posterior


@dataclasses.dataclass(frozen=True)
class Relevance:
    r"""Refine the best candidate: scales of every feature, weights, biases and noise where data are likeliest.

    Many scales are easily learnt from noise, and evidence, which is largest where they are, does not tell. So they are
    sought several times, each time without a fold of the rows, and taken only if the rows of the folds are predicted
    better by them than by the candidate as it was.

    Attributes
    ----------
    rows
        Most rows whose evidence is taken.
    steps
        Most iterations of each search.
    spreads
        The logarithms of the scales of features are normal a priori, around 0 with this standard deviation. One after
        the other is tried, as long as left-out rows are better predicted each time.
    folds
        How many times rows are left out.
    """

    rows: int = 800
    steps: int = 60
    spreads: tuple[float, ...] = (0.3, 3.0)
    folds: int = 3

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("rows", "steps", "folds"):
            _check.positive_int(getattr(self, name), name)
        if self.folds < 2:
            raise ValueError(f"folds is {self.folds}; expected at least 2, since rows are left out.")
        if not self.spreads or not all(0 < spread < np.inf for spread in self.spreads):
            raise ValueError(f"spreads is {self.spreads}; expected positive numbers, such as (0.3, 3.0).")


@dataclasses.dataclass(frozen=True)
class Tried:
    """What is predicted of rows that were left out.

    Attributes
    ----------
    spread
        Of the scales that were sought without them; 0 is the candidate as it was.
    density
        Mean log density of their targets, if all variances are multiplied by ``inflation``.
    inflation
        By how much the targets vary more than is predicted.
    """

    spread: float
    density: float
    inflation: float


@dataclasses.dataclass(frozen=True)
class Refinement:
    """What came of the search for scales; see `refine`.

    Attributes
    ----------
    name
        The candidate.
    tried
        What was tried, the candidate as it was first.
    best
        The one of them under which targets that were left out are likeliest.
    found
        The refined kernel of all rows, or None if the candidate as it was is best.
    """

    name: str
    tried: tuple[Tried, ...]
    best: Tried
    found: Maximum | None


def refine(
    scored: Scored,
    x: np.ndarray,
    y: np.ndarray,
    relevance: Relevance = Relevance(),
    progress: Callable[[int, int], object] = unheard,
) -> Refinement:
    r"""Return a candidate with scales of its own for each feature, if rows that are left out are better predicted.

    Of n rows, each left out once with its fold, o targets :math:`y_i`, predictions :math:`\mu_i` and variances of
    observations :math:`\sigma_i^2`, inflation and density are

    .. math::
        c = \frac1{no}\sum_i\frac{\|y_i-\mu_i\|^2}{\sigma_i^2},\qquad
        -\tfrac12\Big(1+\frac1n\sum_i\log 2\pi c\,\sigma_i^2\Big),

    the largest mean log density that any multiple of the variances gives. The noise is never below that of rounded
    targets (`rounding`).

    Parameters
    ----------
    scored
        The candidate, from the table of `choose`.
    x, y
        Inputs (n, d) and targets (n,) or (n, o) of mean zero.
    relevance
        How the scales are sought.
    progress
        Called with the number of searches done and the most that there may be.

    Raises
    ------
    ValueError
        If shapes do not match, data are not finite, no target varies, or there are fewer than two rows a fold.
    """
    x = np.asarray(_check.inputs(x, "x"), np.float64)
    targets = varying(y, len(x))
    rows = drawn_rows(len(x), relevance.rows)
    x, y = x[rows], targets[rows]
    if len(x) < 2 * relevance.folds:
        raise ValueError(
            f"x has {len(x)} rows; expected at least {2 * relevance.folds}, two for each fold. Seek no scales here."
        )
    total = len(relevance.spreads) * relevance.folds + 1
    folds = np.array_split(np.random.default_rng(SHUFFLE).permutation(len(x)), relevance.folds)

    def tried(spread: float, done: int = 0) -> Tried:
        errors = []
        for i, fold in enumerate(folds):
            errors.append(_left_out(scored, x, y, fold, spread, relevance.steps))
            if spread:
                progress(done + i + 1, total)
        squares, variances = (np.concatenate(part) for part in zip(*errors, strict=True))
        inflation = max(float(np.mean(squares / variances)), np.finfo(np.float64).tiny)
        return Tried(spread, -0.5 * float(1 + np.mean(np.log(2 * np.pi * inflation * variances))), inflation)

    found = [tried(0.0)]
    for i, spread in enumerate(relevance.spreads):
        found.append(tried(spread, i * len(folds)))
        if found[-1].density <= found[-2].density:
            break
    best = max(found, key=lambda one: one.density)
    whole = _sought(scored, x, y, best.spread, relevance.steps) if best.spread else None
    progress(total, total)
    return Refinement(scored.name, tuple(found), best, whole)


def rounding(y: np.ndarray) -> float:
    r"""Return the variance :math:`\delta^2/12` that rounding to multiples of :math:`\delta` adds to targets (n, o).

    It is the least that may be said of their noise: a table whose equal rows happen to have equal targets has no other
    sign of it. :math:`\delta` is the 5 percent quantile of the distances between neighbouring values, the smallest of
    all outputs; of targets that are not rounded it is of order 1/n of their range, and the variance next to nothing.
    """
    steps = [np.diff(np.unique(column)) for column in y.T]
    found = [float(np.sort(step)[len(step) // 20]) for step in steps if len(step)]
    return min(found, default=0.0) ** 2 / 12


def _sought(scored: Scored, x: np.ndarray, y: np.ndarray, spread: float, steps: int) -> Maximum:
    scaled, total = ScaledInputs(scored.kernel, np.ones(x.shape[1:])), float(np.mean(y**2))
    least = rounding(y)
    starts = [(scored.scale, max(scored.noise, least))]
    if scored.noise > total / 2:
        # Where most of the targets counts as noise, no scale has a slope to follow; a start that takes little for
        # noise finds the few features that matter, if there are such.
        diagonal = float(np.mean(np.asarray(scored.kernel.diagonal(x))))
        starts.append((0.9 * total / diagonal, max(0.1 * total, least)))
    held = {"scales": spread}
    found = [
        maximize(ScaledOutputs(scaled, scale), x, y, noise=noise, held=held, least_noise=least, steps=steps)
        for scale, noise in starts
    ]
    return max(found, key=lambda one: one.value)


def _left_out(
    scored: Scored, x: np.ndarray, y: np.ndarray, fold: np.ndarray, spread: float, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return squared errors, the mean of all outputs, and predicted variances of rows that were not seen."""
    rest = np.setdiff1d(np.arange(len(x)), fold)
    kernel: AbstractKernel = ScaledOutputs(scored.kernel, scored.scale)
    noise = max(scored.noise, rounding(y[rest]))
    if spread:
        sought = _sought(scored, x[rest], y[rest], spread, steps)
        kernel, noise = sought.kernel, sought.noise
    mean, std = posterior(kernel, x[rest], y[rest], noise=noise, solver=Cholesky()).marginals(x[fold])
    return ((y[fold] - mean) ** 2).mean(1), np.asarray(std) ** 2 + noise
