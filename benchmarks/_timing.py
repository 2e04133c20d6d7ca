"""Interleaved timing: every variant of every side in turn, round after round, so that all see the same machine."""

import dataclasses
import statistics

from ._worker import Worker


@dataclasses.dataclass(frozen=True)
class Entry:
    """A variant of a side."""

    worker: Worker
    variant: str

    @property
    def side(self) -> str:
        """Name of the side."""
        return self.worker.side


@dataclasses.dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float


@dataclasses.dataclass
class Times:
    """Seconds of a warm call by the clock, and of all cores together, round by round."""

    seconds: list[float] = dataclasses.field(default_factory=list)
    processor: list[float] = dataclasses.field(default_factory=list)


def interleave(entries: list[Entry], rounds: int, least: float = 0.1, slow: float = 5.0) -> dict[Entry, Times]:
    """Return the times of a warm call of each entry in each round.

    Every turn repeats the call until ``least`` seconds have passed and gives their median: the first call of a turn
    finds cold caches. Rounds run forwards and backwards by turns. A variant that was more than ``slow`` times slower
    than the best of its side in the first round stays out of the others.
    """
    times = {entry: Times() for entry in entries}
    for i in range(rounds):
        for entry in entries if i % 2 == 0 else reversed(entries):
            if i == 0 or _competes(entry, times, slow):
                answer = entry.worker.ask("time", variant=entry.variant, least=least)
                times[entry].seconds.append(answer["seconds"])
                times[entry].processor.append(answer["processor"])
    return times


def _competes(entry: Entry, times: dict[Entry, Times], slow: float) -> bool:
    best = min(t.seconds[0] for other, t in times.items() if other.side == entry.side)
    return times[entry].seconds[0] <= slow * best


def spread(values: list[float]) -> Spread:
    """Return median and quartiles of a few numbers."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def ratios(a: list[float], b: list[float]) -> list[float]:
    """Return a/b round by round, over the rounds that both were in."""
    return [x / y for x, y in zip(a, b, strict=False)]
