"""The research room: one object, its open question, and what the reader makes of it."""

from __future__ import annotations

from typing import Any

import msgspec

from .._content import Part
from .._objects import Item, Kind


class Guide(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the room proposes for a kind of object; ``{title}`` is the object's, ``inspect`` are objects to look at."""

    kind: Kind
    name: str
    question: str
    evidence: str
    resolve: str
    inspect: tuple[str, ...]


class Misconception(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A common mistake, why it is one, and the state of the demo that shows it."""

    key: str
    title: str
    says: str
    but: str
    state: str


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The research room."""

    lead: str
    privacy: str
    misconceptions_lead: str
    guides: tuple[Guide, ...]
    misconceptions: tuple[Misconception, ...]
    tutor: str

    def __post_init__(self) -> None:
        """Check that every kind has its guide, once."""
        kinds = [guide.kind for guide in self.guides]
        missing = set(Kind.__args__) - set(kinds)
        if missing or len(kinds) != len(set(kinds)):
            raise ValueError(f"guides must hold every kind once; missing {', '.join(sorted(missing)) or 'none'}")

    def items(self) -> tuple[Item, ...]:
        """Return the misconceptions."""
        return tuple(Item(one.key, "misconception", one.title, "room") for one in self.misconceptions)

    def data(self) -> dict[str, Any]:
        """Return guides, misconceptions and the words of the handoff."""
        return {
            "guides": {guide.kind: msgspec.to_builtins(guide) for guide in self.guides},
            "misconceptions": {one.key: msgspec.to_builtins(one) for one in self.misconceptions},
            "tutor": self.tutor,
        }

    def sealed(self) -> dict[str, Any]:
        """Return nothing."""
        return {}


PART = Part("room", Content)
