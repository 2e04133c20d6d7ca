r"""Polynomials, monomials and Hermite polynomials.

In the Hermite polynomials scaled to the variance, :math:`s^k\mathrm{He}_k(u/s)` with :math:`s = \sqrt q`, a polynomial
has coefficients :math:`r_k(q)` that are polynomials in :math:`q` again, and no square root is left:
:math:`E\,\varphi(u)\varphi(v) = \sum_k k!\,r_k(q_1)r_k(q_2)\,q_{12}^k`. So nothing breaks at a zero input.
"""

import math

import equinox as eqx
import jax.numpy as jnp

from .._typing import Array, Scalar
from ._base import AbstractDual

MOST = 60
"""The largest degree: beyond it the factorials leave single precision."""


class Polynomial(AbstractDual):
    r""":math:`\varphi(u) = \sum_d c_d u^d`.

    .. math:: r_k(q) = \sum_{j\ge0} c_{k+2j}\,\frac{(k+2j)!}{2^j\,j!\,k!}\,q^j,\qquad
              \mathrm{moment} = \sum_k k!\,r_k(q)^2q^k,\qquad
              \mathrm{slope} = \sum_k k\,k!\,r_k(q_1)r_k(q_2)\,q_{12}^{k-1}

    Parameters
    ----------
    coefficients
        :math:`c_0, c_1, \dots`: a tuple of numbers, at most 61.
    """

    coefficients: tuple[Scalar, ...]

    def __check_init__(self) -> None:
        """Check that there are coefficients."""
        if not isinstance(self.coefficients, tuple) or not 1 <= len(self.coefficients) <= MOST + 1:
            raise ValueError(
                f"coefficients is {self.coefficients!r}; expected a tuple (c0, c1, ...) of 1 to {MOST + 1} numbers."
            )

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        total = jnp.zeros_like(u)
        for coefficient in reversed(self.coefficients):
            total = total * u + coefficient
        return total

    def mean(self, q: Array) -> Array:
        """Return the mean of the activation under variance ``q``."""
        return self._scaled(q)[0]

    def moment(self, q: Array) -> Array:
        """Return the second moment of the activation under variance ``q``."""
        return _moment(self._scaled(q), q)

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        return _gap(self._scaled(q1), self._scaled(q2), q1, q2, g)

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        return _slope(self._scaled(q1), self._scaled(q2), (q1 + q2) / 2 - g)

    def _scaled(self, q: Array) -> list[Array]:
        c = self.coefficients
        found = []
        for k in range(len(c)):
            total = jnp.zeros_like(q)
            for j in reversed(range((len(c) - 1 - k) // 2 + 1)):
                total = total * q + c[k + 2 * j] * _pairings(k, j)
            found.append(total)
        return found


class Hermite(AbstractDual):
    r""":math:`\varphi(u) = \mathrm{He}_n(u)/\sqrt{n!}`, the normalised Hermite polynomial, under any variance.

    .. math:: r_{n-2j}(q) = \frac{\sqrt{n!}}{2^j\,j!\,(n-2j)!}\,(q-1)^j,

    so that under unit variances the kernel is :math:`q_{12}^n` and its slope :math:`n\,q_{12}^{n-1}`.

    Parameters
    ----------
    degree
        From 0 to 60.
    """

    degree: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Check the degree."""
        check_degree(self.degree)

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        last, now = jnp.zeros_like(u), jnp.ones_like(u)
        for k in range(self.degree):
            last, now = now, (u * now - math.sqrt(k) * last) / math.sqrt(k + 1)
        return now

    def mean(self, q: Array) -> Array:
        """Return the mean of the activation under variance ``q``."""
        return self._scaled(q)[0]

    def moment(self, q: Array) -> Array:
        """Return the second moment of the activation under variance ``q``."""
        return _moment(self._scaled(q), q)

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        return _gap(self._scaled(q1), self._scaled(q2), q1, q2, g)

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        return _slope(self._scaled(q1), self._scaled(q2), (q1 + q2) / 2 - g)

    def _scaled(self, q: Array) -> list[Array]:
        n = self.degree
        found = [jnp.zeros_like(q)] * (n + 1)
        power = jnp.ones_like(q)
        for j in range(n // 2 + 1):
            found[n - 2 * j] = power * (_pairings(n - 2 * j, j) / math.sqrt(math.factorial(n)))
            power = power * (q - 1)
        return found


def Monomial(degree: int) -> Polynomial:
    r"""Return the dual of :math:`u^n`, for a degree n from 0 to 60."""
    check_degree(degree)
    return Polynomial((0.0,) * degree + (1.0,))


def check_degree(degree: int) -> None:
    """Refuse what is no degree."""
    if isinstance(degree, bool) or not isinstance(degree, int) or not 0 <= degree <= MOST:
        raise ValueError(f"degree is {degree!r}; expected a whole number from 0 to {MOST}.")


def _pairings(k: int, j: int) -> float:
    # The weight of He_k in u^(k + 2j): choose k of k + 2j factors, and pair off the others.
    return math.factorial(k + 2 * j) / (2**j * math.factorial(j) * math.factorial(k))


def _moment(r: list[Array], q: Array) -> Array:
    total, power = jnp.zeros_like(q), jnp.ones_like(q)
    for k, r_k in enumerate(r):
        total = total + r_k**2 * (power * math.factorial(k))
        power = power * q
    return total


def _gap(r1: list[Array], r2: list[Array], q1: Array, q2: Array, g: Array) -> Array:
    # The sum over k of k! [(r1 - r2)(r1 q1^k - r2 q2^k) / 2 + r1 r2 d_k], with d_k = (q1^k + q2^k)/2 - q12^k
    # carried beside the mean and half the difference of the powers, so that nothing of first order cancels.
    mean, half, q12 = (q1 + q2) / 2, (q1 - q2) / 2, (q1 + q2) / 2 - g
    total, apart = jnp.zeros_like(mean + g), jnp.zeros_like(mean + g)
    even, odd, cross = jnp.ones_like(mean), jnp.zeros_like(mean), jnp.ones_like(q12)
    for k, (a, b) in enumerate(zip(r1, r2, strict=True)):
        difference = a - b
        lengths = difference * (difference * even + (a + b) * odd) / 2
        total = total + math.factorial(k) * (lengths + a * b * apart)
        apart = mean * apart + half * odd + g * cross
        even, odd, cross = mean * even + half * odd, mean * odd + half * even, cross * q12
    return total


def _slope(r1: list[Array], r2: list[Array], q12: Array) -> Array:
    total, power = jnp.zeros_like(q12), jnp.ones_like(q12)
    for k, (a, b) in enumerate(zip(r1[1:], r2[1:], strict=True), 1):
        total = total + a * b * (power * (k * math.factorial(k)))
        power = power * q12
    return total
