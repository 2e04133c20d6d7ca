"""What a layer without parameters does in the methods of the contract that have nothing to do."""

import dataclasses
from typing import TypeVar

from .._typing import Key, Params, PyTree, Shape
from ._base import AbstractLayer
from ._signal import Signal
from ._space import Space

L = TypeVar("L", bound=AbstractLayer)


def no_params(self: AbstractLayer, key: Key, shape: Shape) -> Params:
    """Return no parameters, refusing shapes that do not fit."""
    del key
    self.out_shape(shape)
    return {}


def no_rates(self: AbstractLayer, params: Params) -> PyTree:  # noqa: ARG001
    """Return nothing: there are no parameters."""
    return {}


def same_width(self: L, width: int, factor: float, readout: bool) -> tuple[L, float]:  # noqa: ARG001
    """Return the layer itself."""
    return self, factor


def same_shape(self: AbstractLayer, shape: Shape) -> Shape:  # noqa: ARG001
    """Return ``shape``."""
    return shape


def same_space(self: AbstractLayer, space: Space) -> Space:  # noqa: ARG001
    """Return ``space``: each pair of positions depends on itself alone."""
    return space


def full_space(self: AbstractLayer, space: Space) -> Space:  # noqa: ARG001
    """Return the full space: positions are mixed."""
    return Space.FULL


def same_signal(self: AbstractLayer, signal: Signal) -> Signal:
    """Return ``signal``: a linear map leaves it as Gaussian as it was."""
    if signal.tokens:
        raise ValueError(f"{type(self).__name__} got token numbers; expected features. Put an Embedding before it.")
    return dataclasses.replace(signal, given=False)
