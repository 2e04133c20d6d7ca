"""Element-wise activations as layers."""

from __future__ import annotations

import dataclasses

from .. import dual
from .._typing import Params, Scalar
from . import _plainly
from ._base import AbstractLayer
from ._pair import Pair
from ._sample import Sample
from ._signal import Gaussianity, Signal


class Activation(AbstractLayer):
    r"""Element-wise activation :math:`\varphi`, through its Gaussian dual.

    .. math:: K' = E\,\varphi(u)\varphi(v),\qquad \Theta' = E\,\varphi'(u)\varphi'(v)\;\Theta

    Parameters
    ----------
    dual
        The activation and its Gaussian expectations.
    """

    dual: dual.AbstractDual

    init = _plainly.no_params
    learning_rates = _plainly.no_rates
    resized = _plainly.same_width
    out_shape = _plainly.same_shape
    spatial_needed = _plainly.same_space

    def forward(self, params: Params, x: Sample) -> Sample:  # noqa: ARG002
        """Return the output for one example."""
        return x.with_values(self.dual.value(x.values))

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        if self.dual.linear:
            return pair
        return dataclasses.replace(
            pair,
            xx=self.dual.moment(pair.xx),
            yy=self.dual.moment(pair.yy),
            ntk=self.dual.slope(pair.first(pair.xx), pair.yy, pair.gap) * pair.ntk,
            mean_x=self.dual.mean(pair.xx),
            mean_y=self.dual.mean(pair.yy),
            **pair.map_gaps(self.dual.gap),
        )

    def transmit(self, signal: Signal) -> Signal:
        """Return a signal that is no longer Gaussian; refuse one that is not Gaussian already."""
        signal = _plainly.same_signal(self, signal)
        if self.dual.linear:
            return signal
        if signal.gaussianity is Gaussianity.NOT_GAUSSIAN:
            raise ValueError(
                f"{self.dual!r} is applied to a signal that is not Gaussian in the limit (data, or the output of "
                "an activation), so the kernel has no closed form. Put a Dense layer before it."
            )
        return dataclasses.replace(signal, gaussianity=Gaussianity.NOT_GAUSSIAN, mean_known=self.dual.has_mean)


def Relu() -> Activation:
    r"""Return the layer :math:`\max(u, 0)`."""
    return Activation(dual.PiecewiseLinear(0.0, 1.0))


def LeakyRelu(slope: Scalar = 0.01) -> Activation:
    r"""Return the layer :math:`\max(u, 0) + \mathrm{slope}\cdot\min(u, 0)`."""
    return Activation(dual.PiecewiseLinear(slope, 1.0))


def Abs() -> Activation:
    r"""Return the layer :math:`|u|`."""
    return Activation(dual.PiecewiseLinear(-1.0, 1.0))


def ABRelu(a: Scalar, b: Scalar) -> Activation:
    r"""Return the layer :math:`a\min(u, 0) + b\max(u, 0)`."""
    return Activation(dual.PiecewiseLinear(a, b))


def Erf(a: Scalar = 1.0, b: Scalar = 1.0, c: Scalar = 0.0) -> Activation:
    r"""Return the layer :math:`a\,\mathrm{erf}(bu) + c`."""
    return Activation(dual.Erf(a, b, c))


def Sin(a: Scalar = 1.0, b: Scalar = 1.0, c: Scalar = 0.0) -> Activation:
    r"""Return the layer :math:`a\sin(bu + c)`."""
    return Activation(dual.Sin(a, b, c))


def Cos(a: Scalar = 1.0, b: Scalar = 1.0, c: Scalar = 0.0) -> Activation:
    r"""Return the layer :math:`a\cos(bu + c)`."""
    return Activation(dual.Cos(a, b, c))


def Gaussian(a: Scalar = 1.0, b: Scalar = -1.0) -> Activation:
    r"""Return the layer :math:`a\,e^{bu^2}`."""
    return Activation(dual.Gaussian(a, b))


def Identity() -> Activation:
    """Return the layer that changes nothing, as between the layers of a deep linear network."""
    return Activation(dual.Identity())
