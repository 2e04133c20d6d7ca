"""Linear regression on features, row chunk by row chunk: kernel regression for n beyond memory."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from .. import _check
from .._precision import result_dtype
from .._typing import AnyArray
from ..solve import Result
from ._base import CHUNK, AbstractFeatureMap
from ._criterion import AbstractCriterion, Evidence
from ._moments import Rows, accumulate
from ._path import FeaturePath, feature_path

EXACT = 1e-12
"""What is left of a row that is predicted from all, below which it is rounding."""


@dataclasses.dataclass(frozen=True)
class FeatureRegression:
    """A regression on features; see `regress`.

    Attributes
    ----------
    feature_map, state
        The map and what it drew.
    path
        What the data say of every ridge.
    scores
        What the criterion says of every ridge, (k,): the smallest was taken.
    ridge, scale
        The ridge r and the scale :math:`s^2` that were taken: the variance of noise is :math:`s^2r`.
    weights
        Weights of the features, (m, o).
    """

    feature_map: AbstractFeatureMap
    state: Any
    path: FeaturePath
    scores: np.ndarray
    ridge: float
    scale: float
    weights: np.ndarray
    vector: bool
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def noise(self) -> float:
        """The variance of noise, of rows whose relative noise is one."""
        return self.scale * self.ridge

    @property
    def at_border(self) -> bool:
        """Whether the ridge is the first or the last of several: a wider grid may have a better one."""
        return len(self.path.ridges) > 1 and self.ridge in (self.path.ridges.min(), self.path.ridges.max())

    def mean(self, x: AnyArray, *, chunk: int = CHUNK) -> np.ndarray:
        r"""Return predictions (t,), or (t, o) where targets were a matrix, at inputs (t, \*input_shape)."""
        x = self._read(x)
        mixed = self._mixed(self.weights)
        parts = [self._block(x[i : i + chunk]) @ mixed for i in range(0, len(x), chunk)]
        return self._shaped(np.concatenate(parts))

    def marginals(self, x: AnyArray, *, chunk: int = CHUNK) -> tuple[np.ndarray, np.ndarray]:
        r"""Return mean and standard deviation of the function at each input alone, without the noise.

        .. math:: \sigma^2(x) = s^2\big(r\,\varphi(x)^\top(\Phi^\top N^{-1}\Phi + rI)^{-1}\varphi(x)
                  + k(x, x) - |\varphi(x)|^2\big)

        The second part is what the features miss of the kernel, and vanishes where they have none.

        Parameters
        ----------
        x
            Shape (t, \*input_shape).
        chunk
            Rows at once.

        Returns
        -------
        tuple
            Mean (t,) or (t, o), and standard deviation (t,).
        """
        x = self._read(x)
        turn, shrunk = self._mixed(self.path.vectors), self.ridge / (self.path.values + self.ridge)
        means, deviations = [], []
        for i in range(0, len(x), chunk):
            part = x[i : i + chunk]
            modes = self._block(part) @ turn
            means.append(modes @ (self.path.vectors.T @ self.weights))
            variance = modes**2 @ shrunk + self._missed(part, modes)
            deviations.append((self.scale * variance) ** 0.5)
        return self._shaped(np.concatenate(means)), np.concatenate(deviations).astype(self.dtype)

    def left_out(
        self, x: AnyArray, y: AnyArray, *, noise: AnyArray | None = None, chunk: int = CHUNK
    ) -> tuple[np.ndarray, np.ndarray]:
        r"""Return mean and standard deviation of each *training target* from all others, in one pass over the rows.

        .. math:: \mu_{-i} = y_i - \frac{y_i - \hat y_i}{1 - h_i},\qquad
                  \sigma_{-i}^2 = s^2\Big(\frac{rN_i}{1 - h_i} + k(x_i, x_i) - |\varphi(x_i)|^2\Big),\qquad
                  h_i = \varphi(x_i)^\top(\Phi^\top N^{-1}\Phi + rI)^{-1}\varphi(x_i)/N_i

        Features, ridge and scale stay those of all rows.

        Parameters
        ----------
        x, y, noise
            The rows that were fitted: inputs (n, \*input_shape), targets (n,) or (n, o), and relative noise.
        chunk
            Rows at once.

        Returns
        -------
        tuple
            Mean (n,) or (n, o), and standard deviation (n,), noise included.

        Raises
        ------
        ValueError
            If shapes do not match, or the ridge is so small that :math:`1 - h_i` vanishes.
        """
        x = self._read(x)
        targets = np.asarray(_check.targets(y, len(x), "y"))
        if targets.shape[1] != self.weights.shape[1]:
            raise ValueError(
                f"y has {targets.shape[1]} targets a row; expected {self.weights.shape[1]}, as in training."
            )
        turn, inverse = self._mixed(self.path.vectors), 1 / (self.path.values + self.ridge)
        coefficients = self.path.vectors.T @ self.weights
        means, deviations = [], []
        for part, seen, given in Rows(x, targets, _noise(noise, len(x)), chunk).chunks():
            one = np.ones(len(part)) if given is None else given
            modes = self._block(part) @ turn
            rest = 1 - modes**2 @ inverse / one
            if not (rest > EXACT).all():
                raise ValueError(
                    f"ridge is {self.ridge:.3g}: a row decides its own prediction to working precision, and "
                    "nothing can be said of it from the others. Increase the ridge."
                )
            means.append(seen - (seen - modes @ coefficients) / rest[:, None])
            variance = self.ridge * one / rest + self._missed(part, modes)
            deviations.append((self.scale * variance) ** 0.5)
        return self._shaped(np.concatenate(means)), np.concatenate(deviations).astype(self.dtype)

    def _missed(self, x: np.ndarray, modes: np.ndarray) -> np.ndarray:
        # What the features miss of the kernel of each input with itself.
        prior = self.feature_map.diagonal(self.state, x)
        return np.zeros(len(x)) if prior is None else (prior - (modes**2).sum(1)).clip(0)

    def _block(self, x: np.ndarray) -> np.ndarray:
        return self.feature_map.block(self.state, x).astype(np.float64, copy=False)

    def _mixed(self, columns: np.ndarray) -> np.ndarray:
        mixing = self.feature_map.mixing(self.state)
        return columns if mixing is None else mixing @ columns

    def _read(self, x: AnyArray) -> np.ndarray:
        x = np.asarray(_check.inputs(x, "x"))
        if x.shape[1:] != self.shape:
            raise ValueError(f"x holds examples of shape {x.shape[1:]}; expected {self.shape}, as in training.")
        return x

    def _shaped(self, mean: np.ndarray) -> np.ndarray:
        return (mean[:, 0] if self.vector else mean).astype(self.dtype)


def regress(
    feature_map: AbstractFeatureMap,
    x: AnyArray,
    y: AnyArray,
    *,
    ridges: AnyArray | None = None,
    noise: AnyArray | None = None,
    criterion: AbstractCriterion = Evidence(),
    chunk: int = CHUNK,
) -> FeatureRegression:
    r"""Fit :math:`f(x) = \varphi(x)\cdot w` by least squares with a ridge, chosen among many at the cost of one.

    .. math:: w = (\Phi^\top N^{-1}\Phi + rI)^{-1}\,\Phi^\top N^{-1}y

    This is kernel regression, and the mean of a Gaussian process, with the kernel
    :math:`\varphi(x)\cdot\varphi(x')` and noise :math:`rN`. One pass over the rows of :math:`nm^2` operations, in the
    memory of one chunk of features, and one eigendecomposition of an (m, m) matrix for all ridges.

    Parameters
    ----------
    feature_map
        The features, such as ``NystromFeatures(kernel)`` or ``RandomFeatures(net, width)``.
    x, y
        Inputs (n, \*input_shape), which may be a memory map, and targets (n,) or (n, o). In float32, features are
        found in float32; everything else is in float64.
    ridges
        Candidates (k,); see `feature_path`.
    noise
        Relative variance N of the noise of each row, (n,); None for ones.
    criterion
        How the ridge is chosen.
    chunk
        Rows at once.

    Raises
    ------
    ValueError
        If shapes do not match or data are not finite, or no ridge gives a finite result.
    """
    _check.instance(feature_map, AbstractFeatureMap, "feature_map", "NystromFeatures(kernel)")
    _check.instance(criterion, AbstractCriterion, "criterion", "Evidence()")
    _check.positive_int(chunk, "chunk")
    x = np.asarray(_check.inputs(x, "x"))
    if not np.issubdtype(x.dtype, np.floating):
        x = x.astype(np.float64)
    targets = np.asarray(_check.targets(y, len(x), "y"))
    rows = Rows(x, targets, _noise(noise, len(x)), chunk)
    state = feature_map.init(x)
    path = feature_path(accumulate(feature_map, state, rows), ridges)
    scores = criterion.scores(path, feature_map, state, rows)
    if not np.isfinite(scores).any():
        raise ValueError(f"{Result[Result.not_finite]}")
    best = int(np.nanargmin(scores))
    ridge, scale = float(path.ridges[best]), float(path.scale[best])
    weights = path.weights(ridge)
    dtype = np.dtype(result_dtype(targets))
    return FeatureRegression(
        feature_map, state, path, scores, ridge, scale, weights, np.ndim(y) == 1, x.shape[1:], dtype
    )


def _noise(noise: Any, n: int) -> np.ndarray | None:
    if noise is None:
        return None
    values = np.asarray(_check.real(noise, "noise"))
    if values.shape != (n,) or (values <= 0).any():
        raise ValueError(f"noise has shape {values.shape}, least {values.min()}; expected ({n},) positive numbers.")
    return values
