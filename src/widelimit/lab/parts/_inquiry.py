"""One figure with several objects, one of which is chosen to carry the intuition."""

from __future__ import annotations

from typing import Any

import msgspec

from ...recipes._exhibit import Curves
from .. import _prediction, _recorded
from .._content import Part
from .._objects import Item


class Cue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object of the figure: panel ``panel`` at step ``step`` of a recorded story, and reasons."""

    key: str
    name: str
    story: str
    step: int
    panel: int
    equation: str
    favour: str
    against: str

    @property
    def shown(self) -> Curves:
        """The panel."""
        found = _recorded.load(self.story).steps[self.step][self.panel]
        if not isinstance(found, Curves):
            raise ValueError(f"cue {self.key!r} names a panel of kind {found.kind!r}; expected curves")
        return found


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The visual inquiry."""

    lead: str
    question: str
    caption: str
    cues: tuple[Cue, ...]
    verdict: str
    prediction: dict[str, Any]
    explanation: str

    def __post_init__(self) -> None:
        """Check that there are three objects or more, and that each is there."""
        if len(self.cues) < 3:
            raise ValueError(f"cues has {len(self.cues)} entries; expected three or more")
        for cue in self.cues:
            assert cue.shown
        _prediction.check(self.prediction, "inquiry")

    def items(self) -> tuple[Item, ...]:
        """Return nothing."""
        return ()

    def data(self) -> dict[str, Any]:
        """Return the names of the cues, and the prediction without its explanation."""
        prediction = {**self.prediction, "key": "inquiry", "why": "inquiry/why"}
        cues = [{"key": cue.key, "name": cue.name} for cue in self.cues]
        return {"question": self.question, "cues": cues, "prediction": prediction}

    def sealed(self) -> dict[str, Any]:
        """Return reasons for and against every cue."""
        reasons = [
            {"key": c.key, "name": c.name, "favour": c.favour, "against": c.against, "equation": c.equation}
            for c in self.cues
        ]
        return {"reasons": {"cues": reasons, "verdict": self.verdict}, "why": self.explanation}


PART = Part("inquiry", Content)
