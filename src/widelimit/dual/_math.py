r"""Functions with a square-root singularity at coincident or zero inputs, made safe to evaluate and differentiate.

The kernels of kinked activations behave like :math:`|x-x'|` near coincidence, where no derivative exists; these
functions return the derivative 0 there, which is the mean of the one-sided ones.
"""

import math

import jax
import jax.numpy as jnp

from .._typing import Array
from ._arc import angle_over_root, segment_over_root


def safe_sqrt(x: Array) -> Array:
    r"""Return :math:`\sqrt{\max(x, 0)}` with derivative 0 where :math:`x \le 0`."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)


def safe_divide(a: Array, b: Array, fill: float) -> Array:
    """Return ``a / b``, and ``fill`` where ``b`` is zero, with derivatives 0 there."""
    nonzero = b != 0
    return jnp.where(nonzero, a / jnp.where(nonzero, b, 1), fill)


def haversine(q1: Array, q2: Array, g: Array) -> tuple[Array, Array]:
    r"""Return :math:`S = \sqrt{q_1 q_2}` and :math:`h = 1 - \cos\theta`, with :math:`\cos\theta = q_{12}/S`.

    .. math:: h = \frac{g - \tfrac12(\sqrt{q_1} - \sqrt{q_2})^2}{S} \in [0, 2]

    Where an input is zero, :math:`h = 1`: the angle to the zero vector counts as a right one.
    """
    s1, s2 = safe_sqrt(q1), safe_sqrt(q2)
    scale = s1 * s2
    return scale, jnp.clip(safe_divide(g - (s1 - s2) ** 2 / 2, scale, 1.0), 0, 2)


@jax.custom_jvp
def angle(h: Array) -> Array:
    r"""Return :math:`\theta = 2\arcsin\sqrt{h/2}`, the angle with :math:`1 - \cos\theta = h`."""
    h = jnp.asarray(h)
    small = jnp.minimum(h, 2 - h)
    theta = jnp.sqrt(small) * angle_over_root(small)
    return jnp.where(h > 1, math.pi - theta, theta)


@angle.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (h,), (dh,) = primals, tangents
    sine = safe_sqrt(h * (2 - h))
    return angle(h), safe_divide(dh, sine, 0.0)


@jax.custom_jvp
def segment(h: Array) -> Array:
    r"""Return :math:`\sin\theta - \theta\cos\theta = \int_0^h \theta\,dh` for :math:`h = 1 - \cos\theta`.

    It behaves like :math:`\tfrac23\sqrt2\,h^{3/2}`, which the plain formula loses by cancellation.
    """
    h = jnp.asarray(h)
    small = jnp.minimum(h, 2 - h)
    bend = small * jnp.sqrt(small) * segment_over_root(small)
    return jnp.where(h > 1, bend + math.pi * (h - 1), bend)


@segment.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (h,), (dh,) = primals, tangents
    return segment(h), angle(h) * dh


def arcsine_gap(q1: Array, q2: Array, g: Array) -> tuple[Array, Array]:
    r"""Return :math:`\theta_{12} - \theta_1` and :math:`\theta_{12} - \theta_2`, the angles of the arc-sine kernel.

    .. math:: \cos\theta_{12} = \frac{q_{12}}{\sqrt{R_1R_2}},\qquad \cos\theta_i = \frac{q_i}{R_i},\qquad R_i = 1+q_i
    """
    r1, r2 = 1 + q1, 1 + q2
    root = jnp.sqrt(r1 * r2)
    shift = (q1 - q2) / (jnp.sqrt(r1) + jnp.sqrt(r2))
    apart = g - shift**2 / 2
    h = (apart + 1) / root
    first = _angle_difference(h, 1 / r1, apart / root + shift / (r1 * jnp.sqrt(r2)))
    second = _angle_difference(h, 1 / r2, apart / root - shift / (r2 * jnp.sqrt(r1)))
    return first, second


def _angle_difference(h1: Array, h2: Array, difference: Array) -> Array:
    # angle(h1) - angle(h2) for 0 < h2 <= 1, with h1 - h2 given.
    x, y = h1 / 2, h2 / 2
    return 2 * jnp.arcsin(difference / 2 / (safe_sqrt(x * (1 - y)) + safe_sqrt(y * (1 - x))))


def excess_of_sine(x: Array) -> Array:
    r"""Return :math:`x - \sin x`, below one half by its series (truncation below 1e-17 relative)."""
    y = jnp.minimum(x**2, 0.25)
    series = jnp.ones_like(y)
    for k in (12, 10, 8, 6, 4):
        series = 1 - series * y / (k * (k + 1))
    return jnp.where(x**2 < 0.25, x * y / 6 * series, x - jnp.sin(x))
