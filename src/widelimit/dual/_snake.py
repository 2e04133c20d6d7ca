r"""Snake: the identity with a periodic part."""

import jax.numpy as jnp

from .._typing import Array, Scalar
from ._base import AbstractDual
from ._sine import Cos


class Snake(AbstractDual):
    r""":math:`\varphi(u) = u + \tfrac1a\sin^2(au) = u + \tfrac1{2a}(1 - \cos 2au)`.

    From Ziyin et al. 2020 (arXiv 2006.08195). The odd part :math:`u` does not mix with the even rest, so the gap is
    :math:`g` plus that of a cosine.

    Parameters
    ----------
    a
        Half the angular frequency, not zero.
    """

    a: Scalar = 1.0

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        return u + jnp.sin(self.a * u) ** 2 / self.a

    def mean(self, q: Array) -> Array:
        r"""Return :math:`\tfrac1{2a}(1 - e^{-2a^2q})`."""
        return -jnp.expm1(-2 * self.a**2 * q) / (2 * self.a)

    def moment(self, q: Array) -> Array:
        r"""Return :math:`q + \tfrac1{8a^2}(3 - 4e^{-2a^2q} + e^{-8a^2q})`."""
        fall = -jnp.expm1(-2 * self.a**2 * q)
        # 3 - 4x + x^4 = (1 - x)^2 (3 + 2x + x^2)
        return q + fall**2 * (3 + 2 * (1 - fall) + (1 - fall) ** 2) / (8 * self.a**2)

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        return g + self._wave().gap(q1, q2, g)

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        return 1 + self._wave().slope(q1, q2, g)

    def _wave(self) -> AbstractDual:
        return Cos(1 / (2 * self.a), 2 * self.a)
