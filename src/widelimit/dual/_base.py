"""The contract of a dual: what a Gaussian limit needs to know of an activation."""

import abc
from typing import ClassVar

import equinox as eqx

from .._typing import Array


class AbstractDual(eqx.Module):
    r"""An activation :math:`\varphi` and its Gaussian expectations, in gap form.

    For jointly Gaussian :math:`(u, v)` of mean zero with variances :math:`q_1, q_2` and covariance :math:`q_{12}`,
    write the *gap* :math:`g = \tfrac12 E(u-v)^2 = \tfrac12(q_1 + q_2) - q_{12}`. Carrying :math:`g` in place of
    :math:`q_{12}` keeps all digits where two inputs are close (DESIGN.md, "Single precision done right").

    A dual provides

    ========================  ===============================================================
    ``value(u)``              :math:`\varphi(u)`
    ``mean(q)``               :math:`E\,\varphi(u)`
    ``moment(q)``             :math:`E\,\varphi(u)^2`
    ``gap(q1, q2, g)``        :math:`\tfrac12 E(\varphi(u)-\varphi(v))^2`
    ``slope(q1, q2, g)``      :math:`E\,\varphi'(u)\varphi'(v) = \partial\,\mathrm{gap}/\partial g` (Price)
    ========================  ===============================================================

    All are element-wise on arrays that broadcast, finite with finite derivatives at :math:`g = 0` and at
    :math:`q = 0`. The covariance follows: :math:`E\,\varphi(u)\varphi(v) = \tfrac12(\mathrm{moment}(q_1) +
    \mathrm{moment}(q_2)) - \mathrm{gap}`, see `covariance`.
    """

    linear: ClassVar[bool] = False
    """Whether the activation is linear, so that it leaves a Gaussian signal Gaussian."""

    @property
    def has_mean(self) -> bool:
        """Whether `mean` is known; without it, no layer that needs the mean may follow."""
        return True

    @abc.abstractmethod
    def value(self, u: Array) -> Array:
        """Return the activation itself."""

    @abc.abstractmethod
    def mean(self, q: Array) -> Array:
        """Return the mean of the activation under variance ``q``."""

    @abc.abstractmethod
    def moment(self, q: Array) -> Array:
        """Return the second moment of the activation under variance ``q``."""

    @abc.abstractmethod
    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""

    @abc.abstractmethod
    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""


def covariance(dual: AbstractDual, q11: Array, q12: Array, q22: Array) -> Array:
    r"""Return :math:`E\,\varphi(u)\varphi(v)` from the covariance :math:`q_{12}` itself.

    Parameters
    ----------
    dual
        The activation.
    q11, q12, q22
        Variances and covariance of the Gaussian pair; arrays that broadcast.
    """
    g = (q11 + q22) / 2 - q12
    return (dual.moment(q11) + dual.moment(q22)) / 2 - dual.gap(q11, q22, g)
