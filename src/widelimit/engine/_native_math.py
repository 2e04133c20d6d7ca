r"""Elementary functions for compiled loops: branch-free, in the precision of their argument, so that they vectorise.

Constants take the type of the argument (``type(x)(0.5)``), because a Python number would turn float32 into float64.
Polynomials are Chebyshev interpolants made at import: degree 7 to 9 in float32 (error below 2e-8), 18 in float64
(3e-15).
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload
from numpy.polynomial import Chebyshev, Polynomial, polynomial

FLAGS = frozenset({"contract", "nsz"})
"""Multiply-adds may be fused, and zeros have no sign; NaN and infinity keep their meaning."""

scalar = njit(forceinline=True, fastmath=set(FLAGS), error_model="numpy")
"""Compile a function of numbers as a part of the loop that calls it."""

PART: Any = {"forceinline": True, "fastmath": set(FLAGS), "error_model": "numpy"}
"""The same for functions that are chosen by type."""

loop = njit(nogil=True, fastmath=set(FLAGS), error_model="numpy")
"""Compile a loop. Division by zero gives infinity: a check in the loop would keep it from running in lanes."""


def _fitted(fn: Callable, degree: int) -> tuple[float, ...]:
    # Interpolant of fn on [0, 1], lowest power first.
    return tuple(Chebyshev.interpolate(fn, degree, domain=[0, 1]).convert(kind=Polynomial).coef.tolist())


def _angle_series(terms: int = 90) -> tuple[np.ndarray, np.ndarray]:
    # theta(h) = sqrt(h) sum_k a_k h^k and its integral h^(3/2) sum_k a_k / (k + 3/2) h^k, for h = 1 - cos(theta).
    angle, central = [], 1.0
    for k in range(terms):
        angle.append(2 * central / (2 * k + 1) * 0.5 ** (k + 0.5))
        central *= (2 * k + 1) / (2 * k + 2)
    coefficients = np.array(angle)
    return coefficients, coefficients / (np.arange(terms) + 1.5)


def _arctangent(y: np.ndarray) -> np.ndarray:
    root = np.sqrt(np.maximum(y, 1e-300))
    return np.arctan(root) / root


def _excess(y: np.ndarray) -> np.ndarray:
    # (arctan(t) - t / (1 + t^2)) / t^3 for y = t^2: its series near zero.
    k = np.arange(1, 24)
    small = polynomial.polyval(np.minimum(y, 0.1), (-1.0) ** (k + 1) * 2 * k / (2 * k + 1))
    y = np.maximum(y, 0.1)
    return np.where(y > 0.1, (_arctangent(y) - 1 / (1 + y)) / y, small)


def _single(coefficients: tuple[float, ...]) -> tuple:
    return tuple(np.float32(c) for c in coefficients)


_ANGLE, _SEGMENT = (lambda h, c=c: polynomial.polyval(h, c) for c in _angle_series())
ANGLE_SINGLE, SEGMENT_SINGLE = _single(_fitted(_ANGLE, 7)), _single(_fitted(_SEGMENT, 7))
ANGLE_DOUBLE, SEGMENT_DOUBLE = _fitted(_ANGLE, 18), _fitted(_SEGMENT, 18)
ARCTANGENT_SINGLE, ARCTANGENT_DOUBLE = _single(_fitted(_arctangent, 9)), _fitted(_arctangent, 18)
EXCESS_SINGLE, EXCESS_DOUBLE = _single(_fitted(_excess, 9)), _fitted(_excess, 18)


@scalar
def _poly7(c, x):
    a = c[4] + x * (c[5] + x * (c[6] + x * c[7]))
    return c[0] + x * (c[1] + x * (c[2] + x * (c[3] + x * a)))


@scalar
def _poly9(c, x):
    a = c[5] + x * (c[6] + x * (c[7] + x * (c[8] + x * c[9])))
    return c[0] + x * (c[1] + x * (c[2] + x * (c[3] + x * (c[4] + x * a))))


@scalar
def _poly18(c, x):
    a = c[14] + x * (c[15] + x * (c[16] + x * (c[17] + x * c[18])))
    a = c[9] + x * (c[10] + x * (c[11] + x * (c[12] + x * (c[13] + x * a))))
    a = c[4] + x * (c[5] + x * (c[6] + x * (c[7] + x * (c[8] + x * a))))
    return c[0] + x * (c[1] + x * (c[2] + x * (c[3] + x * a)))


def _polynomials(m) -> Any:
    """Return theta / sqrt(m) and segment / m^(3/2) for 0 <= m <= 1."""
    raise NotImplementedError


@overload(_polynomials, jit_options=PART)
def _(m):
    if m == types.float32:
        return lambda m: (_poly7(ANGLE_SINGLE, m), _poly7(SEGMENT_SINGLE, m))
    return lambda m: (_poly18(ANGLE_DOUBLE, m), _poly18(SEGMENT_DOUBLE, m))


def _arctangent_polynomial(y) -> Any:
    """Return arctan(t) / t for y = t^2 <= 1."""
    raise NotImplementedError


@overload(_arctangent_polynomial, jit_options=PART)
def _(y):
    if y == types.float32:
        return lambda y: _poly9(ARCTANGENT_SINGLE, y)
    return lambda y: _poly18(ARCTANGENT_DOUBLE, y)


def _excess_polynomial(y) -> Any:
    """Return (arctan(t) - t / (1 + t^2)) / t^3 for y = t^2 <= 1."""
    raise NotImplementedError


@overload(_excess_polynomial, jit_options=PART)
def _(y):
    if y == types.float32:
        return lambda y: _poly9(EXCESS_SINGLE, y)
    return lambda y: _poly18(EXCESS_DOUBLE, y)


@scalar
def excess_of_sine(t):
    r"""Return :math:`\delta - \sin\delta` for :math:`t = \tan(\delta/2)`, to rounding also where it is small."""
    R = type(t)
    y = t * t
    small = t * y * _excess_polynomial(min(y, R(1)))
    large = arctan2(t, R(1)) - t / (R(1) + y)
    return R(2) * (small if y <= R(1) else large)


@scalar
def angle_and_segment(h):
    r"""Return :math:`\theta` and :math:`\sin\theta - \theta\cos\theta` for :math:`h = 1 - \cos\theta` in [0, 2].

    Both are right to rounding also where h is small: they are :math:`\sqrt h` and :math:`h^{3/2}` times a polynomial,
    and beyond a right angle those of :math:`\pi - \theta`.
    """
    R = type(h)
    far = h > R(1)
    m = R(2) - h if far else h
    q, r = _polynomials(m)
    root = math.sqrt(m)
    theta = root * q
    segment = m * root * r
    pi = R(math.pi)
    if far:
        theta = pi - theta
        segment = segment + pi * (R(1) - m)
    return theta, segment


@scalar
def arctan2(y, x):
    r"""Return the angle of the point (x, y), which must not be the origin."""
    R = type(y)
    a, b = abs(y), abs(x)
    steep = a > b
    low = b if steep else a
    high = a if steep else b
    t = low / high
    angle = t * _arctangent_polynomial(t * t)
    if steep:
        angle = R(math.pi / 2) - angle
    if x < R(0):
        angle = R(math.pi) - angle
    return -angle if y < R(0) else angle
