"""Objects of the page: everything with a key, an anchor and a deep link."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["concept", "equation", "source", "code", "claim", "misconception", "demo-state"]


class Item(msgspec.Struct, frozen=True):
    """One object: ``key`` is ``prefix:name``, unique on the page; ``part`` is where it stands."""

    key: str
    kind: Kind
    title: str
    part: str

    @property
    def anchor(self) -> str:
        """The id of its element, and the fragment of its deep link."""
        return anchor(self.key)


CONCEPT = "concept:scaling/ntk"
PREFIXES: dict[str, Kind] = {
    "concept": "concept",
    "eq": "equation",
    "source": "source",
    "code": "code",
    "claim": "claim",
    "misconception": "misconception",
    "state": "demo-state",
}


def anchor(key: str) -> str:
    """Return the anchor of an object: ``eq:ntk`` becomes ``eq/ntk``."""
    return "concept/concept-notebook/scaling/ntk" if key == CONCEPT else key.replace(":", "/")


def registry(items: tuple[Item, ...]) -> dict[str, Item]:
    """Return the objects by key.

    Raises
    ------
    ValueError
        If two share a key or an anchor, or a key's prefix is not the one of its kind.
    """
    found: dict[str, Item] = {}
    anchors: dict[str, str] = {}
    for item in items:
        prefix = item.key.split(":")[0]
        if PREFIXES.get(prefix) != item.kind:
            raise ValueError(f"object {item.key!r} is of kind {item.kind!r}; its key does not begin with that kind.")
        if item.key in found or item.anchor in anchors:
            raise ValueError(f"object {item.key!r} appears twice (in {item.part!r}); keys and anchors are unique.")
        found[item.key], anchors[item.anchor] = item, item.key
    return found
