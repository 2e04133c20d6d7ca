"""Kernel machines that classify: each is linear in the kernel, and knows what it says of examples it has not seen."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.special

from .. import _check
from .._blas import blas_threads
from .._typing import Callable
from ._choice import RIDGES, SHUFFLE, AbstractCriterion, LeaveOneOutError
from ._regression import factorised
from ._weighted import cavity, inverse_of, weighted_path, weighted_scores


@dataclasses.dataclass(frozen=True)
class Trained:
    r"""A kernel machine on data: decision values are :math:`f(x) = k(x, X)\,\alpha + b`.

    Attributes
    ----------
    dual, bias
        :math:`\alpha`, (n, C), and b, (C,).
    held_out
        Decision values of each training example from a machine that has not seen it, (n, C).
    penalty
        The ridge or penalty that was chosen or given.
    border
        ``smallest`` or ``largest`` where it is at an end of its grid, else empty.
    """

    dual: np.ndarray
    bias: np.ndarray
    held_out: np.ndarray
    penalty: float
    border: str = ""

    def decision(self, cross: np.ndarray) -> np.ndarray:
        """Return decision values (m, C) from the kernel of inputs with the training inputs, (m, n)."""
        return cross @ self.dual + self.bias


class AbstractMachine(abc.ABC):
    """How classes are learnt from a kernel matrix."""

    @abc.abstractmethod
    def fit(self, matrix: np.ndarray, codes: np.ndarray, classes: int, weights: np.ndarray) -> Trained:
        """Return the machine trained on a kernel matrix (n, n), classes (n,) below ``classes``, and weights (n,)."""


@dataclasses.dataclass(frozen=True)
class OneVsAll(AbstractMachine):
    r"""Regression on one indicator for each class, :math:`f = \bar t + K(K + rW^{-1})^{-1}(t - \bar t)`.

    Held-out values are leave-one-out predictions in closed form, and so is the choice of the ridge.

    Attributes
    ----------
    ridge
        The number r in the units of the kernel; None to choose it.
    criterion
        What chooses it; by default the squared error of left-out indicators (a Brier score).
    ridges
        What it chooses from, as multiples of the mean of the kernel's diagonal.

    References
    ----------
    Rifkin and Klautau 2004, "In defense of one-vs-all classification"; Rasmussen and Williams 2006, section 6.5.
    """

    ridge: float | None = None
    criterion: AbstractCriterion = dataclasses.field(default_factory=LeaveOneOutError)
    ridges: Sequence[float] = tuple(RIDGES.tolist())

    def __post_init__(self) -> None:
        """Check the ridge."""
        if self.ridge is not None:
            _check.nonnegative(self.ridge, "ridge")

    def fit(self, matrix: np.ndarray, codes: np.ndarray, classes: int, weights: np.ndarray) -> Trained:
        """Return the regression on indicators."""
        indicator = (codes[:, None] == np.arange(classes)).astype(np.float64)
        prior = np.average(indicator, 0, weights)
        targets, ridge, border = indicator - prior, self.ridge, ""
        if ridge is None:
            tried = np.asarray(self.ridges, np.float64) * np.average(matrix.diagonal(), weights=weights)
            path = weighted_path(matrix, targets, tried, weights)
            best = int(np.nanargmax(weighted_scores(self.criterion, path, matrix, targets, weights)))
            ends = {int(tried.argmin()): "smallest", int(tried.argmax()): "largest"}
            ridge, border = float(tried[best]), ends.get(best, "")
        factor = factorised(matrix, ridge, weights)
        dual = scipy.linalg.cho_solve((factor, True), targets)
        residual, _ = cavity(inverse_of(factor).diagonal(), dual, ridge, weights)
        return Trained(dual, prior, indicator - residual, ridge, border)


@dataclasses.dataclass(frozen=True)
class SoftmaxLoss(AbstractMachine):
    r"""The softmax cross-entropy with a penalty: :math:`\min_f \sum w_i\ell(f(x_i) + b, y_i) + \tfrac\lambda2\|f\|^2`.

    The norm is that of the kernel divided by the mean of its diagonal. It is minimised by L-BFGS in the coordinates
    of the eigenvectors; held-out values come from folds, and choose the penalty by their log loss.

    Attributes
    ----------
    penalties
        Numbers :math:`\lambda > 0` to choose from.
    folds
        For held-out values.
    steps
        Most iterations of one fit.
    """

    penalties: Sequence[float] = (0.001, 0.01, 0.1, 1.0)
    folds: int = 5
    steps: int = 500

    def fit(self, matrix: np.ndarray, codes: np.ndarray, classes: int, weights: np.ndarray) -> Trained:
        """Return the machine of the penalty that fits held-out examples best."""
        unit = matrix.diagonal().mean()

        def solve(rows: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
            part = matrix[np.ix_(rows, rows)] / unit
            with blas_threads(len(rows)):
                dual, bias = _softmax_dual(part, codes[rows], (classes, weights[rows], penalty, self.steps))
            return dual / unit, bias

        def loss(held_out: np.ndarray) -> float:
            chosen = scipy.special.log_softmax(held_out, 1)[np.arange(len(codes)), codes]
            return float(-(weights @ chosen))

        return choose_penalty(solve, loss, matrix, codes, (classes, self.penalties, self.folds))


Solve = Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray]]
"""From rows and a penalty to the weights of these rows and the biases."""


def choose_penalty(
    solve: Solve,
    loss: Callable[[np.ndarray], float],
    matrix: np.ndarray,
    codes: np.ndarray,
    how: tuple[int, Sequence[float], int],
) -> Trained:
    """Return a machine at the penalty whose held-out decision values have the smallest loss.

    Parameters
    ----------
    solve
        Fits some rows with a penalty.
    loss
        Of decision values (n, C).
    matrix, codes
        The kernel matrix (n, n) and the classes (n,).
    how
        The number of classes, the penalties, and the number of folds.
    """
    classes, penalties, folds = how
    penalties = [float(penalty) for penalty in penalties]
    if not penalties or not all(penalty > 0 for penalty in penalties):
        raise ValueError(f"penalties are {penalties}; expected at least one positive number.")
    parts = stratified(codes, folds)
    best, lowest = None, np.inf
    for penalty in penalties:
        held_out = np.zeros((len(codes), classes))
        for fold in parts:
            rest = np.setdiff1d(np.arange(len(codes)), fold)
            dual, bias = solve(rest, penalty)
            held_out[fold] = matrix[np.ix_(fold, rest)] @ dual + bias
        if (found := loss(held_out)) < lowest or best is None:
            best, lowest = (penalty, held_out), found
    assert best is not None
    ends = {min(penalties): "smallest", max(penalties): "largest"} if len(penalties) > 1 else {}
    dual, bias = solve(np.arange(len(codes)), best[0])
    return Trained(dual, bias, best[1], best[0], ends.get(best[0], ""))


def stratified(codes: np.ndarray, folds: int) -> list[np.ndarray]:
    """Return rows of each fold, with every class dealt out evenly by a fixed seed."""
    _check.positive_int(folds, "folds")
    folds = min(folds, len(codes))
    if folds < 2:
        raise ValueError("folds is 1; expected at least 2.")
    order = np.random.default_rng(SHUFFLE).permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    return [np.sort(order[i::folds]) for i in range(folds)]


def _softmax_dual(
    matrix: np.ndarray, codes: np.ndarray, how: tuple[int, np.ndarray, float, int]
) -> tuple[np.ndarray, np.ndarray]:
    classes, weights, penalty, steps = how
    values, vectors = scipy.linalg.eigh(matrix, driver="evd")
    kept = values > 1e-10 * values[-1]
    root, vectors = np.sqrt(values[kept]), vectors[:, kept]
    features, targets = vectors * root, codes[:, None] == np.arange(classes)
    size = features.shape[1] * classes

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        coordinates, bias = flat[:size].reshape(-1, classes), flat[size:]
        logits = features @ coordinates + bias
        rest = weights[:, None] * (scipy.special.softmax(logits, 1) - targets)
        value = -(weights @ scipy.special.log_softmax(logits, 1)[targets]) + 0.5 * penalty * (coordinates**2).sum()
        slope = features.T @ rest + penalty * coordinates
        return float(value), np.concatenate([slope.ravel(), rest.sum(0)])

    first = np.zeros(size + classes)
    found = scipy.optimize.minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": steps}).x
    coordinates, bias = found[:size].reshape(-1, classes), found[size:]
    return vectors @ (coordinates / root[:, None]), bias - bias.mean()
