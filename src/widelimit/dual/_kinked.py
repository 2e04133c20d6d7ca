r"""Piecewise linear activations with any number of kinks: hard-tanh, ReLU6 and their like."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Scalar, Tracer
from ._base import AbstractDual
from ._math import safe_sqrt
from ._orthant import crossing, half_erf, opposite


class Kinked(AbstractDual):
    r""":math:`\varphi` continuous and piecewise linear: slope :math:`m_0` up to kink :math:`a_1`, then :math:`m_1`, ...

    With :math:`w_i = m_i - m_{i-1}` and :math:`c = \tfrac12(m_0 + m_J)` it is :math:`\varphi(u) = \mathrm{const} + c\,u
    + \tfrac12\sum_i w_i|u-a_i|`. For two kinks :math:`a \le b` let :math:`\pi_i = P_i(a < u < b)` under variance
    :math:`q_i`, :math:`\sigma_i(a) = E_i\,\mathrm{sign}(u-a)`, :math:`\Delta = q_1-q_2`, and let :math:`C_{ab}` be the
    moment of pairs that lie on both sides, :math:`E(a-u)_+(v-b)_+ + E(a-v)_+(u-b)_+`. Then, without cancellation,

    .. math::
        \mathrm{gap} &= c^2g + \tfrac c2\sum_i w_i\Big[g(\sigma_1+\sigma_2)(a_i) + \tfrac\Delta2(\sigma_1-\sigma_2)(a_i)\Big]
            + \tfrac14\sum_{ij} w_iw_j H_{a_ia_j} \\
        H_{ab} &= g\,(1 - \pi_1 - \pi_2) - \tfrac\Delta2(\pi_1-\pi_2) - 2C_{ab}

    in closed form by Owen's function. It is right to rounding at close, zero and opposite inputs.

    Parameters
    ----------
    kinks
        :math:`a_1 < a_2 < \dots`
    slopes
        :math:`m_0, m_1, \dots`, one more than kinks.
    at_zero
        :math:`\varphi(0)`.
    """  # noqa: E501

    kinks: tuple[Scalar, ...]
    slopes: tuple[Scalar, ...]
    at_zero: Scalar = 0.0

    def __check_init__(self) -> None:
        """Check that slopes and kinks fit together."""
        if not (isinstance(self.kinks, tuple) and isinstance(self.slopes, tuple)) or len(self.kinks) < 1:
            raise ValueError("kinks and slopes must be tuples of numbers, with one kink or more.")
        if len(self.slopes) != len(self.kinks) + 1:
            raise ValueError(f"there are {len(self.slopes)} slopes for {len(self.kinks)} kinks; expected one more.")
        known = [k for k in self.kinks if isinstance(k, int | float) and not isinstance(k, Tracer)]
        if any(low >= high for low, high in itertools.pairwise(known)):
            raise ValueError(f"kinks is {self.kinks}; expected increasing numbers.")

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        return self.at_zero + self._from_zero(u)

    def mean(self, q: Array) -> Array:
        """Return the mean of the activation under variance ``q``."""
        s = safe_sqrt(q)
        total = jnp.zeros_like(q) + self.at_zero
        for a, w in self._bends():
            x = _ratio(a, q)
            # E |u - a| - |a|
            spread = s * math.sqrt(2 / math.pi) * jnp.exp(-(x**2) / 2)
            total = total + w / 2 * (spread + 2 * a * half_erf(x) - abs(jnp.asarray(a, q.dtype)))
        return total

    def moment(self, q: Array) -> Array:
        """Return the second moment of the activation under variance ``q``."""
        zero = jnp.zeros_like(q)
        return 2 * self.gap(q, zero, q / 2) + self.at_zero * (2 * self.mean(q) - self.at_zero)

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        middle, half = self._middle(), (q1 - q2) / 2
        total = middle**2 * g + 0 * half
        for a, w in self._bends():
            sign1, sign2 = (-2 * half_erf(_ratio(a, q)) for q in (q1, q2))
            total = total + middle * w / 2 * (g * (sign1 + sign2) + half * (sign1 - sign2))

        def pair(total: Array, row: Array) -> tuple[Array, None]:
            a, b, weight = row
            p1, p2 = (half_erf(_ratio(b, q)) - half_erf(_ratio(a, q)) for q in (q1, q2))
            across = crossing(q1, q2, g, a, b) + crossing(q2, q1, g, a, b)
            return total + weight * (g * (1 - p1 - p2) - half * (p1 - p2) - 2 * across), None

        return jax.lax.scan(pair, total, self._pairs(total.dtype))[0]

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        middle = self._middle()
        total = middle**2 + jnp.zeros_like(q1 + q2 + g)
        for a, w in self._bends():
            total = total - middle * w * (half_erf(_ratio(a, q1)) + half_erf(_ratio(a, q2)))

        def pair(total: Array, row: Array) -> tuple[Array, None]:
            a, b, weight = row
            inside = sum(half_erf(_ratio(b, q)) - half_erf(_ratio(a, q)) for q in (q1, q2))
            across = opposite(q1, q2, g, a, b) + opposite(q2, q1, g, a, b)
            return total + weight * (1 - inside - 2 * across), None

        return jax.lax.scan(pair, total, self._pairs(total.dtype))[0]

    def _pairs(self, dtype: np.dtype) -> Array:
        # The rows (a, b, w_a w_b / 4), twice that for two different kinks; summed one by one, compiled once.
        rows = []
        for i, (a, w) in enumerate(self._bends()):
            rows += [(a, b, w * v / (4 if j == 0 else 2)) for j, (b, v) in enumerate(self._bends()[i:])]
        return jnp.stack([jnp.stack([jnp.asarray(x, dtype) for x in row]) for row in rows])

    def _bends(self) -> list[tuple[Scalar, Scalar]]:
        steps = itertools.pairwise(self.slopes)
        return [(a, after - before) for a, (before, after) in zip(self.kinks, steps, strict=True)]

    def _middle(self) -> Scalar:
        return (self.slopes[0] + self.slopes[-1]) / 2

    def _from_zero(self, u: Array) -> Array:
        return self._middle() * u + sum(w / 2 * (abs(u - a) - abs(jnp.asarray(a))) for a, w in self._bends())


def _ratio(kink: Scalar, q: Array) -> Array:
    # kink / sqrt(q), far out where q is zero
    return jnp.clip(jnp.asarray(kink, q.dtype) / jnp.maximum(safe_sqrt(q), 1e-18), -40, 40)
