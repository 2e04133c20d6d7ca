r"""The Gaussian bump."""

import jax.numpy as jnp

from .._typing import Array, Scalar
from ._base import AbstractDual


class Gaussian(AbstractDual):
    r""":math:`\varphi(u) = a\,e^{bu^2}`.

    With :math:`m_{12} = (1-2bq_1)(1-2bq_2) - 4b^2q_{12}^2` and :math:`m_i = 1 - 4bq_i`,

    .. math::
        \mathrm{moment} = a^2 m_i^{-1/2},\quad
        \mathrm{gap} = \tfrac{a^2}2\sum_{i}\big(m_i^{-1/2} - m_{12}^{-1/2}\big),\quad
        \mathrm{slope} = 4a^2b^2\,q_{12}\,m_{12}^{-3/2}

    Parameters
    ----------
    a, b
        Height and curvature, negative for a bump. A positive one has moments where :math:`4bq < 1` alone; beyond, they
        are infinite, and a kernel refuses them.
    """

    a: Scalar = 1.0
    b: Scalar = -1.0

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        return self.a * jnp.exp(self.b * u**2)

    def mean(self, q: Array) -> Array:
        r"""Return :math:`a(1-2bq)^{-1/2}`."""
        return self.a / jnp.sqrt(1 - 2 * self.b * q)

    def moment(self, q: Array) -> Array:
        """Return the second moment of the activation under variance ``q``."""
        return self.a**2 / jnp.sqrt(1 - 4 * self.b * q)

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        one, two = self._excess(q1, q2, g), self._excess(q2, q1, g)
        return self.a**2 / 2 * (one + two)

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        q12 = (q1 + q2) / 2 - g
        return 4 * (self.a * self.b) ** 2 * q12 / self._joint(q1, q2, q12) ** 1.5

    def _joint(self, q1: Array, q2: Array, q12: Array) -> Array:
        return (1 - 2 * self.b * q1) * (1 - 2 * self.b * q2) - 4 * self.b**2 * q12**2

    def _excess(self, q1: Array, q2: Array, g: Array) -> Array:
        # m_1^(-1/2) - m_12^(-1/2), from m_12 - m_1 without cancellation.
        b, q12 = self.b, (q1 + q2) / 2 - g
        own, joint = jnp.sqrt(1 - 4 * b * q1), jnp.sqrt(self._joint(q1, q2, q12))
        difference = 2 * b * (1 - 2 * b * q1) * (q1 - q2) + 4 * b**2 * (g + (q1 - q2) / 2) * (q1 + q12)
        return difference / (own * joint * (own + joint))
