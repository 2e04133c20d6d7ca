"""Write the recorded artefacts of the page anew: ``python -m widelimit.lab.record [name ...]``."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import json
import pathlib
import sys
from typing import Any

from . import _recorded


def compute(name: str) -> dict[str, Any]:
    """Return an artefact as plain values, computed now.

    Raises
    ------
    ValueError
        If there is no recipe of this name.
    """
    if name not in _recorded.names():
        raise ValueError(f"there is no story {name!r}; expected one of {', '.join(_recorded.names())}.")
    recipe = importlib.import_module(f"widelimit.recipes.stories.{name}")
    config = recipe.Config()
    values = {"name": name, "config": dataclasses.asdict(config), **dataclasses.asdict(recipe.run(config))}
    values = {**_recorded.rounded(values), "version": importlib.metadata.version("widelimit")}
    return {**values, "hash": _recorded.digest(values)}


def main(chosen: list[str]) -> None:
    """Write the artefacts ``chosen``, or all."""
    for name in chosen or _recorded.names():
        path = pathlib.Path(str(_recorded.FOLDER)) / f"{name}.json"
        path.write_text(json.dumps(compute(name), allow_nan=False, separators=(",", ":")) + "\n", encoding="utf-8")
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main(sys.argv[1:])
