"""Transposed convolution: the adjoint of a strided one, which makes space larger."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array, Key, Params, Scalar, Shape
from . import _convolving, _plainly, _weights
from ._base import AbstractLayer
from ._pair import Pair
from ._parameterization import AbstractParameterization, NTKParameterization
from ._sample import Sample
from ._window import AbstractPadding, Circular, Pads, Valid, Window, Zeros, average_moments, sizes


class ConvTranspose(AbstractLayer):
    r"""Transposed convolution over any number of spatial axes, channels last.

    It is a convolution at stride 1 of the signal spread out: :math:`s - 1` zeros behind each position. With that
    signal :math:`\tilde u_{sp} = u_p`, its moments :math:`\tilde K`, and the offset :math:`c` of the padding,

    .. math:: z_P = \frac{\sigma_W}{\sqrt n}\sum_{f\in F} W_f \tilde u_{P+f-c} + \sigma_b b,\qquad
              K'(P,P') = \frac{\sigma_W^2}{|F|}\sum_{f\in F} \tilde K(P+f-c, P'+f-c) + \sigma_b^2

    and :math:`\Theta' = K' + \sigma_W^2 A(\tilde\Theta)` with the same mean A over the filter; the fan-in
    :math:`n = |F| C/\mathrm{groups}` counts the zeros, as the peers of this library do. Along an axis of m positions,
    with a filter that reaches over w: `Valid` gives :math:`ms + \max(w - s, 0)` places, `Zeros` and `Circular` give
    :math:`ms`; what sticks out is cut off, or comes in again at the other end.

    Parameters
    ----------
    width
        Number of output channels.
    window
        Size of the filter along each axis of space, such as ``(3, 3)``; an integer for one axis.
    weight_std, bias_std
        :math:`\sigma_W` and :math:`\sigma_b`; ``bias_std=None`` for no bias.
    strides
        Factor by which space grows along each axis; None for ones.
    padding
        `Valid`, `Zeros` or `Circular`.
    dilation
        Distance of the positions of the filter along each axis; None for ones.
    groups
        Number of groups of channels that do not see each other; divides input channels and width.
    parameterization
        Where the width goes.

    Raises
    ------
    ValueError
        If an argument is out of range, or the input does not match.
    """

    width: int = eqx.field(static=True)
    window: Shape = eqx.field(static=True, converter=lambda value: sizes(value, "window"))
    weight_std: Scalar = 1.0
    bias_std: Scalar | None = None
    strides: Shape | None = eqx.field(static=True, default=None, kw_only=True)
    padding: AbstractPadding = eqx.field(default=Valid(), kw_only=True)
    dilation: Shape | None = eqx.field(static=True, default=None, kw_only=True)
    groups: int = eqx.field(static=True, default=1, kw_only=True)
    parameterization: AbstractParameterization = eqx.field(default=NTKParameterization(), kw_only=True)

    spatial_needed = _plainly.same_space
    learning_rates = _convolving.learning_rates
    transmit = _convolving.transmit
    resized = _convolving.resized

    def __check_init__(self) -> None:
        """Check the arguments."""
        _convolving.check(self)
        if not isinstance(self.padding, Valid | Zeros | Circular):
            raise ValueError(f"padding is {self.padding!r}; expected Valid(), Zeros() or Circular().")

    def over(self) -> Window:
        """Return the window of the filter over the signal spread out."""
        given = _convolving.over(self)
        ones = (1,) * len(given.shape)
        return Window(given.shape, ones, given.dilation, _Spread(self.padding, given.strides))

    def out_shape(self, shape: Shape) -> Shape:
        r"""Return (\*places, width)."""
        over, wide = self.over(), _reach(self.over())
        space = shape[:-1]
        if len(space) != len(over.shape):
            raise ValueError(
                f"a window of shape {over.shape} slides over {len(over.shape)} axes of space and got an input with "
                f"{len(space)}; expected inputs of shape (n, *space, channels) that match."
            )
        strides = (1,) * len(space) if self.strides is None else sizes(self.strides, "strides")
        grown = [m * s for m, s in zip(space, strides, strict=True)]
        more = [low + high + 1 - w for (low, high), w in zip(over.padding.pads(space, over), wide, strict=True)]
        _weights.check_groups(self.groups, shape[-1], "number of input channels")
        return (*(a + b for a, b in zip(grown, more, strict=True)), self.width)

    def init(self, key: Key, shape: Shape) -> Params:
        r"""Return ``{"weight": (\*window, channels / groups, width), "bias": (width,)}``."""
        self.out_shape(shape)
        weight = (*self.window, shape[-1] // self.groups, self.width)
        return _weights.draw(self, key, weight, _convolving.fans(self, shape[-1]), (self.width,))

    def forward(self, params: Params, x: Sample) -> Sample:
        """Return the output for one example."""
        over, depth = self.over(), len(self.window)
        layout = jax.lax.ConvDimensionNumbers(
            (0, depth + 1, *range(1, depth + 1)),
            (depth + 1, depth, *range(depth)),
            (0, depth + 1, *range(1, depth + 1)),
        )
        weight = params["weight"].astype(x.values.dtype)
        z = jax.lax.conv_general_dilated(
            over.extend(x.values)[None],
            weight,
            over.strides,
            "VALID",
            rhs_dilation=over.dilation,
            dimension_numbers=layout,
            feature_group_count=self.groups,
        )[0]
        values = _weights.scale(self, params, z, _convolving.fans(self, x.values.shape[-1]))
        return x.with_places(values, _present(over, x.mask))

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        over = self.over()
        mixed = average_moments(pair, over)
        mixed = dataclasses.replace(mixed, mask_x=_present(over, pair.mask_x), mask_y=_present(over, pair.mask_y))
        return _weights.weigh(self, mixed, _convolving.fans(self, pair.channels)[0], self.width)


class _Spread(AbstractPadding):
    # Each axis of m positions becomes one of m s, with zeros between; then the border is added.
    padding: AbstractPadding
    strides: Shape = eqx.field(static=True)

    def pads(self, shape: Shape, window: Window) -> Pads:
        return tuple(self._pad(w, s) for _, w, s in zip(shape, _reach(window), self.strides, strict=True))

    def extend(self, a: Array, pads: Pads, axes: tuple[int, ...]) -> Array:
        config = [(0, 0, 0)] * a.ndim
        for axis, s in zip(axes, self.strides, strict=True):
            config[axis] = (0, s - 1, s - 1)
        a = jax.lax.pad(a, jnp.zeros((), a.dtype), config)
        border = Circular() if isinstance(self.padding, Circular) else Zeros()
        return border.extend(a, pads, axes)

    def _pad(self, w: int, s: int) -> tuple[int, int]:
        out = max(w - s, 0)
        if isinstance(self.padding, Valid):
            return w - 1, out
        if isinstance(self.padding, Circular):
            return w - 1 - out // 2, out // 2
        low = w - 1 if s > w - 1 else -(-(w + s - 2) // 2)
        return low, w - 1 - low


def _reach(over: Window) -> Shape:
    # From the first position of the filter to its last.
    return tuple((w - 1) * d + 1 for w, d in zip(over.shape, over.dilation, strict=True))


def _present(over: Window, mask: Array | None) -> Array | None:
    # Where space grows by the strides, places are those of the position they stand for; else those that one reaches,
    # and a place that no position reaches is as present as it is without masks: it holds the bias.
    if mask is None:
        return None
    assert isinstance(over.padding, _Spread)
    if not isinstance(over.padding.padding, Valid):
        for axis, s in enumerate(over.padding.strides):
            mask = jnp.repeat(mask, s, axis)
        return mask
    here = mask.astype(jnp.int32)
    return (over.total(here) > 0) | (over.total(jnp.ones_like(here)) == 0)
