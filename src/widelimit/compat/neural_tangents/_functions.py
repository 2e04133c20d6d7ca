"""The three functions of a layer: parameters, outputs, kernels."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._typing import Array, Key, PyTree
from ...arch import Sample, is_sample
from ._arguments import broadcasting
from ._axes import Axes, axes
from ._get import Names, select
from ._kernel import Kernel
from ._layer import Layer, Record
from ._limit import kernel_of, propagated
from ._stax_own import wants_ntk

IGNORED = ("batch_axis", "channel_axis")
"""Keywords of neural-tangents' functions that layers here know already."""


class InitFn:
    """``init_fn(rng, input_shape) -> (output_shape, params)``; shapes have a batch axis, of any size."""

    def __init__(self, record: Record) -> None:
        """Keep the record."""
        self.record, self.__name__ = record, record.name

    @broadcasting
    def __call__(self, rng: Key, input_shape: Any) -> tuple[Any, PyTree]:
        """Return the shape of the output and random parameters."""
        record = self.record
        shapes = _shapes(input_shape)
        where = entering(record, jax.tree.map(len, shapes, is_leaf=_is_shape))
        canonical = jax.tree.map(lambda a, s: a.canonical(s), where, shapes, is_leaf=_is_axes)
        single = jax.tree.map(lambda s: s[1:], canonical, is_leaf=_is_shape)
        count = jax.tree.leaves(canonical)[0]
        leaving, net = record.flow(where), record.net(where)
        out = net.out_shape(single)
        shape = jax.tree.map(lambda a, s: a.shape((count, *s)), leaving, out, is_leaf=_is_axes)
        return shape, record.pack(net.init(_key(rng), single))


class ApplyFn:
    """``apply_fn(params, x, rng=None, mask_constant=None, pattern=None)``: the outputs of a finite network."""

    def __init__(self, record: Record) -> None:
        """Keep the record."""
        self.record, self.__name__ = record, record.name

    @broadcasting
    def __call__(self, params: PyTree, x: PyTree, **kwargs: Any) -> PyTree:
        """Return the outputs for a batch."""
        rng, constant, pattern = (kwargs.pop(name, None) for name in ("rng", "mask_constant", "pattern"))
        _refuse(kwargs)
        record = self.record
        x = _arrays(x)
        where = entering(record, jax.tree.map(jnp.ndim, x))
        samples = _samples(record, x, where, constant, pattern)
        if rng is not None:
            n = jax.tree.leaves(samples)[0].shape[0]
            samples = jax.tree.map(
                lambda s: dataclasses.replace(s, key=jax.random.split(_key(rng), n)), samples, is_leaf=is_sample
            )
        out = jax.vmap(record.net(where), (None, 0))(record.unpack(params), samples)
        return jax.tree.map(lambda a, y: a.restore(y), record.flow(where), out, is_leaf=_is_axes)


class KernelFn:
    """``kernel_fn(x1, x2=None, get=None, *, mask_constant, pattern, diagonal_batch, diagonal_spatial)``.

    ``x1`` may be a `Kernel` (or a list of them), for which the layer is the next.
    """

    def __init__(self, record: Record) -> None:
        """Keep the record."""
        self.record, self.__name__ = record, record.name

    @broadcasting
    def __call__(
        self,
        x1: PyTree,
        x2: PyTree = None,
        get: str | Names | None = None,
        *,
        pattern: Any = None,
        mask_constant: float | None = None,
        diagonal_batch: bool | None = None,
        diagonal_spatial: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return a kernel by its name, a namedtuple of several, or the whole `Kernel`."""
        _refuse(kwargs)
        if any(isinstance(leaf, Kernel) for leaf in jax.tree.leaves(x1, is_leaf=_is_kernel)):
            found = propagated(self.record, x1)
        else:
            ours = _inputs(self.record, x1, x2, mask_constant, pattern)
            found = kernel_of(self.record, *ours, (diagonal_batch, diagonal_spatial))
            if not wants_ntk(get):
                found = jax.tree.map(lambda k: k.replace(ntk=None), found, is_leaf=_is_kernel)
        if get is None:
            return found
        return jax.tree.map(
            lambda k: select("AnalyticKernel", get, lambda name: getattr(k, name)), found, is_leaf=_is_kernel
        )


def layer(record: Record) -> Layer:
    """Return the triple of functions around a record."""
    return Layer(InitFn(record), ApplyFn(record), KernelFn(record))


def entering(record: Record, ndim: Any) -> Any:
    """Return the axes of inputs: those that the layer asks for, else examples first and channels last."""
    found = record.first(ndim)

    def or_default(n: int, chosen: Axes | None) -> Axes:
        return axes(0, -1, n) if chosen is None else chosen

    if isinstance(ndim, int):
        return or_default(ndim, found)
    chosen = found if isinstance(found, tuple) and not isinstance(found, Axes) else (found,) * len(ndim)
    return tuple(_nested(n, c, or_default) for n, c in zip(ndim, chosen, strict=True))


def _nested(ndim: Any, chosen: Any, fn: Any) -> Any:
    if isinstance(ndim, int):
        return fn(ndim, chosen)
    parts = chosen if isinstance(chosen, tuple) and not isinstance(chosen, Axes) else (chosen,) * len(ndim)
    return tuple(_nested(n, c, fn) for n, c in zip(ndim, parts, strict=True))


def _inputs(record: Record, x1: PyTree, x2: PyTree, constant: float | None, pattern: Any) -> tuple[Any, Any, Any]:
    # A tree whose entries are all None stands for the first inputs again.
    x1, x2 = _arrays(x1), _arrays(x2) if jax.tree.leaves(x2) else None
    where = entering(record, jax.tree.map(jnp.ndim, x1))
    first, second = pattern if isinstance(pattern, tuple | list) else (pattern, pattern)
    if (first is None) != (second is None) and x2 is not None:
        raise NotImplementedError("one of two patterns is None; expected both, or none (no aggregation at all).")
    one = _samples(record, x1, where, constant, first)
    return one, None if x2 is None else _samples(record, x2, where, constant, second), where


def _samples(record: Record, x: PyTree, where: Any, constant: float | None, pattern: Any) -> Any:
    def sample(a: Axes, values: Array) -> Sample:
        values = a.channels_last(values)
        mask = None
        if constant is not None:
            missing = jnp.where(jnp.isnan(constant), jnp.isnan(values), values == constant)
            values, mask = jnp.where(missing, 0, values), ~jnp.all(missing, -1)
        graph = None if record.graph is None else record.graph(pattern, a, values.shape)
        return Sample(values, mask, graph)

    return jax.tree.map(sample, where, x, is_leaf=_is_axes)


def _arrays(x: PyTree) -> PyTree:
    if isinstance(x, tuple | list):
        return tuple(_arrays(a) for a in x)
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)


def _shapes(shape: Any) -> Any:
    if _is_shape(shape) or (isinstance(shape, list) and all(isinstance(s, int | np.integer) for s in shape)):
        return tuple(shape)
    return tuple(_shapes(s) for s in shape)


def _refuse(kwargs: dict[str, Any]) -> None:
    unknown = sorted(set(kwargs) - set(IGNORED))
    if unknown:
        raise TypeError(f"unknown keyword {unknown[0]!r}; expected rng, mask_constant, pattern and those of kernel_fn.")


def _key(rng: Key) -> Key:
    return rng if jnp.issubdtype(rng.dtype, jax.dtypes.prng_key) else jax.random.wrap_key_data(rng)


def _is_shape(node: Any) -> bool:
    return isinstance(node, tuple) and all(isinstance(s, int | np.integer) for s in node)


def _is_axes(node: Any) -> bool:
    return isinstance(node, Axes)


def _is_kernel(node: Any) -> bool:
    return isinstance(node, Kernel)
