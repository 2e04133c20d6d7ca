r"""How a Gaussian pair lies across two kinks: the event :math:`u < a,\ v > b` for :math:`a \le b`.

Close inputs rarely lie on both sides, so these expectations are small where the kernel of a kinked activation needs
its digits; they are written such that every term is small there. The probability is Owen's function
:math:`T(h, a) = \frac1{2\pi}\int_0^a e^{-h^2(1+x^2)/2}\frac{dx}{1+x^2}` (Owen 1956), by Gauss's rule for
:math:`|a| \le 1`, error below 1e-15, and by its reflection beyond.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Scalar
from ._math import haversine, safe_divide, safe_sqrt

FAR = 40.0
"""Deviations beyond which a kink is never seen: the density there is e^(-800)."""

TINY = 1e-15
"""What stands in for a kink at zero."""

_NODES, _DOUBLED = np.polynomial.legendre.leggauss(16)
_POINTS, _WEIGHTS = ((1 + _NODES) / 2).tolist(), (_DOUBLED / 2).tolist()


def density(x: Array) -> Array:
    """Return the density of the standard normal."""
    return jnp.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def half_erf(x: Array) -> Array:
    r"""Return :math:`\Phi(x) - \tfrac12`."""
    return jax.scipy.special.erf(x / math.sqrt(2)) / 2


def between(low: Array, width: Array) -> Array:
    """Return the probability of the standard normal between ``low`` and ``low + width``, to all digits."""
    near = abs(width) < 1
    small = jnp.where(near, width, 0)
    rule = small * sum(w * density(low + x * small) for x, w in zip(_POINTS, _WEIGHTS, strict=True))
    return jnp.where(near, rule, half_erf(low + width) - half_erf(low))


def owen(h: Array, a: Array, reach: Array) -> Array:
    r"""Return Owen's :math:`T(h, a)`, with ``reach`` the product h a where it is finite."""
    swap = abs(a) > 1
    ratio = jnp.where(swap, 1 / jnp.where(swap, a, 1), a)
    base = jnp.where(swap, reach, h)
    total = 0.0
    for x, w in zip(_POINTS, _WEIGHTS, strict=True):
        stretch = 1 + (ratio * x) ** 2
        total = total + w * jnp.exp(-(base**2) * stretch / 2) / stretch
    value = ratio * total / (2 * math.pi)
    return jnp.where(swap, jnp.sign(a) / 4 - half_erf(h) * half_erf(reach) - value, value)


class _Lie(eqx.Module):
    # How u and v lie to the kinks a and b: z = -u/s1 above alpha = -a/s1, and w = v/s2 above beta = b/s2.

    alpha: Array
    beta: Array
    delta: Array
    h: Array
    sine: Array
    s1: Array
    s2: Array

    def above(self) -> tuple[Array, Array]:
        # (alpha + rho beta)/n and (beta + rho alpha)/n: beta is exceeded given z = alpha beyond the second, and so on.
        return (self.delta - self.h * self.beta) / self.sine, (self.delta - self.h * self.alpha) / self.sine

    def exponential(self) -> Array:
        # 2 pi n times the joint density at (alpha, beta)
        left, right = jnp.maximum(self.h, 1e-30), jnp.maximum(2 - self.h, 1e-30)
        return jnp.exp(-(self.delta**2) / (4 * left) - (self.alpha - self.beta) ** 2 / (4 * right))


def _lie(q1: Array, q2: Array, g: Array, a: Scalar, b: Scalar) -> _Lie:
    _, h = haversine(q1, q2, g)
    s1, s2 = safe_sqrt(q1), safe_sqrt(q2)
    low, high = jnp.asarray(a, h.dtype), jnp.asarray(b, h.dtype)
    low, high = (jnp.where(abs(k) < TINY, TINY, k) for k in (low, high))
    alpha, beta = (jnp.clip(k / jnp.maximum(s, 1e-18), -FAR, FAR) for k, s in ((-low, s1), (high, s2)))
    # alpha + beta = (b s1 - a s2)/(s1 s2), with s1 - s2 from the variances
    scale, total = s1 * s2, s1 + s2
    apart = (high - low) * s1 + low * safe_divide(q1 - q2, total, 0.0)
    seen = (abs(alpha) < FAR) & (abs(beta) < FAR) & (scale > 0)
    delta = jnp.where(seen, apart / jnp.where(scale > 0, scale, 1), alpha + beta)
    return _Lie(alpha, beta, delta, h, jnp.maximum(safe_sqrt(h * (2 - h)), 1e-18), s1, s2)


@jax.custom_jvp
def opposite(q1: Array, q2: Array, g: Array, a: Scalar, b: Scalar) -> Array:
    r"""Return :math:`P(u < a,\ v > b)` for :math:`a \le b`."""
    return _probability(_lie(q1, q2, g, a, b))


def _probability(lie: _Lie) -> Array:
    alpha, beta = lie.alpha, lie.beta
    x, y = lie.above()
    split = (alpha < 0) != (beta < 0)
    sides = jnp.where(split, -between(-alpha, lie.delta), 1 - half_erf(alpha) - half_erf(beta)) / 2
    return sides - owen(alpha, y / alpha, y) - owen(beta, x / beta, x)


@opposite.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    q1, q2, g, a, b = primals
    lie = _lie(*primals)
    dq1, dq2, dg, da, db = tangents
    x, y = lie.above()
    # d/dq12 P = -joint density of (u, v); d/dq1 P = half the derivative of the density of u = a with v > b, and so on.
    scale = jnp.maximum(lie.s1 * lie.s2, 1e-30)
    joint = jnp.where(lie.h * (2 - lie.h) * scale > 0, lie.exponential() / (2 * math.pi * lie.sine * scale), 0)
    at_a = density(lie.alpha) * (0.5 - half_erf(y)) / jnp.maximum(lie.s1, 1e-18)
    at_b = density(lie.beta) * (0.5 - half_erf(x)) / jnp.maximum(lie.s2, 1e-18)
    r1, r2 = safe_divide(lie.s2, lie.s1, 0.0), safe_divide(lie.s1, lie.s2, 0.0)
    dq12 = (dq1 + dq2) / 2 - dg
    by_q1 = -(at_a * safe_divide(jnp.asarray(a), q1, 0.0) - joint * (1 - lie.h) * r1) / 2
    by_q2 = (at_b * safe_divide(jnp.asarray(b), q2, 0.0) + joint * (1 - lie.h) * r2) / 2
    return opposite(*primals), by_q1 * dq1 + by_q2 * dq2 - joint * dq12 + at_a * da - at_b * db


@jax.custom_jvp
def crossing(q1: Array, q2: Array, g: Array, a: Scalar, b: Scalar) -> Array:
    r"""Return :math:`E\,(a-u)_+(v-b)_+` for :math:`a \le b`."""
    lie = _lie(q1, q2, g, a, b)
    x, y = lie.above()
    alpha, beta = lie.alpha, lie.beta
    # a s2 phi(beta) - b s1 phi(alpha), by its two small parts where the densities are close
    power = lie.delta * (alpha - beta) / 2
    close = abs(power) < 1
    rise = jnp.expm1(jnp.where(close, power, 0))
    shift = b * lie.s1 - a * lie.s2
    apart = (b - a) * lie.s1 + a * safe_divide(q1 - q2, lie.s1 + lie.s2, 0.0)
    shift = jnp.where(close, apart, shift)
    direct = a * lie.s2 * density(beta) - b * lie.s1 * density(alpha)
    edges = jnp.where(close, density(alpha) * (a * lie.s2 * rise - shift), direct) / 2
    edges = edges - a * lie.s2 * density(beta) * half_erf(x) + b * lie.s1 * density(alpha) * half_erf(y)
    corner = lie.s1 * lie.s2 * lie.sine * lie.exponential() / (2 * math.pi)
    return edges + corner - ((q1 + q2) / 2 - g + a * b) * opposite(q1, q2, g, a, b)


@crossing.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    q1, q2, g, a, b = primals
    dq1, dq2, dg, da, db = tangents
    lie, both = _lie(*primals), opposite(*primals)
    x, y = lie.above()
    at_a, at_b = density(lie.alpha), density(lie.beta)
    beyond_a, beyond_b = at_a * (0.5 - half_erf(y)), at_b * (0.5 - half_erf(x))
    excess_v = lie.s2 * (lie.sine * density(y) * at_a - lie.sine * y * beyond_a)
    excess_u = lie.s1 * (lie.sine * density(x) * at_b - lie.sine * x * beyond_b)
    rho = 1 - lie.h
    by_a = lie.s2 * (beyond_b - rho * beyond_a) - b * both
    by_b = lie.s1 * (beyond_a - rho * beyond_b) + a * both
    by_q1 = excess_v / jnp.maximum(lie.s1, 1e-18) / 2
    by_q2 = excess_u / jnp.maximum(lie.s2, 1e-18) / 2
    tangent = by_q1 * dq1 + by_q2 * dq2 - both * ((dq1 + dq2) / 2 - dg) + by_a * da - by_b * db
    return crossing(*primals), tangent
