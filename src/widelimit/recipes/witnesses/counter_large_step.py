"""Where the claim fails: beyond the largest stable step training survives, and only because the kernel changes."""

import dataclasses
import math

from .._witness import Witness
from ..live import LiveConfig, measure
from ._common import exceeds

CATAPULT = LiveConfig(step=1.5, width=256, activation="relu", weight_std=1.0, bias_std=0.6)
STEPS = 3000


def run() -> Witness:
    """Measure how far the kernel moves in a catapult, and whether the loss ends below where it began."""
    before, after = (measure(CATAPULT, steps).frame.numbers for steps in (0, STEPS))
    moved, start, end = after["kernel_change"] or 0.0, before["loss"], after["loss"]
    survived = start is not None and end is not None and math.isfinite(end) and end < start
    words = (
        "With one and a half times the largest stable step the kernel moves by more than a fifth, and the loss "
        f"{'falls' if survived else 'does not fall'} from {_told(start)} to {_told(end)} in {STEPS} steps."
    )
    found = exceeds("counter_large_step", words, ("kernel moved by", moved), ("movement that is claimed", 0.0), 0.2)
    return dataclasses.replace(found, passed=found.passed and survived)


def _told(loss: float | None) -> str:
    return "nothing finite" if loss is None else f"{loss:.2g}"
