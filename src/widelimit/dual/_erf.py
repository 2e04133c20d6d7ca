r"""The error function."""

import math

import jax
import jax.numpy as jnp

from .._typing import Array, Scalar
from ._base import AbstractDual
from ._math import angle


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

    def moment(self, q: Array) -> Array:
        """Return the second moment of the activation under variance ``q``."""
        return self.a**2 * (1 - angle(1 / (1 + 2 * self.b**2 * q)) * (2 / math.pi)) + self.c**2

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        d1, d2, shift, apart = self._augmented(q1, q2, g)
        root = jnp.sqrt(d1 * d2)
        h = (apart + 1) / root
        first = _angle_difference(h, 1 / d1, apart / root + shift / (d1 * jnp.sqrt(d2)))
        second = _angle_difference(h, 1 / d2, apart / root - shift / (d2 * jnp.sqrt(d1)))
        return self.a**2 / math.pi * (first + second)

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        d1, d2, _, apart = self._augmented(q1, q2, g)
        h = (apart + 1) / jnp.sqrt(d1 * d2)
        return (4 / math.pi) * (self.a * self.b) ** 2 / jnp.sqrt(d1 * d2 * h * (2 - h))

    def _augmented(self, q1: Array, q2: Array, g: Array) -> tuple[Array, Array, Array, Array]:
        # D1, D2, sqrt(D1) - sqrt(D2), and sqrt(D1 D2) h - 1, each free of cancellation.
        b2 = self.b**2
        d1, d2 = 1 + 2 * b2 * q1, 1 + 2 * b2 * q2
        shift = 2 * b2 * (q1 - q2) / (jnp.sqrt(d1) + jnp.sqrt(d2))
        return d1, d2, shift, 2 * b2 * g - shift**2 / 2


def _angle_difference(h1: Array, h2: Array, difference: Array) -> Array:
    # angle(h1) - angle(h2) for 0 < h2 <= 1, with h1 - h2 given.
    x, y = h1 / 2, h2 / 2
    return 2 * jnp.arcsin(difference / 2 / (jnp.sqrt(x * (1 - y)) + jnp.sqrt(y * (1 - x))))
