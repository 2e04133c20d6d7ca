"""The contract of a solver."""

import abc
from typing import Any

import equinox as eqx

from .._result import Result
from .._typing import Array, Scalar
from ..gram import AbstractGram


class Solution(eqx.Module):
    r"""The solution of :math:`(K + \mathrm{noise}\cdot I)\,\alpha = Y`.

    Attributes
    ----------
    value
        :math:`\alpha`, of the shape of the right-hand side.
    result
        How it went: `Result.successful`, or a sentence.
    stats
        Numbers about the solve.
    state
        What `AbstractSolver.init` returned; keep it to solve again.
    """

    value: Array
    result: Result
    stats: dict[str, Any]
    state: Any


class AbstractSolver(eqx.Module):
    """Solves with a Gram matrix in two phases: what needs only the matrix, then each right-hand side."""

    @abc.abstractmethod
    def init(self, gram: AbstractGram, noise: Scalar) -> Any:
        """Return the state that depends on the matrix and the noise variance alone."""

    @abc.abstractmethod
    def compute(self, state: Any, y: Array) -> Solution:
        """Solve for right-hand sides of shape (n,) or (n, k)."""
