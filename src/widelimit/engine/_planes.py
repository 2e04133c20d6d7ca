"""The plane engine: offset planes as operations of XLA. Differentiable, on any device."""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._typing import Array, PyTree, Tracer
from ..arch import AbstractLayer, Sample, as_samples
from ._base import AbstractEngine, Block, Wanted
from ._cost import Size, planes_cost
from ._lowering import NoNativeForm, lowered
from ._planes_plan import Stage, stages_of
from ._planes_run import Task, kernels, sides
from ._planes_size import Tile, tile_of
from ._progress import progress
from ._threads import thread_count

NUMBERS = (float, np.floating, jax.Array)
"""Types of the leaves of a program that JAX may trace; all else is structure."""


class Planes(AbstractEngine):
    r"""Offset planes in XLA: a plane of pairs of positions passes all layers, for many pairs of inputs at once.

    Planes of different offsets :math:`\delta = p' - p` do not meet up to the next pooling, so that no array of all
    pairs of positions is made where space is pooled at once or flattened (DESIGN.md, "Offset planes"). It runs on any
    device, under any transformation of JAX, with every activation of the library. Reverse-mode derivatives compute
    each plane again. One program is compiled per architecture, whatever its hyperparameters are.

    Parameters
    ----------
    memory
        Bytes that a tile of the kernel may take; None for half of what is free on a device that tells it, and
        256 MiB where it does not.
    """

    memory: int | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        """Check the number."""
        if self.memory is not None:
            _check.positive_int(self.memory, "memory")

    def block(self, net: AbstractLayer, x1: PyTree, x2: PyTree, *, wanted: Wanted = Wanted()) -> Block:
        """Return NNGP and NTK, each of shape (n1, n2), empty where not wanted.

        Raises
        ------
        NoNativeForm
            If the network or its input has no form on offset planes; the message says why.
        """
        x, y = plain_values(x1), plain_values(x2)
        ready = _Ready.of(net, x, y, self.memory)
        if ready.traced:
            return ready.within(x, y, wanted)
        with _precision(ready.kind):
            return ready.tiles(x, y, wanted, x2 is x1)

    def diagonal(self, net: AbstractLayer, x: PyTree) -> Block:
        """Return NNGP and NTK of each input with itself, each of shape (n,).

        Raises
        ------
        NoNativeForm
            If the network or its input has no form on offset planes; the message says why.
        """
        values = plain_values(x)
        ready = _Ready.of(net, values, values[:1], self.memory)
        if ready.traced:
            return ready.alone(values)
        with _precision(ready.kind):
            return Block(*map(_given, ready.alone(values)))


def plain_values(x: PyTree) -> Any:
    r"""Return a batch (n, \*shape) of real numbers, refusing what has no form in primitive operations.

    Raises
    ------
    NoNativeForm
        Saying what the input is.
    """
    sample = as_samples(x)
    if not isinstance(sample, Sample):
        raise NoNativeForm("the network has several inputs")
    if sample.mask is not None or sample.graph is not None:
        raise NoNativeForm("the inputs have a mask or a graph")
    values: Any = sample.values
    values = values if isinstance(values, jax.Array) else np.asarray(values)
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise NoNativeForm(f"the inputs are of dtype {values.dtype}, and no real numbers")
    return values


class _Form(NamedTuple):
    # What a compiled function is made for: everything but numbers.
    stages: tuple[Stage, ...]
    tree: Any
    fixed: tuple
    chunks: tuple[int, ...]
    kind: np.dtype

    def task(self, numbers: list) -> Task:
        given = iter(numbers)
        leaves = [jnp.asarray(next(given), self.kind) if leaf is None else leaf for leaf in self.fixed]
        return Task(self.stages, jax.tree.unflatten(self.tree, leaves), self.chunks)


class _Ready(NamedTuple):
    # An architecture for two batches.
    form: _Form
    numbers: list
    tile: Tile
    kind: np.dtype
    traced: bool
    seconds: float

    @classmethod
    def of(cls, net: AbstractLayer, x: Any, y: Any, memory: int | None) -> "_Ready":
        source = lowered(net, x.shape[1:])
        stages = stages_of(source)
        leaves, tree = jax.tree.flatten(source.operations)
        numbers = [a for a in leaves if isinstance(a, NUMBERS)]
        traced = any(isinstance(a, Tracer) for a in (x, y, *numbers, jnp.zeros(())))
        kind = np.promote_types(x.dtype, y.dtype)
        kind = np.dtype(jax.dtypes.canonicalize_dtype(kind)) if traced else kind
        price = planes_cost(source, Size(len(x), len(y), kind), thread_count())
        tile = tile_of(stages, source.operations, (x, y), kind, memory)
        fixed = tuple(None if isinstance(a, NUMBERS) else a for a in leaves)
        return cls(_Form(stages, tree, fixed, tile.chunks, kind), numbers, tile, kind, traced, price.seconds)

    def tiles(self, x: Any, y: Any, wanted: Wanted, symmetric: bool) -> Block:
        """Return the kernels tile by tile, all of one size; of a symmetric one half is computed."""
        height, width = self.tile.rows, self.tile.columns
        out = [np.empty((len(x), len(y)) if w else (0, 0), self.kind) for w in wanted]
        with progress("kernel", len(x) * len(y) / (1 + symmetric), self.seconds / (1 + symmetric)) as done:
            for i in _starts(len(x), height):
                one = _sides(self.numbers, self._cast(x[i : i + height]), form=self.form)
                for j in _starts(len(y), width):
                    if symmetric and j + width <= i:
                        continue
                    other = _sides(self.numbers, self._cast(y[j : j + width]), form=self.form)
                    found = _pairs(self.numbers, one, other, form=self.form, wanted=wanted)
                    for whole, a in zip(out, found, strict=True):
                        whole[i : i + height, j : j + width] = a
                    done(height * width)
        if symmetric:
            for whole in out:
                for i in range(len(whole)):
                    whole[i, :i] = whole[:i, i]
        return Block(*map(_given, out))

    def within(self, x: Any, y: Any, wanted: Wanted) -> Block:
        """Return the kernels as a part of what JAX traces, in a loop over tiles."""
        height, width = self.tile.rows, self.tile.columns

        def row(a: Array) -> Block:
            one = _sides(self.numbers, a, form=self.form)

            @jax.checkpoint
            def tile(b: Array) -> Block:
                other = _sides(self.numbers, b, form=self.form)
                return Block(*_pairs(self.numbers, one, other, form=self.form, wanted=wanted))

            return _joined(_mapped(tile, self._cast(y), width), len(y), 1)

        return _joined(_mapped(row, self._cast(x), height), len(x), 0)

    def alone(self, x: Any) -> Block:
        """Return the kernels of each input with itself."""

        def tile(a: Array) -> Block:
            return Block(*_own(self.numbers, a, form=self.form))

        return _joined(_mapped(tile, self._cast(x), self.tile.rows), len(x), 0)

    def _cast(self, x: Any) -> Array:
        return jnp.asarray(x, self.kind)


@functools.partial(jax.jit, static_argnames="form")
def _sides(numbers: list, x: Array, *, form: _Form) -> list:
    return sides(form.task(numbers), _inside_out(x))


@functools.partial(jax.jit, static_argnames=("form", "wanted"))
def _pairs(numbers: list, x: list, y: list, *, form: _Form, wanted: Wanted) -> tuple[Array, ...]:
    x, y = jax.tree.map(lambda a: a[..., None], x), jax.tree.map(lambda a: a[..., None, :], y)
    found = kernels(form.task(numbers), x, y)
    return tuple(a if w else jnp.zeros((0, 0), form.kind) for a, w in zip(found, wanted, strict=True))


@functools.partial(jax.jit, static_argnames="form")
def _own(numbers: list, x: Array, *, form: _Form) -> tuple[Array, ...]:
    task = form.task(numbers)
    found = sides(task, _inside_out(x))
    return kernels(task, found, found)


def _inside_out(x: Array) -> Array:
    # (n, *space, channels) to (channels, *space, n)
    return jnp.swapaxes(x, 0, -1)


def _mapped(fn: Any, x: Array, step: int) -> Any:
    # fn of all parts of a batch, the last one filled up with the last input.
    count = -(-len(x) // step)
    if count == 1:
        return jax.tree.map(lambda a: a[None], fn(x))
    index = np.minimum(np.arange(count * step), len(x) - 1).reshape(count, step)
    return jax.lax.map(lambda i: fn(x[i]), jnp.asarray(index))


def _joined(parts: Any, count: int, axis: int) -> Any:
    # Parts (number, ...) beside each other along an axis, cut to its length; one that is not wanted is empty.
    def join(a: Array) -> Array:
        if not a.size:
            return jnp.zeros((0, 0), a.dtype)
        a = jnp.moveaxis(a, 0, axis)
        a = a.reshape(*a.shape[:axis], -1, *a.shape[axis + 2 :])
        return jax.lax.slice_in_dim(a, 0, count, axis=axis)

    return jax.tree.map(join, parts)


def _starts(count: int, step: int) -> list[int]:
    # The last tile ends at the end.
    return [min(low, count - step) for low in range(0, count, step)]


def _precision(kind: np.dtype) -> Any:
    return jax.enable_x64(kind == np.float64 or jax.dtypes.canonicalize_dtype(np.float64) == np.float64)


def _given(a: Any) -> Array:
    # float64 stays with NumPy while JAX would round it.
    return np.asarray(a) if a.dtype == np.float64 else jnp.asarray(a)  # type: ignore[return-value]
