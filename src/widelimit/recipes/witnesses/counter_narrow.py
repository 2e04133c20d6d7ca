"""Where the claim fails: a narrow network with a bold step leaves its linearisation."""

from .._witness import Witness
from ..live import LiveConfig, measure
from ._common import exceeds


def run() -> Witness:
    """Measure the gap to the linearisation at width 64."""
    gap = measure(LiveConfig(width=64), 800).frame.numbers["gap"] or 0.0
    words = "At width 64 the network leaves its linearisation by more than a tenth of what it learnt."
    return exceeds("counter_narrow", words, ("gap at width 64", gap), ("gap that the claim expects", 0.0), 0.1)
