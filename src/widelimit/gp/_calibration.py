"""From decision values to probabilities, by maximum likelihood on values of examples that were held out."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

import numpy as np
import scipy.optimize
import scipy.special

from .. import _check

EXACT = {"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-10}
"""The problems are convex: they are solved until rounding stops the search."""


@dataclasses.dataclass(frozen=True)
class Calibrated:
    r"""Probabilities :math:`p = \mathrm{softmax}(fW + b)` of decision values f.

    Attributes
    ----------
    matrix, bias
        W, (C, C), and b, (C,).
    """

    matrix: np.ndarray
    bias: np.ndarray

    def logits(self, decision: np.ndarray) -> np.ndarray:
        """Return :math:`fW + b` of decision values (m, C)."""
        return decision @ self.matrix + self.bias


class AbstractCalibration(abc.ABC):
    """How decision values become probabilities."""

    @abc.abstractmethod
    def fit(self, decision: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> Calibrated:
        """Return the map that fits held-out decision values (n, C) to classes (n,), numbers below C."""


@dataclasses.dataclass(frozen=True)
class Temperature(AbstractCalibration):
    r"""One number: :math:`p = \mathrm{softmax}(f/T)`. It leaves the order of the classes as it is.

    Targets are smoothed: with n examples and C classes, the class has :math:`(n+1)/(n+C)` and each other
    :math:`1/(n+C)`, so that T stays positive where no example is wrong.

    References
    ----------
    Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv 1706.04599; Platt 1999 for smooth targets.
    """

    def fit(self, decision: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> Calibrated:
        """Return the temperature where the likelihood is largest."""
        classes = decision.shape[1]
        targets = smooth_targets(codes, classes, weights)
        spread = decision.std() or 1.0

        def loss(logarithm: float) -> float:
            logits = decision * (np.exp(logarithm) / spread)
            return float(-weights @ (targets * scipy.special.log_softmax(logits, 1)).sum(1))

        found: Any = scipy.optimize.minimize_scalar(loss, bounds=(-10, 10), method="bounded", options={"xatol": 1e-9})
        return Calibrated(np.eye(classes) * np.exp(found.x) / spread, np.zeros(classes))


@dataclasses.dataclass(frozen=True)
class Dirichlet(AbstractCalibration):
    r"""A linear map of log probabilities: :math:`p = \mathrm{softmax}(fW + b)`, with all entries fitted.

    Off-diagonal entries and biases are penalised by their mean square times ``penalty`` (ODIR). It may change the
    order of classes, and pays where the classes are confused unequally and there are some hundred examples.

    Attributes
    ----------
    penalty
        Per example.

    References
    ----------
    Kull et al. 2019, "Beyond temperature scaling: ... Dirichlet calibration", arXiv 1910.12656, section 3.
    """

    penalty: float = 0.01

    def __post_init__(self) -> None:
        """Check the penalty."""
        _check.nonnegative(self.penalty, "penalty")

    def fit(self, decision: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> Calibrated:
        """Return the map where the penalised likelihood is largest; the search starts at the best temperature."""
        classes = decision.shape[1]
        targets = smooth_targets(codes, classes, weights)
        start = Temperature().fit(decision, codes, weights).matrix[0, 0]
        values, total = decision * start, weights.sum()
        off = 1 - np.eye(classes)

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            matrix, bias = flat[: classes**2].reshape(classes, classes), flat[classes**2 :]
            logits = values @ matrix + bias
            rest = weights[:, None] * (scipy.special.softmax(logits, 1) - targets) / total
            penalised = self.penalty * ((off * matrix**2).sum() / max(off.sum(), 1) + (bias**2).mean())
            value = -(weights @ (targets * scipy.special.log_softmax(logits, 1)).sum(1)) / total + penalised
            slope = values.T @ rest + 2 * self.penalty * off * matrix / max(off.sum(), 1)
            slope_bias = rest.sum(0) + 2 * self.penalty * bias / classes
            return float(value), np.concatenate([slope.ravel(), slope_bias])

        first = np.concatenate([np.eye(classes).ravel(), np.zeros(classes)])
        found = scipy.optimize.minimize(loss, first, jac=True, method="L-BFGS-B", options=EXACT).x
        return Calibrated(start * found[: classes**2].reshape(classes, classes), found[classes**2 :])


def smooth_targets(codes: np.ndarray, classes: int, weights: np.ndarray) -> np.ndarray:
    """Return targets (n, C): (n + 1)/(n + C) for the class, 1/(n + C) for each other, with n the sum of weights."""
    total = weights.sum()
    return ((codes[:, None] == np.arange(classes)) * total + 1) / (total + classes)
