"""What one example costs and keeps alive while a model is evaluated, counted on its jaxpr."""

from typing import Any

import jax

from .._jaxpr import trace
from .._jaxpr_cost import Count, count
from .._typing import PyTree
from ._problem import Flat


def output_size(flat: Flat, x: PyTree) -> int:
    """Return the number of outputs of one example."""
    return jax.eval_shape(flat.one, flat.leaves, _first(x)).size


def parameter_bytes(flat: Flat) -> int:
    """Return the bytes of the trainable parameters."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in flat.leaves)


def activation_bytes(flat: Flat, x: PyTree) -> int:
    """Return the bytes of all intermediate results of one example: an upper bound on what a backward pass keeps."""
    return int(forward(flat, x).bytes)


def forward(flat: Flat, x: PyTree) -> Count:
    """Return the cost of one evaluation of one example."""
    return count(trace(flat.one, flat.leaves, _first(x)))


def _first(x: PyTree) -> Any:
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), x)
