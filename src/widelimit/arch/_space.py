"""How much of the second moments between positions of space a layer needs."""

import enum


class Space(enum.Enum):
    """Which pairs of positions second moments are kept for."""

    DIAGONAL = "diagonal"
    """Each position with itself: arrays of shape (*space,)."""
    FULL = "full"
    """Every position with every other: arrays of shape (*space, *space)."""


def most(spaces: tuple[Space, ...]) -> Space:
    """Return what is enough for all."""
    return Space.FULL if Space.FULL in spaces else Space.DIAGONAL
