"""The claim, what supports it, what it does not say, and checks that run."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ...recipes import witnesses
from .._content import Part
from .._objects import Item


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A witness: what it shows, the object it stands for, and its hash when the claim was last reviewed."""

    name: str
    title: str
    kind: Literal["equation", "code", "demo"]
    key: str
    hash: str
    counter: bool = False

    @property
    def stands(self) -> bool:
        """Whether the witness is still the one that was reviewed."""
        return witnesses.witness_hash(self.name)[:16] == self.hash


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A statement and the works it is taken from."""

    key: str
    title: str
    statement: str
    sources: tuple[str, ...]


class Support(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one kind of evidence supports."""

    by: str
    key: str
    says: str


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The claim review."""

    lead: str
    claims: tuple[Claim, ...]
    supports: tuple[Support, ...]
    silent_title: str
    silent_lead: str
    silent: tuple[str, ...]
    evidence_lead: str
    evidence: tuple[Evidence, ...]
    counter_lead: str
    disclaimers: tuple[str, str]
    changed: str

    def __post_init__(self) -> None:
        """Check that all witnesses exist, and that all that exist are listed."""
        listed = [evidence.name for evidence in self.evidence]
        for name in set(listed) ^ set(witnesses.names()):
            raise ValueError(f"the witness {name!r} is either unknown or not listed; every witness is listed once")
        if not any(evidence.counter for evidence in self.evidence):
            raise ValueError("evidence has no counter-witness; expected at least one")

    def items(self) -> tuple[Item, ...]:
        """Return the claims."""
        return tuple(Item(claim.key, "claim", claim.title, "review") for claim in self.claims)

    def data(self) -> dict[str, Any]:
        """Return the names of the witnesses."""
        return {"witnesses": [evidence.name for evidence in self.evidence]}

    def sealed(self) -> dict[str, Any]:
        """Return nothing."""
        return {}


PART = Part("review", Content)
