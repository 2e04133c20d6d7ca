"""A cell of NumPy that can be run and changed, its twin in the library, and the trap of missing biases."""

from __future__ import annotations

import hashlib
import importlib.resources
from typing import Any

import msgspec

from .._content import Part
from .._objects import Item

FOLDER = importlib.resources.files("widelimit.recipes.witnesses")


class Lines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A range of lines of the cell, what it is, and the hash of its text when that was last reviewed."""

    first: int
    last: int
    key: str
    words: str
    hash: str


class Width(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the cell printed at one width, as recorded; a test runs it again."""

    width: int
    without: float
    with_bias: float


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the two programs: its object, its file among the witnesses, and its words."""

    key: str
    title: str
    file: str
    words: str

    @property
    def text(self) -> str:
        """The program."""
        return (FOLDER / self.file).read_text(encoding="utf-8")


class Trap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The trap, and what was measured."""

    title: str
    words: str
    widths: tuple[Width, ...]


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The third section."""

    opening: str
    cell: Listing
    twin: Listing
    lines: tuple[Lines, ...]
    witness: str
    trap_witness: str
    limits: str
    trap: Trap

    def __post_init__(self) -> None:
        """Check that the line ranges are those that were reviewed."""
        text = self.cell.text.splitlines()
        for lines in self.lines:
            found = lines_hash("\n".join(text[lines.first - 1 : lines.last]))
            if found != lines.hash:
                raise ValueError(
                    f"lines {lines.first} to {lines.last} have hash {found}, not {lines.hash}: review what is said of "
                    "them, then change the hash"
                )

    def items(self) -> tuple[Item, ...]:
        """Return the cell and its twin."""
        return tuple(Item(one.key, "code", one.title, "code") for one in (self.cell, self.twin))

    def data(self) -> dict[str, Any]:
        """Return the cell as it stands."""
        return {
            "code": self.cell.text,
            "witness": self.witness,
            "trapWitness": self.trap_witness,
            "limits": self.limits,
        }

    def sealed(self) -> dict[str, Any]:
        """Return nothing."""
        return {}


def lines_hash(text: str) -> str:
    """Return the short hash of lines of the cell."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


PART = Part("code", Content)
