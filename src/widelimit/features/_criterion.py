"""Which ridge is taken."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import numpy as np

from ._base import AbstractFeatureMap
from ._moments import Rows
from ._path import FeaturePath


class AbstractCriterion(eqx.Module):
    """A number for each ridge; the ridge with the smallest is taken."""

    @abc.abstractmethod
    def scores(self, path: FeaturePath, feature_map: AbstractFeatureMap, state: Any, rows: Rows) -> np.ndarray:
        """Return the scores, (k,)."""


class Evidence(AbstractCriterion):
    """Minus the evidence of the Gaussian process of the features, at the best scale: no further pass over the rows."""

    def scores(self, path: FeaturePath, feature_map: AbstractFeatureMap, state: Any, rows: Rows) -> np.ndarray:  # noqa: ARG002
        """Return the scores."""
        return -path.evidence


class GeneralizedCrossValidation(AbstractCriterion):
    """Generalised cross-validation (Golub, Heath and Wahba 1979): no further pass over the rows."""

    def scores(self, path: FeaturePath, feature_map: AbstractFeatureMap, state: Any, rows: Rows) -> np.ndarray:  # noqa: ARG002
        """Return the scores."""
        return path.validation


class LeaveOneOut(AbstractCriterion):
    r"""The mean squared error of each target from all others, exactly, in one more pass over the rows.

    .. math:: e_i = \frac{y_i - \hat y_i}{1 - h_i},\qquad
              h_i = \varphi(x_i)^\top(\Phi^\top N^{-1}\Phi + rI)^{-1}\varphi(x_i)/N_i
    """

    def scores(self, path: FeaturePath, feature_map: AbstractFeatureMap, state: Any, rows: Rows) -> np.ndarray:
        """Return the scores."""
        mixing = feature_map.mixing(state)
        turn = path.vectors if mixing is None else mixing @ path.vectors
        inverse = 1 / (path.values[:, None] + path.ridges)
        coefficients = path.projected[:, :, None] * inverse[:, None]
        total = np.zeros(len(path.ridges))
        for x, y, noise in rows.chunks():
            modes = feature_map.block(state, x) @ turn
            one = np.ones(len(x)) if noise is None else noise
            left = y[:, :, None] - np.tensordot(modes, coefficients, 1)
            leverage = (modes**2 @ inverse) / one[:, None]
            total += ((left / (1 - leverage)[:, None]) ** 2 / one[:, None, None]).sum((0, 1))
        return total / rows.y.size
