"""One run to a given step, and a whole run at chosen steps."""

import dataclasses

from ._config import Change, LiveConfig
from ._frame import Frame, LivePhase
from ._run import LiveRun


@dataclasses.dataclass(frozen=True)
class Measurement:
    """The state as clamped, what was changed, and what is seen at the last step (opening arrays included)."""

    config: LiveConfig
    changes: tuple[Change, ...]
    frame: Frame


def measure(config: LiveConfig, steps: int) -> Measurement:
    """Train for ``steps`` gradient steps, or until divergence, and return what is then seen.

    Raises
    ------
    ValueError
        If ``steps`` is negative or beyond a million, or the state makes no sense.
    """
    if not 0 <= steps <= 1_000_000:
        raise ValueError(f"steps is {steps}; expected a number from 0 to 1,000,000.")
    run = LiveRun.open(config)
    opening = run.opening
    last = run.advance(steps) if steps else opening
    numbers, arrays = opening.numbers | last.numbers, opening.arrays | last.arrays
    return Measurement(run.config, run.changes, dataclasses.replace(last, numbers=numbers, arrays=arrays))


@dataclasses.dataclass(frozen=True)
class Recording:
    """A run as a list of frames; the first is the opening."""

    config: LiveConfig
    changes: tuple[Change, ...]
    frames: tuple[Frame, ...]


def record(config: LiveConfig, steps: tuple[int, ...]) -> Recording:
    """Return the frames of a run at ascending step numbers; it ends early where nothing moves any more."""
    if list(steps) != sorted(set(steps)) or (steps and steps[0] < 1):
        raise ValueError("steps must be positive and ascending.")
    run = LiveRun.open(config)
    frames, at = [run.opening], 0
    for step in steps:
        frames.append(run.advance(step - at))
        at = step
        if frames[-1].phase is not LivePhase.TRAINING:
            break
    return Recording(run.config, run.changes, tuple(frames))
