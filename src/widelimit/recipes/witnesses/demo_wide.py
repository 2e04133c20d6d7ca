"""A network of width 4096 stays on its linearisation and on its infinite-width limit."""

from .._witness import Witness
from ..live import LiveConfig, measure


def run() -> Witness:
    """Measure the gaps of a wide network, as shares of what it learnt, beside those of a narrow one."""
    wide, narrow = (measure(LiveConfig(width=width), 800).frame.numbers for width in (4096, 64))
    error = max(wide["gap"] or 0.0, wide["gap_infinite"] or 0.0)
    words = "At width 4096 network, linearisation and limit stay together after 800 steps; at 64 they do not."
    left, right = ("largest gap at width 4096", error), ("gap at width 64", narrow["gap"] or 0.0)
    return Witness("demo_wide", words, left, right, error, 0.03, error <= 0.03)
