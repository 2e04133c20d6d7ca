"""Layers of neural-tangents' ``stax`` on space: pooling, flattening, indexing, resizing, normalisation."""

from __future__ import annotations

from typing import Any

from ... import arch
from ..._typing import Shape
from ._axes import Axes, axes
from ._layer import Layer
from ._stax_core import plain
from ._stax_joint import norm
from ._stax_linear import PADDINGS, Padding, fixed


def AvgPool(
    window_shape: Shape,
    strides: Shape | None = None,
    padding: str = "VALID",
    normalize_edges: bool = False,
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """Return the average over windows; strides None for ones.

    Parameters
    ----------
    window_shape, strides
        One number per axis of space.
    padding
        ``'VALID'``, ``'SAME'`` or ``'CIRCULAR'``.
    normalize_edges
        Divide by the positions inside the border.
    batch_axis, channel_axis
        Axes of examples and channels.
    """
    ones = (1,) * len(window_shape)
    net = arch.AvgPool(
        tuple(window_shape),
        strides=ones if strides is None else tuple(strides),
        padding=PADDINGS[Padding(padding)],
        normalize_edges=normalize_edges,
    )
    return _standing("AvgPool", net, batch_axis, channel_axis)


def SumPool(
    window_shape: Shape,
    strides: Shape | None = None,
    padding: str = "VALID",
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """Return the sum over windows; arguments as in `AvgPool`."""
    ones = (1,) * len(window_shape)
    net = arch.SumPool(
        tuple(window_shape), strides=ones if strides is None else tuple(strides), padding=PADDINGS[Padding(padding)]
    )
    return _standing("SumPool", net, batch_axis, channel_axis)


def GlobalAvgPool(batch_axis: int = 0, channel_axis: int = -1) -> Layer:
    """Return the average over all of space."""
    return _leaving_space("GlobalAvgPool", arch.GlobalAvgPool(), batch_axis, channel_axis)


def GlobalSumPool(batch_axis: int = 0, channel_axis: int = -1) -> Layer:
    """Return the sum over all of space."""
    return _leaving_space("GlobalSumPool", arch.GlobalSumPool(), batch_axis, channel_axis)


def Flatten(batch_axis: int = 0, batch_axis_out: int = 0) -> Layer:
    """Return all positions and channels as channels.

    Parameters
    ----------
    batch_axis, batch_axis_out
        Axis of the examples before (0 or last), and after (0 or 1).
    """
    if batch_axis_out not in (0, 1, -1, -2):
        raise ValueError(f"batch_axis_out is {batch_axis_out}; expected 0 or 1.")
    out = batch_axis_out % 2

    def flow(where: Axes) -> Axes:
        if batch_axis % where.ndim != where.batch:
            raise ValueError(f"Flatten expects examples on axis {batch_axis} and gets them on axis {where.batch}.")
        return Axes(out, 1 - out, 2)

    def first(ndim: int) -> Axes:
        batch = batch_axis % ndim
        return axes(batch, ndim - 1 if batch != ndim - 1 else ndim - 2, ndim)

    return plain("Flatten", arch.Flatten(), flow, first)


def LayerNorm(axis: Any = -1, eps: float = 1e-12, batch_axis: int = 0, channel_axis: int = -1) -> Layer:
    """Return activations with mean zero and variance one over the channels, and over more axes if given.

    Parameters
    ----------
    axis
        One axis or several; the channels must be among them. With the examples among them, outputs depend on the whole
        batch.
    eps
        Added to the variance.
    batch_axis, channel_axis
        Axes of examples and channels.
    """
    chosen = (axis,) if isinstance(axis, int) else tuple(axis)
    if batch_axis in chosen:
        return norm(chosen, eps, lambda ndim: axes(batch_axis, channel_axis, ndim))

    def native(where: Axes) -> tuple[int, ...]:
        given = {a % where.ndim for a in chosen}
        if where.channel not in given:
            raise ValueError(f"axis is {axis}; expected the channels (axis {channel_axis}) among the axes.")
        return (*(where.spatial(a) for a in sorted(given) if a != where.channel), -1)

    return _standing("LayerNorm", lambda where: arch.LayerNorm(native(where), eps), batch_axis, channel_axis)


def Dropout(rate: float, mode: str = "train") -> Layer:
    """Return the layer that keeps a unit with probability ``rate``, and divides by it.

    Parameters
    ----------
    rate
        The *keep* probability, in (0, 1]. The native layer takes the probability to drop.
    mode
        ``'train'`` drops where ``apply_fn`` gets a key and counts in kernels; ``'test'`` does nothing.
    """
    if not 0 < rate <= 1:
        raise ValueError(f"rate is {rate}; expected a keep probability in (0, 1].")
    if mode not in ("train", "test"):
        raise ValueError(f"mode is {mode!r}; expected 'train' or 'test'.")
    return plain("Dropout", arch.Dropout(1 - rate) if mode == "train" else arch.Identity())


def _standing(name: str, net: Any, batch_axis: int, channel_axis: int) -> Layer:
    def first(ndim: int) -> Axes:
        return axes(batch_axis, channel_axis, ndim)

    return plain(name, net, fixed(name, first), first)


def _leaving_space(name: str, net: arch.AbstractLayer, batch_axis: int, channel_axis: int) -> Layer:
    def first(ndim: int) -> Axes:
        return axes(batch_axis, channel_axis, ndim)

    check = fixed(name, first)
    return plain(name, net, lambda where: check(where).flat(), first)
