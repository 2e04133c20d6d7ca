"""One layer of a network in the limit, compiled by itself."""

from typing import Any

import equinox as eqx
import jax

from ._base import AbstractLayer
from ._pair import Pair


@eqx.filter_jit
def step(layer: AbstractLayer, pair: Any) -> Any:
    """Return the pair behind a layer, with zeros where a position is missing.

    Each layer is compiled by itself, once for all layers of its kind: compiling a deep network as one piece takes
    time that grows with the square of its depth.
    """
    return jax.tree.map(Pair.cleared, layer.propagate(pair), is_leaf=lambda node: isinstance(node, Pair))
