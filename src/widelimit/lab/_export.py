"""The lab without a server: one page with recorded runs, that opens from a file.

Every script becomes a ``data:`` address in the import map, because a page that is opened from a file may not load
modules from other files; styles and fonts lie beside the page. What the page would ask of a server, it finds recorded:
the run of every preset, experiments, checks, and the texts that are shown after a commitment.
"""

from __future__ import annotations

import base64
import importlib
import importlib.metadata
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import markupsafe
import msgspec
import numpy as np

from ..recipes import exhibits, live, prepare_folder, witnesses
from ..recipes._write import write_folder, write_text
from ._content import load
from ._page import page_data, render, sealed
from ._protocol import Header, encode_frame
from ._static import FOLDER, modules
from ._tasks import names, seen
from ._worker import keep_compiled_code
from .parts import PARTS

Progress = Callable[[float, float, str], None]

STEPS = tuple(sorted({*range(1, 21), *(int(step) for step in np.geomspace(21, 4000, 70))}))
"""Gradient steps at which a run is recorded, unless it ends before."""


def export(folder: pathlib.Path, progress: Progress) -> None:
    """Write the page with everything it needs into ``folder``; it is complete or not there.

    Raises
    ------
    ValueError
        If the folder cannot be written.
    """
    prepare_folder(folder)
    keep_compiled_code()
    data = {**page_data(), "sealed": sealed(), "recorded": recorded(progress)}
    page = render(data, root="", imports=inlined())
    write_folder(folder, {"index.html": write_text(page), "static": _copy_static})


def recorded(progress: Progress) -> dict[str, Any]:
    """Return everything that a server would compute for this page, as plain values."""
    presets = _presets()
    predictions = _predictions()
    experiments = names(exhibits)
    total = len(presets) + len(predictions) + len(experiments) + len(witnesses.names())
    done = 0

    def tell(what: str) -> None:
        nonlocal done
        progress(done, total, what)
        done += 1

    runs, measured, shown, checked = [], [], {}, {}
    for key, config in presets.items():
        tell(f"run {key}")
        runs.append({"key": key, **_run(config)})
    for config, steps in predictions:
        tell("prediction")
        measured.append(
            {"asked": msgspec.to_builtins(config), "steps": steps, "value": seen(live.measure(config, steps))}
        )
    for name in experiments:
        tell(f"experiment {name}")
        module = importlib.import_module(f"{exhibits.__name__}.{name}")
        shown[name] = msgspec.to_builtins(module.run(module.Config(), None))
    for name in witnesses.names():
        tell(f"check {name}")
        checked[name] = msgspec.to_builtins(witnesses.run(name))
    progress(total, total, "writing")
    version = importlib.metadata.version("widelimit")
    return {"library": version, "runs": runs, "measured": measured, "exhibits": shown, "checks": checked}


def inlined() -> markupsafe.Markup:
    """Return an import map in which every module is a ``data:`` address."""
    imports = {}
    for name, path in modules().items():
        code = base64.b64encode((FOLDER / path).read_bytes()).decode()
        imports[name] = f"data:text/javascript;base64,{code}"
    return markupsafe.Markup(json.dumps({"imports": imports}))


def _presets() -> dict[str, live.LiveConfig]:
    demo: Any = next(load(part) for part in PARTS if part.key == "demo")
    return {preset.key: msgspec.convert(preset.config, live.LiveConfig) for preset in demo.presets}


def _predictions() -> list[tuple[live.LiveConfig, int]]:
    # The states before and after the change of every prediction on the page, each once; a curve that is drawn also
    # needs its training points.
    content: dict[str, Any] = {part.key: load(part) for part in PARTS}
    found = [*content["demo"].predictions, *(exercise.prediction for exercise in content["practice"].exercises)]
    found += [frame.prediction for frame in content["storyboard"].frames if frame.prediction]
    found.append(content["inquiry"].prediction)
    states: dict[tuple[live.LiveConfig, int], None] = {}
    for one in found:
        for value in (one["from"], one["to"]):
            config = msgspec.convert({**one.get("base", {}), one["control"]: value}, live.LiveConfig)
            states[config, int(one["steps"])] = None
            if one["answer"] == "curve":
                states[config, 0] = None
    return list(states)


def _run(config: live.LiveConfig) -> dict[str, Any]:
    record = live.record(config, STEPS)
    frames = []
    for i, frame in enumerate(record.frames):
        header = Header(0, i, i == 0, frame.step, frame.numbers, frame.sentence, ())
        frames.append(base64.b64encode(encode_frame(header, frame.arrays)).decode())
    return {
        "config": msgspec.to_builtins(record.config),
        "changes": msgspec.to_builtins(record.changes),
        "end": record.frames[-1].phase.value,
        "frames": frames,
    }


def _copy_static(path: pathlib.Path) -> None:
    # Scripts are in the page; they are not needed beside it.
    shutil.copytree(FOLDER, path, ignore=shutil.ignore_patterns("*.js", "*.mjs", "core", "charts"))
