r"""Preconditioners of kernel matrices: few directions treated exactly, the noise in all others.

Each is :math:`P^{-1} = S\,(I + U\,\mathrm{diag}(f - 1)\,U^\top)\,S` with orthonormal columns U, factors f and the
scale :math:`S = N^{-1/2}`, so that noise may differ from row to row.
"""

from __future__ import annotations

import abc

import equinox as eqx
import numpy as np
import scipy.linalg

from .. import _check
from .._typing import AnyArray, Callable
from ..gram import AbstractGram


class LowRank(eqx.Module):
    """An approximate inverse, applied at 4nr operations per column.

    Attributes
    ----------
    scale
        Shape (n,).
    basis
        Orthonormal columns U, (n, r).
    factors
        Shape (r,).
    """

    scale: np.ndarray
    basis: np.ndarray
    factors: np.ndarray

    def apply(self, r: np.ndarray) -> np.ndarray:
        """Return the approximate solution for columns (n, k)."""
        v = self.scale[:, None] * r
        if self.basis.shape[1]:
            v = v + self.basis @ ((self.factors - 1)[:, None] * (self.basis.T @ v))
        return self.scale[:, None] * v


class AbstractPreconditioner(eqx.Module):
    """How an approximate inverse of a kernel matrix plus noise is made."""

    @abc.abstractmethod
    def init(self, gram: AbstractGram, noise: np.ndarray) -> LowRank:
        """Return the approximate inverse for variances of noise (n,)."""


class NoPreconditioner(AbstractPreconditioner):
    """The inverse of the diagonal alone, which counts noise that differs from row to row."""

    def init(self, gram: AbstractGram, noise: np.ndarray) -> LowRank:
        """Return the inverse of the diagonal."""
        n, _ = gram.shape
        diagonal = np.asarray(gram.diagonal(), np.float64) + noise
        return LowRank(np.where(diagonal > 0, diagonal, 1) ** -0.5, np.zeros((n, 0)), np.zeros(0))


class PivotedCholesky(AbstractPreconditioner):
    r"""The partial Cholesky factorisation :math:`K \approx LL^\top`, pivot by pivot the largest error on the diagonal.

    It reads r columns of the matrix. Inverted by Woodbury's identity: with :math:`N^{-1/2}L = USV^\top`, factors are
    :math:`1/(1 + S^2)`.

    Parameters
    ----------
    rank
        Number of columns.

    References
    ----------
    Harbrecht, Peters and Schneider 2012; as a preconditioner Gardner et al. 2018, arXiv 1809.11165.
    """

    rank: int = eqx.field(default=100, static=True)

    def __check_init__(self) -> None:
        """Check the number."""
        _check.positive_int(self.rank, "rank")

    def init(self, gram: AbstractGram, noise: np.ndarray) -> LowRank:
        """Return the approximate inverse."""
        n, _ = gram.shape
        diagonal = np.asarray(gram.diagonal(), np.float64)

        def column(i: int) -> np.ndarray:
            return np.asarray(gram.tile(slice(0, n), slice(i, i + 1)), np.float64)[:, 0]

        factor, _ = pivoted_cholesky(column, diagonal, self.rank)
        scale = _floored(noise, diagonal) ** -0.5
        basis, values, _ = scipy.linalg.svd(scale[:, None] * factor, full_matrices=False)
        return LowRank(scale, basis, 1 / (1 + values**2))


class Nystrom(AbstractPreconditioner):
    r"""The randomised Nyström approximation of :math:`N^{-1/2}KN^{-1/2} \approx U\Lambda U^\top` from one product.

    Factors are :math:`(\lambda_r + 1)/(\lambda + 1)`, with :math:`\lambda_r` the smallest eigenvalue that is kept.

    Parameters
    ----------
    rank
        Number of random columns the matrix is multiplied with.
    seed
        Of the random numbers.

    References
    ----------
    Frangella, Tropp and Udell 2021, arXiv 2110.02820, algorithms 2.1 and 5.
    """

    rank: int = eqx.field(default=100, static=True)
    seed: int = eqx.field(default=0, static=True)

    def __check_init__(self) -> None:
        """Check the number."""
        _check.positive_int(self.rank, "rank")

    def init(self, gram: AbstractGram, noise: np.ndarray) -> LowRank:
        """Return the approximate inverse."""
        n, _ = gram.shape
        scale = _floored(noise, np.asarray(gram.diagonal(), np.float64)) ** -0.5
        drawn = np.random.default_rng(self.seed).standard_normal((n, min(n, self.rank)))
        test, _ = np.linalg.qr(drawn)
        columns: AnyArray = scale[:, None] * test
        image = scale[:, None] * np.asarray(gram.matmat(columns), np.float64)
        # A shift in the size of rounding makes the small matrix positive definite; it is taken off again.
        shift = n**0.5 * np.finfo(np.float64).eps * np.linalg.norm(image)
        image = image + shift * test
        small = test.T @ image
        lower = np.linalg.cholesky((small + small.T) / 2)
        half = scipy.linalg.solve_triangular(lower, image.T, lower=True).T
        basis, values, _ = scipy.linalg.svd(half, full_matrices=False)
        kept = (values**2 - shift).clip(0)
        return LowRank(scale, basis, (kept[-1] + 1) / (kept + 1))


def pivoted_cholesky(
    column: Callable[[int], np.ndarray], diagonal: np.ndarray, rank: int
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return the partial factor L, (n, r), and the pivots (r,); r is less than ``rank`` where the error vanishes.

    Parameters
    ----------
    column
        ``column(i)``: a column of a positive semi-definite matrix, (n,).
    diagonal
        Its diagonal, (n,).
    rank
        Most columns that are read.
    """
    rest, n = diagonal.copy(), len(diagonal)
    factor, pivots = np.zeros((min(rank, n), n)), []
    least = n * np.finfo(np.float64).eps * diagonal.max()
    for k in range(min(rank, n)):
        pivot = int(np.argmax(rest))
        if not rest[pivot] > least:
            break
        row = (column(pivot) - factor[:k, pivot] @ factor[:k]) / rest[pivot] ** 0.5
        factor[k], rest = row, rest - row**2
        rest[pivot] = 0
        pivots.append(pivot)
    return factor[: len(pivots)].T, np.array(pivots, int)


def _floored(noise: np.ndarray, diagonal: np.ndarray) -> np.ndarray:
    # A preconditioner needs a positive scale; the noise that is solved with stays as it is.
    return np.maximum(noise, len(noise) * np.finfo(np.float64).eps * diagonal.mean())
