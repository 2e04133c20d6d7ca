r"""Polynomials of the angle of two signals, :math:`\theta/\sqrt h` for :math:`h = 1 - \cos\theta`, and its integral.

On :math:`h \in [0, 1]` both have convergent series, :math:`\theta = \sqrt h\sum_k a_k h^k` and
:math:`\sin\theta - \theta\cos\theta = \int_0^h\theta\,dh = h^{3/2}\sum_k \frac{a_k}{k+3/2}h^k`, which polynomials
interpolate to the last digits. They run in SIMD lanes, where an arc sine is a call for each number.
"""

import jax.numpy as jnp
import numpy as np
from numpy.polynomial import Chebyshev, Polynomial, polynomial

from .._typing import Array


def _series(terms: int = 90) -> tuple[np.ndarray, np.ndarray]:
    angle, central = [], 1.0
    for k in range(terms):
        angle.append(2 * central / (2 * k + 1) * 0.5 ** (k + 0.5))
        central *= (2 * k + 1) / (2 * k + 2)
    found = np.array(angle)
    return found, found / (np.arange(terms) + 1.5)


def _fitted(series: np.ndarray, degree: int) -> tuple[float, ...]:
    # Interpolant on [0, 1], highest power first.
    found = Chebyshev.interpolate(lambda h: polynomial.polyval(h, series), degree, domain=[0, 1])
    return tuple(found.convert(kind=Polynomial).coef[::-1].tolist())


_ANGLE, _SEGMENT = ({4: _fitted(s, 7), 8: _fitted(s, 18)} for s in _series())


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
