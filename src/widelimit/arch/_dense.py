"""Fully connected layer."""

from __future__ import annotations

import equinox as eqx

from .. import _check
from .._typing import Key, Params, PyTree, Scalar, Shape
from . import _plainly, _weights
from ._base import AbstractLayer
from ._pair import Pair
from ._parameterization import AbstractParameterization, NTKParameterization
from ._sample import Sample
from ._signal import Signal, fresh


class Dense(AbstractLayer):
    r"""Fully connected layer on the channels, at every position of space alike.

    In the NTK parameterization, with :math:`W_{ij}, b_i \sim N(0, 1)` and fan-in :math:`n`,

    .. math:: z = \frac{\sigma_W}{\sqrt n} W u + \sigma_b b,\qquad
              K' = \sigma_W^2 K + \sigma_b^2,\qquad \Theta' = K' + \sigma_W^2\,\Theta

    (Jacot et al. 2018, arXiv 1806.07572; Lee et al. 2019, arXiv 1902.06720, eqs. S4 and S9). Other
    parameterizations put the width elsewhere: see `AbstractParameterization`.

    Parameters
    ----------
    width
        Number of output channels.
    weight_std, bias_std
        :math:`\sigma_W` and :math:`\sigma_b`; ``bias_std=None`` for no bias. Leaves of the pytree: kernels and
        predictions are differentiable in them.
    parameterization
        Where the width goes.

    Raises
    ------
    ValueError
        If ``width`` is not a positive integer, or a scale is negative or not finite.
    """

    width: int = eqx.field(static=True)
    weight_std: Scalar = 1.0
    bias_std: Scalar | None = None
    parameterization: AbstractParameterization = NTKParameterization()

    spatial_needed = _plainly.same_space

    def __check_init__(self) -> None:
        """Check the arguments."""
        _check.positive_int(self.width, "width")
        _check.scales(self.weight_std, self.bias_std)

    def out_shape(self, shape: Shape) -> Shape:
        r"""Return (\*space, width)."""
        if len(shape) == 0:
            raise ValueError("Dense got one number per example; expected inputs of shape (n, *space, channels).")
        return (*shape[:-1], self.width)

    def init(self, key: Key, shape: Shape) -> Params:
        """Return ``{"weight": (fan_in, width), "bias": (width,)}``, the bias only if there is one."""
        self.out_shape(shape)
        return _weights.draw(self, key, (shape[-1], self.width), (shape[-1], self.width), (self.width,))

    def forward(self, params: Params, x: Sample) -> Sample:
        """Return the output for one example."""
        z = x.values @ params["weight"]
        return x.with_values(_weights.scale(self, params, z, (x.values.shape[-1], self.width)))

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        return _weights.weigh(self, pair, pair.channels, self.width)

    def learning_rates(self, params: Params) -> PyTree:
        """Return the factors of the learning rate of weights and biases."""
        return _weights.rates(self, params, params["weight"].shape)

    def transmit(self, signal: Signal) -> Signal:
        """Return a fresh Gaussian signal, whatever comes in but tokens."""
        if signal.tokens:
            raise ValueError("Dense got token numbers; expected real features. Put an Embedding before it.")
        return fresh()

    def resized(self, width: int, factor: float, readout: bool) -> tuple[Dense, float]:
        """Return the layer at another width, and the factor by which its output grew."""
        new = self.width if readout else width
        parameterization = self.parameterization.rescaled(factor)
        return Dense(new, self.weight_std, self.bias_std, parameterization), new / self.width
