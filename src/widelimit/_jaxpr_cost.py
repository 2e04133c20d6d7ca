"""Operations and memory traffic of a jaxpr, counted equation by equation."""

import math
from typing import Any, NamedTuple

from jax.extend import core

from ._jaxpr import CALLS, called


class Count(NamedTuple):
    """What a function costs.

    Attributes
    ----------
    flops
        Floating operations: two per multiply-add of a matrix product or convolution, one per element otherwise.
    bytes
        Size of all results together.
    largest
        Size of the largest result.
    """

    flops: float
    bytes: float
    largest: float


def count(closed: core.ClosedJaxpr) -> Count:
    """Return the cost of one evaluation; the branches of a conditional count together, a while loop as one step."""
    flops = size = largest = 0.0
    for eqn in closed.jaxpr.eqns:
        one = _one(eqn)
        flops, size, largest = flops + one.flops, size + one.bytes, max(largest, one.largest)
    return Count(flops, size, largest)


def _one(eqn: Any) -> Count:
    name = eqn.primitive.name
    results = [float(_size(v)) for v in eqn.outvars]
    largest, total = max(results, default=0.0), sum(results)
    if name in CALLS or name == "scan":
        inner, times = count(called(eqn)), eqn.params.get("length", 1)
        return Count(times * inner.flops, times * inner.bytes + total, max(inner.largest, largest))
    inside = [count(v) for v in _closed(eqn.params.values())]
    if inside:
        return Count(sum(c.flops for c in inside), total + sum(c.bytes for c in inside), largest)
    return Count(_flops(eqn), total, largest)


def _closed(values: Any) -> list[core.ClosedJaxpr]:
    nested = [v for value in values for v in (value if isinstance(value, tuple) else (value,))]
    return [v for v in nested if isinstance(v, core.ClosedJaxpr)]


def _flops(eqn: Any) -> float:
    shapes = [v.aval.shape for v in eqn.invars]
    out = math.prod(eqn.outvars[0].aval.shape) if eqn.outvars else 0
    if eqn.primitive.name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        return 2.0 * out * math.prod(shapes[0][a] for a in contracted)
    if eqn.primitive.name == "conv_general_dilated":
        features = shapes[1][eqn.params["dimension_numbers"].rhs_spec[0]]
        return 2.0 * out * math.prod(shapes[1]) / features
    return float(max([out, *(math.prod(s) for s in shapes)]))


def _size(variable: Any) -> int:
    aval = variable.aval
    return math.prod(aval.shape) * getattr(aval.dtype, "itemsize", 4)
