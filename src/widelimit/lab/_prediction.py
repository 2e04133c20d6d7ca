"""A prediction in a content file: one control of a live run, one quantity, and the way to answer."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..recipes.live import LiveConfig, clamp

ANSWERS = ("direction", "choice", "number", "curve")
_REQUIRED = {"question", "control", "from", "to", "steps", "quantity", "answer"}
_OPTIONAL = {
    "key", "base", "quantity_name", "control_name", "unit", "of", "choices", "tolerance", "range", "domain", "why",
}  # fmt: skip


def check(prediction: dict[str, Any], owner: str) -> None:
    """Raise if a prediction could not be put to a run.

    Raises
    ------
    ValueError
        If a field is missing or unknown, the control is none, one of the two states is clamped, or the answer lacks
        what it needs; ``owner`` and the field are named.
    """
    missing, unknown = _REQUIRED - prediction.keys(), prediction.keys() - _REQUIRED - _OPTIONAL
    if missing or unknown:
        raise ValueError(f"the prediction of {owner!r} lacks {sorted(missing)} and has unknown {sorted(unknown)}")
    controls = {field.name for field in dataclasses.fields(LiveConfig)}
    base, control = prediction.get("base", {}), prediction["control"]
    if strange := {control, *base} - controls:
        raise ValueError(f"the prediction of {owner!r} sets {sorted(strange)}, which are no controls of a live run")
    if control in base:
        raise ValueError(f"the prediction of {owner!r} fixes its own control {control!r} in base; remove it there")
    for value in (prediction["from"], prediction["to"]):
        _, changes = clamp(LiveConfig(**{**base, control: value}))
        if changes:
            raise ValueError(f"the prediction of {owner!r} asks for {control} {value}: {changes[0].reason}")
    _check_answer(prediction, owner)


def _check_answer(prediction: dict[str, Any], owner: str) -> None:
    answer = prediction["answer"]
    if answer not in ANSWERS:
        raise ValueError(f"the prediction of {owner!r} has answer {answer!r}; expected one of {', '.join(ANSWERS)}")
    needed = {"choice": "choices", "curve": "range"}.get(answer)
    if needed and needed not in prediction:
        raise ValueError(f"the prediction of {owner!r} has answer {answer!r} and needs {needed!r}")
    if prediction.get("of", "after") not in ("after", "ratio"):
        raise ValueError(f"the prediction of {owner!r} is of {prediction['of']!r}; expected 'after' or 'ratio'")
