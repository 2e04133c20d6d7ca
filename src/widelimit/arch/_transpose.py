"""Reorder the axes of space."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax.numpy as jnp

from .._typing import Array, Params, Shape
from . import _plainly
from ._base import AbstractLayer
from ._pair import Pair
from ._sample import Sample


class Transpose(AbstractLayer):
    r"""Put the axes of space into another order; channels stay last. A graph is dropped.

    Parameters
    ----------
    axes
        For each new axis of space, the old one, as in `numpy.transpose`.
    """

    axes: tuple[int, ...] = eqx.field(static=True, converter=tuple)

    init = _plainly.no_params
    learning_rates = _plainly.no_rates
    resized = _plainly.same_width
    transmit = _plainly.same_signal
    spatial_needed = _plainly.same_space

    def __check_init__(self) -> None:
        """Refuse what is no permutation."""
        if sorted(self.axes) != list(range(len(self.axes))):
            raise ValueError(f"axes is {self.axes}; expected each of 0 to {len(self.axes) - 1} once.")

    def out_shape(self, shape: Shape) -> Shape:
        r"""Return (\*space in the new order, channels)."""
        if len(shape) != len(self.axes) + 1:
            raise ValueError(f"axes is {self.axes}, but the input has {len(shape) - 1} axes of space.")
        return (*(shape[a] for a in self.axes), shape[-1])

    def forward(self, params: Params, x: Sample) -> Sample:  # noqa: ARG002
        """Return the output for one example."""
        values = jnp.transpose(x.values, (*self.axes, len(self.axes)))
        return Sample(values, self._moved(x.mask, 1), None, x.key)

    def propagate(self, pair: Pair) -> Pair:
        """Return the pair in the new order."""
        pairs = 1 if pair.gap_x is None else 2
        names = ("xx", "yy", "mean_x", "mean_y", "mask_x", "mask_y")
        changes = {name: self._moved(getattr(pair, name), 1) for name in names}
        changes |= {name: self._moved(getattr(pair, name), pairs) for name in ("gap", "ntk", "gap_x", "gap_y")}
        return dataclasses.replace(pair, graph_x=None, graph_y=None, **changes)

    def _moved(self, a: Array | None, blocks: int) -> Array | None:
        if a is None:
            return None
        depth = len(self.axes)
        return jnp.transpose(a, [axis + depth * b for b in range(blocks) for axis in self.axes])
