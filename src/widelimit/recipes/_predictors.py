"""Kernel machines of tables: what predicts rows, says how sure it is, and is kept as arrays and numbers."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import scipy.special

from .. import gp
from ..gp import Calibrated, KernelRegression, Trained
from ..kernels import AbstractKernel, prior_variances
from ._fit_scores import class_scores, regression_scores

CHUNK = 4096
"""Rows that are predicted at once."""

Arrays = dict[str, np.ndarray]


class Kept(NamedTuple):
    """From what a predictor is made again."""

    kernel: AbstractKernel
    arrays: Arrays
    numbers: dict[str, Any]


class AbstractPredictor(abc.ABC):
    """Something that was fitted to standardised inputs (n, d)."""

    name: ClassVar[str]
    """What a model's file calls it."""

    @abc.abstractmethod
    def columns(self, x: np.ndarray, level: float) -> Arrays:
        """Return predictions for inputs (m, d) as named columns; intervals, where there are any, are of ``level``."""

    @abc.abstractmethod
    def scores(self, x: np.ndarray, y: np.ndarray, level: float) -> dict[str, Any]:
        """Return what inputs (m, d) with targets (m, o), of classes one indicator each, say of the predictions."""

    @abc.abstractmethod
    def kept(self) -> Kept:
        """Return from what `built` makes it again."""

    @classmethod
    @abc.abstractmethod
    def built(cls, kept: Kept) -> Self:
        """Return what was kept."""


Predicted = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Mean, standard deviation of a new observation, and lower and upper ends of intervals, each (m, o)."""


def _named(predicted: Predicted) -> Arrays:
    named = dict(zip(("mean", "std", "low", "high"), predicted, strict=True))
    count = predicted[0].shape[1]
    return {key if count == 1 else f"{key}_{i}": values[:, i] for i in range(count) for key, values in named.items()}


@dataclasses.dataclass(frozen=True)
class ExactRegression(AbstractPredictor):
    """Regression with the whole kernel matrix, and jackknife+ intervals."""

    name = "regression"
    fitted: KernelRegression

    def columns(self, x: np.ndarray, level: float) -> Arrays:
        """Return ``mean``, ``std``, ``low`` and ``high``, with a number behind where there are many targets."""
        return _named(self._predicted(x, level))

    def scores(self, x: np.ndarray, y: np.ndarray, level: float) -> dict[str, Any]:
        """Return errors, likelihood and coverage."""
        scores = regression_scores(y, self._predicted(x, level), self.fitted.center, level)
        return {**scores, "intervals": "jackknife+"}

    def kept(self) -> Kept:
        """Return data and weights; the Cholesky factor is made anew."""
        arrays = {name: getattr(self.fitted, name) for name in ("x", "y", "weights", "center", "spread", "dual")}
        return Kept(self.fitted.kernel, arrays, {"ridge": self.fitted.ridge, "scale": self.fitted.scale})

    @classmethod
    def built(cls, kept: Kept) -> Self:
        """Return what was kept."""
        kernel, arrays, numbers = kept
        data = {name: arrays[name] for name in ("x", "y", "weights", "center", "spread", "dual")}
        return cls(gp.rebuilt(kernel, data, ridge=numbers["ridge"], scale=numbers["scale"]))

    def _predicted(self, x: np.ndarray, level: float) -> Predicted:
        return (*self.fitted.marginals(x), *gp.jackknife_plus(self.fitted, x, level=level))


@dataclasses.dataclass(frozen=True)
class LandmarkRegression(AbstractPredictor):
    r"""Regression with a kernel that is known through landmarks Z, for any number of rows.

    .. math:: \mu(x) = \psi(x)\,c,\qquad \sigma^2(x) = s^2\Big(\sum_jt_j\psi_j(x)^2 +
              k(x, x) - |\psi(x)|^2 + r\Big),\qquad \psi(x) = k(x, Z)\,T,

    of targets less their center and divided by their spread. Intervals are :math:`\mu\pm q\sigma`, with q the quantile
    of the training rows' errors over their deviations, each row left out of its prediction.

    Attributes
    ----------
    kernel
        The kernel k.
    x, turn
        Landmarks Z (m, d), and T (m, q).
    coefficients, shrunk
        c (q, o), and t (q,): the share of each mode's variance that is left.
    center, spread
        Mean and standard deviation of each target, (o,).
    left_out
        Errors of the training targets over their standard deviations, (n, o).
    ridge, scale
        r, and :math:`s^2`.
    """

    name = "regression on landmarks"
    kernel: AbstractKernel
    x: np.ndarray
    turn: np.ndarray
    coefficients: np.ndarray
    shrunk: np.ndarray
    center: np.ndarray
    spread: np.ndarray
    left_out: np.ndarray
    ridge: float
    scale: float

    def columns(self, x: np.ndarray, level: float) -> Arrays:
        """Return ``mean``, ``std``, ``low`` and ``high``, with a number behind where there are many targets."""
        return _named(self._predicted(x, level))

    def scores(self, x: np.ndarray, y: np.ndarray, level: float) -> dict[str, Any]:
        """Return errors, likelihood and coverage."""
        scores = regression_scores(y, self._predicted(x, level), self.center, level)
        return {**scores, "intervals": "leave-one-out"}

    def marginals(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of new observations at inputs (m, d), both (m, o)."""
        means, deviations = [], []
        for i in range(0, len(x), CHUNK):
            part = x[i : i + CHUNK]
            modes = np.asarray(self.kernel(part, self.x)) @ self.turn
            missed = (prior_variances(self.kernel, part) - (modes**2).sum(1)).clip(0)
            means.append(modes @ self.coefficients)
            deviations.append((self.scale * (modes**2 @ self.shrunk + missed + self.ridge)) ** 0.5)
        return np.concatenate(means) * self.spread + self.center, np.concatenate(deviations)[:, None] * self.spread

    def kept(self) -> Kept:
        """Return all arrays and numbers."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "kernel"}
        arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
        return Kept(self.kernel, arrays, {"ridge": self.ridge, "scale": self.scale})

    @classmethod
    def built(cls, kept: Kept) -> Self:
        """Return what was kept."""
        names = [field.name for field in dataclasses.fields(cls) if field.name not in ("kernel", "ridge", "scale")]
        arrays = {name: kept.arrays[name] for name in names}
        return cls(kept.kernel, **arrays, ridge=kept.numbers["ridge"], scale=kept.numbers["scale"])

    def _predicted(self, x: np.ndarray, level: float) -> Predicted:
        mean, std = self.marginals(x)
        zero = np.zeros_like(self.left_out)
        conformal = gp.split_conformal(self.left_out, zero, zero + 1, level=level)
        return (mean, std, *conformal.interval(mean, std))


@dataclasses.dataclass(frozen=True)
class Classifier(AbstractPredictor):
    """Classes by decision values of a kernel with inputs (n, d), which are training rows or landmarks."""

    name = "classification"
    labels: tuple[str, ...]
    kernel: AbstractKernel
    x: np.ndarray
    trained: Trained
    calibrated: Calibrated

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Return the probability of each class, (m, C)."""
        parts = [np.asarray(self.kernel(x[i : i + CHUNK], self.x)) for i in range(0, len(x), CHUNK)]
        decision = np.concatenate([self.trained.decision(part) for part in parts])
        return scipy.special.softmax(self.calibrated.logits(decision), axis=1)

    def columns(self, x: np.ndarray, level: float) -> Arrays:  # noqa: ARG002
        """Return ``class``, and ``p(label)`` for each class."""
        probabilities = self.probabilities(x)
        shares = {f"p({label})": probabilities[:, i] for i, label in enumerate(self.labels)}
        return {"class": np.array(self.labels)[probabilities.argmax(1)], **shares}

    def scores(self, x: np.ndarray, y: np.ndarray, level: float) -> dict[str, Any]:  # noqa: ARG002
        """Return errors, likelihood and calibration."""
        return class_scores(self.probabilities(x), y.argmax(1), self.labels)

    def kept(self) -> Kept:
        """Return weights, held-out values and calibration."""
        trained, calibrated = self.trained, self.calibrated
        arrays = {"x": self.x, "dual": trained.dual, "offset": trained.bias, "held_out": trained.held_out}
        arrays |= {"matrix": calibrated.matrix, "bias": calibrated.bias}
        return Kept(self.kernel, arrays, {"classes": list(self.labels), "penalty": trained.penalty})

    @classmethod
    def built(cls, kept: Kept) -> Self:
        """Return what was kept."""
        kernel, arrays, numbers = kept
        trained = Trained(arrays["dual"], arrays["offset"], arrays["held_out"], numbers["penalty"])
        calibrated = Calibrated(arrays["matrix"], arrays["bias"])
        return cls(tuple(numbers["classes"]), kernel, arrays["x"], trained, calibrated)


PREDICTORS: dict[str, type[AbstractPredictor]] = {
    kind.name: kind for kind in (ExactRegression, LandmarkRegression, Classifier)
}
"""What a model's file may hold."""
