"""What convolutions of all kinds share: their arguments, filter, widths and learning rates, as functions of a layer."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from .. import _check
from .._typing import Params, PyTree, Shape
from . import _plainly, _weights
from ._signal import Signal, fresh
from ._window import Window, window


def check(self: Any) -> None:
    """Check the arguments."""
    _check.positive_int(self.width, "width")
    _weights.check_groups(self.groups, self.width, "width")
    _check.scales(self.weight_std, self.bias_std)
    over(self)


def over(self: Any) -> Window:
    """Return the window of the filter."""
    return window(self.window, self.strides, self.padding, self.dilation)


def out_shape(self: Any, shape: Shape) -> Shape:
    r"""Return (\*places, width)."""
    places = over(self).out_shape(shape[:-1])
    _weights.check_groups(self.groups, shape[-1], "number of input channels")
    return (*places, self.width)


def fans(self: Any, channels: int) -> tuple[int, int]:
    """Return how many numbers an output sums up, and the number of outputs."""
    return math.prod(self.window) * channels // self.groups, self.width


def learning_rates(self: Any, params: Params) -> PyTree:
    """Return the factors of the learning rate of weights and biases."""
    return _weights.rates(self, params, fans(self, params["weight"].shape[-2] * self.groups))


def transmit(self: Any, signal: Signal) -> Signal:
    """Return a fresh Gaussian signal, whatever comes in but tokens."""
    _weights.check_alike(self.groups, _plainly.same_signal(self, signal))
    return fresh()


def resized(self: Any, width: int, factor: float, readout: bool) -> tuple[Any, float]:
    """Return the layer at another width, and the factor by which its output grew."""
    new = self.width if readout else width
    parameterization = self.parameterization.rescaled(factor)
    return dataclasses.replace(self, width=new, parameterization=parameterization), new / self.width
