"""Kernel regression without choosing anything: candidates, then the relevance of each feature, then all rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _check
from .._typing import Callable
from ..kernels import AbstractKernel, ScaledInputs, ScaledOutputs
from ..solve import AbstractSolver, Cholesky
from ._choice import ROWS, AbstractCriterion, Candidate, Choice, Evidence, candidates, choose, drawn_rows, unheard
from ._evidence import leave_one_out
from ._maximize import Maximum, maximize
from ._posterior import Posterior, posterior


@dataclasses.dataclass(frozen=True)
class Relevance:
    """Refine the best candidates: scales of every feature, weights, biases and noise where the evidence is largest.

    Attributes
    ----------
    best
        How many candidates, of different networks, are refined.
    rows
        Most rows whose evidence is taken.
    steps
        Most iterations of each.
    """

    best: int = 2
    rows: int = 800
    steps: int = 60

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("best", "rows", "steps"):
            _check.positive_int(getattr(self, name), name)


@dataclasses.dataclass(frozen=True)
class Learned:
    """A fitted Gaussian process, and how it was found; see `learn`.

    Attributes
    ----------
    posterior
        Given all rows. ``posterior.noise`` is the variance of the noise.
    choice
        The candidates.
    refined
        What evidence found from the best of them, best first; none without `Relevance`.
    mean
        What was taken off the targets, (o,).
    """

    posterior: Posterior
    choice: Choice
    refined: tuple[tuple[str, Maximum], ...]
    mean: np.ndarray

    def predict(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        r"""Return mean, (m,) or (m, o), and standard deviation of a new *observation*, (m,).

        Parameters
        ----------
        x
            Shape (m, \*input_shape).
        """
        mean, std = self.posterior.marginals(x)
        shift = self.mean[0] if self.posterior.vector else self.mean
        return np.asarray(mean) + shift, np.sqrt(np.asarray(std) ** 2 + float(self.posterior.noise))


def learn(
    x: Any,
    y: Any,
    *,
    among: Sequence[Candidate] | None = None,
    criterion: AbstractCriterion = Evidence(),
    relevance: Relevance | None = Relevance(),
    rows: int = ROWS,
    solver: AbstractSolver = Cholesky(),
    progress: Callable[[int, int], object] = unheard,
) -> Learned:
    r"""Return a Gaussian process for data: kernel, relevance of features, scale and noise chosen from the data.

    1. `choose` scores the candidates at every ridge. 2. The best few are refined by `maximize`, each feature with a
    scale of its own; the result is taken if targets left out one at a time are likelier under it. 3. The posterior is
    found on all rows. 4. Its scale is set where left-out targets have the variance that is predicted, in closed form.

    Parameters
    ----------
    x, y
        Inputs (n, d), standardised, and targets (n,) or (n, o).
    among
        The candidates; by default those of `candidates`.
    criterion
        How candidates are compared.
    relevance
        How the best are refined; None leaves them as they are, which is faster by far.
    rows
        Most rows on which candidates are compared.
    solver
        For the posterior.
    progress
        Called with steps done and all steps.

    Raises
    ------
    ValueError
        If shapes do not match, or data are not finite.
    """
    x = np.asarray(_check.inputs(x, "x"), np.float64)
    targets = np.asarray(_check.targets(y, len(x), "y"), np.float64)
    _check.instance(criterion, AbstractCriterion, "criterion", "Evidence()")
    mean = targets.mean(0)
    centred = targets - mean
    among = candidates() if among is None else among
    total = len(among) + (relevance.best if relevance else 0)
    choice = choose(among, x, centred, criterion=criterion, rows=rows, progress=lambda done, _: progress(done, total))
    kernel: AbstractKernel = ScaledOutputs(choice.best.kernel, choice.best.scale)
    noise = choice.best.noise
    refined: tuple[tuple[str, Maximum], ...] = ()
    if relevance:
        refined = _refine(choice, x, centred, relevance, lambda done: progress(len(among) + done, total))
        sought = refined[0][1]
        seen = drawn_rows(len(x), relevance.rows)
        # Evidence prefers what maximises it; targets left out tell whether so many scales were learnt from noise.
        plain, found = (
            leave_one_out(k, x[seen], centred[seen], noise=r).log_density
            for k, r in ((kernel, noise), (sought.kernel, sought.noise))
        )
        if found > plain:
            kernel, noise = sought.kernel, sought.noise
    scale = calibration(kernel, x, centred, noise)
    kernel = ScaledOutputs(kernel, scale)
    y_fit = centred[:, 0] if np.ndim(y) == 1 else centred
    fitted = posterior(kernel, x, y_fit, noise=noise * scale, solver=solver)
    return Learned(fitted, choice, refined, mean)


def calibration(kernel: AbstractKernel, x: np.ndarray, y: np.ndarray, noise: float, *, rows: int = ROWS) -> float:
    r"""Return by what to multiply kernel and noise so that left-out targets vary as much as is predicted.

    .. math:: \frac1{no}\sum_i \frac{\|y_i - \mu_{-i}\|^2}{\sigma_{-i}^2}

    Predictions do not depend on it, only their variances.

    Parameters
    ----------
    kernel, x, y, noise
        As for `leave_one_out`.
    rows
        Most rows that are left out; of more, this many are drawn by a fixed seed.
    """
    chosen = drawn_rows(len(x), rows)
    found = leave_one_out(kernel, x[chosen], y[chosen], noise=noise)
    squares = ((y[chosen] - found.mean) ** 2).mean(-1) / np.asarray(found.variance)
    return max(float(squares.mean()), np.finfo(np.float64).tiny)


def _refine(
    choice: Choice, x: np.ndarray, y: np.ndarray, relevance: Relevance, progress: Callable[[int], object]
) -> tuple[tuple[str, Maximum], ...]:
    rows = drawn_rows(len(x), relevance.rows)
    found = []
    for scored in choice.table[: relevance.best]:
        start = ScaledOutputs(ScaledInputs(scored.kernel, np.ones(x.shape[1:])), scored.scale)
        best = maximize(start, x[rows], y[rows], noise=scored.noise, steps=relevance.steps)
        found.append((scored.name, best))
        progress(len(found))
    return tuple(sorted(found, key=lambda pair: -pair[1].value))
