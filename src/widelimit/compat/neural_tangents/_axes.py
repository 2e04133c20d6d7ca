"""Where neural-tangents' layers have their axes: examples and channels anywhere, space in the order of what is left."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from ..._typing import Array, Shape


class Axes(NamedTuple):
    """Axes of the examples and of the channels in an array of ``ndim`` axes.

    Behind a sum over the examples there are none: their axis is then ``ndim``, one that does not exist.
    """

    batch: int
    channel: int
    ndim: int

    def channels_last(self, a: Array) -> Array:
        """Return an array with the examples first and the channels last."""
        if self.batch == self.ndim:
            return jnp.moveaxis(a, self.channel, -1)[None]
        return jnp.moveaxis(a, (self.batch, self.channel), (0, -1))

    def restore(self, a: Array) -> Array:
        """Return an array (n, *space, channels) with its axes here."""
        if self.batch == self.ndim:
            return jnp.moveaxis(a[0], -1, self.channel)
        return jnp.moveaxis(a, (0, -1), (self.batch, self.channel))

    def canonical(self, shape: Shape) -> Shape:
        """Return the shape (n, *space, channels) of arrays of a shape here."""
        space = [s for i, s in enumerate(shape) if i not in (self.batch, self.channel)]
        return (shape[self.batch], *space, shape[self.channel])

    def shape(self, canonical: Shape) -> Shape:
        """Return the shape here of an array (n, *space, channels)."""
        found: list[Any] = [None] * self.ndim
        found[self.batch], found[self.channel] = canonical[0], canonical[-1]
        space = iter(canonical[1:-1])
        return tuple(next(space) if s is None else s for s in found)

    def spatial(self, axis: int) -> int:
        """Return which axis of space an axis here is."""
        return [i for i in range(self.ndim) if i not in (self.batch, self.channel)].index(axis)

    def flat(self) -> Axes:
        """Return the axes once space is gone."""
        return Axes(int(self.batch > self.channel), int(self.channel > self.batch), 2)


def axes(batch: int, channel: int, ndim: int) -> Axes:
    """Return axes with negative numbers counted from the end.

    Raises
    ------
    ValueError
        If an axis does not exist, or both are the same.
    """
    if not (-ndim <= batch < ndim and -ndim <= channel < ndim) or batch % ndim == channel % ndim:
        raise ValueError(
            f"batch_axis is {batch} and channel_axis {channel}; expected two axes of an array of {ndim} axes."
        )
    return Axes(batch % ndim, channel % ndim, ndim)
