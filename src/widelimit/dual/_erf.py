r"""The error function."""

import math

import jax
import jax.numpy as jnp

from .._typing import Array, Scalar
from ._base import AbstractDual
from ._math import arcsine_gap


class Erf(AbstractDual):
    r""":math:`\varphi(u) = a\,\mathrm{erf}(bu) + c`, the arc-sine kernel (Williams 1997), in gap form.

    With :math:`D_i = 1 + 2b^2q_i` and the angles :math:`\cos\theta_{12} = 2b^2q_{12}/\sqrt{D_1D_2}`,
    :math:`\cos\theta_i = 1 - 1/D_i`,

    .. math::
        \mathrm{moment} = a^2(1 - \tfrac2\pi\theta_i) + c^2,\quad
        \mathrm{gap} = \tfrac{a^2}\pi\big[(\theta_{12}-\theta_1) + (\theta_{12}-\theta_2)\big],\quad
        \mathrm{slope} = \frac{4a^2b^2}{\pi\sqrt{D_1D_2}\sin\theta_{12}}

    Parameters
    ----------
    a, b, c
        Output scale, input scale, offset.
    """

    a: Scalar = 1.0
    b: Scalar = 1.0
    c: Scalar = 0.0

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        return self.a * jax.scipy.special.erf(self.b * u) + self.c

    def mean(self, q: Array) -> Array:
        r"""Return the offset: the rest is odd."""
        return self.c * jnp.ones_like(q)

    def moment(self, q: Array) -> Array:
        """Return the second moment of the activation under variance ``q``."""
        x = 2 * self.b**2 * q
        return self.a**2 * (2 / math.pi) * jnp.arctan2(x, jnp.sqrt(1 + 2 * x)) + self.c**2

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        b2 = 2 * self.b**2
        first, second = arcsine_gap(b2 * q1, b2 * q2, b2 * g)
        return self.a**2 / math.pi * (first + second)

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        b2 = 2 * self.b**2
        area = g * (q1 + q2 - g) - (q1 - q2) ** 2 / 4
        return (2 / math.pi) * self.a**2 * b2 / jnp.sqrt(1 + b2 * (q1 + q2) + b2**2 * area)
