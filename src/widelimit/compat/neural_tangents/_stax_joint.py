"""Layers that act along the examples: on a `Kernel` with the covariances of all of them.

A limit is a function of two inputs here; these layers make of two batches others, and belong to this interface alone.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..._typing import Array, Callable, PyTree, Shape
from ...arch import Sample
from ._axes import Axes, axes
from ._kernel import Kernel
from ._kernel_axes import blocks, interleaved
from ._layer import Layer
from ._stax_chain import chain
from ._stax_own import Own

Linear = Callable[[Array], Array]
"""A linear map of arrays with all their axes, whatever the number of channels."""


class Mixes(NamedTuple):
    """Of what a linear map makes sums."""

    examples: bool
    space: bool
    channels: bool = False


def linear(name: str, act: Linear, reach: Linear, out: Callable[[Axes], Axes], mixes: Mixes, first: Any) -> Layer:
    """Return a fixed linear map of all axes but the channels as a layer.

    Parameters
    ----------
    name
        Its name.
    act, reach
        The map, and that with absolute values, which tells where anything that is present arrives.
    out
        From the axes of its input to those of its output; no axis of examples is one beyond the last.
    mixes
        What is summed. With channels there are networks, and no kernel.
    first
        From the number of axes to those that it asks for.
    """

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, PyTree]:
        del rng
        return jax.eval_shape(act, jax.ShapeDtypeStruct(tuple(input_shape), jnp.zeros(()).dtype)).shape, ()

    def run(params: PyTree, sample: Sample, where: Axes, rng: Any, kwargs: dict) -> tuple[Sample, Axes]:
        del params, rng, kwargs
        a = out(where)
        values, mask = act(where.restore(sample.values)), None
        if sample.mask is not None:
            mask = a.channels_last(reach(where.restore(sample.mask[..., None].astype(values.dtype))) > 0)[..., 0]
        return Sample(a.channels_last(values), mask), a

    def kernel_fn(k: Kernel, **kwargs: Any) -> Kernel:
        del kwargs
        if mixes.channels:
            raise ValueError(f"{name} acts on the channels, which are infinitely many: there is no kernel.")
        for what, mixed, left_out in (
            ("examples", mixes.examples, k.diagonal_batch),
            ("positions", mixes.space, k.diagonal_spatial),
        ):
            if mixed and left_out:
                raise ValueError(
                    f"{name} mixes {what} and needs the covariances between all of them, which the kernel does not "
                    "have. Make it with diagonal_batch=False and diagonal_spatial=False."
                )
        k = k.reverse() if k.is_reversed else k
        where = axes(k.batch_axis, k.channel_axis, len(k.shape1))
        a = out(where)

        def through(c: Array | None, lead: int) -> Array | None:
            return c if c is None or c.ndim == 0 else _through(c, lead, k.diagonal_spatial, (act, where, a))

        def mask(m: Array | None, shape: Shape) -> Array | None:
            full = [1 if i == where.channel else s for i, s in enumerate(shape)]
            return None if m is None else ~(reach((~jnp.broadcast_to(m, full)).astype(k.nngp.dtype)) > 0)

        own = 1 if k.diagonal_batch else 2
        shapes = [init_fn(None, s)[0] for s in (k.shape1, k.shape2)]
        arrays = {n: through(getattr(k, n), own if n.startswith("cov") else 2) for n in ("nngp", "ntk", "cov1", "cov2")}
        return k.replace(
            **arrays,
            shape1=shapes[0],
            shape2=shapes[1],
            batch_axis=a.batch,
            channel_axis=a.channel,
            mask1=mask(k.mask1, k.shape1),
            mask2=mask(k.mask2, k.shape2),
        )

    return chain([Own(init_fn, init_fn, kernel_fn, name, mixes.examples, run, first)], name)


def _through(c: Array, lead: int, diagonal: bool, of: tuple[Linear, Axes, Axes]) -> Array:
    # The map on both sides of a kernel, in full space and between all examples; then what is wanted of it.
    act, where, out = of
    depth = where.ndim - 2
    space = c.shape[lead:] if diagonal else c.shape[lead::2]
    size = math.prod(space)
    c = c.reshape(*c.shape[:lead], size, 1) * jnp.eye(size, dtype=c.dtype) if diagonal else blocks(c, lead, depth)
    c = c.reshape(*c.shape[:lead], *space, *space)
    if lead == 1:
        same = jnp.eye(len(c), dtype=c.dtype)
        c = same.reshape(*same.shape, *(1,) * (c.ndim - 1)) * c[:, None]
    c = jnp.moveaxis(c, 1, 1 + depth)

    def left(c: Array, rest: Shape) -> Array:
        y = act(where.restore(c.reshape(*c.shape[: 1 + depth], -1)))
        y = jnp.moveaxis(y, out.channel, -1)
        return y.reshape(*y.shape[:-1], *rest)

    c = left(c, c.shape[1 + depth :])
    new = c.ndim - 1 - depth
    c = jnp.moveaxis(c, range(new), range(-new, 0))
    c = left(c, c.shape[1 + depth :])
    c = jnp.moveaxis(c, range(new), range(-new, 0))
    return _ordered(c, lead, diagonal, out)


def _ordered(c: Array, lead: int, diagonal: bool, out: Axes) -> Array:
    new = c.ndim // 2
    batch = out.batch - (out.channel < out.batch)
    if batch < new:
        c = jnp.moveaxis(c, (batch, new + batch), (0, 1))
        new -= 1
        if lead == 1:
            c = jnp.moveaxis(jnp.diagonal(c), -1, 0)
    else:
        lead = 0
    if not diagonal:
        return interleaved(c, lead, new)
    space = c.shape[lead : lead + new]
    flat = c.reshape(*c.shape[:lead], math.prod(space), math.prod(space))
    return jnp.diagonal(flat, axis1=-2, axis2=-1).reshape(*c.shape[:lead], *space)


def concatenation(axis: int) -> Layer:
    """Return branches beside each other along the axis of the examples: they must be independent.

    Parameters
    ----------
    axis
        Of the examples.
    """

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, PyTree]:
        del rng
        shape = list(input_shape[0])
        shape[axis] = sum(s[axis] for s in input_shape)
        return tuple(shape), ()

    def run(params: PyTree, samples: Any, where: Any, rng: Any, kwargs: dict) -> tuple[Sample, Axes]:
        del params, rng, kwargs
        mask = None
        if any(s.mask is not None for s in samples):
            mask = jnp.concatenate([jnp.ones(s.values.shape[:-1], bool) if s.mask is None else s.mask for s in samples])
        return Sample(jnp.concatenate([s.values for s in samples]), mask), where[0]

    def kernel_fn(ks: Any, **kwargs: Any) -> Kernel:
        del kwargs
        if not all(k.is_gaussian for k in ks):
            raise NotImplementedError(
                "FanInConcat along the examples got branches that are not Gaussian, whose means make them correlated. "
                "End each branch with a Dense layer."
            )
        first = ks[0]
        cov = _beside if first.diagonal_batch else _corner
        return first.replace(
            nngp=_corner([k.nngp for k in ks]),
            ntk=None if first.ntk is None else _corner([k.ntk for k in ks]),
            cov1=cov([k.cov1 for k in ks]),
            cov2=None if first.cov2 is None else cov([k.cov2 for k in ks]),
            shape1=init_fn(None, [k.shape1 for k in ks])[0],
            shape2=init_fn(None, [k.shape2 for k in ks])[0],
            mask1=_masks([(k.mask1, k.shape1) for k in ks], first, axis),
            mask2=None if first.cov2 is None else _masks([(k.mask2, k.shape2) for k in ks], first, axis),
        )

    return chain([Own(init_fn, init_fn, kernel_fn, "FanInConcat", False, run, None, True)], "FanInConcat")


def _beside(parts: list[Array]) -> Array:
    return jnp.concatenate(parts)


def _corner(parts: list[Array]) -> Array:
    # Blocks on the diagonal of two axes; independent branches have no covariance.
    rows, columns = (sum(p.shape[i] for p in parts) for i in (0, 1))
    found = jnp.zeros((rows, columns, *parts[0].shape[2:]), parts[0].dtype)
    i = j = 0
    for p in parts:
        found = found.at[i : i + p.shape[0], j : j + p.shape[1]].set(p)
        i, j = i + p.shape[0], j + p.shape[1]
    return found


def _masks(parts: list[tuple[Array | None, Shape]], k: Kernel, axis: int) -> Array | None:
    if all(mask is None for mask, _ in parts):
        return None
    found = []
    for mask, shape in parts:
        full = [1 if i == k.channel_axis else s for i, s in enumerate(shape)]
        found.append(jnp.zeros(full, bool) if mask is None else jnp.broadcast_to(mask, full))
    return jnp.concatenate(found, axis)


def norm(chosen: tuple[int, ...], eps: float, first: Any) -> Layer:
    """Return activations over the root of their mean square, taken over examples, channels, and more axes if given.

    Parameters
    ----------
    chosen
        Axes; examples and channels are among them.
    eps
        Added to the variance.
    first
        From the number of axes to those that the layer asks for.
    """

    def over(where: Axes) -> tuple[int, ...]:
        given = {a % where.ndim for a in chosen}
        if where.channel not in given:
            raise ValueError(f"axis is {chosen}; expected the channels (axis {where.channel}) among the axes.")
        return (0, *[1 + where.spatial(a) for a in sorted(given) if a not in (where.channel, where.batch)])

    def run(params: PyTree, sample: Sample, where: Axes, rng: Any, kwargs: dict) -> tuple[Sample, Axes]:
        del params, rng, kwargs
        u = sample.values
        mean = _mean(over(where), sample.mask)
        centred = u - mean(jnp.mean(u, -1))[..., None]
        values = centred / jnp.sqrt(mean(jnp.mean(centred**2, -1)) + eps)[..., None]
        return Sample(values, sample.mask), where

    def kernel_fn(k: Kernel, **kwargs: Any) -> Kernel:
        del kwargs
        if not k.is_gaussian:
            raise NotImplementedError(
                "LayerNorm over the examples got a signal that is not Gaussian, whose mean is not known. Put a Dense "
                "layer before it."
            )
        k = k.reverse() if k.is_reversed else k
        where = axes(k.batch_axis, k.channel_axis, len(k.shape1))
        depth = where.ndim - 2
        sides = [_scale(k, i, over(where), eps) for i in (0, 1)]

        def scaled(c: Array | None, lead: int, one: Array, two: Array) -> Array | None:
            if c is None or c.ndim == 0:
                return c
            return c / _outer(one, two, lead, depth, k.diagonal_spatial)

        own = 1 if k.diagonal_batch else 2
        return k.replace(
            nngp=scaled(k.nngp, 2, *sides),
            ntk=scaled(k.ntk, 2, *sides),
            cov1=scaled(k.cov1, own, sides[0], sides[0]),
            cov2=scaled(k.cov2, own, sides[1], sides[1]),
        )

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, PyTree]:
        del rng
        return tuple(input_shape), ()

    return chain([Own(init_fn, init_fn, kernel_fn, "LayerNorm", False, run, first)], "LayerNorm")


def _scale(k: Kernel, side: int, over: tuple[int, ...], eps: float) -> Array:
    # The root of the mean variance of each position, (n, *space).
    second = side == 1 and k.cov2 is not None
    cov, mask, shape = (k.cov2, k.mask2, k.shape2) if second else (k.cov1, k.mask1, k.shape1)
    assert cov is not None
    q = cov if k.diagonal_batch else jnp.moveaxis(jnp.diagonal(cov), -1, 0)
    depth = len(shape) - 2
    if not k.diagonal_spatial:
        for d in range(depth):
            q = jnp.moveaxis(jnp.diagonal(q, axis1=1 + d, axis2=2 + d), -1, 1 + d)
    there = None
    if mask is not None:
        where = axes(k.batch_axis, k.channel_axis, len(shape))
        full = [1 if i == where.channel else s for i, s in enumerate(shape)]
        there = ~where.channels_last(jnp.broadcast_to(mask, full))[..., 0]
    return jnp.broadcast_to(jnp.sqrt(_mean(over, there)(q) + eps), q.shape)


def _mean(over: tuple[int, ...], there: Array | None) -> Linear:
    def mean(a: Array) -> Array:
        if there is None:
            return jnp.mean(a, over, keepdims=True)
        count = jnp.maximum(jnp.sum(there, over, keepdims=True), 1)
        return jnp.sum(jnp.where(there, a, 0), over, keepdims=True) / count

    return mean


def _outer(one: Array, two: Array, lead: int, depth: int, diagonal: bool) -> Array:
    # Products of (n, *space) on both sides, in the order of a kernel.
    pairs = [(0, lead == 2)] + [(1 + d, not diagonal) for d in range(depth)]
    shape1 = [s for axis, double in pairs for s in ((one.shape[axis], 1) if double else (one.shape[axis],))]
    shape2 = [s for axis, double in pairs for s in ((1, two.shape[axis]) if double else (two.shape[axis],))]
    return one.reshape(shape1) * two.reshape(shape2)
