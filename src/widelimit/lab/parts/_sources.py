"""Where the page's statements come from."""

from typing import Any, Literal

import msgspec

from .._content import Part
from .._objects import Item


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One work: ``role`` says what the page takes from it, ``locator`` where it is found."""

    key: str
    kind: Literal["paper", "book", "software"]
    year: int
    title: str
    authors: str
    venue: str
    role: str
    locator: str
    address: str


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The registry of sources."""

    lead: str
    sources: tuple[Source, ...]

    def items(self) -> tuple[Item, ...]:
        """Return every source."""
        return tuple(Item(source.key, "source", source.title, "sources") for source in self.sources)

    def data(self) -> dict[str, Any]:
        """Return nothing: the cards need no script."""
        return {}

    def sealed(self) -> dict[str, Any]:
        """Return nothing."""
        return {}


PART = Part("sources", Content)
