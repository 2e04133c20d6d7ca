"""The contract of a solver."""

import abc
from typing import Any

import equinox as eqx

from .._result import Result
from .._typing import AnyArray, Scalar
from ..gram import AbstractGram


class Solution(eqx.Module):
    r"""The solution of :math:`(K + N)\,\alpha = Y`, with N the noise on the diagonal.

    Attributes
    ----------
    value
        :math:`\alpha`, of the shape of the right-hand side.
    result
        How it went: `Result.successful`, or a sentence.
    stats
        Numbers about the solve, of every solver: ``residual``, :math:`\|(K + N)\alpha - y\|/\|y\|` for each right-hand
        side, of shape () or (k,), of the matrix as it was asked for; ``iterations``, products with the matrix (0 for
        direct methods); ``condition_estimate``. Others are told by each solver.
    state
        What `AbstractSolver.init` returned; keep it to solve again.
    """

    value: AnyArray
    result: Result
    stats: dict[str, Any]
    state: Any


class AbstractSolver(eqx.Module):
    """Solves with a Gram matrix in two phases: what needs only the matrix, then each right-hand side."""

    @abc.abstractmethod
    def init(self, gram: AbstractGram, noise: Scalar | AnyArray) -> Any:
        """Return the state that depends on the matrix and on the noise alone: its variance, a number or (n,)."""

    @abc.abstractmethod
    def compute(self, state: Any, y: AnyArray) -> Solution:
        """Solve for right-hand sides of shape (n,) or (n, k)."""
