r"""The exponents of an abc parameterization, and the number r that decides its regime.

.. math:: W_l = n^{-a_l} w_l,\qquad w_l \sim N(0, \sigma^2 n^{-2b_l}),\qquad \eta_l = \eta\,n^{-c_l}

(Yang & Hu 2021, arXiv 2011.14522, section 3). Changing :math:`a_l \to a_l+\theta,\ b_l \to b_l-\theta,\ c_l \to
c_l-2\theta` in any one layer gives the same training of the same function, so every choice with learning rates per
layer has a twin with :math:`c_l = 0`; all statements are made for that one.
"""

import math
import numbers
from typing import Any, NamedTuple

TOLERANCE = 1e-9
"""Exponents closer than this count as equal, so that 0.1 + 0.2 is 0.3."""


class Exponents(NamedTuple):
    """Exponents of (input, hidden, output) layers, or of every layer from the first to the last."""

    a: tuple[float, ...]
    b: tuple[float, ...]
    c: tuple[float, ...]

    def layers(self, depth: int) -> "Exponents":
        """Return the exponents layer by layer for ``depth`` hidden layers; these stand in for (in, hidden, out)."""
        return Exponents(*((e[0], *(e[1],) * (depth - 1), e[2]) for e in self))

    def without_rates(self) -> "Exponents":
        r"""Return the equivalent exponents with :math:`c = 0`, by :math:`\theta_l = c_l/2` in each layer."""
        a = tuple(a + c / 2 for a, c in zip(self.a, self.c, strict=True))
        b = tuple(b - c / 2 for b, c in zip(self.b, self.c, strict=True))
        return Exponents(a, b, (0.0,) * len(a))


def feature_exponent(layers: Exponents) -> float:
    r"""Return r: the features move by :math:`\Theta(n^{-r})` in one step of gradient descent.

    .. math:: r = \min(a_{L+1}+b_{L+1},\ 2a_{L+1}+c) + c - 1 + \min_{l \le L}(2a_l + [l = 1])

    Parameters
    ----------
    layers
        Exponents of each layer, the readout last; at least two.
    """
    a, b, _ = layers.without_rates()
    slowest = min(2 * value + (i == 0) for i, value in enumerate(a[:-1]))
    return min(a[-1] + b[-1], 2 * a[-1]) - 1 + slowest


def triple(value: Any, name: str) -> tuple[float, float, float]:
    """Return one number, or one per role, as three numbers; refuse anything else."""
    values = (
        (value,) * 3 if isinstance(value, numbers.Real) else tuple(value) if isinstance(value, tuple | list) else ()
    )
    if len(values) != 3 or not all(is_exponent(v) for v in values):
        raise ValueError(f"{name} is {value!r}; expected one finite number, or three for (input, hidden, output).")
    return (float(values[0]), float(values[1]), float(values[2]))


def is_exponent(value: Any) -> bool:
    """Whether a value is a finite real number (and not a truth value)."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def limit_of_power(exponent: float) -> float:
    r"""Return :math:`\lim_{n\to\infty} n^{-e}`: 0, 1 or infinity."""
    return 1.0 if abs(exponent) < TOLERANCE else 0.0 if exponent > 0 else math.inf
