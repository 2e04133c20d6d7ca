r"""Polynomials of the angle between two signals, the highest power first: :math:`\theta/2\pi` and its integral.

With :math:`h = 1 - \cos\theta \in [0, 1]`, they are :math:`\theta = 2\pi\sqrt h\,P(h)` and
:math:`\sin\theta - \theta\cos\theta = 2\pi\,h^{3/2}\,Q(h)`. In single precision they are right to 1e-7, in double
precision to 2e-15.
"""

import math

import numpy as np

from ._native_math import _ANGLE, _SEGMENT, _fitted


def _coefficients(fn, degree: int) -> tuple[float, ...]:
    return tuple(float(c) / (2 * math.pi) for c in np.array(_fitted(fn, degree))[::-1])


ARC_SINGLE, SEGMENT_SINGLE = _coefficients(_ANGLE, 6), _coefficients(_SEGMENT, 5)
ARC_DOUBLE, SEGMENT_DOUBLE = _coefficients(_ANGLE, 18), _coefficients(_SEGMENT, 18)
