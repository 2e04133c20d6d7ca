"""Between the pairs of this library and neural-tangents' `Kernel`."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from ..._typing import Array, PyTree, Shape
from ...arch import DATA, Gaussianity, Pair, Signal, Space, is_sample
from ...engine import advance, moments
from ._arguments import same_inputs
from ._axes import Axes, axes
from ._kernel import Kernel
from ._kernel_axes import blocks, common, interleaved
from ._layer import Record, graphs, map_nested


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
    found = moments(net, *_drawn(x1, x1 if same else x2, equal), space)
    own = None
    if diagonal_batch is False:
        own = tuple(moments(net, x, x, space) for x in ((x1,) if same else (x1, x2)))
    counts = tuple(jax.tree.leaves(x)[0].shape[0] for x in (x1, x1 if same else x2))

    def build(pair: Pair, signal: Signal, a: Axes, *full: Pair) -> Kernel:
        return _kernel(pair, signal, a, (counts, same, equal), full)

    return _map(build, found, signal, leaving, *(() if own is None else own))


def _drawn(x1: PyTree, x2: PyTree, equal: bool | Array) -> tuple[PyTree, PyTree]:
    # Every example of a call drops entries of its own, those of equal batches the same.
    n1, n2 = (jax.tree.leaves(x)[0].shape[0] for x in (x1, x2))
    one = jnp.arange(n1, dtype=jnp.uint32)
    two = jnp.where(equal, one, n1 + one) if n1 == n2 else n1 + jnp.arange(n2, dtype=jnp.uint32)

    def keyed(x: PyTree, numbers: Array) -> PyTree:
        keys = jax.vmap(jax.random.key)(numbers)
        return jax.tree.map(lambda s: dataclasses.replace(s, key=keys), x, is_leaf=is_sample)

    return keyed(x1, one), keyed(x2, two)


def patterns(pattern: Any) -> tuple[Any, Any]:
    """Return the patterns of the first and of the second batch."""
    first, second = pattern if isinstance(pattern, tuple | list) else (pattern, pattern)
    return first, second


def propagated(record: Record, kernels: Any, pattern: Any = None) -> Any:
    """Return the `Kernel` behind a layer from that in front of it.

    A `Kernel` says nothing of means, which are zero if it is Gaussian and unknown otherwise; several of them count as
    independent.
    """
    kernels = _tuples(kernels)
    first = _first_of(kernels)
    where = _map(lambda k: axes(k.batch_axis, k.channel_axis, len(k.shape1)), kernels)
    for part in record.examples(where):
        kernels = _map(lambda k, part=part: _of_examples(k, part), kernels)
        first = _first_of(kernels)
    own = None if first.diagonal_batch else [_map(lambda k, i=i: _within(k, i), kernels) for i in (0, 1)]
    sides = [
        graphs(record, p, where, _map(lambda k, a, i=i: a.canonical((k.shape1, k.shape2)[i]), kernels, where))
        for i, p in enumerate(patterns(pattern))
    ]
    pairs = map_nested(_pair, where, kernels, *sides)
    signals = _map(lambda k: Signal(_kind(k), frozenset([object()]), mean_known=k.is_gaussian), kernels)
    net = record.net(where)
    needed = net.spatial_needed(Space.DIAGONAL if first.diagonal_spatial else Space.FULL)
    if first.diagonal_spatial and _any_full(needed):
        raise ValueError(f"the kernel has diagonal_spatial=True, but {record.name} needs all pairs of positions.")
    signal, leaving = net.transmit(signals), record.flow(where)
    found = advance(net, pairs)
    same = first.cov2 is None
    counts = first.nngp.shape[:2]

    def build(pair: Pair, signal: Signal, a: Axes, *full: Kernel) -> Kernel:
        kernel = _kernel(pair, signal, a, (counts, same, first.x1_is_x2), ())
        kernel = kernel if first.ntk is not None else kernel.replace(ntk=None)
        if not full:
            return kernel
        return kernel.replace(cov1=full[0].nngp, cov2=None if same else full[1].nngp, diagonal_batch=False)

    if own is None:
        return _map(build, found, signal, leaving)
    # Covariances of different examples of one batch, as those of a batch with itself.
    one, two = patterns(pattern)
    full = [propagated(record, k, p) for k, p in zip(own, ((one, one), (two, two)), strict=True)]
    return _map(build, found, signal, leaving, *full)


def _within(k: Kernel, side: int) -> Kernel:
    second = side == 1 and k.cov2 is not None
    cov, shape, mask = (k.cov2, k.shape2, k.mask2) if second else (k.cov1, k.shape1, k.mask1)
    assert cov is not None
    own = jnp.moveaxis(jnp.diagonal(cov), -1, 0)
    fixed = {"shape1": shape, "shape2": shape, "mask1": mask, "mask2": None, "x1_is_x2": True, "diagonal_batch": True}
    return k.replace(nngp=cov, ntk=None, cov1=own, cov2=None, **fixed)


def _of_examples(k: Kernel, part: slice) -> Kernel:
    idx: list[Any] = [slice(None)] * len(k.shape1)
    idx[k.batch_axis] = part
    return k[tuple(idx)]


def _tuples(kernels: Any) -> Any:
    return kernels if isinstance(kernels, Kernel) else tuple(_tuples(k) for k in kernels)


def _first_of(kernels: Any) -> Kernel:
    return kernels if isinstance(kernels, Kernel) else _first_of(kernels[0])


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
        return interleaved(k, lead, depth) if kept else k

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


def _pair(k: Kernel, graph_x: Any, graph_y: Any) -> Pair:
    depth = len(k.shape1) - 2
    full = depth > 0 and not k.diagonal_spatial
    k = k.reverse() if k.is_reversed else k

    def flat(c: Array, lead: int) -> Array:
        return blocks(c, lead, depth) if full else c

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
        graph_x=graph_x,
        graph_y=graph_y,
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
