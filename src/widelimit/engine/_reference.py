"""The reference engine: nested `jax.vmap` of the propagation of one pair. Any layer, any device, differentiable."""

from typing import Any

import jax
import jax.numpy as jnp

from .._typing import PyTree
from ..arch import AbstractLayer, Pair, Space, input_pair, is_sample
from ._base import AbstractEngine, Block


class Reference(AbstractEngine):
    """Propagate every pair of inputs through the architecture under nested `jax.vmap`, layer by compiled layer.

    The self-moments ``xx`` and ``yy`` are not batched over the other input, so they are computed once per input.
    """

    def block(self, net: AbstractLayer, x1: PyTree, x2: PyTree) -> Block:
        """Return NNGP and NTK, each of shape (n1, n2)."""
        net = jax.tree.map(jnp.asarray, net)
        space = net.spatial_needed(Space.DIAGONAL)

        def row(x: PyTree) -> Block:
            return jax.vmap(lambda y: _read(net.propagate(_start(x, y, space))))(x2)

        return jax.vmap(row)(x1)

    def diagonal(self, net: AbstractLayer, x: PyTree) -> Block:
        """Return NNGP and NTK of each input with itself, each of shape (n,)."""
        net = jax.tree.map(jnp.asarray, net)
        space = net.spatial_needed(Space.DIAGONAL)
        return jax.vmap(lambda x: _read(net.propagate(_start(x, x, space))))(x)


def _start(x: PyTree, y: PyTree, space: Any) -> Any:
    if is_sample(x):
        return input_pair(x, y, space)
    spaces = space if isinstance(space, tuple) else (space,) * len(x)
    return tuple(_start(a, b, s) for a, b, s in zip(x, y, spaces, strict=True))


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
