"""What a method costs: the number by which methods are compared."""

from typing import NamedTuple

FLOPS_PER_BYTE = 20.0
"""Floating operations that take as long as moving one byte: typical of processors and accelerators alike."""


class Cost(NamedTuple):
    """What a method costs on a problem.

    Attributes
    ----------
    flops
        Floating operations.
    bytes
        Bytes written and read between operations.
    peak
        Bytes held at a time.
    """

    flops: float
    bytes: float
    peak: float

    @property
    def time(self) -> float:
        """Flops, and bytes counted as flops."""
        return self.flops + FLOPS_PER_BYTE * self.bytes
