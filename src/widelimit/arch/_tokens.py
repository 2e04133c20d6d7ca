"""Does a network read token numbers?"""

from ._base import AbstractLayer
from ._branches import Parallel
from ._compose import Residual, Serial
from ._repeat import Repeat
from ._signal import DATA, TOKENS, Signal


def input_signal(net: AbstractLayer) -> Signal:
    """Return what a network reads: `DATA`, or `TOKENS` where its first layer is an `Embedding`."""
    return TOKENS if _reads_tokens(net) else DATA


def _reads_tokens(net: AbstractLayer) -> bool:
    if isinstance(net, Serial):
        return _reads_tokens(net.layers[0])
    if isinstance(net, Residual | Repeat):
        return _reads_tokens(net.body)
    if isinstance(net, Parallel):
        return all(_reads_tokens(branch) for branch in net.branches)
    return net.reads_tokens
