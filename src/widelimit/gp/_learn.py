"""Kernel regression without choosing anything: candidates, then the relevance of each feature, then all rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _check
from .._typing import Callable
from ..kernels import AbstractKernel, ScaledOutputs
from ..solve import AbstractSolver, Cholesky
from ._choice import ROWS, AbstractCriterion, Candidate, Choice, Evidence, candidates, choose, drawn_rows, unheard
from ._evidence import leave_one_out
from ._posterior import Posterior, posterior
from ._relevance import Refinement, Relevance, refine, rounding


@dataclasses.dataclass(frozen=True)
class Learned:
    """A fitted Gaussian process, and how it was found; see `learn`.

    Attributes
    ----------
    posterior
        Given all rows. ``posterior.noise`` is the variance of the noise.
    choice
        The candidates.
    refinement
        What a scale for each feature brought on rows that were left out; None without `Relevance`.
    mean
        What was taken off the targets, (o,).
    """

    posterior: Posterior
    choice: Choice
    refinement: Refinement | None
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

    1. `choose` scores the candidates at every ridge. 2. `refine` gives each feature a scale of its own, where rows that
    are left out are better predicted so. 3. The posterior is found on all rows. 4. Its scale is set where targets that
    were left out have the variance that is predicted. The noise is never below that of rounded targets: equal rows that
    happen to have equal targets would leave none, and the next row that differs would be impossible.

    Parameters
    ----------
    x, y
        Inputs (n, d), standardised, and targets (n,) or (n, o).
    among
        The candidates; by default those of `candidates`.
    criterion
        How candidates are compared.
    relevance
        How the best is refined; None leaves it as it is, which is faster by far, and so do fewer than two rows a fold.
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
    total = len(among) + (relevance.folds * len(relevance.spreads) + 1 if relevance else 0)
    choice = choose(among, x, centred, criterion=criterion, rows=rows, progress=lambda done, _: progress(done, total))
    kernel: AbstractKernel = ScaledOutputs(choice.best.kernel, choice.best.scale)
    least = rounding(centred)
    noise, scale, refinement = max(choice.best.noise, least), None, None
    if relevance and len(x) >= 2 * relevance.folds:
        refinement = refine(choice.best, x, centred, relevance, lambda done, _: progress(len(among) + done, total))
        if refinement.found:
            kernel, noise, scale = refinement.found.kernel, refinement.found.noise, refinement.best.inflation
    scale = scale or calibration(kernel, x, centred, noise)
    kernel = ScaledOutputs(kernel, scale)
    y_fit = centred[:, 0] if np.ndim(y) == 1 else centred
    fitted = posterior(kernel, x, y_fit, noise=max(noise * scale, least), solver=solver)
    return Learned(fitted, choice, refinement, mean)


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
