"""Where the claim fails: in mean-field parameterization features move however wide the network is."""

from .._witness import Witness
from ..live import LiveConfig, measure
from ._common import exceeds


def run() -> Witness:
    """Measure the gap to the linearisation at width 1024 in mean-field parameterization."""
    gap = measure(LiveConfig(width=1024, parameterization="mean_field"), 800).frame.numbers["gap"] or 0.0
    words = "In mean-field parameterization a network of width 1024 leaves its linearisation by more than a quarter."
    return exceeds("counter_mean_field", words, ("gap at width 1024", gap), ("gap that is claimed", 0.0), 0.25)
