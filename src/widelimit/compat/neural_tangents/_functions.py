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
from ._layer import Layer, Record, graphs, map_nested
from ._limit import kernel_of, patterns, propagated
from ._stax_own import wants_ntk

AXES = ("batch_axis", "channel_axis")
"""Keywords that say where the axes of the inputs are, which a layer knows already if it has axes of its own."""


PASSED = ("rng", "key", "keys")
"""Keywords of other functions that code passes to all of them; nothing is random in a kernel."""


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
        for part in record.examples(where):
            count = count if count < 0 else len(range(count)[part])
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
        x = _arrays(x)
        if self.record.value is not None and jnp.ndim(x) < 2:
            return self.record.value(x)
        where = entering(self.record, jax.tree.map(jnp.ndim, x), kwargs)
        samples = as_samples(self.record, x, where, constant, pattern)
        return restored(*outputs(self.record, params, samples, where, rng))


def outputs(record: Record, params: PyTree, samples: PyTree, where: Any, rng: Any) -> tuple[PyTree, Any]:
    """Return the samples behind a network, and their axes.

    Parameters
    ----------
    record, params
        The layer and its parameters, in neural-tangents' form.
    samples, where
        Batches of samples, and their axes.
    rng
        A random key for dropout, or None.
    """
    samples, net = _taken(samples, record.examples(where)), record.net(where)
    if rng is not None:
        n = jax.tree.leaves(samples)[0].shape[0]
        keys = jax.random.split(_key(rng), n)
        samples = jax.tree.map(lambda s: dataclasses.replace(s, key=keys), samples, is_leaf=is_sample)

    def one(params: PyTree, sample: PyTree) -> PyTree:
        clear = jax.tree.map(Sample.cleared, sample, is_leaf=is_sample)
        return jax.tree.map(Sample.cleared, net.forward(params, clear), is_leaf=is_sample)

    return jax.vmap(one, (None, 0))(record.unpack(params), samples), record.flow(where)


def restored(samples: PyTree, where: Any) -> PyTree:
    """Return the values of samples on their axes, branches in a list."""
    return listed(jax.tree.map(lambda a, s: a.restore(s.values), where, samples, is_leaf=_is_axes))


def listed(tree: Any) -> Any:
    """Return nested tuples as lists, as neural-tangents gives branches."""
    return [listed(part) for part in tree] if type(tree) is tuple else tree


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
        if has_kernels(x1):
            found = propagated(self.record, x1, pattern)
        else:
            ours = _inputs(self.record, (x1, x2), mask_constant, pattern, kwargs)
            found = kernel_of(self.record, *ours, (diagonal_batch, diagonal_spatial))
            if not wants_ntk(get):
                found = jax.tree.map(lambda k: k.replace(ntk=None), found, is_leaf=_is_kernel)
        return chosen(listed(found), get)


def chosen(found: Any, get: str | Names | None) -> Any:
    """Return what ``get`` asks of kernels."""
    if get is None:
        return found
    return jax.tree.map(
        lambda k: select("AnalyticKernel", get, lambda name: getattr(k, name)), found, is_leaf=_is_kernel
    )


def has_kernels(x: Any) -> bool:
    """Whether ``x`` is a `Kernel`, or holds one."""
    return any(isinstance(leaf, Kernel) for leaf in jax.tree.leaves(x, is_leaf=_is_kernel))


def layer(record: Record) -> Layer:
    """Return the triple of functions around a record."""
    return Layer(InitFn(record), ApplyFn(record), KernelFn(record))


def entering(record: Record, ndim: Any, given: dict[str, int] | None = None) -> Any:
    """Return the axes of inputs: as given, or as the layer asks for, else examples first and channels last."""
    found = record.first(ndim)
    given = given or {}

    def or_default(n: int, chosen: Axes | None) -> Axes:
        batch, channel = (0, -1) if chosen is None else (chosen.batch, chosen.channel)
        return axes(given.get("batch_axis", batch), given.get("channel_axis", channel), n)

    if isinstance(ndim, int):
        return or_default(ndim, found)
    chosen = found if isinstance(found, tuple) and not isinstance(found, Axes) else (found,) * len(ndim)
    return tuple(_nested(n, c, or_default) for n, c in zip(ndim, chosen, strict=True))


def _nested(ndim: Any, chosen: Any, fn: Any) -> Any:
    if isinstance(ndim, int):
        return fn(ndim, chosen)
    parts = chosen if isinstance(chosen, tuple) and not isinstance(chosen, Axes) else (chosen,) * len(ndim)
    return tuple(_nested(n, c, fn) for n, c in zip(ndim, parts, strict=True))


def _inputs(record: Record, x: tuple, constant: float | None, pattern: Any, given: dict) -> tuple[Any, Any, Any]:
    # A tree whose entries are all None stands for the first inputs again.
    x1, x2 = _arrays(x[0]), _arrays(x[1]) if jax.tree.leaves(x[1]) else None
    where = entering(record, jax.tree.map(jnp.ndim, x1), given)
    first, second = patterns(pattern)
    if (first is None) != (second is None) and x2 is not None:
        raise NotImplementedError("one of two patterns is None; expected both, or none (no aggregation at all).")
    parts = record.examples(where)
    one = _taken(as_samples(record, x1, where, constant, first), parts)
    return one, None if x2 is None else _taken(as_samples(record, x2, where, constant, second), parts), where


def _taken(samples: PyTree, parts: tuple[slice, ...]) -> PyTree:
    for part in parts:
        samples = jax.tree.map(lambda a, part=part: a[part], samples)
    return samples


def as_samples(record: Record, x: PyTree, where: Any, constant: float | None, pattern: Any) -> Any:
    """Return inputs as samples, with their masks and graphs.

    Parameters
    ----------
    record
        The layer that reads them.
    x, where
        Arrays and their axes.
    constant
        Marks values that are missing; None for none.
    pattern
        Of a graph, or None.
    """
    values = map_nested(Axes.channels_last, where, where, x)
    found = graphs(record, pattern, where, map_nested(jnp.shape, where, values))

    def sample(values: Array, graph: Any) -> Sample:
        mask = None
        if constant is not None:
            missing = jnp.where(jnp.isnan(constant), jnp.isnan(values), values == constant)
            values, mask = jnp.where(missing, 0, values), ~jnp.all(missing, -1)
        return Sample(values, mask, graph)

    return map_nested(sample, where, values, found)


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
    unknown = sorted(set(kwargs) - {*AXES, *PASSED})
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
