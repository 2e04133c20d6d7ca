"""Kernel regression from data to predictions: ridge chosen, weights, several outputs, uncertainty."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import scipy.linalg

from .. import _check
from .._blas import blas_threads
from ..kernels import AbstractKernel, prior_variances
from ._choice import RIDGES, AbstractCriterion, Evidence, drawn_rows
from ._path import RidgePath
from ._weighted import cavity, inverse_of, weighted_path, weighted_scores

CHUNK = 4096
"""Inputs that are predicted at once."""
ROWS = 4000
"""Rows on which a ridge is chosen, drawn at random where there are more: an eigendecomposition takes 9n³ operations."""


@dataclasses.dataclass(frozen=True)
class KernelRegression:
    r"""A regression on data; see `kernel_regression`.

    Attributes
    ----------
    kernel
        The kernel k.
    x, y, weights
        Inputs (n, \*input_shape), targets (n, o), and positive weights (n,).
    center, spread
        Mean and standard deviation of each target, (o,): the kernel sees targets of mean zero and variance one.
    ridge, scale
        The covariance of such targets is :math:`s^2(k + r/w)`: r, and :math:`s^2` where the evidence is largest.
    factor, dual
        The lower Cholesky factor of :math:`K + rW^{-1}`, (n, n), and :math:`\alpha`, (n, o).
    path
        All ridges that were tried; None where one was given, or found on a part of the rows.
    border
        ``smallest`` or ``largest`` where the chosen ridge is at an end of its grid, else empty.
    vector
        Whether targets came as (n,), so that predictions do.
    """

    kernel: AbstractKernel
    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    center: np.ndarray
    spread: np.ndarray
    ridge: float
    scale: float
    factor: np.ndarray
    dual: np.ndarray
    path: RidgePath | None
    border: str
    vector: bool

    @property
    def noise(self) -> np.ndarray:
        """Variance of an observation of weight one about the function, in the units of each target squared, (o,)."""
        return self.ridge * self.scale * self.spread**2

    @functools.cached_property
    def inverse(self) -> np.ndarray:
        r""":math:`(K + rW^{-1})^{-1}`, (n, n)."""
        return inverse_of(self.factor)

    @functools.cached_property
    def left_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each observation from all others, both (n, o), in the units of the targets."""
        residual, variance = cavity(self.inverse.diagonal(), self.dual, self.ridge, self.weights)
        return self.y - residual * self.spread, np.sqrt(self.scale * variance)[:, None] * self.spread

    @property
    def evidence(self) -> float:
        """The log marginal likelihood of the targets as they came, in nats."""
        n, outputs = self.y.shape
        total = self.weights.sum()
        # log det(W^½ K W^½ + r) from the factor of K + r/w.
        determinant = 2 * np.log(self.factor.diagonal()).sum() + np.log(self.weights).sum()
        # Without noise, equal observations have an infinite density.
        logarithm = np.log(self.ridge) if self.ridge else -np.inf
        repeated = (total - n) * logarithm if total != n else 0.0
        inside = total * (1 + np.log(2 * np.pi * self.scale)) + determinant + repeated
        return float(-0.5 * outputs * inside - total * np.log(self.spread).sum())

    def mean(self, x: Any) -> np.ndarray:
        r"""Return :math:`\mu(x) = k(x, X)\alpha`, in the units of the targets, (m, o) or (m,)."""
        x = self._read(x)
        parts = [self.kernel(x[i : i + CHUNK], self.x) @ self.dual for i in range(0, len(x), CHUNK)]
        return self._shaped(np.concatenate(parts) * self.spread + self.center)

    def marginals(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        r"""Return mean and standard deviation of a *new observation* of weight one at each input, noise included.

        .. math:: \sigma^2(x) = s^2\left[k(x, x) - k(x, X)(K + rW^{-1})^{-1}k(X, x) + r\right]

        Returns
        -------
        tuple
            Both (m, o), or (m,) where targets came as (n,).
        """
        x = self._read(x)
        means, variances = [], []
        for i in range(0, len(x), CHUNK):
            part = x[i : i + CHUNK]
            cross = self.kernel(part, self.x)
            with blas_threads(len(self.x)):
                explained = (scipy.linalg.solve_triangular(self.factor, cross.T, lower=True) ** 2).sum(0)
            means.append(cross @ self.dual)
            variances.append((self.prior(part) - explained).clip(0) + self.ridge)
        std = np.sqrt(self.scale * np.concatenate(variances))[:, None] * self.spread
        return self._shaped(np.concatenate(means) * self.spread + self.center), self._shaped(std)

    def covariance(self, x: Any) -> np.ndarray:
        """Return the covariance of new observations at inputs, noise included: (m, m), or (m, m, o) of many targets."""
        x = self._read(x)
        white = scipy.linalg.solve_triangular(self.factor, self.kernel(x, self.x).T, lower=True)
        one = self.scale * (self.kernel(x) - white.T @ white + self.ridge * np.eye(len(x)))
        return one * self.spread[0] ** 2 if self.vector else one[..., None] * self.spread**2

    def prior(self, x: np.ndarray) -> np.ndarray:
        """Return k(x, x) of each input, (m,)."""
        return prior_variances(self.kernel, x)

    def _shaped(self, values: np.ndarray) -> np.ndarray:
        return values[:, 0] if self.vector else values

    def _read(self, x: Any) -> np.ndarray:
        x = np.asarray(_check.inputs(x, "x"), np.float64)
        _check.same_features(x, self.x, ("x", "the training inputs"))
        return x


def kernel_regression(
    kernel: AbstractKernel,
    x: Any,
    y: Any,
    *,
    ridge: float | None = None,
    weights: Any = None,
    criterion: AbstractCriterion = Evidence(),
    ridges: np.ndarray = RIDGES,
    rows: int = ROWS,
) -> KernelRegression:
    r"""Regress targets on inputs with a kernel.

    .. math:: \frac{y - \bar y}{\sigma_y} \sim \mathcal N\!\left(0,\; s^2(K + rW^{-1})\right)

    Targets are centred and scaled, each output for itself; inputs are taken as they are. The ridge is chosen on one
    eigendecomposition, the scale :math:`s^2` is where the evidence is largest.

    Parameters
    ----------
    kernel
        `NTK`, `NNGP`, or any other.
    x, y
        Inputs (n, \*input_shape), at least two, and targets (n,) or (n, o).
    ridge
        The number r, in the units of the kernel; None to choose it.
    weights
        Zero or more, (n,): an example of weight w counts as w equal observations, so its noise is that of one divided
        by w. Examples of weight zero are left out.
    criterion
        What chooses the ridge. `Evidence` and `LeaveOneOutError` follow the weights; others count each example once.
    ridges
        What it chooses from, as multiples of the mean of the kernel's diagonal.
    rows
        Most rows on which the ridge is chosen.

    Raises
    ------
    ValueError
        If shapes do not match, data are not finite, or :math:`K + rW^{-1}` is singular to working precision.

    References
    ----------
    Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", eqs. 2.25, 2.26 and 5.8.
    """
    _check.instance(kernel, AbstractKernel, "kernel", "NTK(net)")
    x = np.asarray(_check.inputs(x, "x"), np.float64)
    targets = np.asarray(_check.targets(y, len(x), "y"), np.float64)
    x, targets, weights = weighted(x, targets, weights)
    if len(x) < 2:
        raise ValueError(f"there is 1 sample with a weight; expected at least 2 to learn from, x has {x.shape}.")
    center = np.average(targets, 0, weights)
    spread = np.sqrt(np.average((targets - center) ** 2, 0, weights))
    # A target that is constant but for rounding has no scale of its own.
    spread = np.where(spread > 1e-12 * np.abs(targets).max(0), spread, 1.0)
    standard = (targets - center) / spread
    matrix = np.asarray(kernel(x))
    path, border = None, ""
    if ridge is None:
        ridge, border, path = _chosen(matrix, standard, weights, (criterion, ridges, rows))
    else:
        _check.nonnegative(ridge, "ridge")
    factor = factorised(matrix, float(ridge), weights)
    dual = scipy.linalg.cho_solve((factor, True), standard)
    scale = max(float((standard * dual).sum()) / (weights.sum() * targets.shape[1]), np.finfo(np.float64).tiny)
    return KernelRegression(
        kernel,
        x,
        targets,
        weights,
        center,
        spread,
        float(ridge),
        scale,
        factor,
        dual,
        path,
        border,
        np.ndim(y) == 1,
    )


def weighted(x: np.ndarray, y: np.ndarray, weights: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return inputs, targets and positive weights, without the examples whose weight is zero."""
    if weights is None:
        return x, y, np.ones(len(x))
    weights = np.asarray(_check.real(weights, "weights"), np.float64)
    if weights.shape != (len(x),) or (weights < 0).any():
        raise ValueError(
            f"weights has shape {weights.shape} and a smallest value of {weights.min(initial=0):g}; expected "
            f"({len(x)},) numbers that are zero or more."
        )
    kept = weights > 0
    if not kept.any():
        raise ValueError("all weights are zero; expected at least one example that counts.")
    return x[kept], y[kept], weights[kept]


def factorised(matrix: np.ndarray, ridge: float, weights: np.ndarray) -> np.ndarray:
    """Return the lower Cholesky factor of a kernel matrix with its ridge, or say that there is none."""
    shifted = matrix.copy(order="F")
    shifted[np.diag_indices(len(matrix))] += ridge / weights
    try:
        with blas_threads(len(matrix)):
            return scipy.linalg.cholesky(shifted, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        raise ValueError(
            f"the kernel matrix with a ridge of {ridge:g} is singular to working precision (the mean of its diagonal "
            f"is {matrix.diagonal().mean():.3g}): are there duplicated inputs? Increase the ridge."
        ) from None


def _chosen(
    matrix: np.ndarray, y: np.ndarray, weights: np.ndarray, how: tuple[AbstractCriterion, np.ndarray, int]
) -> tuple[float, str, RidgePath | None]:
    criterion, ridges, rows = how
    multiples = np.asarray(ridges, np.float64)
    tried = multiples * np.average(matrix.diagonal(), weights=weights)
    whole = len(y) <= rows
    if not whole:
        part = drawn_rows(len(y), rows)
        matrix, y, weights = matrix[np.ix_(part, part)], y[part], weights[part]
    path = weighted_path(matrix, y, tried, weights)
    best = int(np.nanargmax(weighted_scores(criterion, path, matrix, y, weights)))
    ends = {int(tried.argmin()): "smallest", int(tried.argmax()): "largest"}
    return float(tried[best]), ends.get(best, ""), path if whole else None


def rebuilt(kernel: AbstractKernel, data: dict[str, np.ndarray], *, ridge: float, scale: float) -> KernelRegression:
    """Return a regression from what was kept of it; its Cholesky factor is made anew, so that predictions are the same.

    Parameters
    ----------
    kernel
        The kernel.
    data
        The attributes ``x``, ``y``, ``weights``, ``center``, ``spread`` and ``dual``.
    ridge, scale
        Those of the regression.
    """
    factor = factorised(np.asarray(kernel(data["x"])), ridge, data["weights"])
    return KernelRegression(kernel, **data, ridge=ridge, scale=scale, factor=factor, path=None, border="", vector=False)
