r"""The exponential."""

import jax.numpy as jnp

from .._typing import Array, Scalar
from ._base import AbstractDual


class Exp(AbstractDual):
    r""":math:`\varphi(u) = a\,e^{bu}`.

    .. math::
        \mathrm{mean} &= a\,e^{b^2q/2},\qquad \mathrm{moment} = a^2e^{2b^2q} \\
        \mathrm{gap} &= \tfrac{a^2}2\big(e^{b^2q_1} - e^{b^2q_2}\big)^2 + a^2e^{b^2(q_1+q_2)}\big(1 - e^{-b^2g}\big) \\
        \mathrm{slope} &= a^2b^2\,e^{b^2(q_1+q_2-g)}

    Parameters
    ----------
    a, b
        Output scale, input scale.
    """

    a: Scalar = 1.0
    b: Scalar = 1.0

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        return self.a * jnp.exp(self.b * u)

    def mean(self, q: Array) -> Array:
        """Return the mean of the activation under variance ``q``."""
        return self.a * jnp.exp(self.b**2 * q / 2)

    def moment(self, q: Array) -> Array:
        """Return the second moment of the activation under variance ``q``."""
        return self.a**2 * jnp.exp(2 * self.b**2 * q)

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        b2 = self.b**2
        scales = jnp.exp(b2 * jnp.maximum(q1, q2)) * jnp.expm1(-b2 * jnp.abs(q1 - q2))
        return self.a**2 * (scales**2 / 2 - jnp.exp(b2 * (q1 + q2)) * jnp.expm1(-b2 * g))

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        b2 = self.b**2
        return self.a**2 * b2 * jnp.exp(b2 * (q1 + q2 - g))
