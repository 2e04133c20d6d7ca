"""With frozen features the network is linear in what is trained, and equals its linearisation."""

from .._witness import Witness
from ..live import LiveConfig, measure
from ._common import compare


def run() -> Witness:
    """Compare the trained network with its linearisation after many steps."""
    arrays = measure(LiveConfig(freeze=True), 5000).frame.arrays
    words = "With the readout alone trained, the network is its linearisation after 5000 steps."
    sides = ("‖finite‖ on the grid", arrays["finite"]), ("‖linearised‖ on the grid", arrays["linear"])
    return compare("demo_frozen", words, *sides, 1e-6)
