"""Direct solution by Cholesky factorisation."""

import jax.numpy as jnp
import jax.scipy.linalg as jsl

from .._result import Result
from .._typing import Array, Scalar
from ..gram import AbstractGram
from ._base import AbstractSolver, Solution


class Cholesky(AbstractSolver):
    r"""Factorise :math:`K + \mathrm{noise}\cdot I = LL^\top`: :math:`n^3/3` multiply-adds, then :math:`2n^2` per side.

    Run it in float64. A matrix that is singular to working precision gives the result `not_positive_definite`.
    """

    def init(self, gram: AbstractGram, noise: Scalar) -> Array:
        """Return the lower factor, (n, n)."""
        n, _ = gram.shape
        matrix = gram.tile(slice(None), slice(None))
        return jnp.linalg.cholesky(matrix + noise * jnp.eye(n, dtype=matrix.dtype))

    def compute(self, state: Array, y: Array) -> Solution:
        """Solve for right-hand sides of shape (n,) or (n, k)."""
        value = jsl.cho_solve((state, True), y)
        result = Result.where(jnp.all(jnp.isfinite(state)), Result.successful, Result.not_positive_definite)
        diagonal = jnp.diagonal(state)
        condition = (jnp.max(diagonal) / jnp.min(diagonal)) ** 2
        return Solution(value, result, {"condition_estimate": condition}, state)
