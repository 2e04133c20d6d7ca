r"""Polynomials of the angle of two signals, :math:`\theta/\sqrt h` for :math:`h = 1 - \cos\theta`, and its integral.

On :math:`h \in [0, 1]` both have convergent series (`_angle`), which polynomials interpolate to the last digits. They
run in SIMD lanes, where an arc sine is a call for each number.
"""

import jax.numpy as jnp

from .. import _angle
from .._typing import Array

_ANGLE, _SEGMENT = (
    {size: _angle.interpolant(fn, degree)[::-1] for size, degree in ((4, 7), (8, 18))}
    for fn in (_angle.angle_over_root, _angle.segment_over_root)
)
"""The highest power first, by the bytes of a number."""


def angle_over_root(h: Array) -> Array:
    r"""Return :math:`\theta/\sqrt h` for h from 0 to 1."""
    return _value(_ANGLE, h)


def segment_over_root(h: Array) -> Array:
    r"""Return :math:`(\sin\theta - \theta\cos\theta)/h^{3/2}` for h from 0 to 1."""
    return _value(_SEGMENT, h)


def _value(coefficients: dict[int, tuple[float, ...]], x: Array) -> Array:
    value = jnp.zeros_like(x)
    for coefficient in coefficients[max(4, x.dtype.itemsize)]:
        value = value * x + coefficient
    return value
