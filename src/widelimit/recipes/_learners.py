"""How the predictor of a table is trained: with the whole kernel matrix, or with the kernel of some landmarks."""

from __future__ import annotations

import abc
import dataclasses
from typing import NamedTuple

import numpy as np

from .. import features, gp
from ..kernels import AbstractKernel
from ._predictors import AbstractPredictor, Classifier, ExactRegression, LandmarkRegression


class Rows(NamedTuple):
    """Inputs (n, d), targets (n, o), and labels: of classes, targets are one indicator each; else there is no label."""

    x: np.ndarray
    y: np.ndarray
    labels: tuple[str, ...]


class Learnt(NamedTuple):
    """A predictor, its ridge, which end of its grid that is (``smallest``, ``largest``, or empty), and notes."""

    predictor: AbstractPredictor
    ridge: float
    border: str
    notes: tuple[str, ...] = ()


class AbstractLearner(abc.ABC):
    """A way to train."""

    @abc.abstractmethod
    def first(self, kernel: AbstractKernel, rows: Rows) -> Learnt:
        """Return what rows teach, the ridge included."""

    @abc.abstractmethod
    def again(self, kernel: AbstractKernel, rows: Rows, ridge: float) -> AbstractPredictor:
        """Return what other rows teach with a ridge that is known."""


@dataclasses.dataclass(frozen=True)
class Exact(AbstractLearner):
    """With the kernel matrix of all rows, and the ridge that candidates were compared with."""

    ridge: float
    border: str

    def first(self, kernel: AbstractKernel, rows: Rows) -> Learnt:
        """Return what rows teach."""
        return Learnt(self.again(kernel, rows, self.ridge), self.ridge, self.border)

    def again(self, kernel: AbstractKernel, rows: Rows, ridge: float) -> AbstractPredictor:
        """Return what rows teach."""
        x, y, labels = rows
        if not labels:
            return ExactRegression(gp.kernel_regression(kernel, x, y, ridge=ridge))
        codes, weights = y.argmax(1), np.ones(len(x))
        trained = gp.OneVsAll(ridge).fit(np.asarray(kernel(x)), codes, len(labels), weights)
        return Classifier(labels, kernel, x, trained, gp.Temperature().fit(trained.held_out, codes, weights))


@dataclasses.dataclass(frozen=True)
class OnLandmarks(AbstractLearner):
    """With the kernel of all rows with some of them, in memory of these alone; the ridge is chosen anew on all rows.

    Attributes
    ----------
    count
        Number of landmarks.
    criterion
        What chooses the ridge.
    """

    count: int
    criterion: features.AbstractCriterion

    def first(self, kernel: AbstractKernel, rows: Rows) -> Learnt:
        """Return what rows teach."""
        return self._learnt(kernel, rows, None)

    def again(self, kernel: AbstractKernel, rows: Rows, ridge: float) -> AbstractPredictor:
        """Return what rows teach."""
        return self._learnt(kernel, rows, np.array([ridge])).predictor

    def _learnt(self, kernel: AbstractKernel, rows: Rows, ridges: np.ndarray | None) -> Learnt:
        x, y, labels = rows
        center = y.mean(0)
        std = y.std(0)
        # A target may be constant on the training rows alone.
        spread = np.ones(len(center)) if labels else np.where(std > 0, std, 1)
        standard = (y - center) / spread
        feature_map = features.NystromFeatures(kernel, features.Pivots(self.count))
        fitted = features.regress(feature_map, x, standard, ridges=ridges, criterion=self.criterion)
        mean, deviation = fitted.left_out(x, standard)
        if labels:
            codes = y.argmax(1)
            dual = fitted.state.whitening @ fitted.weights
            trained = gp.Trained(dual, center, mean + center, fitted.ridge)
            calibrated = gp.Temperature().fit(trained.held_out, codes, np.ones(len(x)))
            predictor: AbstractPredictor = Classifier(labels, kernel, fitted.state.landmarks, trained, calibrated)
        else:
            path = fitted.path
            predictor = LandmarkRegression(
                kernel,
                fitted.state.landmarks,
                turn=fitted.state.whitening @ path.vectors,
                coefficients=path.vectors.T @ fitted.weights,
                shrunk=fitted.ridge / (path.values + fitted.ridge),
                center=center,
                spread=spread,
                left_out=(standard - mean) / deviation[:, None],
                ridge=fitted.ridge,
                scale=fitted.scale,
            )
        count, reached = fitted.state.whitening.shape
        note = (
            f"The kernel is known through its values at {count} of the training rows (Nyström landmarks, {reached} "
            f"features); the ridge, {fitted.ridge:.3g}, was chosen on all training rows."
        )
        return Learnt(predictor, fitted.ridge, _border(fitted), (note,))


def _border(fitted: features.FeatureRegression) -> str:
    if not fitted.at_border:
        return ""
    return "smallest" if fitted.ridge == fitted.path.ridges.min() else "largest"
