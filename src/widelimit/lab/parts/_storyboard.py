"""Five frames from recorded runs: motion first, words after a commitment."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import msgspec

from ...recipes._exhibit import Curves
from .. import _prediction, _recorded
from .._content import Part
from .._objects import Item

Change = Literal["parameters", "features", "function", "kernel"]


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One frame: a recorded story, the kind of change that it shows, and the words about it.

    ``about`` says what is drawn and not what comes of it; ``prediction`` asks for a run of one's own.
    """

    key: str
    title: str
    story: str
    change: Change
    about: str
    text: str
    equation: str
    prediction: dict[str, Any] = {}

    @property
    def recorded(self) -> _recorded.Recorded:
        """The recorded run."""
        return _recorded.load(self.story)

    @property
    def picture(self) -> Curves | None:
        """The last panel of curves, for readers without scripts; it is described by ``about``."""
        found = [panel for panel in self.recorded.steps[-1] if isinstance(panel, Curves)]
        return dataclasses.replace(found[-1], text=self.about) if found else None


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The storyboard."""

    lead: str
    question: str
    changes: dict[Change, str]
    frames: tuple[Frame, ...]
    without: str

    def __post_init__(self) -> None:
        """Check that there are five frames or more, with runs."""
        if len(self.frames) < 5:
            raise ValueError(f"frames has {len(self.frames)} entries; expected five or more")
        for frame in self.frames:
            _recorded.load(frame.story)
            if frame.prediction:
                _prediction.check(frame.prediction, frame.key)

    def items(self) -> tuple[Item, ...]:
        """Return nothing."""
        return ()

    def data(self) -> dict[str, Any]:
        """Return panels and titles of every frame, without words about them."""
        return {"question": self.question, "changes": self.changes, "frames": [_plain(frame) for frame in self.frames]}

    def sealed(self) -> dict[str, Any]:
        """Return what is said of every frame."""
        return {
            frame.key: {
                "change": frame.change,
                "text": frame.text,
                "equation": frame.equation,
                "captions": frame.recorded.captions,
            }
            for frame in self.frames
        }


def _plain(frame: Frame) -> dict[str, Any]:
    recorded = frame.recorded
    steps = msgspec.to_builtins(recorded.steps)
    for panel in (panel for step in steps for panel in step):
        # The description of a panel states what came out; it is given with the words.
        panel["text"] = ""
    return {
        "key": frame.key,
        "title": frame.title,
        "about": frame.about,
        "story": frame.story,
        "prediction": {**frame.prediction, "key": f"storyboard-{frame.key}"} if frame.prediction else None,
        "steps": steps,
        "version": recorded.version,
        "hash": recorded.hash[:12],
    }


PART = Part("storyboard", Content)
