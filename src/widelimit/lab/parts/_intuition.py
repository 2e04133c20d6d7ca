"""The question, the picture that answers it, and what makes the answer useful."""

from typing import Any

import msgspec

from .. import _recorded
from .._content import Part
from .._objects import Item


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first section; ``picture`` names a recorded story of which step ``step`` is shown."""

    key: str
    question: str
    before: str
    after: str
    useful: str
    hedge: str
    picture: str
    step: int
    caption: str

    def __post_init__(self) -> None:
        """Check that the picture is there."""
        if not 0 <= self.step < len(self.recorded.steps):
            raise ValueError(f"step is {self.step}; the picture has {len(self.recorded.steps)} steps")

    @property
    def recorded(self) -> _recorded.Recorded:
        """The picture, with version and hash."""
        return _recorded.load(self.picture)

    def items(self) -> tuple[Item, ...]:
        """Return the question."""
        return (Item(self.key, "concept", self.question, "intuition"),)

    def data(self) -> dict[str, Any]:
        """Return nothing: the picture is static."""
        return {}

    def sealed(self) -> dict[str, Any]:
        """Return nothing."""
        return {}


PART = Part("intuition", Content)
