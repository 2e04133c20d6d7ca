"""What one example keeps alive while a model is evaluated and differentiated, counted on its jaxpr."""

import math
from typing import Any

import jax

from .._typing import Callable, PyTree
from ._problem import Flat


def output_size(flat: Flat, x: PyTree) -> int:
    """Return the number of outputs of one example."""
    return jax.eval_shape(flat.one, flat.leaves, _first(x)).size


def activation_bytes(flat: Flat, x: PyTree) -> int:
    """Return the bytes of all intermediate results of one example: an upper bound on what a backward pass keeps."""
    return intermediate_bytes(flat.one, flat.leaves, _first(x))


def intermediate_bytes(fn: Callable, *args: PyTree) -> int:
    """Return the bytes of all intermediate results of a function; those of a loop count at every step."""
    return _bytes(jax.make_jaxpr(fn)(*args).jaxpr)


def _first(x: PyTree) -> PyTree:
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), x)


def _bytes(jaxpr: Any) -> int:
    total = 0
    for eqn in jaxpr.eqns:
        inner = [body for value in eqn.params.values() for body in _bodies(value)]
        total += eqn.params.get("length", 1) * sum(_bytes(body) for body in inner)
        if not inner:
            total += sum(math.prod(v.aval.shape) * v.aval.dtype.itemsize for v in eqn.outvars)
    return total


def _bodies(value: Any) -> list[Any]:
    # A jaxpr, one closed over constants, or a tuple of branches.
    if isinstance(value, tuple | list):
        return [body for part in value for body in _bodies(part)]
    closed = getattr(value, "jaxpr", value)
    return [closed] if getattr(closed, "eqns", None) is not None else []
