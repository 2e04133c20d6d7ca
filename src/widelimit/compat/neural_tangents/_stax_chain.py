"""Layers in series of which some are no native ones: functions from `Kernel` to `Kernel`.

Native layers between them are taken together as one network, so that what they know of each other (gaps, means,
independence) is lost only where a layer of the other kind stands.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from ..._typing import Callable, PyTree
from ...arch import DATA, Identity, Sample, check_independent
from ._arguments import broadcasting
from ._axes import Axes, axes
from ._functions import InitFn, KernelFn, as_samples, chosen, entering, has_kernels, listed, outputs, restored
from ._get import Names
from ._kernel import Kernel
from ._layer import Layer, Record, graphs, map_nested, no_parameters, nothing
from ._stax_own import Own, wants_ntk
from ._stax_series import series

Part = Record | Own

KNOWN = ("mask_constant", "pattern", "diagonal_batch", "diagonal_spatial", "batch_axis", "channel_axis")
"""Keywords that native layers read; all are for layers of the other kind."""


def chain(parts: list[Part], name: str = "serial") -> Layer:
    """Return the functions of layers in series.

    Parameters
    ----------
    parts
        Native layers and others. Parameters are a list with one entry for each, or those of the only one.
    name
        Name of the functions.
    """
    series = _Series(parts)
    own = Own(
        series.init,
        series.apply,
        series.kernel,
        name,
        any(isinstance(part, Own) and part.joint for part in parts),
        series.run,
        series.first,
        isinstance(parts[0], Own) and parts[0].independent,
    )
    functions = []
    for method in (own.init_fn, own.apply_fn, own.kernel_fn):
        fn = broadcasting(method)
        fn.__name__ = name
        fn.own = own  # type: ignore[attr-defined]
        functions.append(fn)
    return Layer(*functions)


def layer(make: Callable) -> Callable:
    """Return a function that makes layers of the functions ``(init_fn, apply_fn, kernel_fn)`` that ``make`` returns.

    ``kernel_fn`` takes a `Kernel` and keywords and returns a `Kernel`.
    """

    @functools.wraps(make)
    def made(*args: Any, **kwargs: Any) -> Layer:
        init_fn, apply_fn, kernel_fn = make(*args, **kwargs)[:3]
        return chain([Own(init_fn, apply_fn, kernel_fn, make.__name__)], make.__name__)

    return made


class _Series:
    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts
        self.joint = any(isinstance(part, Own) and part.joint for part in parts)

    def first(self, ndim: Any) -> Any:
        found = (part.first(ndim) for part in self.parts if part.first is not None)
        return next((axes for axes in found if axes is not None), None)

    def init(self, rng: Any, input_shape: Any) -> tuple[Any, PyTree]:
        if len(self.parts) == 1 and isinstance(self.parts[0], Own):
            return self.parts[0].init_fn(rng, input_shape)
        params = []
        for key, part in zip(jax.random.split(rng, len(self.parts)), self.parts, strict=True):
            init = part.init_fn if isinstance(part, Own) else InitFn(part)
            input_shape, p = init(key, input_shape)
            params.append(p)
        return input_shape, params

    def apply(self, params: PyTree, x: PyTree, **kwargs: Any) -> PyTree:
        if len(self.parts) == 1 and isinstance(self.parts[0], Own) and self.parts[0].run is None:
            return self.parts[0].apply_fn(params, x, **kwargs)
        arrays = jax.tree.map(jnp.asarray, tuple(x) if isinstance(x, list) else x)
        given = {k: kwargs[k] for k in ("batch_axis", "channel_axis") if k in kwargs}
        where = entering(_as_record(self.parts[0], self.first), jax.tree.map(jnp.ndim, arrays), given)
        samples = as_samples(_NOTHING, arrays, where, kwargs.get("mask_constant"), None)
        rng = kwargs.pop("rng", None)
        return restored(*self.run(params, samples, where, rng, kwargs))

    def run(self, params: PyTree, samples: PyTree, where: Any, rng: Any, kwargs: dict) -> tuple[PyTree, Any]:
        parts = self.parts
        keys = [None] * len(parts) if rng is None else jax.random.split(rng, len(parts))
        params = [params] if len(parts) == 1 and isinstance(parts[0], Own) else params
        for key, p, part in zip(keys, params, parts, strict=True):
            if isinstance(part, Record):
                samples = _with_graph(part, samples, where, kwargs.get("pattern"))
                samples, where = outputs(part, p, samples, where, key)
            elif part.run is not None:
                samples, where = part.run(p, samples, where, key, kwargs)
            else:
                more = kwargs if key is None else {**kwargs, "rng": key}
                out = part.apply_fn(p, restored(samples, where), **more)
                where = jax.tree.map(lambda a: axes(0, -1, a.ndim), out) if _moved(out, where) else where
                samples = jax.tree.map(lambda a, w: Sample(w.channels_last(a)), out, where)
        return samples, where

    def kernel(self, x1: PyTree, x2: PyTree = None, get: str | Names | None = None, **kwargs: Any) -> Any:
        if kwargs.get("diagonal_batch") and self.joint:
            raise ValueError(
                "diagonal_batch is True, but a layer mixes examples and needs the covariances between all of them. "
                "Leave diagonal_batch out."
            )
        groups = self._groups()
        kernel: Any = x1
        if not has_kernels(x1):
            kwargs = {**kwargs, "diagonal_batch": False} if self.joint else kwargs
            start = groups[0] if isinstance(groups[0], Record) else _as_record(_NOTHING, self.first)
            wanted = None if wants_ntk(get) else ("nngp",)
            known = {name: value for name, value in kwargs.items() if name in KNOWN}
            kernel = _without_ntk(KernelFn(start)(x1, x2, None, **known), wanted)
            _check_branches(groups, start, x1)
            groups = groups[1:] if start is groups[0] else groups
        for i, group in enumerate(groups):
            if isinstance(group, Record):
                _check_branches(groups[i:], group, kernel)
                kernel = KernelFn(group)(kernel, pattern=kwargs.get("pattern"))
            else:
                kernel = group.kernel_fn(kernel, **kwargs)
        return chosen(listed(kernel), get)

    def _groups(self) -> list[Part]:
        found: list[Any] = []
        for part in self.parts:
            if isinstance(part, Record) and found and isinstance(found[-1], list):
                found[-1].append(part)
            else:
                found.append([part] if isinstance(part, Record) else part)
        return [series(group) if isinstance(group, list) else group for group in found]


_NOTHING = Record(
    "Identity",
    lambda where: Identity(),  # noqa: ARG005
    lambda ndim: None,  # noqa: ARG005
    lambda where: where,
    nothing,
    no_parameters,
)


def _as_record(part: Part, first: Any) -> Record:
    return dataclasses.replace(part if isinstance(part, Record) else _NOTHING, first=first)


def _with_graph(record: Record, samples: PyTree, where: Any, pattern: Any) -> PyTree:
    found = graphs(record, pattern, where, map_nested(lambda s: s.values.shape, where, samples))
    return map_nested(lambda s, graph: Sample(s.values, s.mask, graph), where, samples, found)


def _without_ntk(kernel: Any, names: Names | None) -> Any:
    if names is None:
        return kernel
    return jax.tree.map(lambda k: k.replace(ntk=None), kernel, is_leaf=lambda node: isinstance(node, Kernel))


def _moved(out: PyTree, where: Any) -> bool:
    return not isinstance(where, Axes) or not isinstance(out, jax.Array) or out.ndim != where.ndim


def _check_branches(groups: list[Part], record: Record, x: Any) -> None:
    """Refuse branches behind a native network that the next layer needs to be independent, and are not."""
    if len(groups) < 2 or not isinstance(groups[1], Own) or not groups[1].independent or groups[0] is not record:
        return
    if has_kernels(x):
        return
    where = entering(record, jax.tree.map(jnp.ndim, tuple(x) if isinstance(x, list) else x))
    signals: Any = record.net(where).transmit(DATA)
    check_independent(signals, groups[1].name)
