"""Pooling: sums and averages over windows, or over all of space."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._typing import Array, Params, Shape
from . import _plainly
from ._base import AbstractLayer
from ._graph import kept
from ._linear import mix
from ._pair import Pair
from ._sample import Sample, any_present
from ._window import AbstractPadding, Valid, Window, sizes, window


def _over(self: Any) -> Window:
    """Return the window."""
    return window(self.window, self.window if self.strides is None else self.strides, self.padding)


def _check_window(self: Any) -> None:
    """Check the window."""
    self.over()


def _out_shape(self: Any, shape: Shape) -> Shape:
    r"""Return (\*places, channels)."""
    return (*self.over().out_shape(shape[:-1]), *shape[-1:])


class AvgPool(AbstractLayer):
    r"""Average over windows: :math:`u'_P = \frac1{|F|}\sum_{f\in F} u_{sP+f}`.

    .. math:: K'(P,P') = \frac1{|F|^2}\sum_{f,f'} K(sP+f, sP'+f')

    Missing positions and zeros beyond the border count as zeros.

    Parameters
    ----------
    window
        Size of the window along each axis of space.
    strides
        Its step; None for the size of the window, so that windows do not overlap.
    padding
        `Valid`, `Zeros` or `Circular`.
    normalize_edges
        Divide by the number of positions inside the border rather than by the size of the window.
    """

    window: Shape = eqx.field(static=True, converter=lambda value: sizes(value, "window"))
    strides: Shape | None = eqx.field(static=True, default=None, kw_only=True)
    padding: AbstractPadding = eqx.field(default=Valid(), kw_only=True)
    normalize_edges: bool = eqx.field(static=True, default=False, kw_only=True)

    init = _plainly.no_params
    learning_rates = _plainly.no_rates
    resized = _plainly.same_width
    transmit = _plainly.same_signal
    spatial_needed = _plainly.full_space
    __check_init__ = _check_window
    over = _over
    out_shape = _out_shape

    def average(self, a: Array) -> Array:
        r"""Return the average over each window of an array (\*space, ...)."""
        over = self.over()
        total = over.total(a)
        if not self.normalize_edges:
            return total / over.size
        count = over.total(jnp.ones(a.shape[: len(self.window)], a.dtype))
        return total / count.reshape(*count.shape, *(1,) * (a.ndim - count.ndim))

    def forward(self, params: Params, x: Sample) -> Sample:  # noqa: ARG002
        """Return the output for one example."""
        return x.with_places(self.average(x.values), self.over().present(x.mask))

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        return _masked(mix(pair, self.average, self.average), pair, self.over())


class SumPool(AbstractLayer):
    r"""Sum over windows: :math:`u'_P = \sum_{f\in F} u_{sP+f}`; otherwise as `AvgPool`.

    Parameters
    ----------
    window
        Size of the window along each axis of space.
    strides
        Its step; None for the size of the window, so that windows do not overlap.
    padding
        `Valid`, `Zeros` or `Circular`.
    """

    window: Shape = eqx.field(static=True, converter=lambda value: sizes(value, "window"))
    strides: Shape | None = eqx.field(static=True, default=None, kw_only=True)
    padding: AbstractPadding = eqx.field(default=Valid(), kw_only=True)

    init = _plainly.no_params
    learning_rates = _plainly.no_rates
    resized = _plainly.same_width
    transmit = _plainly.same_signal
    spatial_needed = _plainly.full_space
    __check_init__ = _check_window
    over = _over
    out_shape = _out_shape

    def forward(self, params: Params, x: Sample) -> Sample:  # noqa: ARG002
        """Return the output for one example."""
        return x.with_places(self.over().total(x.values), self.over().present(x.mask))

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        return _masked(mix(pair, self.over().total, self.over().total), pair, self.over())


class GlobalAvgPool(AbstractLayer):
    r"""Average over all of space, over the positions that are present: (\*space, channels) to (channels,).

    .. math:: K' = \frac1{|S|^2}\sum_{p,p'} K(p, p')
    """

    init = _plainly.no_params
    learning_rates = _plainly.no_rates
    resized = _plainly.same_width
    transmit = _plainly.same_signal
    spatial_needed = _plainly.full_space

    def out_shape(self, shape: Shape) -> Shape:
        """Return (channels,)."""
        return shape[-1:]

    def forward(self, params: Params, x: Sample) -> Sample:  # noqa: ARG002
        """Return the output for one example."""
        return Sample(_over_space(x.values.ndim - 1, x.mask)(x.values), any_present(x.mask), key=x.key)

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        depth = pair.xx.ndim
        mixed = mix(pair, _over_space(depth, pair.mask_x), _over_space(depth, pair.mask_y)) if depth else pair
        return dataclasses.replace(mixed, mask_x=any_present(pair.mask_x), mask_y=any_present(pair.mask_y))


class GlobalSumPool(AbstractLayer):
    r"""Sum over all of space: (\*space, channels) to (channels,).

    .. math:: K' = \sum_{p,p'} K(p, p')
    """

    init = _plainly.no_params
    learning_rates = _plainly.no_rates
    resized = _plainly.same_width
    transmit = _plainly.same_signal
    spatial_needed = _plainly.full_space

    def out_shape(self, shape: Shape) -> Shape:
        """Return (channels,)."""
        return shape[-1:]

    def forward(self, params: Params, x: Sample) -> Sample:  # noqa: ARG002
        """Return the output for one example."""
        return Sample(jnp.sum(x.values, tuple(range(x.values.ndim - 1))), any_present(x.mask), key=x.key)

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        axes = tuple(range(pair.xx.ndim))
        mixed = mix(pair, lambda a: jnp.sum(a, axes), lambda a: jnp.sum(a, axes)) if axes else pair
        return dataclasses.replace(mixed, mask_x=any_present(pair.mask_x), mask_y=any_present(pair.mask_y))


def _masked(mixed: Pair, before: Pair, over: Window) -> Pair:
    return dataclasses.replace(
        mixed,
        mask_x=over.present(before.mask_x),
        mask_y=over.present(before.mask_y),
        graph_x=kept(before.graph_x, before.xx.shape, mixed.xx.shape),
        graph_y=kept(before.graph_y, before.yy.shape, mixed.yy.shape),
    )


def _over_space(depth: int, mask: Array | None):
    axes = tuple(range(depth))

    def average(a: Array) -> Array:
        if mask is None:
            return jnp.mean(a, axes)
        present = mask.reshape(*mask.shape, *(1,) * (a.ndim - depth))
        return jnp.sum(a * present, axes) / jnp.maximum(jnp.sum(mask), 1)

    return average
