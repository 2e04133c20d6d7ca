"""The reference engine: nested `jax.vmap` of the propagation of one pair. Any layer, any device, differentiable."""

import jax
import jax.numpy as jnp

from .._typing import Array
from ..arch import AbstractLayer, Pair, input_pair
from ._base import AbstractEngine, Block


class Reference(AbstractEngine):
    """Propagate every pair of inputs through the architecture under nested `jax.vmap`, layer by compiled layer.

    The self-moments ``xx`` and ``yy`` are not batched over the other input, so they are computed once per input.
    """

    def block(self, net: AbstractLayer, x1: Array, x2: Array) -> Block:
        """Return NNGP and NTK, each of shape (n1, n2)."""
        net = jax.tree.map(jnp.asarray, net)

        def row(x: Array) -> Block:
            return jax.vmap(lambda y: _read(net.propagate(input_pair(x, y))))(x2)

        return jax.vmap(row)(x1)

    def diagonal(self, net: AbstractLayer, x: Array) -> Block:
        """Return NNGP and NTK of each input with itself, each of shape (n,)."""
        net = jax.tree.map(jnp.asarray, net)
        return jax.vmap(lambda x: _read(net.propagate(input_pair(x, x))))(x)


def _read(pair: Pair) -> Block:
    if pair.gap.ndim:
        raise ValueError(
            f"the network ends with space {pair.gap.shape}; expected one vector per example. End it with Flatten() "
            "and a Dense layer."
        )
    return Block(nngp=pair.xy, ntk=pair.ntk)
