"""What is added to the diagonal of a matrix that a factorisation finds not to be positive definite."""

import abc
import math
from typing import Any

import equinox as eqx
import numpy as np

from .. import _check


class AbstractJitter(eqx.Module):
    """A sequence of numbers to add to the diagonal, tried until the factorisation succeeds; the first is zero."""

    @abc.abstractmethod
    def shares(self, dtype: Any) -> np.ndarray:
        """Return the numbers to try as shares of the mean of the diagonal, ascending from zero, (t,)."""


class NoJitter(AbstractJitter):
    """Nothing is added: a matrix that is not positive definite gives `Result.not_positive_definite`."""

    def shares(self, dtype: Any) -> np.ndarray:
        """Return zero alone."""
        return np.zeros(1, dtype)


class GrowingJitter(AbstractJitter):
    r"""First nothing, then :math:`\varepsilon\,10^k` times the mean of the diagonal for k = 0, 1, ...

    Parameters
    ----------
    largest
        The last share of the mean of the diagonal that is tried. Behind it the result is
        `Result.not_positive_definite`.
    """

    largest: float = eqx.field(default=1e-8, static=True)

    def __check_init__(self) -> None:
        """Check the number."""
        _check.nonnegative(self.largest, "largest")

    def shares(self, dtype: Any) -> np.ndarray:
        """Return zero and the powers of ten up to ``largest``."""
        eps = float(np.finfo(dtype).eps)
        count = 1 + math.floor(math.log10(self.largest / eps) + 1e-9) if self.largest >= eps else 0
        return np.array([0.0, *(eps * 10.0**k for k in range(count))], dtype)
