"""The live run of one page: opened, trained in chunks, and sent frame by frame; the newest run wins.

A run is computed in chunks of steps. Between two chunks the player looks at what the page wants now, so that nothing
that it asks waits for longer than one chunk, and an older run is left at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from ..recipes.live import Frame, LiveConfig, LivePhase, clamp
from ._failures import Gone, sentence
from ._protocol import (
    FRAMES_PER_SECOND,
    UNACKNOWLEDGED,
    Ack,
    Failed,
    Header,
    Open,
    Opened,
    Pace,
    Pause,
    Phase,
    PhaseChange,
    Play,
    Rewind,
    ServerMessage,
    Step,
    encode_frame,
)
from ._worker import Worker

MOST_STEPS = 10_000
MOST_PACE = 512

WORDS: dict[Phase, str] = {
    "compiling": "Preparing this network; the first time this takes a moment.",
    "training": "Training.",
    "paused": "Paused at step {step}.",
    "converged": "Converged at step {step}: further steps change nothing that can be seen.",
    "diverged": "Diverged after step {step}, the last state with finite numbers. A smaller step trains.",
}

Transport = Play | Pause | Step | Rewind | Pace | Ack


class LiveRun(Protocol):
    """What a live run offers; see `widelimit.recipes.live`."""

    @property
    def opening(self) -> Frame:
        """The frame of step 0 with all that does not change."""
        ...

    def pace(self, wanted: int = 0) -> int:
        """Return how many steps the next frame should make: at most ``wanted``, if that is not 0."""
        ...

    def advance(self, steps: int) -> Frame:
        """Train on, and return the frame."""
        ...

    def rewind(self) -> Frame:
        """Go back to step 0, and return its frame."""
        ...


@dataclasses.dataclass(eq=False)
class _Wish:
    # What the page wants of one run, and which of its frames it has not drawn yet.
    number: int
    config: LiveConfig
    playing: bool
    pace: int
    steps: int = 0
    rewind: bool = False
    undrawn: set[int] = dataclasses.field(default_factory=set)

    def take(self, message: Transport) -> None:
        match message:
            case Play():
                self.playing = True
            case Pause():
                self.playing, self.steps = False, 0
            case Step(steps=steps):
                self.playing, self.steps = False, min(self.steps + max(steps, 1), MOST_STEPS)
            case Rewind():
                self.playing, self.steps, self.rewind = False, 0, True
            case Pace(steps=steps):
                self.pace = max(steps, 0)
            case Ack(frame=frame):
                self.undrawn.discard(frame)


class Player:
    """Plays the newest run of one page.

    Parameters
    ----------
    worker
        Computes.
    open_run
        Makes a run of a clamped state.
    send
        Sends a message, or the bytes of a frame, to the page; raises `Gone` once it has left.
    """

    def __init__(
        self,
        worker: Worker,
        open_run: Callable[[LiveConfig], LiveRun],
        send: Callable[[ServerMessage | bytes], Awaitable[None]],
    ) -> None:
        self._worker = worker
        self._open_run = open_run
        self._send = send
        self._wish: _Wish | None = None
        self._news = asyncio.Event()

    def open(self, message: Open) -> None:
        """Let this run replace the one before."""
        self._wish = _Wish(message.run, message.config, message.play, max(message.pace, 0))
        self._news.set()

    def tell(self, message: Transport) -> None:
        """Hear what the page wants of its run; what belongs to an older run is ignored."""
        if self._wish is not None and message.run == self._wish.number:
            self._wish.take(message)
            self._news.set()

    async def play(self) -> None:
        """Play runs until cancelled, or until the page has left."""
        while True:
            wish = self._wish
            if wish is not None:
                try:
                    await self._follow(wish)
                except Gone:
                    return
                except Exception as error:
                    await self._fail(wish, sentence(error, "This state could not be shown"))
            while wish is self._wish:
                await self._wait()

    async def _fail(self, wish: _Wish, text: str) -> None:
        with contextlib.suppress(Gone):
            await self._send(Failed(0, text, wish.number))

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    async def _follow(self, wish: _Wish) -> None:
        config, changes = clamp(wish.config)
        await self._send(Opened(wish.number, config, changes))
        await self._send(PhaseChange(wish.number, "compiling", WORDS["compiling"]))
        run = await self._worker.run(functools.partial(self._open_run, config))
        if wish is not self._wish:
            return
        count, frame, told, due = 0, run.opening, None, 0.0
        await self._show(wish, count, frame)
        while wish is self._wish:
            told = await self._announce(wish, frame, told)
            if not _has_work(wish, frame) or len(wish.undrawn) >= UNACKNOWLEDGED:
                await self._wait()
                continue
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = time.monotonic() + 1 / FRAMES_PER_SECOND
            shown = await self._advance(wish, run)
            if shown is not None and wish is self._wish:
                frame, count = shown, count + 1
                await self._show(wish, count, frame)

    async def _advance(self, wish: _Wish, run: LiveRun) -> Frame | None:
        # The next frame; None if the page has changed its mind since.
        frame = None
        if wish.rewind:
            wish.rewind = False
            return await self._worker.run(run.rewind)
        if wish.steps:
            while wish.steps and not wish.rewind and wish is self._wish:
                steps = min(wish.steps, MOST_PACE)
                frame = await self._worker.run(functools.partial(run.advance, steps))
                wish.steps = 0 if _ended(frame) else max(0, wish.steps - steps)
        elif wish.playing:
            steps = run.pace(min(wish.pace, MOST_PACE))
            frame = await self._worker.run(functools.partial(run.advance, steps))
        return frame

    async def _show(self, wish: _Wish, count: int, frame: Frame) -> None:
        wish.undrawn.add(count)
        header = Header(wish.number, count, count == 0, frame.step, frame.numbers, frame.sentence, ())
        await self._send(encode_frame(header, frame.arrays))

    async def _announce(self, wish: _Wish, frame: Frame, told: tuple[Phase, str] | None) -> tuple[Phase, str]:
        phase = _phase(wish, frame)
        news = (phase, WORDS[phase].format(step=frame.step))
        if news != told:
            await self._send(PhaseChange(wish.number, *news))
        return news


def _ended(frame: Frame) -> bool:
    return frame.phase is not LivePhase.TRAINING


def _has_work(wish: _Wish, frame: Frame) -> bool:
    return wish.rewind or (not _ended(frame) and (wish.playing or wish.steps > 0))


def _phase(wish: _Wish, frame: Frame) -> Phase:
    if frame.phase is LivePhase.CONVERGED:
        return "converged"
    if frame.phase is LivePhase.DIVERGED:
        return "diverged"
    return "training" if wish.playing or wish.steps else "paused"
