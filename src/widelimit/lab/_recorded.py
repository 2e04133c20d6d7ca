"""Artefacts that were computed once by a recipe of the library and are kept beside the page.

Each is a JSON file in ``lab/recorded`` with the configuration, the version of the library, and a hash over
configuration, recipe and values; ``python -m widelimit.lab.record`` writes them anew. An artefact whose hash does not
fit is refused, so that the page never shows numbers that a changed recipe would no longer give.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.resources
import json
import math
from typing import Any

import msgspec

from ..recipes._exhibit import Curves, Matrices, Number, Panel, Surface

FOLDER = importlib.resources.files("widelimit.lab") / "recorded"
RECIPES = importlib.resources.files("widelimit.recipes") / "stories"
PANELS: dict[str, type[Any]] = {"curves": Curves, "matrices": Matrices, "surface": Surface}
DIGITS = 6


@dataclasses.dataclass(frozen=True)
class Recorded:
    """A recorded picture in steps.

    Attributes
    ----------
    name, title
        Its file, and what is seen.
    steps
        Panels of each step, to scrub through.
    captions
        One sentence for each step.
    numbers
        What the captions state.
    version
        Of the library that computed it.
    hash
        SHA-256 over configuration, source of the recipe, and values.
    config
        What the recipe was asked.
    """

    name: str
    title: str
    steps: list[list[Panel]]
    captions: list[str]
    numbers: list[Number]
    version: str
    hash: str
    config: dict[str, Any]

    def plain(self) -> dict[str, Any]:
        """Return plain values, as for JSON."""
        return dataclasses.asdict(self)


def names() -> list[str]:
    """Return the names of all stories there are recipes for."""
    files = (file.name for file in RECIPES.iterdir())
    return sorted(name[:-3] for name in files if name.endswith(".py") and not name.startswith("_"))


@functools.cache
def load(name: str) -> Recorded:
    """Return a recorded artefact.

    Raises
    ------
    ValueError
        If there is none of this name, it is damaged, or its hash fits neither its values nor its recipe.
    """
    file = FOLDER / f"{name}.json"
    if not file.is_file():
        raise ValueError(f"nothing is recorded as {name!r}; expected one of {', '.join(names())}.")
    return read(file.read_text(encoding="utf-8"), name)


def read(text: str, name: str) -> Recorded:
    """Return the artefact in a JSON text; see `load` for what is raised."""
    try:
        values = json.loads(text)
        steps = [[msgspec.convert(p, PANELS[p["kind"]]) for p in step] for step in values["steps"]]
        numbers = msgspec.convert(values["numbers"], list[Number])
        found = Recorded(**{**values, "steps": steps, "numbers": numbers})
    except (ValueError, KeyError, TypeError, msgspec.ValidationError) as error:
        raise ValueError(f"the recorded artefact {name}.json is damaged: {error}. {_REMEDY}") from None
    if found.hash != digest(values):
        raise ValueError(
            f"the hash of the recorded artefact {name}.json fits neither its values nor the recipe {name}.py: one of "
            f"them was changed. {_REMEDY}"
        )
    return found


_REMEDY = "Write it anew with 'python -m widelimit.lab.record'."


def digest(values: dict[str, Any]) -> str:
    """Return the hash of an artefact given as plain values."""
    source = (RECIPES / f"{values['name']}.py").read_text(encoding="utf-8")
    hashed = {key: value for key, value in values.items() if key not in ("hash", "version")}
    text = json.dumps({**hashed, "source": source}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def rounded(value: Any) -> Any:
    """Return plain values with every float rounded to six significant digits.

    Raises
    ------
    ValueError
        If a float is NaN or infinite.
    """
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"a value to be recorded is {value}; expected finite numbers.")
        return float(f"{value:.{DIGITS}g}")
    return value
