"""What experiments share: progress that may be silent, and a network's config as plain values."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..._typing import Callable

Progress = Callable[[float, float, str], None]


def tell(progress: Progress | None, done: float, total: float, text: str) -> None:
    """Report progress, if anybody listens; whoever listens may raise to stop the work."""
    if progress is not None:
        progress(done, total, text)


def plain(config: Any) -> dict[str, Any]:
    """Return a configuration as plain values."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(config).items()}


def within(name: str, value: float, low: float, high: float) -> None:
    """Raise a ValueError unless a value lies between two ends, both included."""
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}; expected a number from {low:g} to {high:g}.")
