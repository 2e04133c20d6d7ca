r"""The sign."""

import math

import jax.numpy as jnp

from .._typing import Array
from ._base import AbstractDual
from ._math import angle, haversine


class Sign(AbstractDual):
    r""":math:`\varphi(u) = \mathrm{sign}(u)`, the arc-cosine kernel of order zero (Cho & Saul 2009), up to its mean.

    .. math:: \mathrm{moment} = 1,\qquad \mathrm{gap} = 2\theta/\pi,\qquad \mathrm{slope} = 0

    A zero input has :math:`\varphi = 0`: moment 0, and gap ½ to every other input. The derivative of the sign is zero
    almost everywhere, so nothing of the NTK passes through it and ``slope`` is 0; that is the kernel of gradient
    descent, not the derivative of the gap (which is infinite at coincident inputs).
    """

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        return jnp.sign(u)

    def mean(self, q: Array) -> Array:
        """Return zero."""
        return jnp.zeros_like(q)

    def moment(self, q: Array) -> Array:
        """Return one, and zero where ``q`` is zero."""
        return jnp.sign(q)

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        scale, h = haversine(q1, q2, g)
        return jnp.where(scale > 0, angle(h) * (2 / math.pi), (self.moment(q1) + self.moment(q2)) / 2)

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return zero: the derivative vanishes almost everywhere."""
        return jnp.zeros_like(q1 + q2 + g)
