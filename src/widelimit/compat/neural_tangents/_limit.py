"""Between the pairs of this library and neural-tangents' `Kernel`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from ..._typing import Array, PyTree, Shape
from ...arch import DATA, Gaussianity, Pair, Signal, Space
from ...engine import advance, moments
from ._arguments import same_inputs
from ._axes import Axes, axes
from ._kernel import Kernel
from ._kernel_axes import common
from ._layer import Record


def kernel_of(record: Record, x1: PyTree, x2: PyTree, where: Any, diagonal: tuple[bool | None, bool | None]) -> Any:
    """Return the `Kernel` of a layer on two batches of samples; ``x2`` None for the first again.

    Parameters
    ----------
    record
        The layer.
    x1, x2
        Batches of samples, or tuples of them.
    where
        Axes of the inputs in the user's arrays.
    diagonal
        ``diagonal_batch`` and ``diagonal_spatial`` as the user gives them.
    """
    diagonal_batch, diagonal_spatial = diagonal
    space, net = Space.DIAGONAL if diagonal_spatial else Space.FULL, record.net(where)
    if diagonal_spatial and _any_full(net.spatial_needed(space)):
        raise ValueError(
            f"diagonal_spatial is True, but {record.name} mixes positions and needs the covariances between all of "
            "them. Leave diagonal_spatial out."
        )
    signal = net.transmit(DATA)
    leaving, same = record.flow(where), x2 is None
    equal = same_inputs(x1, x2)
    found = moments(net, x1, x1 if same else x2, space)
    own = None
    if diagonal_batch is False:
        own = tuple(moments(net, x, x, space) for x in ((x1,) if same else (x1, x2)))
    counts = tuple(jax.tree.leaves(x)[0].shape[0] for x in (x1, x1 if same else x2))

    def build(pair: Pair, signal: Signal, a: Axes, *full: Pair) -> Kernel:
        return _kernel(pair, signal, a, (counts, same, equal), full)

    return _map(build, found, signal, leaving, *(() if own is None else own))


def propagated(record: Record, kernels: Any) -> Any:
    """Return the `Kernel` behind a layer from that in front of it.

    A `Kernel` says nothing of means, which are zero if it is Gaussian and unknown otherwise; several of them count as
    independent.
    """
    kernels = kernels if isinstance(kernels, Kernel) else tuple(kernels)
    first = kernels if isinstance(kernels, Kernel) else kernels[0]
    where = _map(lambda k: axes(k.batch_axis, k.channel_axis, len(k.shape1)), kernels)
    pairs = _map(_pair, kernels)
    signals = _map(lambda k: Signal(_kind(k), frozenset([object()]), mean_known=k.is_gaussian), kernels)
    net = record.net(where)
    needed = net.spatial_needed(Space.DIAGONAL if first.diagonal_spatial else Space.FULL)
    if first.diagonal_spatial and _any_full(needed):
        raise ValueError(f"the kernel has diagonal_spatial=True, but {record.name} needs all pairs of positions.")
    signal, leaving = net.transmit(signals), record.flow(where)
    found = advance(net, pairs)
    same = first.cov2 is None
    counts = first.nngp.shape[:2]

    def build(pair: Pair, signal: Signal, a: Axes) -> Kernel:
        kernel = _kernel(pair, signal, a, (counts, same, first.x1_is_x2), ())
        return kernel if first.ntk is not None else kernel.replace(ntk=None)

    return _map(build, found, signal, leaving)


def _kernel(pair: Pair, signal: Signal, a: Axes, batches: tuple[Shape, bool, Any], full: tuple[Pair, ...]) -> Kernel:
    # Batches: their sizes, whether there is one only, whether they are equal.
    counts, same, equal = batches
    depth, kept = pair.xx.ndim - 1, pair.gap_x is not None
    xx, yy = pair.xx, pair.yy
    nngp = (_first(xx, kept)[:, None] + _second(yy, kept)[None]) / 2 - pair.gap
    cov1, cov2 = xx, yy
    if pair.gap_x is not None and pair.gap_y is not None:
        cov1 = (_first(xx, kept) + _second(xx, kept)) / 2 - pair.gap_x
        cov2 = (_first(yy, kept) + _second(yy, kept)) / 2 - pair.gap_y

    def order(k: Array, lead: int) -> Array:
        return _interleaved(k, lead, depth) if kept else k

    covs = [order(cov1, 1), None if same else order(cov2, 1)]
    for i, own in enumerate(full):
        covs[i] = _kernel(own, signal, a, (counts, True, True), ()).nngp
    shape = [a.shape((n, *xx.shape[1:], pair.channels)) for n in counts]
    return Kernel(
        nngp=order(nngp, 2),
        ntk=order(pair.ntk, 2),
        cov1=covs[0],
        cov2=covs[1],
        x1_is_x2=equal,
        is_gaussian=signal.gaussianity is Gaussianity.GAUSSIAN,
        is_reversed=False,
        is_input=False,
        diagonal_batch=not full,
        diagonal_spatial=not kept and depth > 0,
        shape1=shape[0],
        shape2=shape[1],
        batch_axis=a.batch,
        channel_axis=a.channel,
        mask1=_mask(pair.mask_x, a),
        mask2=None if same else _mask(pair.mask_y, a),
    )


def _pair(k: Kernel) -> Pair:
    depth = len(k.shape1) - 2
    full = depth > 0 and not k.diagonal_spatial
    k = k.reverse() if k.is_reversed else k

    def flat(c: Array, lead: int) -> Array:
        return _blocks(c, lead, depth) if full else c

    cov1, cov2 = (flat(_each_example(k, c), 1) for c in (k.cov1, k.cov1 if k.cov2 is None else k.cov2))
    xx, yy = (_positions(c, depth) if full else c for c in (cov1, cov2))
    nngp = flat(k.nngp, 2)
    gap = (_first(xx, full)[:, None] + _second(yy, full)[None]) / 2 - nngp
    a = axes(k.batch_axis, k.channel_axis, len(k.shape1))
    return Pair(
        xx=xx,
        yy=yy,
        gap=gap,
        ntk=jnp.zeros_like(gap) if k.ntk is None or k.ntk.ndim == 0 else flat(k.ntk, 2),
        channels=k.shape1[k.channel_axis],
        gap_x=(_first(xx, full) + _second(xx, full)) / 2 - cov1 if full else None,
        gap_y=(_first(yy, full) + _second(yy, full)) / 2 - cov2 if full else None,
        mask_x=_present(k.mask1, a, k.shape1),
        mask_y=_present(k.mask1 if k.cov2 is None and k.mask2 is None else k.mask2, a, k.shape2),
        same=common(k.x1_is_x2, nngp.shape[:2]),
    )


def _first(q: Array, full: bool) -> Array:
    # (n, *space) as the first of two positions.
    return q.reshape(*q.shape, *(1,) * (q.ndim - 1)) if full else q


def _second(q: Array, full: bool) -> Array:
    return q.reshape(q.shape[0], *(1,) * (q.ndim - 1), *q.shape[1:]) if full else q


def _each_example(k: Kernel, cov: Array) -> Array:
    return cov if k.diagonal_batch else jnp.moveaxis(jnp.diagonal(cov), -1, 0)


def _positions(cov: Array, depth: int) -> Array:
    space = cov.shape[1 : 1 + depth]
    size = 1
    for s in space:
        size *= s
    return jnp.diagonal(cov.reshape(len(cov), size, size), axis1=1, axis2=2).reshape(len(cov), *space)


def _interleaved(k: Array, lead: int, depth: int) -> Array:
    # (..., h, w, h', w') to (..., h, h', w, w').
    return jnp.transpose(k, (*range(lead), *[lead + d + depth * side for d in range(depth) for side in (0, 1)]))


def _blocks(k: Array, lead: int, depth: int) -> Array:
    return jnp.transpose(k, (*range(lead), *[lead + 2 * d + side for side in (0, 1) for d in range(depth)]))


def _mask(present: Array | None, a: Axes) -> Array | None:
    return None if present is None else a.restore(~present[..., None])


def _present(mask: Array | None, a: Axes, shape: tuple[int, ...]) -> Array | None:
    if mask is None:
        return None
    full = [1 if i == a.channel else s for i, s in enumerate(shape)]
    return ~jnp.all(a.channels_last(jnp.broadcast_to(mask, full)), -1)


def _kind(k: Kernel) -> Gaussianity:
    return Gaussianity.GAUSSIAN if k.is_gaussian else Gaussianity.NOT_GAUSSIAN


def _any_full(space: Any) -> bool:
    return Space.FULL in jax.tree.leaves(space) if isinstance(space, tuple) else space is Space.FULL


def _map(fn: Any, *trees: Any) -> Any:
    if isinstance(trees[0], tuple) and not isinstance(trees[0], Axes):
        return tuple(_map(fn, *parts) for parts in zip(*trees, strict=True))
    return fn(*trees)
