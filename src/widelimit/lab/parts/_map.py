"""Before, now, next: the neighbours of this concept, from one graph."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .._content import Part
from .._objects import CONCEPT, Item


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A concept; ``standing`` says whether its page exists."""

    key: str
    title: str
    place: Literal["before", "now", "next", "aside"]
    standing: Literal["here", "planned"]
    line: str


class Edge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A link between two concepts; prerequisite and next links run forward in the order of learning."""

    kind: Literal["definition", "prerequisite", "contrast", "next"]
    start: str
    end: str
    words: str


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The learning map."""

    title: str
    lead: str
    locked: str
    earned: str
    continued: str
    go_on: str
    reset: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def __post_init__(self) -> None:
        """Check that links end at concepts, that there is one of each place, and that the order has no cycle."""
        keys = [node.key for node in self.nodes]
        if len(set(keys)) < len(keys):
            raise ValueError("nodes repeat a key; every concept stands once on the map")
        for edge in self.edges:
            for end in (edge.start, edge.end):
                if end not in keys:
                    raise ValueError(f"an edge of kind {edge.kind!r} ends at {end!r}, which is no concept of the map")
        if [node.key for node in self.nodes if node.place == "now"] != [CONCEPT]:
            raise ValueError(f"exactly {CONCEPT!r} must be the concept of now")
        _check_acyclic(keys, [(e.start, e.end) for e in self.edges if e.kind in ("prerequisite", "next")])

    def at(self, place: str) -> tuple[Node, ...]:
        """Return the concepts of a place."""
        return tuple(node for node in self.nodes if node.place == place)

    def beside(self) -> tuple[tuple[Edge, Node], ...]:
        """Return what defines this concept and what stands against it, each with its link."""
        nodes = {node.key: node for node in self.nodes}
        kinds = ("definition", "contrast")
        return tuple((edge, nodes[edge.start]) for edge in self.edges if edge.kind in kinds and edge.end == CONCEPT)

    def items(self) -> tuple[Item, ...]:
        """Return nothing: the concept is the title of the page."""
        return ()

    def data(self) -> dict[str, Any]:
        """Return the words of the edge to what comes next."""
        return {
            "locked": self.locked,
            "earned": self.earned,
            "continued": self.continued,
            "goOn": self.go_on,
            "reset": self.reset,
        }

    def sealed(self) -> dict[str, Any]:
        """Return nothing."""
        return {}


def _check_acyclic(keys: list[str], edges: list[tuple[str, str]]) -> None:
    left = set(keys)
    while left:
        free = {key for key in left if not any(end == key and start in left for start, end in edges)}
        if not free:
            raise ValueError(f"the order of learning has a cycle through {', '.join(sorted(left))}")
        left -= free


PART = Part("map", Content)
