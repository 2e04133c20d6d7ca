"""Empirical kernels of one call: native methods on its flat form, and back to axes in pairs."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._typing import Array, Params, PyTree, Shape
from ...empirical import AbstractMethod, Axes, Between, JacobianContraction, NTKVectorProducts, Problem
from ._call import Both, Call, Layout, arrays_of, constants_of, layout_of, outputs, without
from ._layout import AxisNumbers, axes_of

Side = tuple[PyTree, dict[str, Any]]
"""Inputs, and the keywords that go with them."""


class Asked(eqx.Module):
    """What is asked of a network, but for the data."""

    f: Any
    trace_axes: AxisNumbers
    diagonal_axes: AxisNumbers
    vmap_axes: Any = None
    method: AbstractMethod = JacobianContraction()


class Output(NamedTuple):
    """One output array of a network: its shapes on both sides, and its axes by what becomes of them."""

    first: Shape
    second: Shape
    dtype: Any
    trace: Shape
    diagonal: Shape

    @property
    def kernel(self) -> Shape:
        """The shape of its kernel."""
        return Axes((self.first,), (self.second,), (self.trace,), (self.diagonal,)).entries()[0]

    @property
    def size(self) -> int:
        """How many entries both sides have; zero where there is nothing to differentiate."""
        return math.prod(self.first) * math.prod(self.second)

    def one_example(self, batch: int | None) -> Output:
        """Return the output without the axis of the examples."""
        if batch is None:
            return self
        trace, diagonal = (tuple(a - (a > batch) for a in axes if a != batch) for axes in (self.trace, self.diagonal))
        return Output(without(self.first, batch), without(self.second, batch), self.dtype, trace, diagonal)

    def shares(self, axis: int | None) -> bool:
        """Whether an axis is averaged or kept once."""
        return axis in self.trace or axis in self.diagonal


@eqx.filter_jit
def nngp(asked: Asked, params: Params, first: Side, second: Side | None) -> PyTree:
    """Return the products of outputs."""
    one = outputs(asked.f, params, *first)
    two = one if second is None else outputs(asked.f, params, *second)
    return jax.tree.map(lambda a, b: _products(_output(asked, a, b), a, b), one, two)


@eqx.filter_jit
def ntk(asked: Asked, params: Params, first: Side, second: Side | None) -> PyTree:
    """Return the NTK of each output with itself."""
    shapes = eqx.filter_eval_shape(outputs, asked.f, params, *first)
    others = shapes if second is None else eqx.filter_eval_shape(outputs, asked.f, params, *second)
    structure = jax.tree.structure(shapes)
    every = [_output(asked, a, b) for a, b in zip(jax.tree.leaves(shapes), jax.tree.leaves(others), strict=True)]
    layout = layout_of(asked.vmap_axes, first[0], first[1], shapes)
    kept = tuple(i for i, output in enumerate(every) if output.size)
    found: dict[int, Array] = {}
    if kept:
        call = _call(asked, first, second, (layout, len(every), kept))
        solve = _whole if layout is None else _mapped
        blocks = solve(asked, Problem(call, params), call, [every[i] for i in kept], (first, second))
        found = dict(zip(kept, blocks, strict=True))
    zeros = [jnp.zeros(output.kernel, output.dtype) for output in every]
    return jax.tree.unflatten(structure, [found.get(i, zero) for i, zero in enumerate(zeros)])


def _whole(
    asked: Asked, problem: Problem, call: Call, every: list[Output], sides: tuple[Side, Side | None]
) -> list[Array]:
    """Return the kernels of a network that may mix its examples: all of its input is one example."""
    first, second = sides
    kind, one = _kind(every), call.batch(*first)
    if second is None:
        flat = asked.method.block(problem, one, None, kind)
    elif isinstance(asked.method, JacobianContraction | NTKVectorProducts):
        flat = asked.method.block(problem, one, call.batch(*second), kind)
    else:
        # A plan of structured derivatives is made for inputs of one shape.
        both = Problem(Both(call), problem.params)
        between = Between(sum(math.prod(output.first) for output in every), kind)
        flat = asked.method.block(both, [one, call.batch(*second)], None, between)
    return _cut(flat[0, 0], [output.kernel for output in every])


def _mapped(
    asked: Asked, problem: Problem, call: Call, every: list[Output], sides: tuple[Side, Side | None]
) -> list[Array]:
    """Return the kernels of a network whose examples are independent."""
    first, second = sides
    batches = [call.layout.outputs[i] for i in call.kept]
    inner = [output.one_example(axis) for output, axis in zip(every, batches, strict=True)]
    shared = [output.shares(axis) for output, axis in zip(every, batches, strict=True)]
    kind, one = _kind(inner), call.batch(*first)
    shapes = [output.kernel for output in inner]
    if all(shared) and second is None:
        own = _cut(asked.method.diagonal(problem, one, kind), shapes)
        pairs = own
    else:
        pairs = _cut(asked.method.block(problem, one, None if second is None else call.batch(*second), kind), shapes)
        own = [jnp.moveaxis(jnp.diagonal(k), -1, 0) if s else k for k, s in zip(pairs, shared, strict=True)]
    return [
        _placed(output, axis, a if s else b)
        for output, axis, a, b, s in zip(every, batches, own, pairs, shared, strict=True)
    ]


def _placed(output: Output, batch: int | None, k: Array) -> Array:
    # The axes of the examples come first; they belong before what later axes of the output have become.
    assert batch is not None
    if batch in output.trace:
        return jnp.mean(k, 0)
    place = sum(0 if axis in output.trace else 2 - (axis in output.diagonal) for axis in range(batch))
    if batch in output.diagonal:
        return jnp.moveaxis(k, 0, place)
    return jnp.moveaxis(k, (0, 1), (place, place + 1))


def _products(output: Output, one: Array, two: Array) -> Array:
    flat = _kind([output]).contract(jnp.reshape(one, (1, -1, 1)), jnp.reshape(two, (1, -1, 1)))
    return jnp.reshape(flat, output.kernel)


def _output(asked: Asked, one: Any, two: Any) -> Output:
    trace, diagonal = (axes_of(axes, len(one.shape)) for axes in (asked.trace_axes, asked.diagonal_axes))
    return Output(tuple(one.shape), tuple(two.shape), one.dtype, trace, diagonal)


def _kind(every: list[Output]) -> Axes:
    first, second, _, trace, diagonal = zip(*every, strict=True)
    return Axes(first, second, trace, diagonal)


def _cut(flat: Array, shapes: list[Shape]) -> list[Array]:
    parts, start = [], 0
    for shape in shapes:
        end = start + math.prod(shape)
        parts.append(jnp.reshape(flat[..., start:end], (*flat.shape[:-1], *shape)))
        start = end
    return parts


def _call(asked: Asked, first: Side, second: Side | None, found: tuple[Layout | None, int, tuple[int, ...]]) -> Call:
    layout, count, kept = found
    x, kwargs = first
    given = (x, arrays_of(kwargs))
    if layout is None:
        layout = Layout((None,) * len(jax.tree.leaves(given)), (None,) * count)
    constants = constants_of(kwargs, None if second is None else second[1])
    return Call(asked.f, constants, jax.tree.structure(given), layout, kept)
