"""The live demo: its controls, the states worth seeing, the classic experiments, and predictions to make."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, get_args

import msgspec

from ...recipes.live import MOST_POINTS, RANGES, LiveConfig, clamp
from .._content import Part
from .._objects import Item

LARGEST_VALUE = 10
"""Of own points; see `clamp`."""

ControlKind = Literal["powers", "range", "choice", "switch", "number"]


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One value of a control and its words."""

    value: str
    label: str


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One control: ``key`` is a field of `LiveConfig`; ``increment`` the distance of two values of a slider."""

    key: str
    label: str
    kind: ControlKind
    help: str
    group: Literal["main", "more"] = "more"
    unit: str = ""
    scale: Literal["linear", "log"] = "linear"
    increment: float = 1.0
    choices: tuple[Choice, ...] = ()


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A state worth seeing: ``config`` changes the default, ``watch`` says what to look for, ``view`` where."""

    key: str
    title: str
    short: str
    watch: str
    view: str = "function"
    config: dict[str, Any] = {}


class Experiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A classic experiment: ``name`` is the recipe that runs it, ``fields`` what of its configuration can be varied."""

    name: str
    title: str
    line: str
    source: str = ""
    fields: tuple[Field, ...] = ()


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One field of the configuration of an experiment, and the values that are offered."""

    key: str
    label: str
    value: str
    choices: tuple[Choice, ...]


class View(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to look at a run: ``line`` says what it shows and how to read it."""

    key: str
    label: str
    line: str


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the three models: its colour, its name, and what it is."""

    role: Literal["finite", "linear", "infinite"]
    name: str
    line: str


class Sweep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The experiment behind the view of widths, and the fields of a live run it takes over."""

    name: str
    line: str
    fields: tuple[str, ...]


class ReadOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number of every frame: its name, its formula in LaTeX, and whether it is read as a percentage."""

    key: str
    label: str
    formula: str
    help: str
    percent: bool = True


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The words of the demo; what a control, a preset or an experiment names must exist."""

    what: str
    band: str
    words: dict[str, str]
    sweep: Sweep
    models: tuple[Model, ...]
    controls: tuple[Control, ...]
    presets: tuple[Preset, ...]
    views: tuple[View, ...]
    readouts: tuple[ReadOut, ...]
    experiments: tuple[Experiment, ...]
    predictions: tuple[dict[str, Any], ...] = ()
    default: dict[str, Any] = {}

    def __post_init__(self) -> None:
        """Check every name and value against `LiveConfig`."""
        kinds = {field.name: field.type for field in dataclasses.fields(LiveConfig)}
        for control in self.controls:
            if control.key not in kinds:
                raise ValueError(f"control {control.key!r} is no field of a live run; there are {', '.join(kinds)}")
            _check_choices(control)
        views = {view.key for view in self.views}
        for preset in self.presets:
            _check_preset(self, preset)
            if preset.view not in views:
                raise ValueError(f"preset {preset.key!r} opens view {preset.view!r}; there are {', '.join(views)}")

    def items(self) -> tuple[Item, ...]:
        """Return the presets, each a demo state."""
        return tuple(Item(preset.key, "demo-state", preset.title, "demo") for preset in self.presets)

    def data(self) -> dict[str, Any]:
        """Return controls, states, experiments and predictions; the predictions without their explanations."""
        ranges = {key: (low, high) for key, (low, high) in RANGES.items()}
        controls = [
            {
                **msgspec.to_builtins(control),
                "low": ranges.get(control.key, (0, 0))[0],
                "high": ranges.get(control.key, (0, 0))[1],
            }
            for control in self.controls
        ]
        presets = {preset.key: {**msgspec.to_builtins(preset), "config": self.state(preset)} for preset in self.presets}
        hidden = [{k: v for k, v in one.items() if k != "explanation"} for one in self.predictions]
        return {
            "default": dataclasses.asdict(_config({**self.default})),
            "controls": controls,
            "presets": presets,
            "views": msgspec.to_builtins(self.views),
            "readouts": msgspec.to_builtins(self.readouts),
            "experiments": msgspec.to_builtins(self.experiments),
            "predictions": hidden,
            "sweep": msgspec.to_builtins(self.sweep),
            "own": {"most_points": MOST_POINTS, "largest": LARGEST_VALUE},
            "words": self.words,
        }

    def state(self, preset: Preset) -> dict[str, Any]:
        """Return the whole configuration of a preset as plain values."""
        return dataclasses.asdict(_config({**self.default, **preset.config}))

    def sealed(self) -> dict[str, Any]:
        """Return the explanation of every prediction by the name its ``why`` asks for."""
        return {f"why/{one['key']}": one["explanation"] for one in self.predictions if "explanation" in one}


def _config(values: dict[str, Any]) -> LiveConfig:
    return msgspec.convert(values, LiveConfig)


def _check_choices(control: Control) -> None:
    allowed = {name: get_args(kind) for name, kind in _literals().items()}.get(control.key)
    if allowed is None:
        return
    named = [choice.value for choice in control.choices]
    if sorted(named) != sorted(allowed):
        raise ValueError(f"control {control.key!r} offers {named}; the library knows {list(allowed)}")


def _literals() -> dict[str, Any]:
    hints = LiveConfig.__annotations__
    return {name: hint for name, hint in hints.items() if get_args(hint) and isinstance(get_args(hint)[0], str)}


def _check_preset(content: Content, preset: Preset) -> None:
    try:
        config = _config({**content.default, **preset.config})
        used, changes = clamp(config)
    except (msgspec.ValidationError, ValueError) as error:
        raise ValueError(f"preset {preset.key!r}: {error}") from None
    unknown = set(preset.config) - {field.name for field in dataclasses.fields(LiveConfig)}
    if unknown:
        raise ValueError(f"preset {preset.key!r} sets {', '.join(sorted(unknown))}, which a live run does not have")
    if changes or not math.isfinite(used.step):
        raise ValueError(f"preset {preset.key!r} would be changed: {changes[0].reason if changes else used}")


PART = Part("demo", Content)
