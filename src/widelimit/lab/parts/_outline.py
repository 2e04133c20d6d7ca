"""The four sections at a glance."""

from typing import Any

import msgspec

from .._content import Part
from .._objects import Item


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words around the outline; its entries are the sections of the shell."""

    label: str
    ready: str
    missing: str
    after: str

    def items(self) -> tuple[Item, ...]:
        """Return nothing."""
        return ()

    def data(self) -> dict[str, Any]:
        """Return nothing: the script follows the links."""
        return {}

    def sealed(self) -> dict[str, Any]:
        """Return nothing."""
        return {}


PART = Part("outline", Content)
