r"""Polynomials of the angle between two signals, the highest power first: :math:`\theta/2\pi` and its integral.

With :math:`h = 1 - \cos\theta \in [0, 1]`, they are :math:`\theta = 2\pi\sqrt h\,P(h)` and
:math:`\sin\theta - \theta\cos\theta = 2\pi\,h^{3/2}\,Q(h)`. In single precision they are right to 1e-7, in double
precision to 2e-15.
"""

import math
from collections.abc import Callable

from .._angle import angle_over_root, interpolant, segment_over_root


def _coefficients(fn: Callable, degree: int) -> tuple[float, ...]:
    return tuple(c / (2 * math.pi) for c in interpolant(fn, degree)[::-1])


ARC_SINGLE, SEGMENT_SINGLE = _coefficients(angle_over_root, 6), _coefficients(segment_over_root, 5)
ARC_DOUBLE, SEGMENT_DOUBLE = _coefficients(angle_over_root, 18), _coefficients(segment_over_root, 18)
