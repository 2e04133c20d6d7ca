"""A network of width 4096 stays on its linearisation and on its infinite-width limit, and one of width 64 does not."""

from collections.abc import Mapping

from .._witness import Witness
from ..live import LiveConfig, measure

STEPS = 800
TOLERANCE = 0.03
APART = 5.0
"""How many times larger the gap of the narrow network must be."""


def run() -> Witness:
    """Measure the gaps of a wide network, as shares of what it learnt, beside those of a narrow one."""
    wide, narrow = (measure(LiveConfig(width=width), STEPS).frame.numbers for width in (4096, 64))
    error = max(_gap(wide, "gap", 1.0), _gap(wide, "gap_infinite", 1.0))
    other = _gap(narrow, "gap", 0.0)
    words = (
        f"At width 4096 network, linearisation and limit stay together for {STEPS} steps; at 64 the network leaves its "
        f"linearisation {other / error if error else 0:.0f} times as far, and {APART:g} times is asked for."
    )
    left, right = ("largest gap at width 4096", error), ("gap at width 64", other)
    return Witness("demo_wide", words, left, right, error, TOLERANCE, error <= TOLERANCE and other >= APART * error)


def _gap(numbers: Mapping[str, float | None], name: str, missing: float) -> float:
    # A gap that could not be measured speaks against the statement.
    found = numbers[name]
    return missing if found is None else found
