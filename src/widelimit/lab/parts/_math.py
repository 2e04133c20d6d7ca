"""Equations with their witnesses, assumptions, a derivation, and one table of symbols."""

from typing import Any

import msgspec

from .._content import Part
from .._objects import Item


class Equation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A displayed equation: ``says`` reads it out, ``witness`` names the check that computes both of its sides."""

    key: str
    title: str
    tex: str
    says: str
    note: str
    witness: str
    sources: tuple[str, ...] = ()


class Assumption(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is assumed, and what changes without it."""

    name: str
    holds: str
    otherwise: str


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of the derivation and the rule it uses."""

    rule: str
    tex: str
    words: str


class Symbol(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A symbol, its name in code, and where it is seen."""

    tex: str
    means: str
    code: str
    plotted: str


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The second section."""

    opening: str
    equations: tuple[Equation, ...]
    assumptions_lead: str
    assumptions: tuple[Assumption, ...]
    derivation_lead: str
    derivation: tuple[Move, ...]
    symbols: tuple[Symbol, ...]
    check: str
    unchecked: str

    def items(self) -> tuple[Item, ...]:
        """Return every equation."""
        return tuple(Item(equation.key, "equation", equation.title, "math") for equation in self.equations)

    def data(self) -> dict[str, Any]:
        """Return the witness of every equation."""
        return {"witnesses": {equation.key: equation.witness for equation in self.equations}}

    def sealed(self) -> dict[str, Any]:
        """Return nothing."""
        return {}


PART = Part("math", Content)
