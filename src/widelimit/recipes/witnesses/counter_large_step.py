"""Where the claim fails: beyond the largest stable step training survives only because the kernel changes."""

from .._witness import Witness
from ..live import LiveConfig, measure
from ._common import exceeds

CATAPULT = LiveConfig(step=1.5, width=256, activation="relu", weight_std=1.0, bias_std=0.6)


def run() -> Witness:
    """Measure how far the kernel moves in a catapult."""
    moved = measure(CATAPULT, 3000).frame.numbers["kernel_change"] or 0.0
    words = "With one and a half times the largest stable step the kernel moves by more than a fifth."
    return exceeds("counter_large_step", words, ("kernel moved by", moved), ("movement that is claimed", 0.0), 0.2)
