"""Flatten space into channels."""

from __future__ import annotations

import dataclasses
import math

import jax.numpy as jnp

from .._typing import Params, Shape
from . import _plainly
from ._base import AbstractLayer
from ._pair import Pair
from ._sample import Sample, any_present
from ._signal import Gaussianity, Signal
from ._space import Space


class Flatten(AbstractLayer):
    r"""Put all positions of space beside each other as channels: (\*space, channels) to (space·channels,).

    The second moments per channel become their mean over positions, :math:`K' = \frac1{|S|}\sum_p K(p, p)`.
    """

    init = _plainly.no_params
    learning_rates = _plainly.no_rates
    resized = _plainly.same_width

    def out_shape(self, shape: Shape) -> Shape:
        """Return one axis with all entries."""
        return (math.prod(shape),)

    def forward(self, params: Params, x: Sample) -> Sample:  # noqa: ARG002
        """Return the output for one example."""
        return Sample(jnp.ravel(x.values), any_present(x.mask), key=x.key)

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        pair = pair.diagonal()
        mean = lambda a: None if a is None else jnp.mean(a)  # noqa: E731
        return Pair(
            xx=jnp.mean(pair.xx),
            yy=jnp.mean(pair.yy),
            gap=jnp.mean(pair.gap),
            ntk=jnp.mean(pair.ntk),
            channels=pair.channels * pair.xx.size,
            mean_x=mean(pair.mean_x),
            mean_y=mean(pair.mean_y),
            mask_x=any_present(pair.mask_x),
            mask_y=any_present(pair.mask_y),
            same=pair.same,
        )

    def transmit(self, signal: Signal) -> Signal:
        """Return a signal whose channels differ in variance, hence not Gaussian as a process over channels."""
        return dataclasses.replace(signal, gaussianity=Gaussianity.NOT_GAUSSIAN, alike=False, given=False)

    def spatial_needed(self, space: Space) -> Space:  # noqa: ARG002
        """Return the diagonal."""
        return Space.DIAGONAL
