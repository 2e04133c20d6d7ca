r"""Piecewise linear activations with one kink at zero: ReLU and its family."""

import math

import jax.numpy as jnp

from .._typing import Array, Scalar
from ._base import AbstractDual
from ._math import angle, haversine, safe_sqrt, segment


class PiecewiseLinear(AbstractDual):
    r""":math:`\varphi(u) = a\min(u, 0) + b\max(u, 0) = \alpha u + \beta|u|`, with :math:`\alpha=\frac{a+b}2,\ \beta=\frac{b-a}2`.

    The arc-cosine kernel of order one (Cho & Saul 2009), in gap form. The cross terms :math:`E\,u|v|` vanish, so

    .. math::
        \mathrm{gap} &= \alpha^2 g + \beta^2\Big[\tfrac12(\sqrt{q_1}-\sqrt{q_2})^2
            + \sqrt{q_1q_2}\,\big(h - \tfrac2\pi(\sin\theta - \theta\cos\theta)\big)\Big] \\
        \mathrm{slope} &= \alpha^2 + \beta^2(1 - 2\theta/\pi)

    Parameters
    ----------
    a, b
        Slopes for negative and positive arguments. ReLU is (0, 1), LeakyReLU (s, 1), the absolute value (-1, 1).
    """  # noqa: E501

    a: Scalar
    b: Scalar

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        return self.a * jnp.minimum(u, 0) + self.b * jnp.maximum(u, 0)

    def mean(self, q: Array) -> Array:
        r"""Return :math:`(b - a)\sqrt{q/2\pi}`."""
        return (self.b - self.a) * safe_sqrt(q) / math.sqrt(2 * math.pi)

    def moment(self, q: Array) -> Array:
        r"""Return :math:`\tfrac12(a^2 + b^2)\,q`."""
        return (self.a**2 + self.b**2) / 2 * q

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        odd, even = (self.a + self.b) / 2, (self.b - self.a) / 2
        scale, h = haversine(q1, q2, g)
        absolute = g - scale * segment(h) * (2 / math.pi)
        return odd**2 * g + even**2 * absolute

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        odd, even = (self.a + self.b) / 2, (self.b - self.a) / 2
        _, h = haversine(q1, q2, g)
        return odd**2 + even**2 * (1 - angle(h) * (2 / math.pi))
