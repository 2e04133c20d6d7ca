"""Sliding windows over space: how convolutions and pooling meet the border, and what they do to second moments."""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._typing import Array, Shape
from ._graph import kept
from ._pair import Pair

Pads = tuple[tuple[int, int], ...]


class AbstractPadding(eqx.Module):
    """What a window sees beyond the border."""

    @abc.abstractmethod
    def pads(self, shape: Shape, window: Window) -> Pads:
        """Return how many positions are added before and behind each axis."""

    @abc.abstractmethod
    def extend(self, a: Array, pads: Pads, axes: tuple[int, ...]) -> Array:
        """Return ``a`` with the positions added along ``axes``."""


class Valid(AbstractPadding):
    """Nothing: windows stay inside, and space shrinks."""

    def pads(self, shape: Shape, window: Window) -> Pads:  # noqa: ARG002
        """Return zeros."""
        return ((0, 0),) * len(shape)

    def extend(self, a: Array, pads: Pads, axes: tuple[int, ...]) -> Array:  # noqa: ARG002
        """Return ``a``."""
        return a


class Zeros(AbstractPadding):
    """Zeros, so many that at stride 1 space keeps its size (``SAME`` in other libraries)."""

    def pads(self, shape: Shape, window: Window) -> Pads:
        """Return the number of zeros before and behind each axis."""
        return _same(shape, window)

    def extend(self, a: Array, pads: Pads, axes: tuple[int, ...]) -> Array:
        """Return ``a`` with zeros."""
        return jnp.pad(a, _widths(a, pads, axes)) if axes else a


class Circular(AbstractPadding):
    """Space again from its other end, so that at stride 1 it keeps its size."""

    def pads(self, shape: Shape, window: Window) -> Pads:
        """Return the number of positions before and behind each axis."""
        return _same(shape, window)

    def extend(self, a: Array, pads: Pads, axes: tuple[int, ...]) -> Array:
        """Return ``a`` continued periodically."""
        return jnp.pad(a, _widths(a, pads, axes), mode="wrap") if axes else a


class Window(eqx.Module):
    """A window that slides over space.

    Attributes
    ----------
    shape
        Its size along each axis of space.
    strides, dilation
        Step of the window, and distance of its positions, along each axis.
    padding
        What it sees beyond the border.
    """

    shape: Shape = eqx.field(static=True)
    strides: Shape = eqx.field(static=True)
    dilation: Shape = eqx.field(static=True)
    padding: AbstractPadding

    @property
    def size(self) -> int:
        """Number of positions in the window."""
        return math.prod(self.shape)

    def out_shape(self, space: Shape) -> Shape:
        """Return the number of places of the window along each axis, refusing space that it does not fit."""
        if len(space) != len(self.shape):
            raise ValueError(
                f"a window of shape {self.shape} slides over {len(self.shape)} axes of space and got an input with "
                f"{len(space)}; expected inputs of shape (n, *space, channels) that match."
            )
        found = []
        pads = self.padding.pads(space, self)
        for size, w, s, d, (low, high) in zip(space, self.shape, self.strides, self.dilation, pads, strict=True):
            count = (size + low + high - (w - 1) * d - 1) // s + 1
            if count < 1:
                raise ValueError(
                    f"a window of shape {self.shape} does not fit into space {space}; give a smaller window, or "
                    "padding=Zeros()."
                )
            found.append(count)
        return tuple(found)

    def extend(self, a: Array) -> Array:
        """Return an array (*space, ...) with what lies beyond the border."""
        axes = tuple(range(len(self.shape)))
        self.out_shape(a.shape[: len(axes)])
        return self.padding.extend(a, self.padding.pads(a.shape[: len(axes)], self), axes)

    def total(self, a: Array) -> Array:
        """Return the sum over each window of an array (*space, ...): (*places, ...)."""
        rest = a.ndim - len(self.shape)
        return jax.lax.reduce_window(
            self.extend(a),
            np.zeros((), a.dtype),
            jax.lax.add,
            self.shape + (1,) * rest,
            self.strides + (1,) * rest,
            "VALID",
            window_dilation=self.dilation + (1,) * rest,
        )

    def present(self, mask: Array | None) -> Array | None:
        """Return where the middle of a window is present, so that space of its own length and padded space agree.

        A window that sees present positions from beyond their end alone is a place that shorter space does not have.
        """
        if mask is None:
            return None
        found = self.extend(mask)
        for axis, (count, w, s, d) in enumerate(
            zip(self.out_shape(mask.shape), self.shape, self.strides, self.dilation, strict=True)
        ):
            middle = (w - 1) * d // 2
            found = jax.lax.slice_in_dim(found, middle, middle + (count - 1) * s + 1, s, axis)
        return found


def window(shape: Any, strides: Any, padding: AbstractPadding, dilation: Any = None) -> Window:
    """Return a window from what a user gives, checked."""
    _check.instance(padding, AbstractPadding, "padding", "Zeros()")
    shape = sizes(shape, "window shape")
    ones = (1,) * len(shape)
    strides = ones if strides is None else sizes(strides, "strides")
    dilation = ones if dilation is None else sizes(dilation, "dilation")
    for name, value in (("strides", strides), ("dilation", dilation)):
        if len(value) != len(shape):
            raise ValueError(f"{name} is {value}; expected {len(shape)} numbers, one per axis of the window {shape}.")
    return Window(shape, strides, dilation, padding)


def average_moments(pair: Pair, over: Window) -> Pair:
    r"""Return the moments that a convolution sums up: their mean along the window, both positions moving together.

    .. math:: K'(P, P') = \frac1{|F|}\sum_{f\in F} K(sP + f, sP' + f)

    Beyond the border the signal is zero (or periodic); in gap form a zero beside u has the gap :math:`\tfrac12 Eu^2`.
    A graph of the positions stays where there are as many places, as behind a window that pads.
    """
    depth = pair.xx.ndim
    inside = over.extend(jnp.ones_like(pair.xx))
    outside = 1 - inside
    xx, yy = over.extend(pair.xx), over.extend(pair.yy)

    def gap(a: Array, q1: Array, q2: Array) -> Array:
        if pair.gap_x is None:
            return _box(over.extend(a), over, depth, 1)
        border = q1.reshape(*q1.shape, *(1,) * depth) * outside + outside.reshape(*q1.shape, *(1,) * depth) * q2
        return _box(_extend_both(a, over, depth) + border / 2, over, depth, 2)

    full, new = pair.gap_x is not None, _box(xx, over, depth, 1)
    tangents = _extend_both(pair.ntk, over, depth) if full else over.extend(pair.ntk)
    return dataclasses.replace(
        pair,
        xx=new,
        yy=_box(yy, over, depth, 1),
        gap=gap(pair.gap, xx, yy),
        ntk=_box(tangents, over, depth, 2 if full else 1),
        gap_x=None if pair.gap_x is None else gap(pair.gap_x, xx, xx),
        gap_y=None if pair.gap_y is None else gap(pair.gap_y, yy, yy),
        mask_x=over.present(pair.mask_x),
        mask_y=over.present(pair.mask_y),
        graph_x=kept(pair.graph_x, pair.xx.shape, new.shape),
        graph_y=kept(pair.graph_y, pair.yy.shape, new.shape),
    )


def _extend_both(a: Array, over: Window, depth: int) -> Array:
    first, second = tuple(range(depth)), tuple(range(depth, 2 * depth))
    pads = over.padding.pads(a.shape[:depth], over)
    return over.padding.extend(over.padding.extend(a, pads, first), pads, second)


def _box(a: Array, over: Window, depth: int, blocks: int) -> Array:
    # The window is a box, so it is summed axis by axis; in full space both positions move together.
    for d, (w, s, gap) in enumerate(zip(over.shape, over.strides, over.dilation, strict=True)):
        axes = [d + depth * b for b in range(blocks)]
        count = (a.shape[d] - (w - 1) * gap - 1) // s + 1
        total = None
        for f in range(w):
            part = a
            for axis in axes:
                start = f * gap
                part = jax.lax.slice_in_dim(part, start, start + (count - 1) * s + 1, s, axis)
            total = part if total is None else total + part
        a = total if total is not None else a
    return a / over.size


def _same(shape: Shape, over: Window) -> Pads:
    found = []
    for size, w, s, d in zip(shape, over.shape, over.strides, over.dilation, strict=True):
        missing = max((-(-size // s) - 1) * s + (w - 1) * d + 1 - size, 0)
        found.append((missing // 2, missing - missing // 2))
    return tuple(found)


def _widths(a: Array, pads: Pads, axes: tuple[int, ...]) -> list[tuple[int, int]]:
    widths = [(0, 0)] * a.ndim
    for axis, pad in zip(axes, pads, strict=True):
        widths[axis] = pad
    return widths


def sizes(value: Any, name: str) -> Shape:
    """Return one positive integer per axis of space, refusing anything else."""
    found = (value,) if isinstance(value, int) else value
    if not isinstance(found, tuple | list) or any(
        isinstance(v, bool) or not isinstance(v, int) or v < 1 for v in found
    ):
        raise ValueError(f"{name} is {value!r}; expected a tuple of positive integers, one per axis of space.")
    return tuple(found)
