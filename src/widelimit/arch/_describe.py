"""A network layer by layer: shapes, parameters, and what one entry of its kernel costs."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from .. import _check
from .._jaxpr_cost import count
from .._typing import Callable
from ._activation import Activation
from ._aggregate import Aggregate
from ._base import AbstractLayer
from ._branches import Parallel
from ._compose import Residual, Serial, needed, restrict
from ._join import sum_pairs
from ._pair import Pair, input_pair
from ._repeat import Repeat
from ._sample import Sample
from ._space import Space
from ._tokens import input_signal

NOTES: list[Callable[[AbstractLayer, Any], str]] = []
"""What parts of the house above this one say of a network and the shape of an example: one sentence or more each."""

HEADINGS: tuple[str, ...] = ("layer", "", "output", "parameters", "space", "moments", "flops", "bytes")


@dataclasses.dataclass(frozen=True)
class Row:
    """One layer of a described network.

    Attributes
    ----------
    path
        Where it stands: ``"2.0"`` is the first layer of the network that is layer 2.
    layer
        Its kind and width.
    shape
        Output shape of one example, a tuple of them where branches run in parallel.
    parameters
        Number of parameters.
    space
        Which pairs of positions are kept behind it; for branches, the most of any.
    moments
        Numbers kept per pair of inputs behind it: gap and NTK at each pair of positions.
    flops, bytes
        Operations, and bytes written, to pass one pair of inputs through the limit of the layer.
    """

    path: str
    layer: str
    shape: Any
    parameters: int
    space: Space
    moments: int
    flops: float
    bytes: float


@dataclasses.dataclass(frozen=True)
class Description:
    """A network layer by layer; print it to read the table.

    Counting rule: operations and bytes are those of the traced limit of one pair of inputs, with two operations per
    multiply-add of a matrix product and one per element of any other result. The moments within each input are
    included; a matrix of kernels computes them once per input, so that an entry of a large one costs less.

    Attributes
    ----------
    rows
        One `Row` per layer, in the order in which data pass them.
    notes
        Which engine runs, and why, with an estimate of what a large kernel takes.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Number of parameters of the network."""
        return sum(row.parameters for row in self.rows)

    @property
    def flops(self) -> float:
        """Operations for one entry of the kernel."""
        return sum(row.flops for row in self.rows)

    @property
    def bytes(self) -> float:
        """Bytes written for one entry of the kernel."""
        return sum(row.bytes for row in self.rows)

    def __str__(self) -> str:
        """Return the table, and the notes below it."""
        return "\n".join([self.table, *self.notes])

    @property
    def table(self) -> str:
        """The table alone, without notes."""
        lines = [HEADINGS]
        for row in self.rows:
            numbers = (f"{row.moments:,}", f"{row.flops:,.0f}", f"{row.bytes:,.0f}")
            lines.append((row.path, row.layer, str(row.shape), f"{row.parameters:,}", row.space.value, *numbers))
        totals = (f"{self.parameters:,}", "", "", f"{self.flops:,.0f}", f"{self.bytes:,.0f}")
        lines.append(("total", "", "", *totals))
        widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
        # Words to the left, numbers to the right.
        aligned = [
            [
                cell.ljust(w) if i in (0, 1, 2, 4) else cell.rjust(w)
                for i, (cell, w) in enumerate(zip(line, widths, strict=True))
            ]
            for line in lines
        ]
        return "\n".join("  ".join(line).rstrip() for line in aligned)


def describe(net: AbstractLayer, shape: Any, width: int | None = None) -> Description:
    r"""Return a network layer by layer: output shapes, parameters, what its kernel keeps of space, and costs.

    Parameters
    ----------
    net
        A layer or network.
    shape
        Shape of one example, ``x.shape[1:]``; a tuple of shapes for several inputs.
    width
        Width of hidden layers for the parameters; None for those of the network.

    Raises
    ------
    ValueError
        If the shape does not fit, or a layer has no limit in closed form.
    """
    _check.instance(net, AbstractLayer, "net", "serial(Dense(64), Relu(), Dense(1))")
    if width is not None:
        net = net.at_width(width)
    return Description(layer_rows(net, shape), tuple(note(net, shape) for note in NOTES))


def layer_rows(net: AbstractLayer, shape: Any) -> tuple[Row, ...]:
    """Return the rows of a description, one per layer."""
    net.out_shape(shape)
    pair = _input(net, shape, net.spatial_needed(Space.DIAGONAL))
    rows, _, _ = _walk(net, "", (shape, pair), Space.DIAGONAL)
    return tuple(rows)


Place = tuple[Any, Any]
"""Shape of one example and (abstract) pair at a place of the network."""


def _walk(layer: AbstractLayer, path: str, place: Place, space: Any) -> tuple[list[Row], Any, Any]:
    # Rows of a part, and the place behind it; ``space`` is what the rest of the network needs.
    shape, pair = place
    if isinstance(layer, Serial):
        rows = []
        for i, one in enumerate(layer.layers):
            rest = needed(layer.layers[i + 1 :], space)
            pair = _abstract(lambda p, s=one.spatial_needed(rest): restrict(p, s), pair)
            more, shape, pair = _walk(one, _under(path, i), (shape, pair), rest)
            rows += more
        return rows, shape, pair
    if isinstance(layer, Parallel):
        spaces = space if isinstance(space, tuple) else (space,) * len(layer.branches)
        parts = zip(layer.branches, shape, pair, spaces, strict=True)
        found = [_walk(b, _under(path, i), (s, p), sp) for i, (b, s, p, sp) in enumerate(parts)]
        return [r for rows, _, _ in found for r in rows], tuple(f[1] for f in found), tuple(f[2] for f in found)
    if isinstance(layer, Residual):
        rows, shape, branch = _walk(layer.body, _under(path, 0), place, layer.body.spatial_needed(space))
        own, after = _row(path, "Residual (sum)", lambda p: sum_pairs((p, _zeros_like(branch))), (shape, pair))
        return [*rows, own], shape, after
    if isinstance(layer, Repeat):
        rows, shape, pair = _walk(layer.body, f"{path} x{layer.times}", place, layer.body.spatial_needed(space))
        many = [
            dataclasses.replace(
                r, parameters=r.parameters * layer.times, flops=r.flops * layer.times, bytes=r.bytes * layer.times
            )
            for r in rows
        ]
        return many if layer.times else [], shape, pair
    own, after = _row(path, _label(layer), layer.propagate, (layer.out_shape(shape), pair))
    params = jax.eval_shape(lambda k: layer.init(k, shape), jax.random.key(0))
    total = sum(math.prod(a.shape) for a in jax.tree.leaves(params))
    return [dataclasses.replace(own, parameters=total)], own.shape, after


def _zeros_like(pair: Pair) -> Pair:
    # The branch stands for itself in the trace of the sum.
    return jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), pair)


def _row(path: str, label: str, fn: Callable, place: Place) -> tuple[Row, Any]:
    shape, pair = place
    closed, after = jax.make_jaxpr(fn, return_shape=True)(pair)
    cost = count(closed)
    pairs = [p for p in jax.tree.leaves(after, is_leaf=lambda a: isinstance(a, Pair)) if isinstance(p, Pair)]
    full = any(p.gap_x is not None for p in pairs)
    moments = sum(math.prod(p.gap.shape) + math.prod(p.ntk.shape) for p in pairs)
    space = Space.FULL if full else Space.DIAGONAL
    return Row(path or "0", label, shape, 0, space, moments, cost.flops, cost.bytes), after


def _abstract(fn: Callable, pair: Any) -> Any:
    return jax.eval_shape(fn, pair)


def _under(path: str, i: int) -> str:
    return f"{path}.{i}" if path else str(i)


def _label(layer: AbstractLayer) -> str:
    if isinstance(layer, Activation):
        return type(layer.dual).__name__
    width = getattr(layer, "width", None)
    return type(layer).__name__ + ("" if width is None else f"({width})")


def _input(net: AbstractLayer, shape: Any, space: Any) -> Any:
    if shape and isinstance(shape[0], tuple | list):
        spaces = space if isinstance(space, tuple) else (space,) * len(shape)
        return tuple(_input(net, s, sp) for s, sp in zip(shape, spaces, strict=True))
    tokens = input_signal(net).tokens
    positions = tuple(shape) if tokens else tuple(shape[:-1])
    graphs = any(isinstance(a, Aggregate) for a in jax.tree.leaves(net, is_leaf=lambda a: isinstance(a, Aggregate)))
    values = jax.ShapeDtypeStruct(tuple(shape), jnp.int32 if tokens else jnp.zeros(()).dtype)
    graph = jax.ShapeDtypeStruct(positions * 2, jnp.zeros(()).dtype) if graphs else None

    def pair(values: Any, graph: Any) -> Pair:
        x = Sample(values, graph=graph)
        return input_pair(x, x, space)

    return jax.eval_shape(pair, values, graph)
