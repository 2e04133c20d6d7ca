"""A layer of neural-tangents: three functions around a layer of this library."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from ..._typing import Callable, Params, PyTree
from ...arch import AbstractLayer
from ._axes import Axes

Flow = Callable[[Any], Any]
"""From the axes that a layer gets to those that it gives, refusing axes that do not fit."""


@dataclasses.dataclass(frozen=True)
class Record:
    """What the three functions of a layer share.

    Attributes
    ----------
    name
        Its name in neural-tangents.
    net
        From the axes of its input to the layer of this library, on arrays (n, *space, channels).
    first
        From the number of axes of the input to the axes that the layer asks for; None where it takes any.
    flow
        From the axes of its input to those of its output.
    pack, unpack
        Parameters of ``net`` in neural-tangents' form, and back.
    graph
        From ``pattern``, the axes of the inputs and their shapes (n, *space, channels) to graphs of this library,
        nested as the inputs are; None where no layer reads one.
    examples
        From the axes of its input to the slices of examples that are taken one after another; most take none.
    value
        The function of an element-wise layer, which arrays of any shape may be given; None for other layers.
    """

    name: str
    net: Callable[[Any], AbstractLayer]
    first: Callable[[int], Axes | None]
    flow: Flow
    pack: Callable[[Params], PyTree]
    unpack: Callable[[PyTree], Params]
    graph: Callable[[Any, Any, Any], Any] | None = None
    examples: Callable[[Any], tuple[slice, ...]] = lambda where: ()  # noqa: ARG005
    value: Callable[[Any], Any] | None = None


class Layer(NamedTuple):
    """The triple that users of neural-tangents take apart."""

    init_fn: Any
    apply_fn: Any
    kernel_fn: Any


def record_of(layer: Any, where: str) -> Record:
    """Return the record of a triple of functions.

    Raises
    ------
    ValueError
        If it is no layer, or one whose kernel function was written for neural-tangents itself.
    """
    functions = layer if isinstance(layer, tuple | list) and len(layer) >= 3 else None
    record = None if functions is None else getattr(functions[2], "record", None)
    if not isinstance(record, Record):
        raise ValueError(
            f"{where} is {layer!r}; expected (init_fn, apply_fn, kernel_fn) as the layers of this module return them. "
            "A kernel function of your own is written as a layer of this library instead: see docs/layers.md."
        )
    return record


def first_graph(records: list[Record]) -> Callable[[Any, Any, Any], Any] | None:
    """Return how the first of layers in series that reads a graph reads it; all layers share one pattern."""
    if all(record.graph is None for record in records):
        return None

    def graph(pattern: Any, where: Any, shapes: Any) -> Any:
        start, n = where, _first_leaf(shapes)[0]
        for record in records:
            if record.graph is not None:
                return _like(record.graph(pattern, where, shapes), start)
            out = record.net(where).out_shape(map_nested(lambda s: s[1:], where, shapes))
            where = record.flow(where)
            shapes = map_nested(lambda s: (n, *s), where, out)
        return None

    return graph


def branch_graphs(records: list[Record]) -> Callable[[Any, Any, Any], Any] | None:
    """Return how layers side by side read graphs, each those of its own input."""
    if all(record.graph is None for record in records):
        return None

    def graph(pattern: Any, where: Any, shapes: Any) -> Any:
        return tuple(graphs(r, pattern, w, s) for r, w, s in zip(records, where, shapes, strict=True))

    return graph


def graphs(record: Record, pattern: Any, where: Any, shapes: Any) -> Any:
    """Return the graphs of the inputs of a layer, nested as their axes are; None where it reads none."""
    if record.graph is None:
        return map_nested(lambda _: None, where, where)
    return record.graph(pattern, where, shapes)


def map_nested(fn: Callable, where: Any, *trees: Any) -> Any:
    """Return ``fn`` of the leaves of trees that are nested as axes are."""
    if isinstance(where, Axes):
        return fn(*trees)
    return tuple(map_nested(fn, *parts) for parts in zip(where, *trees, strict=True))


def _first_leaf(shapes: Any) -> Any:
    return shapes if isinstance(shapes[0], int) else _first_leaf(shapes[0])


def _like(found: Any, where: Any) -> Any:
    # Graphs further on, for the inputs they come from.
    if isinstance(where, Axes):
        while isinstance(found, tuple):
            found = next((g for g in found if g is not None), None)
        return found
    alike = isinstance(found, tuple) and len(found) == len(where)
    return tuple(_like(found[i] if alike else found, w) for i, w in enumerate(where))


def nothing(_: Any) -> Any:
    """Return no parameters, in either form."""
    return ()


def no_parameters(_: Any) -> Any:
    """Return no parameters in this library's form."""
    return {}
