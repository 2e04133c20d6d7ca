"""What a story returns: panels to look at one step after the other, a caption for each, and the numbers in them."""

import dataclasses
from collections.abc import Sequence

from .._exhibit import Number, Panel


@dataclasses.dataclass(frozen=True)
class Story:
    """A picture in steps.

    Attributes
    ----------
    title
        What is seen.
    steps
        Panels of each step; step by step they have the same titles and axes, so that one can scrub through them.
    captions
        One sentence for each step, with its numbers.
    numbers
        What the captions state.
    """

    title: str
    steps: Sequence[Sequence[Panel]]
    captions: list[str]
    numbers: list[Number]
