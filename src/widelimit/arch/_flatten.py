"""Flatten space into channels."""

from __future__ import annotations

import math

import jax.numpy as jnp

from .._typing import Array, Key, Params, PyTree, Shape
from ._base import AbstractLayer
from ._pair import Gaussianity, Pair, Signal


class Flatten(AbstractLayer):
    r"""Put all positions of space beside each other as channels: (\*space, channels) to (space·channels,).

    The second moments per channel become their mean over positions, :math:`K' = \frac1{|S|}\sum_p K(p, p)`.
    """

    def out_shape(self, shape: Shape) -> Shape:
        """Return one axis with all entries."""
        return (math.prod(shape),)

    def init(self, key: Key, shape: Shape) -> Params:  # noqa: ARG002
        """Return no parameters."""
        return {}

    def forward(self, params: Params, x: Array) -> Array:  # noqa: ARG002
        """Return the output for one example."""
        return jnp.ravel(x)

    def learning_rates(self, params: Params) -> PyTree:  # noqa: ARG002
        """Return nothing: there are no parameters."""
        return {}

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        return Pair(
            jnp.mean(pair.xx),
            jnp.mean(pair.yy),
            jnp.mean(pair.gap),
            jnp.mean(pair.ntk),
            channels=pair.channels * pair.gap.size,
        )

    def transmit(self, signal: Signal) -> Signal:
        """Return a signal whose channels differ in variance, hence not Gaussian as a process over channels."""
        return Signal(Gaussianity.NOT_GAUSSIAN, signal.fresh)

    def resized(self, width: int, factor: float, readout: bool) -> tuple[Flatten, float]:  # noqa: ARG002
        """Return the layer itself."""
        return self, factor
