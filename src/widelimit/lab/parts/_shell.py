"""Title, carry-in, thesis, and the leads of the four sections."""

from typing import Any

import msgspec

from .._content import Part
from .._objects import CONCEPT, Item


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One numbered section: ``key`` is its anchor, ``prompt`` its line in the outline, ``lead`` its first words."""

    key: str
    title: str
    prompt: str
    lead: str


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The frame of the page."""

    title: str
    domain: str
    prerequisite: str
    carry_in: str
    thesis: str
    divider: str
    sections: tuple[Section, Section, Section, Section]

    def items(self) -> tuple[Item, ...]:
        """Return the concept."""
        return (Item(CONCEPT, "concept", self.title, "shell"),)

    def data(self) -> dict[str, Any]:
        """Return the title."""
        return {"title": self.title}

    def sealed(self) -> dict[str, Any]:
        """Return nothing."""
        return {}


PART = Part("shell", Content)
