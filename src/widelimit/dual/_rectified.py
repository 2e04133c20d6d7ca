r"""Rectified monomials: the arc-cosine kernels of every order."""

import math

import equinox as eqx
import jax.numpy as jnp

from .._typing import Array
from ._base import AbstractDual
from ._math import angle, haversine, safe_sqrt, segment
from ._polynomial import check_degree


class RectifiedMonomial(AbstractDual):
    r""":math:`\varphi(u) = \max(u, 0)^n`, the arc-cosine kernel of order n (Cho & Saul 2009), in gap form.

    With :math:`j_n(\rho) = E\,z_+^n w_+^n` for unit variances and correlation :math:`\rho = 1 - h`,

    .. math::
        \mathrm{gap} &= \tfrac12 j_n(1)\big(q_1^{n/2} - q_2^{n/2}\big)^2
            + (q_1q_2)^{n/2}\,\big(j_n(1) - j_n(\rho)\big) \\
        \mathrm{slope} &= n^2 (q_1q_2)^{(n-1)/2}\,j_{n-1}(\rho)

    The drop :math:`j_n(1) - j_n(\rho)` follows from Gaussian integration by parts in n, so that it is right at
    :math:`\theta = 0`. Degree 0 is the step :math:`[u > 0]`, through which no NTK passes (slope 0, as for `Sign`).

    Parameters
    ----------
    degree
        The exponent n, from 0 to 60.
    """

    degree: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Check the degree."""
        check_degree(self.degree)

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        if self.degree == 0:
            return jnp.where(u > 0, jnp.ones_like(u), 0)
        return jnp.maximum(u, 0) ** self.degree

    def mean(self, q: Array) -> Array:
        r"""Return :math:`q^{n/2}\,2^{n/2-1}\,\Gamma(\tfrac{n+1}2)/\sqrt\pi`."""
        n = self.degree
        return _power(q, n) * (2 ** (n / 2 - 1) * math.gamma((n + 1) / 2) / math.sqrt(math.pi))

    def moment(self, q: Array) -> Array:
        r"""Return :math:`\tfrac12(2n-1)!!\,q^n`."""
        return _at_one(self.degree) * _power(q, 2 * self.degree)

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        n = self.degree
        p1, p2 = _power(q1, n), _power(q2, n)
        _, h = haversine(q1, q2, g)
        return _at_one(n) / 2 * (p1 - p2) ** 2 + p1 * p2 * _drop(n, h)

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        n = self.degree
        if n == 0:
            return jnp.zeros_like(q1 + q2 + g)
        _, h = haversine(q1, q2, g)
        scale = safe_sqrt(q1 * q2) ** (n - 1) if n > 1 else 1.0
        return n**2 * scale * (_at_one(n - 1) - _drop(n - 1, h))


def _power(q: Array, n: int) -> Array:
    # q^(n/2), where a step of a zero input is zero.
    if n == 0:
        return jnp.sign(q)
    return q ** (n // 2) * (safe_sqrt(q) if n % 2 else 1)


def _at_one(n: int) -> float:
    # E z_+^(2n) = (2n - 1)!! / 2
    return math.prod(range(1, 2 * n, 2)) / 2


def _drop(n: int, h: Array) -> Array:
    # d_n = j_n(1) - j_n(1 - h). With e_n the same drop of E z_+^(n-2) w_+^n, integration by parts gives
    #   e_n = (n-1) d_(n-2) + (n-2) (h j_(n-2)(1) + rho e_(n-1)),    d_n = (n-1) e_n + n (h j_(n-1)(1) + rho d_(n-1)).
    theta, rho = angle(h), 1 - h
    drops = [theta / (2 * math.pi), h / 2 - segment(h) / (2 * math.pi)]
    mixed = (theta * h * (2 - h) - rho * segment(h)) / (2 * math.pi)
    for m in range(2, n + 1):
        if m > 2:
            mixed = (m - 1) * drops[m - 2] + (m - 2) * (h * _at_one(m - 2) + rho * mixed)
        drops.append((m - 1) * mixed + m * (h * _at_one(m - 1) + rho * drops[m - 1]))
    return drops[n]
