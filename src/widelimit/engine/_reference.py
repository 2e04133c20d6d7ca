"""The reference engine: nested `jax.vmap` of the propagation of one pair. Any layer, any device, differentiable."""

from typing import Any

import jax
import jax.numpy as jnp

from .._typing import PyTree
from ..arch import AbstractLayer, Pair, Space, as_samples
from ._base import AbstractEngine, Block, Wanted
from ._moments import start


class Reference(AbstractEngine):
    """Propagate every pair of inputs through the architecture under nested `jax.vmap`, layer by compiled layer.

    The self-moments ``xx`` and ``yy`` are not batched over the other input, so they are computed once per input.
    """

    def block(self, net: AbstractLayer, x1: PyTree, x2: PyTree, *, wanted: Wanted = Wanted()) -> Block:  # noqa: ARG002
        """Return NNGP and NTK, each of shape (n1, n2); both come out, whichever is wanted."""
        net, x1, x2 = jax.tree.map(jnp.asarray, net), as_samples(x1), as_samples(x2)
        space = net.spatial_needed(Space.DIAGONAL)

        def row(x: PyTree) -> Block:
            return jax.vmap(lambda y: _read(net.propagate(start(x, y, space))))(x2)

        return jax.vmap(row)(x1)

    def diagonal(self, net: AbstractLayer, x: PyTree) -> Block:
        """Return NNGP and NTK of each input with itself, each of shape (n,)."""
        net, x = jax.tree.map(jnp.asarray, net), as_samples(x)
        space = net.spatial_needed(Space.DIAGONAL)
        return jax.vmap(lambda x: _read(net.propagate(start(x, x, space))))(x)


def _read(pair: Any) -> Block:
    if not isinstance(pair, Pair):
        raise ValueError(
            f"the network ends with {len(pair)} branches; expected one output. Join them by Sum(), Product() or "
            "Concatenate()."
        )
    if pair.gap.ndim:
        raise ValueError(
            f"the network ends with space {pair.xx.shape}; expected one vector per example. End it with Flatten() or "
            "GlobalAvgPool() and a Dense layer."
        )
    return Block(nngp=pair.xy, ntk=pair.ntk)
