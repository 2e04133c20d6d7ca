"""What one example costs and keeps alive while a model is evaluated, counted on its jaxpr."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .._jaxpr import trace
from .._jaxpr_cost import count
from .._typing import PyTree
from ._problem import Flat


class Measure(NamedTuple):
    """Sizes of a problem.

    Attributes
    ----------
    outputs
        Outputs of one example.
    dtype
        Of the outputs.
    entries, parameters
        Entries and bytes of the trainable parameters.
    flops
        Floating-point operations of one evaluation of one example.
    activations
        Bytes of all its intermediate results: an upper bound on what a backward pass keeps.
    """

    outputs: int
    dtype: Any
    entries: int
    parameters: int
    flops: float
    activations: int

    @property
    def derivatives(self) -> int:
        """Bytes of one evaluation of one example and of its derivatives along every output."""
        return (1 + self.outputs) * self.activations

    @property
    def jacobian(self) -> int:
        """Bytes that the Jacobian of one example takes, twice because it may wait in another layout."""
        return 2 * self.outputs * self.parameters + self.derivatives


def measure(flat: Flat, x: PyTree) -> Measure:
    """Return the sizes of a problem on a batch ``x``, of whose shapes only those of one example count."""
    one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(jnp.shape(a)[1:], jnp.result_type(a)), x)
    closed = trace(flat.one, flat.leaves, one)
    (out,) = closed.out_avals
    total = count(closed)
    entries = sum(leaf.size for leaf in flat.leaves)
    parameters = sum(leaf.size * leaf.dtype.itemsize for leaf in flat.leaves)
    return Measure(out.shape[0], out.dtype, entries, parameters, total.flops, int(total.bytes))
