"""Tasks of a page: experiments, checks of witnesses, measurements, snippets.

An experiment is a module of ``recipes/exhibits`` with ``Config`` and ``run(config, progress)``, a witness one of
``recipes/witnesses`` with ``run()``. A file there is found by its name; nothing is registered here.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Hashable
from typing import Any

import msgspec

from ..recipes import exhibits, witnesses
from ..recipes.live import LiveConfig, Measurement, clamp, code_of
from ._protocol import TaskKind

Report = Callable[[float, float, str], None]
LONG_SHAPES = 6


@dataclasses.dataclass(frozen=True)
class Job:
    """The computation of a task.

    Attributes
    ----------
    work
        Returns plain values; is given what to call with its progress.
    shape, shapes
        What is compiled for it, and for how many shapes of networks it counts; see `_worker.Memory`.
    """

    work: Callable[[Report], Any]
    shape: Hashable
    shapes: int = 1


class Stopped(Exception):
    """Raised inside a computation whose result nobody wants any more."""


class _Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    config: dict[str, Any] = {}


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    config: LiveConfig
    steps: int = 0
    step: int = 0


def names(package: Any) -> tuple[str, ...]:
    """Return the modules of a package that can be asked for by name."""
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def prepare(kind: TaskKind, payload: dict[str, Any]) -> Job:
    """Return the computation of a task, which returns plain values.

    Raises
    ------
    ValueError
        If the payload is not what this kind of task takes, or names nothing that there is.
    """
    return {"exhibit": _exhibit, "check": _check, "measure": _measure, "snippet": _snippet}[kind](payload)


def convert(payload: Any, record: type[Any], what: str) -> Any:
    """Return plain values as a record.

    Raises
    ------
    ValueError
        If a field is missing, unknown or of the wrong type; it is named.
    """
    try:
        if dataclasses.is_dataclass(record):
            known = {field.name for field in dataclasses.fields(record)}
            for name in payload:
                if name not in known:
                    raise ValueError(f"{what} has no {name!r}; it has {', '.join(sorted(known))}.")
        return msgspec.convert(payload, record)
    except msgspec.ValidationError as error:
        raise ValueError(f"{what} is not understood: {error}.") from None


def shape(config: LiveConfig) -> Hashable:
    """Return what the compiled code of a live run depends on."""
    return code_of(clamp(config)[0])


def _module(package: Any, name: str, what: str) -> Any:
    known = names(package)
    if name not in known:
        raise ValueError(f"there is no {what} {name[:60]!r}; there are {', '.join(known) or 'none'}.")
    return importlib.import_module(f"{package.__name__}.{name}")


def _exhibit(payload: dict[str, Any]) -> Job:
    asked = convert(payload, _Named, "the experiment")
    module = _module(exhibits, asked.name, "experiment")
    config = convert(asked.config, module.Config, f"the experiment {asked.name}")
    return Job(lambda report: msgspec.to_builtins(module.run(config, report)), f"{asked.name} {config}", LONG_SHAPES)


def _check(payload: dict[str, Any]) -> Job:
    asked = convert(payload, _Named, "the check")
    module = _module(witnesses, asked.name, "witness")
    return Job(lambda _report: msgspec.to_builtins(module.run()), asked.name, LONG_SHAPES)


def _measure(payload: dict[str, Any]) -> Job:
    from ..recipes import live

    asked = convert(payload, _State, "the measurement")
    return Job(lambda _report: seen(live.measure(asked.config, asked.steps)), shape(asked.config))


def seen(measured: Measurement) -> dict[str, Any]:
    """Return a measurement as plain values."""
    frame = measured.frame
    return {
        "config": msgspec.to_builtins(measured.config),
        "changes": msgspec.to_builtins(measured.changes),
        "step": frame.step,
        "phase": frame.phase.value,
        "numbers": frame.numbers,
        "sentence": frame.sentence,
        "arrays": {name: array.tolist() for name, array in frame.arrays.items()},
    }


def _snippet(payload: dict[str, Any]) -> Job:
    from ..recipes import live

    asked = convert(payload, _State, "the state")
    return Job(lambda _report: {"code": live.snippet(asked.config, asked.step)}, shape(asked.config))
