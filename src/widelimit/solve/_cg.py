r"""Conjugate gradients with a preconditioner, for many right-hand sides at once.

It needs products with the matrix alone, which may live in NumPy, on disk or in JAX; the loop is plain NumPy in float64,
so that one product serves all columns that have not converged yet.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import numpy as np

from .. import _check
from .._result import Result
from .._typing import AnyArray, Scalar, Tracer
from ..gram import AbstractGram
from ._base import AbstractSolver, Solution
from ._noise import relative
from ._preconditioner import AbstractPreconditioner, LowRank, PivotedCholesky


class Preconditioned(eqx.Module):
    """A matrix, the variances of its noise (n,), and an approximate inverse of both."""

    gram: AbstractGram
    noise: np.ndarray
    inverse: LowRank

    def product(self, v: AnyArray) -> np.ndarray:
        """Return the product with the matrix plus noise."""
        return np.asarray(self.gram.matmat(v), np.float64) + self.noise[:, None] * v


class CG(AbstractSolver):
    r"""Preconditioned conjugate gradients on each column of :math:`(K + N)\,\alpha = Y`.

    .. math:: \|(K + N)\alpha - y\| \le \mathrm{tolerance}\cdot\|y\|

    ends a column: by the residual itself, computed anew where the recurrence says so; if that has drifted away, the
    column starts again from where it is. A column that is done takes no further part. Statistics: ``iterations``,
    ``products`` (columns multiplied with the matrix, residuals included) and ``condition_estimate``, of the
    *preconditioned* matrix, from the Lanczos coefficients of the first column. It decides by values, and so is neither
    traceable nor differentiable.

    Parameters
    ----------
    preconditioner
        What approximates the inverse.
    tolerance
        Relative residual at which a column is done.
    max_iterations
        After which it gives up with `Result.not_converged`.

    References
    ----------
    Hestenes and Stiefel 1952; for kernels with many right-hand sides Gardner et al. 2018, arXiv 1809.11165.
    """

    preconditioner: AbstractPreconditioner = PivotedCholesky()
    tolerance: float = eqx.field(default=1e-8, static=True)
    max_iterations: int = eqx.field(default=1000, static=True)

    def __check_init__(self) -> None:
        """Check the strategies and the numbers."""
        _check.instance(self.preconditioner, AbstractPreconditioner, "preconditioner", "PivotedCholesky(rank=100)")
        _check.nonnegative(self.tolerance, "tolerance")
        _check.positive_int(self.max_iterations, "max_iterations")

    def init(self, gram: AbstractGram, noise: Scalar | AnyArray) -> Preconditioned:
        """Return the matrix with its preconditioner."""
        _require_values(gram, noise)
        n, _ = gram.shape
        variances = np.broadcast_to(np.asarray(noise, np.float64), (n,)).copy()
        return Preconditioned(gram, variances, self.preconditioner.init(gram, variances))

    def compute(self, state: Preconditioned, y: AnyArray) -> Solution:
        """Solve for right-hand sides of shape (n,) or (n, k)."""
        _require_values(state, y)
        run = _Run(state, np.asarray(y, np.float64).reshape(len(y), -1))
        result = run.until(self.tolerance, self.max_iterations)
        stats = {
            "residual": relative(run.rest, run.y).reshape(y.shape[1:]),
            "iterations": run.iterations,
            "condition_estimate": run.condition(),
            "products": run.products,
        }
        return Solution(run.x.reshape(y.shape), result, stats, state)


class _Run:
    """The columns of one solve: x, the residuals ``rest``, and what the iteration counts."""

    def __init__(self, state: Preconditioned, y: np.ndarray) -> None:
        self.state, self.y = state, y
        self.x, self.rest = np.zeros_like(y), y.copy()
        self.iterations = self.products = 0
        self.steps: list[float] = []
        self.ratios: list[float] = []

    def until(self, tolerance: float, most: int) -> Result:
        """Iterate, and return how it went."""
        bound = tolerance * np.linalg.norm(self.y, axis=0)
        before = np.full(len(bound), np.inf)
        while True:
            size = np.linalg.norm(self.rest, axis=0)
            if not np.isfinite(size).all():
                return Result.not_finite
            # A column goes on while it is above its bound and the last round has helped.
            columns = np.flatnonzero((size > bound) & (size < before / 2))
            if not len(columns) or self.iterations >= most:
                return Result.successful if (size <= bound).all() else Result.not_converged
            before = np.where(size > bound, size, before)
            if not self._round(columns, bound, most):
                return Result.not_positive_definite
            self.rest[:, columns] = self.y[:, columns] - self._product(self.x[:, columns])

    def condition(self) -> float:
        """Return the ratio of extreme Ritz values of the preconditioned matrix in the first column."""
        import scipy.linalg

        if not self.steps:
            return 1.0
        a, b = np.array(self.steps), np.array(self.ratios[: len(self.steps) - 1])
        diagonal = 1 / a + np.concatenate([[0.0], b / a[:-1]])
        values = scipy.linalg.eigh_tridiagonal(diagonal, b**0.5 / a[:-1], eigvals_only=True)
        return float(values[-1] / values[0]) if values[0] > 0 else float("inf")

    def _product(self, v: np.ndarray) -> np.ndarray:
        self.products += v.shape[1]
        return self.state.product(v)

    def _round(self, columns: np.ndarray, bound: np.ndarray, most: int) -> bool:
        """Run the recurrence on some columns until it ends for all of them; return whether the matrix is positive."""
        rest, first = self.rest[:, columns], not self.steps and columns[0] == 0
        z = self.state.inverse.apply(rest)
        p, rho = z, np.sum(rest * z, 0)
        while len(columns) and self.iterations < most:
            self.iterations += 1
            q = self._product(p)
            curvature = np.sum(p * q, 0)
            if not (curvature > 0).all():
                # Products that overflow are told as such by the residual.
                return not np.isfinite(curvature).all()
            step = rho / curvature
            self.x[:, columns] += step * p
            rest = rest - step * q
            z = self.state.inverse.apply(rest)
            new = np.sum(rest * z, 0)
            if first and columns[0] == 0:
                self.steps.append(float(step[0]))
                self.ratios.append(float(new[0] / rho[0]))
            left = np.linalg.norm(rest, axis=0) > bound[columns]
            p = (z + new / rho * p)[:, left]
            rest, rho, columns = rest[:, left], new[left], columns[left]
        return True


def _require_values(*trees: Any) -> None:
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(trees)):
        raise ValueError(
            "something is being traced and CG() decides by values; use solver=Cholesky() under jit or grad."
        )
