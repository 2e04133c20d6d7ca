"""Ridges and left-out predictions where examples have weights: a weight w counts as w equal observations."""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.linalg

from .._blas import blas_threads
from ._choice import AbstractCriterion, LeaveOneOutError
from ._path import RidgePath, ridge_path

BLOCK = 1024


def weighted_path(matrix: np.ndarray, y: np.ndarray, ridges: np.ndarray, weights: np.ndarray) -> RidgePath:
    r"""Return what a kernel matrix and weighted targets say about each ridge.

    An example of weight w is w observations with the same input and target, so that with
    :math:`W = \mathrm{diag}(w)`, :math:`T = \sum w` and :math:`\tilde K = W^{1/2} K W^{1/2}`

    .. math::
        \log p = -\tfrac o2\left[T(1 + \log 2\pi\hat s^2) + \log\det(\tilde K + rI) + (T - n)\log r\right],\quad
        \hat s^2 = \frac{y^\top(K + rW^{-1})^{-1}y}{To}.

    Predictions leave out one observation, not the example with its whole weight; see `cavity`.

    Parameters
    ----------
    matrix
        A kernel matrix (n, n).
    y
        Targets (n, o).
    ridges
        Positive numbers (k,).
    weights
        Positive numbers (n,).
    """
    if (weights == 1).all():
        return ridge_path(matrix, y, ridges)
    root, total = np.sqrt(weights), weights.sum()
    n, outputs = y.shape
    path = ridge_path(root[:, None] * matrix * root, root[:, None] * y, ridges)
    scale = np.maximum(path.scale * n / total, np.finfo(np.float64).tiny)
    logarithms = np.log(path.values + path.ridges[:, None]).sum(1) + (total - n) * np.log(path.ridges)
    evidence = -0.5 * outputs * (total * (1 + np.log(2 * np.pi * scale)) + logarithms)
    # The path has the inverse A of the weighted matrix: its diagonal, and A y from the residual.
    diagonal = path.scale[:, None] / path.variance * weights
    dual = path.residual * diagonal[..., None] / root[:, None]
    parts = [cavity(*one, weights) for one in zip(diagonal, dual, path.ridges, strict=True)]
    residual, variance = (np.array(part) for part in zip(*parts, strict=True))
    return dataclasses.replace(
        path, scale=scale, evidence=evidence, residual=residual, variance=variance * scale[:, None]
    )


def weighted_scores(
    criterion: AbstractCriterion, path: RidgePath, matrix: np.ndarray, y: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return what a criterion says of each ridge, (k,): squared errors as their weighted mean."""
    if isinstance(criterion, LeaveOneOutError):
        return -np.average((path.residual**2).mean(2), axis=1, weights=weights)
    return criterion.scores(path, matrix, y)


def cavity(diagonal: np.ndarray, dual: np.ndarray, ridge: float, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Return residuals of single observations that are left out, and the variance of each for a scale of one.

    With :math:`A = (K + rW^{-1})^{-1}`, :math:`\alpha = Ay`, :math:`\nu = r/w` and the part :math:`q = \min(1, w)` of
    an example that is taken out,

    .. math::
        y_i - \mu_{-i} = \frac{\nu\alpha_i}{c_i},\qquad
        \sigma^2_{-i} = \frac{\nu - \nu^2A_{ii}}{c_i} + \frac rq,\qquad
        c_i = 1 - \frac qw(1 - \nu A_{ii}),

    which for weights of one are :math:`\alpha_i/A_{ii}` and :math:`1/A_{ii}` (Rasmussen and Williams 2006, eq. 5.12).

    Parameters
    ----------
    diagonal
        Of A, (n,).
    dual
        :math:`\alpha`, (n, o).
    ridge
        The ridge r; of zero, weights do not count.
    weights
        Positive numbers (n,).
    """
    if ridge == 0 or (weights <= 1).all():
        return dual / diagonal[:, None], 1 / diagonal
    noise, part = ridge / weights, np.minimum(weights, 1)
    rest = 1 - part / weights * (1 - noise * diagonal)
    return (noise / rest)[:, None] * dual, (noise - noise**2 * diagonal) / rest + ridge / part


def inverse_of(factor: np.ndarray) -> np.ndarray:
    """Return the inverse of the matrix that has the lower Cholesky factor."""
    with blas_threads(len(factor)):
        lower, info = scipy.linalg.lapack.dpotri(factor, lower=1)  # type: ignore[attr-defined]
    if info:
        raise ValueError("the kernel matrix with its noise is singular to working precision; increase the ridge.")
    # The upper part is filled in place, block by block: a kernel matrix may be a third of the memory.
    for start in range(0, len(lower), BLOCK):
        stop = min(start + BLOCK, len(lower))
        lower[start:stop, stop:] = lower[stop:, start:stop].T
        block = lower[start:stop, start:stop]
        block[:] = np.tril(block) + np.tril(block, -1).T
    return lower
