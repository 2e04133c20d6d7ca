"""Every ridge at once, from one eigendecomposition."""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.linalg

from .. import _check
from .._blas import blas_threads


@dataclasses.dataclass(frozen=True)
class RidgePath:
    r"""What a kernel matrix and targets say about each ridge r, with the scale of the kernel in its best place.

    The model is :math:`y \sim \mathcal N(0,\; s^2(K + rI))` for every output, with :math:`s^2` where the evidence is
    largest, :math:`\hat s^2 = y^\top(K + rI)^{-1}y/(no)`.

    Attributes
    ----------
    ridges
        Shape (k,).
    evidence
        :math:`\log p(y)` at the best scale, (k,), in nats.
    scale
        :math:`\hat s^2`, (k,).
    residual
        Left-out targets minus their predictions from all others, (k, n, o).
    variance
        Of the left-out observations at the best scale, (k, n).
    degrees
        Effective degrees of freedom, :math:`\mathrm{tr}\,K(K + rI)^{-1}`, (k,).
    values, vectors
        The eigendecomposition of the matrix, ascending.
    """

    ridges: np.ndarray
    evidence: np.ndarray
    scale: np.ndarray
    residual: np.ndarray
    variance: np.ndarray
    degrees: np.ndarray
    values: np.ndarray
    vectors: np.ndarray

    @property
    def loo_density(self) -> np.ndarray:
        r"""Sum of :math:`\log p(y_i \mid y_{-i})`, (k,)."""
        outputs = self.residual.shape[2]
        squares = (self.residual**2).sum(2) / self.variance
        return -0.5 * (squares + outputs * np.log(2 * np.pi * self.variance)).sum(1)

    @property
    def loo_error(self) -> np.ndarray:
        """Mean squared error of the left-out targets, (k,)."""
        return (self.residual**2).mean((1, 2))


def ridge_path(matrix: np.ndarray, y: np.ndarray, ridges: np.ndarray) -> RidgePath:
    r"""Return evidence and leave-one-out predictions of a kernel matrix for every ridge.

    One eigendecomposition, about :math:`9n^3` operations, then :math:`2n^2(o + 1)` for each ridge.

    Parameters
    ----------
    matrix
        A kernel matrix (n, n).
    y
        Targets (n,) or (n, o).
    ridges
        Positive numbers (k,).

    Raises
    ------
    ValueError
        If shapes do not match, numbers are not finite, or a ridge is not positive.

    References
    ----------
    Rasmussen and Williams 2006, eqs. 5.8 and 5.12, with :math:`K + rI = V(\Lambda + r)V^\top`.
    """
    matrix = np.asarray(_check.real(matrix, "matrix"), np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"matrix has shape {matrix.shape}; expected a kernel matrix (n, n).")
    targets = np.asarray(_check.targets(y, len(matrix), "y"), np.float64)
    ridges = np.atleast_1d(np.asarray(_check.real(ridges, "ridges"), np.float64))
    if ridges.ndim != 1 or not (ridges > 0).all():
        raise ValueError(f"ridges are {ridges}; expected positive numbers.")
    with blas_threads(len(matrix)):
        return _path(matrix, targets, ridges)


def _path(matrix: np.ndarray, targets: np.ndarray, ridges: np.ndarray) -> RidgePath:
    values, vectors = scipy.linalg.eigh(matrix, driver="evd")
    # Below this, eigenvalues are rounding: to the model they are zero.
    values = values.clip(0)
    n, outputs = targets.shape
    projected = vectors.T @ targets
    squares = vectors**2
    found = []
    for ridge in ridges:
        inverse = 1 / (values + ridge)
        weighted = inverse[:, None] * projected
        best = max(float((projected * weighted).sum()) / (n * outputs), np.finfo(np.float64).tiny)
        diagonal = squares @ inverse
        evidence = -0.5 * outputs * (n * (1 + np.log(2 * np.pi * best)) - np.log(inverse).sum())
        residual = (vectors @ weighted) / diagonal[:, None]
        found.append((evidence, best, residual, best / diagonal, float((values * inverse).sum())))
    evidence, scale, residual, variance, degrees = (np.array(column) for column in zip(*found, strict=True))
    return RidgePath(ridges, evidence, scale, residual, variance, degrees, values, vectors)
