r"""Sine and cosine."""

import math

import jax.numpy as jnp

from .._typing import Array, Scalar
from ._base import AbstractDual


class Sin(AbstractDual):
    r""":math:`\varphi(u) = a\sin(bu + c)`; the cosine is :math:`c + \pi/2` (see `Cos`).

    .. math::
        \mathrm{moment} &= \tfrac{a^2}2\big(1 - \cos 2c\; e^{-2b^2q}\big) \\
        \mathrm{gap} &= \tfrac{a^2}2\big(1 - e^{-b^2g}\big)\big(1 + \cos 2c\; e^{-b^2(q_1+q_2-g)}\big)
            - \tfrac{a^2}4\cos 2c\,\big(e^{-b^2q_1} - e^{-b^2q_2}\big)^2 \\
        \mathrm{slope} &= \tfrac{a^2b^2}2\big(e^{-b^2g} + \cos 2c\; e^{-b^2(q_1+q_2-g)}\big)

    Parameters
    ----------
    a, b, c
        Amplitude, angular frequency, phase in radians.
    """

    a: Scalar = 1.0
    b: Scalar = 1.0
    c: Scalar = 0.0

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        return self.a * jnp.sin(self.b * u + self.c)

    def mean(self, q: Array) -> Array:
        r"""Return :math:`a\sin c\,e^{-b^2q/2}`."""
        return self.a * jnp.sin(jnp.asarray(self.c, q.dtype)) * jnp.exp(-(self.b**2) * q / 2)

    def moment(self, q: Array) -> Array:
        """Return the second moment of the activation under variance ``q``."""
        phase = jnp.cos(2 * jnp.asarray(self.c, q.dtype))
        return self.a**2 / 2 * (1 - phase * jnp.exp(-2 * self.b**2 * q))

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        b2, phase = self.b**2, jnp.cos(2 * jnp.asarray(self.c, g.dtype))
        near = -jnp.expm1(-b2 * g) * (1 + phase * jnp.exp(-b2 * (q1 + q2 - g)))
        scales = jnp.exp(-b2 * jnp.minimum(q1, q2)) * jnp.expm1(-b2 * jnp.abs(q1 - q2))
        return self.a**2 / 2 * (near - phase * scales**2 / 2)

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        b2, phase = self.b**2, jnp.cos(2 * jnp.asarray(self.c, g.dtype))
        return self.a**2 * b2 / 2 * (jnp.exp(-b2 * g) + phase * jnp.exp(-b2 * (q1 + q2 - g)))


def Cos(a: Scalar = 1.0, b: Scalar = 1.0, c: Scalar = 0.0) -> Sin:
    r"""Return the dual of :math:`a\cos(bu + c) = a\sin(bu + c + \pi/2)`."""
    return Sin(a, b, c + math.pi / 2)
