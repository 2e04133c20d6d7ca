"""A block repeated with new weights each time, as one compiled loop."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax

from .._typing import Key, Params, PyTree, Shape
from ._abc import ABC
from ._base import AbstractLayer
from ._pair import Pair
from ._parameterization import Role
from ._roles import parameterizations
from ._sample import Sample, is_sample
from ._signal import Signal
from ._space import Space
from ._step import step


class Repeat(AbstractLayer):
    """The same block several times in series, each time with new weights.

    The kernel and the network run as one `jax.lax.scan`: a network of a hundred layers compiles as fast as one of
    three. Parameters are those of the block with an axis of ``times`` in front.

    Parameters
    ----------
    body
        The block; it must give back the shape that it gets.
    times
        How often; zero leaves the signal as it is.
    """

    body: AbstractLayer
    times: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Check the arguments."""
        if not isinstance(self.body, AbstractLayer):
            raise ValueError(f"the block of repeat is {self.body!r}; expected a layer.")
        if isinstance(self.times, bool) or not isinstance(self.times, int) or self.times < 0:
            raise ValueError(f"times is {self.times!r}; expected an integer that is zero or more.")

    def out_shape(self, shape: Shape) -> Shape:
        """Return ``shape``, refusing a block that changes it."""
        out = self.body.out_shape(shape)
        if out != shape:
            raise ValueError(f"the block of repeat maps shape {shape} to {out}; expected the same shape on both sides.")
        return shape

    def init(self, key: Key, shape: Shape) -> Params:
        """Return the parameters of the blocks, stacked."""
        self.out_shape(shape)
        self._check_roles()
        return jax.vmap(lambda k: self.body.init(k, shape))(jax.random.split(key, self.times))

    def forward(self, params: Params, x: Sample) -> Sample:
        """Return the output for one example."""

        def block(x: Sample, p: Params) -> tuple[Sample, None]:
            return jax.tree.map(Sample.cleared, self.body.forward(p, x), is_leaf=is_sample), None

        return jax.lax.scan(block, x, params, length=self.times)[0]

    def learning_rates(self, params: Params) -> PyTree:
        """Return the factors, the same for every block."""
        if not self.times:
            return params
        return self.body.learning_rates(jax.tree.map(lambda a: a[0], params))

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the last block."""
        if not self.times:
            return pair
        self._check_roles()
        pair = step(self.body, pair)
        return jax.lax.scan(lambda p, _: (step(self.body, p), None), pair, length=self.times - 1)[0]

    def transmit(self, signal: Signal) -> Signal:
        """Return what is known of the signal behind the last block."""
        for _ in range(min(self.times, 2)):
            signal = self.body.transmit(signal)
        return signal

    def spatial_needed(self, space: Space) -> Space:
        """Return what the block needs, so that it can be repeated."""
        return self.body.spatial_needed(self.body.spatial_needed(space)) if self.times else space

    def resized(self, width: int, factor: float, readout: bool) -> Any:
        """Return the block at another width, and the factor by which the output grew."""
        body, grown = self.body.resized(width, factor, readout)
        if abs(grown - factor) > 1e-12 * factor and self.times:
            raise ValueError(
                "the block of repeat changes its width by another factor than the layer before it, so its copies "
                "would differ. Give the layer before repeat the width of the block's last layer."
            )
        return (self if body is self.body else Repeat(body, self.times)), factor

    def _check_roles(self) -> None:
        # Copies of an input layer or of a readout would be hidden layers.
        roles = {node.role for node in parameterizations(self.body) if isinstance(node, ABC)}
        if self.times > 1 and roles & {Role.INPUT, Role.OUTPUT, Role.ALONE}:
            raise ValueError(
                "a repeated block stands first or last among the layers with weights, where its copies would differ in "
                "this parameterization. Put a layer with weights before it and one behind it."
            )


def repeat(body: AbstractLayer, times: int) -> Repeat:
    """Return ``body`` repeated ``times`` times in series, each time with new weights, as one compiled loop.

    Parameters
    ----------
    body
        A layer or network that gives back the shape that it gets.
    times
        How often; zero for no layer at all.
    """
    return Repeat(body, times)
