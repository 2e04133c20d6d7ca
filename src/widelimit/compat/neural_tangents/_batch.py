"""Kernels by blocks of examples, over all devices."""

from __future__ import annotations

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._typing import Array, Callable, PyTree, Tracer
from ._arguments import is_array, is_missing, is_node, map_nested, same_inputs
from ._kernel import Kernel

FIRST, SECOND = ("cov1", "mask1"), ("cov2", "mask2")
"""Fields of a kernel that belong to one batch alone."""


def batch(kernel_fn: Callable, batch_size: int = 0, device_count: int = -1, store_on_device: bool = True) -> Callable:
    """Return a function like ``kernel_fn`` that computes by blocks of examples and compiles what it calls.

    Any number of examples will do: the last block of an axis is smaller.

    Parameters
    ----------
    kernel_fn
        ``kernel_fn(x1, x2, *args, **kwargs)`` of arrays, or ``kernel_fn(kernel)`` of a `Kernel`, or of nested lists and
        tuples of them; its result is an array, a namedtuple of arrays or a `Kernel`, or nested too.
    batch_size
        Examples of each batch in a block; 0 for all.
    device_count
        Devices that share the rows, at most as many as there are; -1 for all and 0 for one.
    store_on_device
        Whether results stay on the devices; else they are assembled in the memory of the host.
    """
    compiled = eqx.filter_jit(kernel_fn)
    devices = jax.local_devices()[: None if device_count == -1 else max(1, device_count)]

    @functools.wraps(kernel_fn)
    def batched(x1_or_kernel: PyTree, x2: PyTree | None = None, *args: Any, **kwargs: Any) -> Any:
        if _has_kernels(x1_or_kernel):
            if x2 is not None:
                raise ValueError("x2 is given together with a Kernel; expected kernel_fn(kernel).")
            task: _Kernels | _Inputs = _Kernels(x1_or_kernel)
            call = functools.partial(_call_kernel, compiled, args)
        else:
            task = _Inputs(x1_or_kernel, x2)
            call = functools.partial(_call_inputs, compiled, args)
        rows, columns = _parts(task.n1, batch_size, len(devices)), _parts(task.n2, batch_size, 1)
        if len(rows) == len(columns) == len(devices) == 1 and store_on_device:
            return call(task.whole(), kwargs)
        blocks = []
        for i, row in enumerate(rows):
            place = None if len(devices) == 1 else devices[i % len(devices)]
            line = [
                call(*_placed((task.part(row, column), _keywords(kwargs, row, column)), place)) for column in columns
            ]
            blocks.append([k if store_on_device else jax.tree.map(_to_host, k) for k in line])
        if len(devices) > 1 and store_on_device:
            blocks = _placed(blocks, devices[0])
        join = functools.partial(_joined, width=len(columns), task=task, host=not store_on_device)
        return map_nested(join, *[k for line in blocks for k in line])

    return batched


class _Inputs:
    """Two batches of inputs."""

    def __init__(self, x1: PyTree, x2: PyTree | None) -> None:
        self.second, self.equal = not is_missing(x2), same_inputs(x1, x2)
        self.x1, self.x2 = x1, x2 if self.second else x1
        self.n1, self.n2 = (len(jax.tree.leaves(x)[0]) for x in (self.x1, self.x2))

    def whole(self) -> tuple:
        """Return the batches as they were given."""
        return self.x1, self.x2 if self.second else None

    def part(self, row: slice, column: slice) -> tuple:
        """Return some examples of both."""
        return jax.tree.map(lambda a: a[row], self.x1), jax.tree.map(lambda a: a[column], self.x2)


class _Kernels:
    """Kernels of two batches, nested."""

    def __init__(self, kernels: Any) -> None:
        first = kernels
        while is_node(first):
            first = first[0]
        self.kernels, self.second, self.equal = kernels, first.cov2 is not None, first.x1_is_x2
        self.n1, self.n2 = first.nngp.shape[:2]

    def whole(self) -> Any:
        """Return the kernels as they were given."""
        return self.kernels

    def part(self, row: slice, column: slice) -> Any:
        """Return the kernels of some examples of both."""
        return map_nested(lambda k: k.slice(row, column), self.kernels)


def _call_inputs(compiled: Callable, args: tuple, given: tuple, kwargs: dict) -> Any:
    return compiled(*given, *args, **kwargs)


def _call_kernel(compiled: Callable, args: tuple, given: Any, kwargs: dict) -> Any:
    return compiled(given, *((None, *args) if args else ()), **kwargs)


def _has_kernels(x: Any) -> bool:
    return any(map(_has_kernels, x)) if is_node(x) else isinstance(x, Kernel)


def _parts(n: int, size: int, devices: int) -> list[slice]:
    size = min(size or n, -(-n // devices))
    return [slice(i, min(i + size, n)) for i in range(0, n, max(1, size))] or [slice(0, 0)]


def _keywords(kwargs: dict, row: slice, column: slice) -> dict:
    """Return the keywords of a block: of tuples of two arrays the rows and the columns, everything else as it is."""

    def part(name: str, value: Any) -> Any:
        pair = isinstance(value, tuple) and len(value) == 2 and all(map(is_array, value))
        if not pair or name in ("params", "rng", "keys", "key"):
            return value
        return value[0][row], value[1][column]

    return {name: part(name, value) for name, value in kwargs.items()}


def _placed(tree: Any, device: Any) -> Any:
    if device is None or any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree)):
        return tree
    return jax.tree.map(lambda a: jax.device_put(a, device) if is_array(a) else a, tree)


def _to_host(leaf: Any) -> Any:
    return np.asarray(leaf) if isinstance(leaf, jax.Array) and not isinstance(leaf, Tracer) else leaf


def _joined(*blocks: Any, width: int, task: _Inputs | _Kernels, host: bool) -> Any:
    """Return one kernel from its blocks, row by row."""
    rows = [blocks[i : i + width] for i in range(0, len(blocks), width)]
    put = np.concatenate if host else jnp.concatenate
    first = blocks[0]
    if isinstance(first, Kernel):
        if not first.diagonal_batch:
            raise NotImplementedError("the kernel holds covariances of different examples, which are not in blocks.")
        values = {name: _field(name, rows, task, put) for name in first.asdict()}
        n1, n2 = values["nngp"].shape[:2]
        axis = first.batch_axis
        shapes = {
            name: (*shape[:axis], n, *shape[axis + 1 :])
            for name, shape, n in (("shape1", first.shape1, n1), ("shape2", first.shape2, n2))
        }
        return Kernel(**{**values, **shapes})
    if isinstance(first, tuple):
        return type(first)(*[_field(name, rows, task, put) for name in first._fields])  # pyright: ignore
    return _square(rows, put)


def _field(name: str, rows: list, task: _Inputs | _Kernels, put: Callable) -> Any:
    cells = [[getattr(block, name) for block in row] for row in rows]
    value = cells[0][0]
    if name in SECOND:
        return None if value is None or not task.second else put(cells[0], 0)
    if name in FIRST:
        return None if value is None else put([row[0] for row in cells], 0)
    if name == "x1_is_x2":
        return task.equal
    return _square(cells, put) if is_array(value) and value.ndim >= 2 else value


def _square(rows: list, put: Callable) -> Array:
    return put([put(list(row), 1) if len(row) > 1 else row[0] for row in rows], 0)
