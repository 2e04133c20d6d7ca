"""Whether a section of the page has what it needs, computed from its content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..recipes import witnesses

EQUATIONS, STATES = 5, 3


def lacking(section: str, contents: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a section still needs, in words; nothing if it is ready.

    Parameters
    ----------
    section
        The key of the section.
    contents
        The content of every part by key, as loaded: a part whose data is wrong does not get so far.
    """
    if section not in contents or section not in NEEDS:
        return ("its content",)
    return tuple(words for words, there in NEEDS[section](contents[section]) if not there)


def _intuition(content: Any) -> list[tuple[str, bool]]:
    steps = content.recorded.steps
    return [
        ("the question", bool(content.question.strip())),
        ("a recorded picture", content.step < len(steps) and len(steps[content.step]) > 0),
        ("the words around the picture", bool(content.before.strip() and content.after.strip())),
    ]


def _math(content: Any) -> list[tuple[str, bool]]:
    known = witnesses.names()
    return [
        (f"{EQUATIONS} equations", len(content.equations) >= EQUATIONS),
        ("a witness of every equation", all(equation.witness in known for equation in content.equations)),
        ("assumptions", bool(content.assumptions)),
        ("a derivation", bool(content.derivation)),
        ("a table of symbols", bool(content.symbols)),
    ]


def _code(content: Any) -> list[tuple[str, bool]]:
    known = witnesses.names()
    return [
        ("the cell", bool(content.cell.text.strip())),
        ("its twin in the library", bool(content.twin.text.strip())),
        ("witnesses of both", content.witness in known and content.trap_witness in known),
        ("lines linked to equations", bool(content.lines)),
    ]


def _demo(content: Any) -> list[tuple[str, bool]]:
    return [
        ("controls", bool(content.controls)),
        ("views", bool(content.views)),
        (f"{STATES} states", len(content.presets) >= STATES),
        ("a prediction with its explanation", any(one.get("explanation") for one in content.predictions)),
    ]


NEEDS: dict[str, Callable[[Any], list[tuple[str, bool]]]] = {
    "intuition": _intuition,
    "math": _math,
    "code": _code,
    "demo": _demo,
}
