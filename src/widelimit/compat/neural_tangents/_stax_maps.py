"""Layers of neural-tangents' ``stax`` that pick, resize or multiply space by constants."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ... import arch
from ..._typing import Array, Shape
from ._axes import Axes, axes
from ._functions import layer
from ._kernel_axes import full_index
from ._layer import Layer, record_of
from ._stax_core import plain
from ._stax_joint import Mixes, linear
from ._stax_linear import fixed


class _Slice:
    """Write an index in brackets: ``Slice[:, 1:3, 0]``."""

    def __getitem__(self, index: Any) -> Any:
        return index


Slice = _Slice()
"""Writes an index for `Index` as one writes it in brackets."""


def Index(idx: Any, batch_axis: int = 0, channel_axis: int = -1) -> Layer:
    """Return part of the values; all channels are kept, and so is the axis of the examples.

    Parameters
    ----------
    idx
        As one indexes an array; write it with `Slice`. Examples are indexed by slices.
    batch_axis, channel_axis
        Axes of examples and channels.
    """

    def first(ndim: int) -> Axes:
        return axes(batch_axis, channel_axis, ndim)

    check = fixed("Index", first)

    def parts(where: Axes) -> tuple:
        found = full_index(idx, where.ndim)
        if found[where.channel] != slice(None):
            raise NotImplementedError("channels are infinitely many and cannot be indexed.")
        if not isinstance(found[where.batch], slice):
            raise NotImplementedError(
                f"the examples (axis {where.batch}) are indexed by {found[where.batch]}, which would remove their "
                "axis; expected a slice."
            )
        return found

    def native(where: Axes) -> arch.Index:
        return arch.Index(tuple(p for i, p in enumerate(parts(where)) if i not in (where.batch, where.channel)))

    def flow(where: Axes) -> Axes:
        check(where)
        gone = [i for i, p in enumerate(parts(where)) if isinstance(p, int)]
        batch, channel = (a - sum(i < a for i in gone) for a in (where.batch, where.channel))
        return Axes(batch, channel, where.ndim - len(gone))

    def examples(where: Axes) -> tuple[slice, ...]:
        part = parts(where)[where.batch]
        return () if part == slice(None) else (part,)

    return plain("Index", native, flow, first, examples)


def ImageResize(
    shape: Shape,
    method: Any,
    antialias: bool = True,
    precision: Any = None,
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """Return images of another size.

    Parameters
    ----------
    shape
        Of the whole array; -1 for what stays, as channels must in kernels.
    method
        ``'linear'`` or ``'nearest'``.
    antialias
        Smooth before a reduction.
    precision
        Ignored: sums are exact.
    batch_axis, channel_axis
        Axes of examples and channels.
    """
    del precision
    name = str(getattr(method, "name", method)).lower()
    names = {"linear": arch.Linear(antialias), "bilinear": arch.Linear(antialias), "trilinear": arch.Linear(antialias)}
    names |= {"triangle": arch.Linear(antialias), "nearest": arch.Nearest()}
    if name not in names:
        raise NotImplementedError(f"method is {method!r}; expected 'linear' or 'nearest'.")

    def first(ndim: int) -> Axes:
        return axes(batch_axis, channel_axis, ndim)

    if shape[batch_axis] != -1 or shape[channel_axis] != -1:

        def resize(x: Array) -> Array:
            size = tuple(s if s != -1 else n for s, n in zip(shape, x.shape, strict=True))
            return jax.image.resize(x, size, name, antialias)

        others = [s for i, s in enumerate(shape) if i not in (batch_axis % len(shape), channel_axis % len(shape))]
        mixes = Mixes(shape[batch_axis] != -1, any(s != -1 for s in others), shape[channel_axis] != -1)
        return linear("ImageResize", resize, resize, lambda where: where, mixes, first)

    def native(where: Axes) -> arch.Resize:
        return arch.Resize(tuple(s for i, s in enumerate(shape) if i not in (where.batch, where.channel)), names[name])

    return plain("ImageResize", native, fixed("ImageResize", first), first)


def DotGeneral(
    *,
    lhs: Array | float | None = None,
    rhs: Array | float | None = None,
    dimension_numbers: Any = (((), ()), ((), ())),
    precision: Any = None,
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """Return the product with a constant, as `jax.lax.dot_general` has it.

    Behind a sum over the examples there are none, and no layer can follow.

    Parameters
    ----------
    lhs, rhs
        The constant, on the left or on the right; exactly one, or none for the identity.
    dimension_numbers
        ``((lhs sums, rhs sums), (lhs shared, rhs shared))``.
    precision
        Ignored: products are exact.
    batch_axis, channel_axis
        Axes of examples and channels.
    """
    del precision
    if lhs is not None and rhs is not None:
        raise ValueError("both lhs and rhs are given; expected one of them, the other is the input.")
    if lhs is None and rhs is None:
        return plain("DotGeneral", arch.Identity())
    other, left = jnp.asarray(rhs if lhs is None else lhs, float), lhs is not None
    (sums, shared) = dimension_numbers
    sums, shared = (pair[::-1] if left else pair for pair in (sums, shared))
    (of_x, of_other), (with_x, with_other) = ([tuple(p) for p in pair] for pair in (sums, shared))
    if not other.ndim:
        return plain("DotGeneral", arch.Scale(other))

    def first(ndim: int) -> Axes:
        return axes(batch_axis, channel_axis, ndim)

    def refuse(where: Axes) -> None:
        if where.channel in (*of_x, *with_x):
            raise ValueError("the channels are infinitely many and cannot be multiplied by a constant.")

    def flow(where: Axes) -> Axes:
        refuse(where)
        return _behind(where, of_x, with_x, other.ndim - len(of_other) - len(with_other), left)

    if batch_axis in (*of_x, *with_x) or (of_x and with_x) or (not of_x and other.ndim != len(with_x)):

        def product(x: Array, by: Array) -> Array:
            pair = (by, x) if left else (x, by)
            return jax.lax.dot_general(*pair, dimension_numbers)

        return linear(
            "DotGeneral",
            lambda x: product(x, other.astype(x.dtype)),
            lambda x: product(x, jnp.abs(other).astype(x.dtype)),
            flow,
            Mixes(batch_axis in of_x, any(a != batch_axis for a in of_x)),
            first,
        )

    def native(where: Axes) -> arch.AbstractLayer:
        refuse(where)
        if of_x:
            return _contraction(other, (of_x, of_other), left, where)
        return _factors(other, (with_x, with_other), where)

    # The native form is two layers in series: their parameters are two, both empty.
    record = record_of(plain("DotGeneral", native, flow, first), "DotGeneral")
    return layer(dataclasses.replace(record, unpack=lambda _: ({}, {})))


def _behind(where: Axes, sums: Shape, shared: Shape, free: int, left: bool) -> Axes:
    # Shared axes come first, then those of the factors that are left.
    remaining = [a for a in range(where.ndim) if a not in (*sums, *shared)]
    before, ndim = len(shared) + (free if left else 0), len(shared) + len(remaining) + free
    batch = shared.index(where.batch) if where.batch in shared else ndim
    batch = before + remaining.index(where.batch) if where.batch in remaining else batch
    return Axes(batch, before + remaining.index(where.channel), ndim)


def _contraction(other: Array, sums: tuple, left: bool, where: Axes) -> arch.AbstractLayer:
    # A sum over axes of space; the axes of the constant that are left stand first or last.
    free = [a for a in range(other.ndim) if a not in sums[1]]
    chosen = sorted((where.spatial(a), o) for a, o in zip(*sums, strict=True))
    matrix = jnp.transpose(other, (*free, *[o for _, o in chosen]))
    spots = tuple(a for a, _ in chosen)
    kept = [a for a in range(where.ndim - 2) if a not in spots]
    at = sum(k < spots[0] for k in kept)
    new, old = [f"o{i}" for i in range(len(free))], [f"x{k}" for k in kept]
    names, wanted = [*old[:at], *new, *old[at:]], new + old if left else old + new
    return arch.serial(arch.LinearMap(matrix, spots), arch.Transpose(tuple(names.index(n) for n in wanted)))


def _factors(other: Array, shared: tuple, where: Axes) -> arch.AbstractLayer:
    # One factor per position of some axes of space, which come first afterwards.
    with_x, with_other = shared
    order = sorted(range(len(with_x)), key=lambda i: with_x[i])
    factors = jnp.transpose(other, [with_other[i] for i in order])
    shape = [1] * (where.ndim - 2)
    for size, i in zip(factors.shape, order, strict=True):
        shape[where.spatial(with_x[i])] = size
    first_axes = [where.spatial(a) for a in with_x]
    moved = (*first_axes, *[a for a in range(where.ndim - 2) if a not in first_axes])
    return arch.serial(arch.Scale(np.asarray(factors).reshape(shape)), arch.Transpose(moved))


def unmask_fn(fn: Any) -> Any:
    """Return ``fn``: outputs are plain arrays here, with zeros where a value is masked."""
    return fn
