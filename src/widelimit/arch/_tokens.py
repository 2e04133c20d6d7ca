"""Networks that read token numbers: which do, and whether tokens are in their vocabulary."""

import jax

from .._typing import PyTree
from ._base import AbstractLayer
from ._branches import FanOut, Parallel
from ._compose import Residual, Serial
from ._embedding import Embedding, check_tokens
from ._repeat import Repeat
from ._sample import Sample, is_sample
from ._signal import DATA, TOKENS, Signal


def input_signal(net: AbstractLayer) -> Signal:
    """Return what a network reads: `DATA`, or `TOKENS` where its first layer is an `Embedding`."""
    return TOKENS if _reads_tokens(net) else DATA


def check_vocabulary(net: AbstractLayer, x: PyTree, name: str) -> None:
    """Refuse tokens that an `Embedding` at the input of the network does not know."""
    if isinstance(x, tuple) and isinstance(net, Parallel):
        for i, (branch, part) in enumerate(zip(net.branches, x, strict=True)):
            check_vocabulary(branch, part, f"{name}[{i}]")
        return
    for sample in jax.tree.leaves(x, is_leaf=is_sample):
        for first in _first(net):
            if isinstance(first, Embedding) and isinstance(sample, Sample):
                check_tokens(sample.cleared().values, first.vocabulary, name)


def _reads_tokens(net: AbstractLayer) -> bool:
    return all(layer.reads_tokens for layer in _first(net))


def _first(net: AbstractLayer) -> list[AbstractLayer]:
    # The layers that meet the input.
    if isinstance(net, Serial):
        fan_out = isinstance(net.layers[0], FanOut) and len(net.layers) > 1
        return _first(net.layers[1 if fan_out else 0])
    if isinstance(net, Residual | Repeat):
        return _first(net.body)
    if isinstance(net, Parallel):
        return [layer for branch in net.branches for layer in _first(branch)]
    return [net]
