r"""Series of the angle between two signals in :math:`h = 1 - \cos\theta \in [0, 1]`, and polynomials for them.

.. math:: \theta = \sqrt h\sum_k a_k h^k, \qquad
    \sin\theta - \theta\cos\theta = \int_0^h\theta\,dh = h^{3/2}\sum_k\frac{a_k}{k + 3/2}h^k
"""

import functools
from collections.abc import Callable

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial, polynomial


def interpolant(fn: Callable[[np.ndarray], np.ndarray], degree: int) -> tuple[float, ...]:
    """Return the Chebyshev interpolant of a function on [0, 1]: coefficients, the lowest power first."""
    return tuple(Chebyshev.interpolate(fn, degree, domain=[0, 1]).convert(kind=Polynomial).coef.tolist())


def angle_over_root(h: np.ndarray) -> np.ndarray:
    r"""Return :math:`\theta/\sqrt h`."""
    return polynomial.polyval(h, _series())


def segment_over_root(h: np.ndarray) -> np.ndarray:
    r"""Return :math:`(\sin\theta - \theta\cos\theta)/h^{3/2}`."""
    series = _series()
    return polynomial.polyval(h, series / (np.arange(len(series)) + 1.5))


@functools.cache
def _series(terms: int = 90) -> np.ndarray:
    # a_k of theta = 2 asin(sqrt(h / 2))
    found, central = [], 1.0
    for k in range(terms):
        found.append(2 * central / (2 * k + 1) * 0.5 ** (k + 0.5))
        central *= (2 * k + 1) / (2 * k + 2)
    return np.array(found)
