r"""Elementary functions for compiled loops, branch-free, of vectors of 16 lanes (`_simd`) or of numbers in a loop.

Of numbers constants take the type of the argument (``type(x)(0.5)``), because a Python number would turn float32 into
float64. Polynomials are Chebyshev interpolants made at import: degree 6 to 9 in float32 (error below 2e-8), 12 to 18
in float64 (3e-15).
"""

import math
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload
from numpy.polynomial import polynomial

from .._angle import angle_over_root, interpolant, segment_over_root
from ._simd import absolute, fitted, greater, inline, lesser, root, where_positive, with_sign

FLAGS = frozenset({"contract", "nsz"})
"""Multiply-adds may be fused, and zeros have no sign; NaN and infinity keep their meaning."""

scalar = njit(forceinline=True, fastmath=set(FLAGS), error_model="numpy")
"""Compile a function of numbers as a part of the loop that calls it."""

PART: Any = {"forceinline": True, "fastmath": set(FLAGS), "error_model": "numpy"}
"""The same for functions that are chosen by type."""

loop = njit(nogil=True, fastmath=set(FLAGS), error_model="numpy")
"""Compile a loop. Division by zero gives infinity: a check in the loop would keep it from running in lanes."""


def _arctangent(y: np.ndarray) -> np.ndarray:
    root = np.sqrt(np.maximum(y, 1e-300))
    return np.arctan(root) / root


def _excess(y: np.ndarray) -> np.ndarray:
    # (arctan(t) - t / (1 + t^2)) / t^3 for y = t^2: its series near zero.
    k = np.arange(1, 24)
    small = polynomial.polyval(np.minimum(y, 0.1), (-1.0) ** (k + 1) * 2 * k / (2 * k + 1))
    y = np.maximum(y, 0.1)
    return np.where(y > 0.1, (_arctangent(y) - 1 / (1 + y)) / y, small)


def _drop(y: np.ndarray) -> np.ndarray:
    # (1 - exp(-y)) / y
    return -np.expm1(-np.maximum(y, 1e-300)) / np.maximum(y, 1e-300)


def _single(coefficients: tuple[float, ...]) -> tuple:
    return tuple(np.float32(c) for c in coefficients)


ANGLE_SINGLE, SEGMENT_SINGLE = _single(interpolant(angle_over_root, 7)), _single(interpolant(segment_over_root, 7))
ANGLE_DOUBLE, SEGMENT_DOUBLE = interpolant(angle_over_root, 18), interpolant(segment_over_root, 18)

_arctangents = fitted(interpolant(_arctangent, 9), interpolant(_arctangent, 18))
_excesses = fitted(interpolant(_excess, 9), interpolant(_excess, 18))
_angles = fitted(interpolant(angle_over_root, 7), interpolant(angle_over_root, 18))
_drops = fitted(interpolant(_drop, 6), interpolant(_drop, 12))


@scalar
def _poly7(c, x):
    a = c[4] + x * (c[5] + x * (c[6] + x * c[7]))
    return c[0] + x * (c[1] + x * (c[2] + x * (c[3] + x * a)))


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


# --- of vectors


@inline
def angle(h: Any) -> Any:
    r"""Return :math:`\theta` for :math:`h = 1 - \cos\theta` in [0, 2], to rounding also where it is small."""
    m = lesser(h, 2.0 - h)
    theta = root(m) * _angles(m)
    return where_positive(h - 1.0, math.pi - theta, theta)


@inline
def arctan2(y: Any, x: Any) -> Any:
    """Return the angle of the point (x, y), which must not be the origin."""
    a, b = absolute(y), absolute(x)
    t = lesser(a, b) / greater(a, b)
    theta = t * _arctangents(t * t)
    theta = where_positive(a - b, math.pi / 2 - theta, theta)
    return with_sign(where_positive(0.0 - x, math.pi - theta, theta), y)


@inline
def excess_of_sine(t: Any) -> Any:
    r"""Return :math:`\delta - \sin\delta` for :math:`t = \tan(\delta/2)`, to rounding also where it is small."""
    y = t * t
    small = t * y * _excesses(lesser(y, 1.0))
    return where_positive(y - 1.0, arctan2(t, t * 0.0 + 1.0) - t / (y + 1.0), small) * 2.0


@inline
def fall(a: Any) -> Any:
    r"""Return :math:`e^{-a} - 1` for :math:`a \ge 0`, to rounding also where it is small.

    From a part of a, at most 40, on which it is a polynomial, by :math:`f(2y) = f(y)(2 + f(y))`: no error grows.
    """
    y = lesser(a, 40.0) * (1 / 64)
    f = 0.0 - y * _drops(y)
    for _ in range(6):
        f = f * (f + 2.0)
    return f
