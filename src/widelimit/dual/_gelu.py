r"""GELU with the exact Gaussian distribution function."""

import math

import jax
import jax.numpy as jnp

from .._typing import Array
from ._base import AbstractDual
from ._math import arcsine_gap, excess_of_sine


class Gelu(AbstractDual):
    r""":math:`\varphi(u) = u\,\Phi(u)`, in gap form.

    The even part :math:`u(\Phi(u)-\tfrac12)` does not mix with the odd part :math:`u/2`. With :math:`R_i = 1+q_i`,
    :math:`D_i^2 = 1 + 2q_i`, :math:`D^2 = R_1R_2 - q_{12}^2`, and the angles of the arc-sine kernel
    :math:`\cos\theta = q_{12}/\sqrt{R_1R_2}`, :math:`\cos\theta_i = q_i/R_i`, :math:`\delta_i = \theta-\theta_i`,

    .. math::
        2\pi\big(\mathrm{gap} - \tfrac g4\big) &= g\big(\tfrac\pi2-\theta\big) + \tfrac12\sin\theta\,(\sqrt{R_1}-\sqrt{R_2})^2
            + \tfrac12\sum_i R_i\big[\cos\theta_i\,(\delta_i - \sin\delta_i) + \sin\theta_i\,(1-\cos\delta_i)\big] \\
            &\quad + \sum_i (D - D_i)\Big(\frac1{R_i} + \frac1{2DD_i}\Big) \\
        2\pi\big(\mathrm{slope} - \tfrac14\big) &= \tfrac\pi2 - \theta
            + \frac{q_{12}}D\Big(\frac1{D^2} + \frac1{R_1} + \frac1{R_2}\Big)

    The same function as Tsuchida et al. 2021 (arXiv 2002.08517), rearranged so that nothing of first order cancels.
    """  # noqa: E501

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        return u * (1 + jax.scipy.special.erf(u / math.sqrt(2))) / 2

    def mean(self, q: Array) -> Array:
        r"""Return :math:`q/\sqrt{2\pi(1+q)}`."""
        return q / jnp.sqrt(2 * math.pi * (1 + q))

    def moment(self, q: Array) -> Array:
        """Return the second moment of the activation under variance ``q``."""
        root = jnp.sqrt(1 + 2 * q)
        return q / 4 + (q * jnp.arctan2(q, root) + 2 * q**2 / ((1 + q) * root)) / (2 * math.pi)

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        r1, r2, q12 = 1 + q1, 1 + q2, (q1 + q2) / 2 - g
        d1, d2 = jnp.sqrt(1 + 2 * q1), jnp.sqrt(1 + 2 * q2)
        area = g * (q1 + q2 - g) - (q1 - q2) ** 2 / 4
        d = jnp.sqrt(1 + q1 + q2 + area)
        delta1, delta2 = arcsine_gap(q1, q2, g)
        bends = [
            q * excess_of_sine(delta) + 2 * own * jnp.sin(delta / 2) ** 2
            for q, own, delta in ((q1, d1, delta1), (q2, d2, delta2))
        ]
        shift = (q1 - q2) / (jnp.sqrt(r1) + jnp.sqrt(r2))
        first = g * jnp.arctan2(q12, d) + (bends[0] + bends[1] + d / jnp.sqrt(r1 * r2) * shift**2) / 2
        second = (q2 - q1 + area) / (d + d1) * (1 / r1 + 1 / (2 * d * d1))
        third = (q1 - q2 + area) / (d + d2) * (1 / r2 + 1 / (2 * d * d2))
        return g / 4 + (first + second + third) / (2 * math.pi)

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        q12 = (q1 + q2) / 2 - g
        d2 = 1 + q1 + q2 + g * (q1 + q2 - g) - (q1 - q2) ** 2 / 4
        d = jnp.sqrt(d2)
        bend = q12 / d * (1 / d2 + 1 / (1 + q1) + 1 / (1 + q2))
        return 1 / 4 + (jnp.arctan2(q12, d) + bend) / (2 * math.pi)
