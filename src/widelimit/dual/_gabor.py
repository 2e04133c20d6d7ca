r"""The Gabor function: a sine under a Gaussian bump."""

import jax.numpy as jnp

from .._typing import Array
from ._base import AbstractDual


class Gabor(AbstractDual):
    r""":math:`\varphi(u) = e^{-u^2}\sin u`.

    With :math:`D = (1+2q_1)(1+2q_2) - 4q_{12}^2`, :math:`\Delta = q_1q_2 - q_{12}^2`, :math:`D_i = 1+4q_i` and
    :math:`F_\pm = D^{-1/2}\exp\big(-(\tfrac12(q_1+q_2) \pm q_{12} + 2\Delta)/D\big)`,

    .. math::
        E\,\varphi(u)\varphi(v) &= \tfrac12(F_- - F_+),\qquad
        \mathrm{moment} = \tfrac12 D_i^{-1/2}\big(1 - e^{-2q_i/D_i}\big) \\
        \mathrm{slope} &= \frac{1}{2D}\sum_\pm \pm F_\mp\Big(8q_{12} \pm 1
            - \frac{8q_{12}}D\big(\tfrac12(q_1+q_2) \mp q_{12} + 2\Delta\big)\Big)
    """

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        return jnp.exp(-(u**2)) * jnp.sin(u)

    def mean(self, q: Array) -> Array:
        """Return zero."""
        return jnp.zeros_like(q)

    def moment(self, q: Array) -> Array:
        """Return the second moment of the activation under variance ``q``."""
        own = 1 + 4 * q
        return -jnp.expm1(-2 * q / own) / (2 * jnp.sqrt(own))

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        area = g * (q1 + q2 - g) - (q1 - q2) ** 2 / 4
        joint = 1 + 2 * (q1 + q2) + 4 * area
        minus = -jnp.expm1(-(g + 2 * area) / joint)
        total = 2 * minus / jnp.sqrt(joint)
        for q, other in ((q1, q2), (q2, q1)):
            own = 1 + 4 * q
            # D_i^(-1/2) - D^(-1/2), and the difference of the exponents of F_+, without cancellation.
            rise = 2 * (other - q) + 4 * area
            scale = rise / (jnp.sqrt(own * joint) * (jnp.sqrt(own) + jnp.sqrt(joint)))
            exponents = (q - other + g * own - 2 * area) / (own * joint)
            decay = jnp.exp(-2 * q / own)
            total = total + scale * (1 - decay) + decay * jnp.expm1(exponents) / jnp.sqrt(joint)
        return total / 4

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        area = g * (q1 + q2 - g) - (q1 - q2) ** 2 / 4
        joint, q12 = 1 + 2 * (q1 + q2) + 4 * area, (q1 + q2) / 2 - g
        minus, plus = (g + 2 * area) / joint, (q1 + q2 - g + 2 * area) / joint
        first = jnp.exp(-minus) * (8 * q12 + 1 - 8 * q12 * minus)
        second = jnp.exp(-plus) * (8 * q12 - 1 - 8 * q12 * plus)
        return (first - second) / (2 * joint * jnp.sqrt(joint))
