"""Exercises: answer, hints in order, a self-check, then a predicted experiment."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .. import _prediction
from .._content import Part
from .._objects import Item


class Exercise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One exercise; ``prediction`` is an experiment for `Predict`, without its place."""

    key: str
    kind: Literal["explain", "predict", "compute", "draw", "refute"]
    title: str
    task: str
    hints: tuple[str, str, str]
    neighbour: str
    prediction: dict[str, Any]
    explanation: str


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The practice loop."""

    lead: str
    answer: str
    hint: str
    check_lead: str
    checks: tuple[str, str, str]
    experiment: str
    exercises: tuple[Exercise, ...]

    def __post_init__(self) -> None:
        """Check that there are five exercises or more, and a refutation among them."""
        if len(self.exercises) < 5:
            raise ValueError(f"exercises has {len(self.exercises)} entries; expected five or more")
        if not any(exercise.kind == "refute" for exercise in self.exercises):
            raise ValueError("exercises has no refutation; expected at least one of kind 'refute'")
        for exercise in self.exercises:
            _prediction.check(exercise.prediction, exercise.key)

    def items(self) -> tuple[Item, ...]:
        """Return nothing."""
        return ()

    def data(self) -> dict[str, Any]:
        """Return tasks and predictions, without hints and explanations."""
        shown = [
            {
                "key": one.key,
                "neighbour": one.neighbour,
                "prediction": {
                    **one.prediction,
                    "key": f"practice-{one.key}",
                    "why": f"practice/{one.key}/why",
                },
            }
            for one in self.exercises
        ]
        words = {"answer": self.answer, "hint": self.hint, "checkLead": self.check_lead, "checks": self.checks}
        return {**words, "experiment": self.experiment, "exercises": shown}

    def sealed(self) -> dict[str, Any]:
        """Return hints, one by one, and explanations."""
        hints = {f"{one.key}/hint-{i}": text for one in self.exercises for i, text in enumerate(one.hints, 1)}
        return hints | {f"{one.key}/why": one.explanation for one in self.exercises}


PART = Part("practice", Content)
