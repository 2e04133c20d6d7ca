"""Architectures as programs of primitive operations. A layer is added by one function, registered at `lower`."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import arch, dual
from .._typing import Scalar, Shape, Tracer
from ..arch import AbstractLayer, Limit
from ..arch._window import Circular, Valid, Window, Zeros
from . import _program as program
from ._program import Geometry, Program


class NoNativeForm(ValueError):
    """An architecture has a layer that compiled engines do not know; the message is a sentence that names it."""


class Builder:
    """The operations so far, and what is known of the signal behind them.

    Attributes
    ----------
    operations, shapes
        As in `Program`, without the shape behind the last operation.
    shape
        Shape of one example behind the last operation. Where branches part, the current signal is in ``branches``.
    means
        Whether the signal has a mean over channels that is not zero for certain.
    branches
        Slot, shape and ``means`` of each branch; None where there are none.
    path
        Where the layer stands that is lowered: ``"2.0"``.
    """

    def __init__(self, shape: Shape) -> None:
        self.operations: list[Any] = []
        self.paths: list[str] = []
        self.shapes: list[Shape] = []
        self.shape, self.means = shape, True
        self.branches: tuple[tuple[int, Shape, bool], ...] | None = None
        self.path = ""
        self.taken: set[int] = set()
        self.slots = 0

    def emit(self, operation: Any, shape: Shape | None = None) -> None:
        """Append an operation, and the shape behind it if it changes."""
        self.operations.append(operation)
        self.paths.append(self.path)
        self.shapes.append(self.shape)
        self.shape = self.shape if shape is None else shape

    def keep(self) -> int:
        """Save the signal in a free slot, and return its number."""
        slot = next(i for i in range(self.slots + 1) if i not in self.taken)
        self.taken.add(slot)
        self.slots = max(self.slots, slot + 1)
        self.emit(program.Save(slot))
        return slot

    def add(self, slot: int, means: bool) -> None:
        """Add the signal of a slot to the current one, and free the slot."""
        self.emit(program.Add(slot, means and self.means))
        self.means = means or self.means
        self.taken.discard(slot)

    def refuse(self, what: str) -> NoNativeForm:
        """Return the refusal of the layer that is lowered; ``what`` is a predicate such as "has no native form"."""
        return NoNativeForm(f"layer {self.path or '0'} {what}")

    def number(self, value: Any) -> Scalar:
        """Return a hyperparameter as a number, or as it is while JAX differentiates or traces it."""
        return value if isinstance(value, Tracer) else float(value)

    def within(self, i: int, layer: AbstractLayer) -> None:
        """Lower a part of a layer."""
        path = self.path
        self.path = f"{path}.{i}" if path else str(i)
        lower(layer, self)
        self.path = path


def lowered(net: AbstractLayer, shape: Shape) -> Program:
    r"""Return the program of a network on inputs of one shape.

    Parameters
    ----------
    net
        A network of one input and one output.
    shape
        Shape of one example, (\*space, channels).

    Raises
    ------
    NoNativeForm
        If a layer has no form in primitive operations; the message names it.
    """
    if not shape or not isinstance(shape[0], int | np.integer):
        raise NoNativeForm("the network has several inputs, which compiled engines do not read")
    builder = Builder(tuple(shape))
    lower(net, builder)
    if builder.branches is not None:
        raise NoNativeForm("the network ends with several branches")
    return Program(tuple(builder.operations), (*builder.shapes, builder.shape), builder.slots, tuple(builder.paths))


@functools.singledispatch
def lower(layer: AbstractLayer, to: Builder) -> None:
    """Append the operations of a layer to a program."""
    raise to.refuse(f"({type(layer).__name__}) has no native form")


@lower.register
def _(layer: arch.Serial, to: Builder) -> None:
    for i, one in enumerate(layer.layers):
        to.within(i, one)


@lower.register
def _(layer: arch.Repeat, to: Builder) -> None:
    for _ in range(layer.times):
        to.within(0, layer.body)


@lower.register
def _(layer: arch.Residual, to: Builder) -> None:
    means = to.means
    slot = to.keep()
    to.within(0, layer.body)
    to.add(slot, means)


@lower.register
def _(layer: arch.FanOut, to: Builder) -> None:
    if to.branches is not None:
        raise to.refuse("(FanOut) parts branches again before they are joined, which has no native form")
    to.branches = ((to.keep(), to.shape, to.means),) * layer.count


@lower.register
def _(layer: arch.Parallel, to: Builder) -> None:
    if to.branches is None:
        raise to.refuse("(Parallel) reads several inputs, which has no native form")
    given, new = to.branches, []
    last = {slot: i for i, (slot, _, _) in enumerate(given)}
    for i, (branch, (slot, shape, means)) in enumerate(zip(layer.branches, given, strict=True)):
        to.branches, to.shape, to.means = None, shape, means
        to.emit(program.Load(slot))
        if last[slot] == i:
            to.taken.discard(slot)
        to.within(i, branch)
        if to.branches is not None:
            raise to.refuse("(Parallel) has a branch that parts and is not joined, which has no native form")
        new.append((to.keep(), to.shape, to.means))
    to.branches = tuple(new)


@lower.register
def _(layer: arch.Sum, to: Builder) -> None:  # noqa: ARG001
    if to.branches is None:
        raise to.refuse("(Sum) adds several inputs, which has no native form")
    (slot, to.shape, to.means), *rest = to.branches
    to.branches = None
    to.emit(program.Load(slot))
    to.taken.discard(slot)
    for slot, _, means in rest:
        to.add(slot, means)


@lower.register
def _(layer: arch.Dense, to: Builder) -> None:
    _weights(layer, to, to.shape[-1], layer.out_shape(to.shape))


@lower.register
def _(layer: arch.Conv, to: Builder) -> None:
    places = _geometry(layer.over(), to.shape[:-1], to)
    fan_in = int(np.prod(layer.window)) * to.shape[-1] // layer.groups
    _weights(layer, to, fan_in, layer.out_shape(to.shape), places)


@lower.register
def _(layer: arch.Activation, to: Builder) -> None:
    if layer.dual.linear:
        return
    own = jax.tree.map(to.number, layer.dual)
    to.emit(program.Dual(own))
    to.means = not _is_odd(own)


@lower.register
def _(layer: arch.AvgPool, to: Builder) -> None:
    places = _geometry(layer.over(), to.shape[:-1], to)
    to.emit(program.Pool(places, False, layer.normalize_edges), layer.out_shape(to.shape))


@lower.register
def _(layer: arch.SumPool, to: Builder) -> None:
    to.emit(program.Pool(_geometry(layer.over(), to.shape[:-1], to), True), layer.out_shape(to.shape))


@lower.register
def _(layer: arch.GlobalAvgPool, to: Builder) -> None:
    _over_space(program.GlobalPool(False, to.shape[:-1]), to, layer.out_shape(to.shape))


@lower.register
def _(layer: arch.GlobalSumPool, to: Builder) -> None:
    _over_space(program.GlobalPool(True, to.shape[:-1]), to, layer.out_shape(to.shape))


@lower.register
def _(layer: arch.Flatten, to: Builder) -> None:
    _over_space(program.Flatten(to.shape[:-1]), to, layer.out_shape(to.shape))


@lower.register
def _(layer: arch.LayerNorm, to: Builder) -> None:
    ndim = len(to.shape)
    layer.out_shape(to.shape)
    axes = tuple(sorted({axis % ndim for axis in layer.axes} - {ndim - 1}))
    affine = 0.0 if layer.affine is None else to.number(layer.affine.parameterization.limit(1.0, 1.0, 1).bias)
    to.emit(program.Norm(axes, to.number(layer.eps), affine, to.means))
    # Behind statistics of each position by itself no mean is left; over space, positions keep what differs.
    to.means = to.means and bool(axes)


@lower.register
def _(layer: arch.Scale, to: Builder) -> None:
    if np.ndim(layer.constant):
        raise to.refuse("(Scale) has one number per position, which has no native form")
    to.emit(program.Scale(to.number(layer.constant)))


@lower.register
def _(layer: arch.Dropout, to: Builder) -> None:
    rate = to.number(layer.rate)
    if isinstance(rate, Tracer) or rate:
        raise to.refuse("(Dropout) treats equal inputs apart from all others, which has no native form")


def _weights(layer: Any, to: Builder, fan_in: int, shape: Shape, window: Geometry | None = None) -> None:
    biases = 0.0 if layer.bias_std is None else to.number(layer.bias_std)
    scales = to.number(layer.weight_std), biases
    limit: Limit = layer.parameterization.limit(*scales, fan_in)
    gain, offset, weight, bias, tangent = map(to.number, limit)
    bias = 0.0 if layer.bias_std is None else bias
    to.emit(program.Linear(gain, offset, weight, bias, tangent, window), shape)
    to.means = False


def _over_space(operation: Any, to: Builder, shape: Shape) -> None:
    if len(to.shape) > 1:
        to.emit(operation, shape)


def _geometry(window: Window, space: Shape, to: Builder) -> Geometry:
    pads = window.padding.pads(space, window)
    if not isinstance(window.padding, Valid | Zeros | Circular):
        raise to.refuse(f"has the padding {window.padding!r}, which has no native form")
    circular = isinstance(window.padding, Circular)
    return Geometry(
        window.shape, window.strides, window.dilation, pads, circular, tuple(space), window.out_shape(space)
    )


def _is_odd(activation: dual.AbstractDual) -> bool:
    # Odd for certain, so that its mean over channels is zero: not known of a parameter that is traced.
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(activation)):
        return False
    if isinstance(activation, dual.Erf | dual.Sin):
        return bool(activation.c == 0)
    if isinstance(activation, dual.PiecewiseLinear):
        return bool(activation.a == activation.b)
    if isinstance(activation, dual.Series):
        return activation.fn is jnp.tanh
    return isinstance(activation, dual.Sign | dual.Gabor)
