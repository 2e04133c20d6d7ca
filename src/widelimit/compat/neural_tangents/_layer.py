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
        From ``pattern`` and the axes of the inputs to a graph of this library; None where no layer reads one.
    examples
        From the axes of its input to the slices of examples that are taken one after another; most take none.
    """

    name: str
    net: Callable[[Any], AbstractLayer]
    first: Callable[[int], Axes | None]
    flow: Flow
    pack: Callable[[Params], PyTree]
    unpack: Callable[[PyTree], Params]
    graph: Callable[[Any, Axes, Any], Any] | None = None
    examples: Callable[[Any], tuple[slice, ...]] = lambda where: ()  # noqa: ARG005


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


def first_graph(records: list[Record]) -> Callable[[Any, Axes, Any], Any] | None:
    """Return how the first layer that reads a graph reads it; all layers share one pattern."""
    return next((record.graph for record in records if record.graph is not None), None)


def nothing(_: Any) -> Any:
    """Return no parameters, in either form."""
    return ()


def no_parameters(_: Any) -> Any:
    """Return no parameters in this library's form."""
    return {}
