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
"""Deviations that stand in for a kink at zero."""


def _gauss(nodes: int) -> list[tuple[float, float]]:
    # Gauss's rule on [0, 1].
    x, w = np.polynomial.legendre.leggauss(nodes)
    return list(zip(((1 + x) / 2).tolist(), (w / 2).tolist(), strict=True))


_OWEN, _SHORT = _gauss(12), _gauss(8)


def density(x: Array) -> Array:
    """Return the density of the standard normal."""
    return jnp.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def half_erf(x: Array) -> Array:
    r"""Return :math:`\Phi(x) - \tfrac12`."""
    return jax.scipy.special.erf(x / math.sqrt(2)) / 2


def tail(x: Array) -> Array:
    r"""Return :math:`1 - \Phi(x)`."""
    return jax.scipy.special.erfc(x / math.sqrt(2)) / 2


def between(low: Array, width: Array) -> Array:
    """Return the probability of the standard normal between ``low`` and ``low + width``, to all digits."""
    near = abs(width) < 0.5
    small = jnp.where(near, width, 0)
    rule = small * sum(w * density(low + x * small) for x, w in _SHORT)
    high = low + width
    # On one side of zero from the tails, which keep their digits far out.
    aside = jnp.sign(low) * (tail(abs(low)) - tail(abs(high)))
    return jnp.where(near, rule, jnp.where(low * high > 0, aside, half_erf(high) - half_erf(low)))


def owen(h: Array, a: Array, reach: Array) -> Array:
    r"""Return Owen's :math:`T(h, a)`, with ``reach`` the product h a where it is finite."""
    swap = abs(a) > 1
    ratio = jnp.where(swap, 1 / jnp.where(swap, a, 1), a)
    base = jnp.where(swap, reach, h)
    total = 0.0
    for x, w in _OWEN:
        stretch = 1 + (ratio * x) ** 2
        total = total + w * jnp.exp(-(base**2) * stretch / 2) / stretch
    value = ratio * total / (2 * math.pi)
    tail_h, tail_k = tail(abs(h)), tail(abs(reach))
    reflected = jnp.sign(a) * ((tail_h + tail_k) / 2 - tail_h * tail_k) - value
    return jnp.where(swap, reflected, value)


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

    def apart(self) -> Array:
        # Whether the kinks are so far apart, for this angle, that the event has a probability below e^(-40).
        return (self.delta > 0) & (self.delta**2 > 160 * self.h)

    def exponential(self) -> Array:
        # 2 pi n times the joint density at (alpha, beta)
        left, right = jnp.maximum(self.h, 1e-30), jnp.maximum(2 - self.h, 1e-30)
        return jnp.exp(-(self.delta**2) / (4 * left) - (self.alpha - self.beta) ** 2 / (4 * right))


def _lie(q1: Array, q2: Array, g: Array, a: Scalar, b: Scalar) -> _Lie:
    _, h = haversine(q1, q2, g)
    s1, s2 = safe_sqrt(q1), safe_sqrt(q2)
    low, high = jnp.asarray(a, h.dtype), jnp.asarray(b, h.dtype)
    # A kink at zero is seen from zero deviations, whatever the variance.
    alpha = jnp.where(abs(low) < TINY, -TINY, jnp.clip(-low / jnp.maximum(s1, 1e-18), -FAR, FAR))
    beta = jnp.where(abs(high) < TINY, TINY, jnp.clip(high / jnp.maximum(s2, 1e-18), -FAR, FAR))
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
    sides = jnp.where(split, between(-alpha, lie.delta), -tail(alpha) - tail(beta)) / 2
    plain = -sides - owen(alpha, y / alpha, y) - owen(beta, x / beta, x)
    # Where z = alpha and z = -beta are close, the two functions of Owen nearly cancel, and their difference is
    # integrated along the straight way from (-beta, -x/beta) to (alpha, y/alpha).
    # (Beyond twelve deviations of y nothing changes.)
    sine = jnp.maximum(lie.sine, abs(lie.delta) / 12)
    step, end = (lie.delta**2 / (alpha * beta) - 2 * lie.h) / sine, (lie.delta - lie.h * alpha) / (sine * alpha)
    close = split & (abs(lie.delta) < 0.5) & (abs(step) < 0.5 * jnp.maximum(1, abs(end)))
    delta, step, end = (jnp.where(close, v, 0) for v in (lie.delta, step, end))
    change = 0.0
    for t, w in _SHORT:
        h, a = alpha - t * delta, end - t * step
        edge = jnp.exp(-(h**2) * (1 + a**2) / 2) / (2 * math.pi * (1 + a**2))
        change = change + w * (edge * step - density(h) * half_erf(a * h) * delta)
    return jnp.where(lie.apart(), 0, jnp.where(close, -sides - change, plain))


@opposite.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    q1, q2, _, a, b = primals
    lie = _lie(*primals)
    dq1, dq2, dg, da, db = tangents
    x, y = lie.above()
    # d/dq12 P = -joint density of (u, v); d/dq1 P = half the derivative of the density of u = a with v > b, and so on.
    scale = lie.s1 * lie.s2
    turned = (lie.h * (2 - lie.h) > 0) & (scale > 0)
    joint = jnp.where(turned, safe_divide(lie.exponential() / (2 * math.pi * lie.sine), scale, 0.0), 0)
    at_a = safe_divide(density(lie.alpha) * (0.5 - half_erf(y)), lie.s1, 0.0)
    at_b = safe_divide(density(lie.beta) * (0.5 - half_erf(x)), lie.s2, 0.0)
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
    # edge_a - edge_b = a s2 phi(beta) - b s1 phi(alpha), by its two small parts where the densities are close
    edge_a, edge_b = a * lie.s2 * density(beta), b * lie.s1 * density(alpha)
    power = lie.delta * (alpha - beta) / 2
    close = abs(power) < 1
    shift = (b - a) * lie.s1 + a * safe_divide(q1 - q2, lie.s1 + lie.s2, 0.0)
    parts = density(alpha) * (a * lie.s2 * jnp.expm1(jnp.where(close, power, 0)) - shift)
    apart = jnp.where(close, parts, edge_a - edge_b)
    edges = apart * (0.5 - (half_erf(x) + half_erf(y)) / 2)
    edges = edges + (edge_a + edge_b) / 2 * between(x, -lie.h * (alpha - beta) / lie.sine)
    corner = lie.s1 * lie.s2 * lie.sine * lie.exponential() / (2 * math.pi)
    return jnp.where(lie.apart(), 0, edges + corner - ((q1 + q2) / 2 - g + a * b) * _probability(lie))


@crossing.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    *_, a, b = primals
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
    by_q1, by_q2 = safe_divide(excess_v, lie.s1, 0.0) / 2, safe_divide(excess_u, lie.s2, 0.0) / 2
    tangent = by_q1 * dq1 + by_q2 * dq2 - both * ((dq1 + dq2) / 2 - dg) + by_a * da - by_b * db
    return crossing(*primals), tangent
