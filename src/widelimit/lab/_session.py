"""One page at the other end of one WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib.metadata
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from ..recipes.live import LiveConfig
from ._cell import Cells
from ._failures import Gone, sentence
from ._player import LiveRun, Player
from ._protocol import (
    FULL,
    OUTDATED,
    REFUSED,
    SILENT,
    VERSION,
    Cancel,
    ClientMessage,
    Failed,
    Hello,
    Open,
    Progress,
    Result,
    ServerMessage,
    Start,
    Welcome,
    decode,
    encode,
)
from ._security import same_token
from ._tasks import Job, Report, Stopped, prepare
from ._worker import Memory, Worker, live_threads

MOST_PAGES = 24
MOST_TASKS = 32
HELLO_SECONDS = 10.0
PROGRESS_SECONDS = 0.1

log = logging.getLogger("widelimit.lab")


@dataclasses.dataclass(frozen=True)
class Lab:
    """What all pages share.

    Attributes
    ----------
    token
        Opens the WebSocket.
    cells
        Runs code cells, or None where they are off.
    open_run
        Makes a live run of a clamped state.
    live, long
        Compute live runs and what is short; experiments and checks of witnesses.
    memory
        Lets go of compiled code when there is much of it.
    pages
        The connected pages.
    turns
        Held by the one experiment or check that is computed.
    """

    token: str
    cells: Cells | None
    open_run: Callable[[LiveConfig], LiveRun]
    live: Worker = dataclasses.field(default_factory=lambda: Worker("live", live_threads()))
    long: Worker = dataclasses.field(default_factory=lambda: Worker("long", 1))
    memory: Memory = dataclasses.field(default_factory=Memory)
    pages: set[Session] = dataclasses.field(default_factory=set)
    turns: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)

    def close(self) -> None:
        """Forget what has not begun."""
        self.live.close()
        self.long.close()


async def serve(websocket: WebSocket, lab: Lab) -> None:
    """Talk to a page until it leaves; then nothing of it is left."""
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect, OSError, Gone):
        refusal = await _refusal(websocket, lab)
        if refusal is not None:
            await websocket.close(*refusal)
            return
        session = Session(websocket, lab)
        lab.pages.add(session)
        try:
            await session.talk()
        finally:
            lab.pages.discard(session)
            await session.end()


async def _refusal(websocket: WebSocket, lab: Lab) -> tuple[int, str] | None:
    # Code and reason with which the connection is closed; a reason has at most 123 bytes.
    if len(lab.pages) >= MOST_PAGES:
        return FULL, f"This lab serves {MOST_PAGES} pages at a time, and all are taken. Close one and reload."
    try:
        message = decode(await asyncio.wait_for(_text(websocket), HELLO_SECONDS))
    except TimeoutError:
        return SILENT, f"Nothing was said for {HELLO_SECONDS:g} s."
    except ValueError:
        return REFUSED, "The first message was no greeting of this page."
    if not isinstance(message, Hello) or not same_token(message.token, lab.token):
        return REFUSED, "The token is not that of this server. Open the address that the server printed."
    if message.version != VERSION:
        return OUTDATED, f"This page speaks version {message.version}, the server {VERSION}. Reload the page."
    return None


async def _text(websocket: WebSocket) -> str:
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code") or 1000, message.get("reason"))
    if message.get("text") is None:
        raise ValueError("a page sends texts, never binary messages.")
    return message["text"]


class Session:
    """One connected page: its live run and its tasks."""

    def __init__(self, websocket: WebSocket, lab: Lab) -> None:
        self._websocket = websocket
        self._lab = lab
        self._sending = asyncio.Lock()
        self._player = Player(lab.live, lab.open_run, self.send)
        self._playing: asyncio.Task[None] | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        # One experiment or check, one measurement or snippet, and one cell of a page at a time.
        self._lanes = {lane: asyncio.Lock() for lane in ("long", "quick", "cell")}

    async def talk(self) -> None:
        """Greet the page, and answer it until it leaves."""
        library = importlib.metadata.version("widelimit")
        await self.send(Welcome(VERSION, library, self._lab.cells is not None))
        self._playing = asyncio.create_task(self._player.play())
        while True:
            try:
                await self._hear(decode(await _text(self._websocket)))
            except ValueError as error:
                await self.send(Failed(0, sentence(error, "This message was not understood")))

    async def send(self, message: ServerMessage | bytes) -> None:
        """Send a message, or the bytes of a frame.

        Raises
        ------
        Gone
            If the page has left.
        """
        async with self._sending:
            try:
                if isinstance(message, bytes):
                    await self._websocket.send_bytes(message)
                else:
                    await self._websocket.send_text(encode(message))
            except (WebSocketDisconnect, OSError, RuntimeError):
                raise Gone from None

    async def end(self) -> None:
        """Stop everything of this page."""
        running = [task for task in (self._playing, *self._tasks.values()) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _hear(self, message: ClientMessage) -> None:
        match message:
            case Hello():
                raise ValueError("this page has greeted already.")
            case Open():
                self._player.open(message)
            case Start():
                self._start(message)
            case Cancel(task=number):
                if number in self._tasks:
                    self._tasks[number].cancel()
            case _:
                self._player.tell(message)

    def _start(self, message: Start) -> None:
        number = message.task
        if number in self._tasks:
            raise ValueError(f"task {number} runs already.")
        task = asyncio.create_task(self._run(message))
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number, None))

    async def _run(self, message: Start) -> None:
        number = message.task
        try:
            if len(self._tasks) > MOST_TASKS:
                raise ValueError(f"{MOST_TASKS} tasks of this page are waiting; let some end first.")
            value = await (self._cell(message) if message.kind == "cell" else self._compute(message))
            answer = Result(number, value)
        except asyncio.CancelledError:
            if self not in self._lab.pages:
                raise
            answer = Failed(number, "Stopped.")
        except Gone:
            return
        except Exception as error:
            answer = Failed(number, sentence(error, "This task could not be done"))
        with contextlib.suppress(Gone):
            await self.send(answer)

    async def _cell(self, message: Start) -> Any:
        cells = self._lab.cells
        if cells is None:
            raise ValueError("code cells are off on this server; it was started so, or it can be reached from outside.")
        code = message.payload.get("code")
        if not isinstance(code, str):
            raise ValueError("a cell has a text 'code'.")
        async with self._lanes["cell"]:
            if cells.busy:
                await self.send(Progress(message.task, 0, 1, "Waiting: another cell is running."))
            return await cells.run(code)

    async def _compute(self, message: Start) -> Any:
        job = prepare(message.kind, message.payload)
        long = message.kind in ("exhibit", "check")
        lane = self._lanes["long" if long else "quick"]
        if lane.locked():
            await self.send(Progress(message.task, 0, 1, "Waiting for what this page asked before."))
        async with lane:
            if not long:
                return await self._work(message.task, job, self._lab.live)
            if self._lab.turns.locked():
                await self.send(Progress(message.task, 0, 1, "Waiting: the machine computes for another page."))
            async with self._lab.turns:
                return await self._work(message.task, job, self._lab.long)

    async def _work(self, number: int, job: Job, worker: Worker) -> Any:
        gone = threading.Event()
        report = self._reporter(number, gone)

        def compute() -> Any:
            self._lab.memory.note(job.shape, job.shapes)
            return job.work(report)

        try:
            return await worker.run(compute)
        finally:
            gone.set()

    def _reporter(self, number: int, gone: threading.Event) -> Report:
        # Called by the computation, in its thread.
        loop, last = asyncio.get_running_loop(), 0.0

        def report(done: float, total: float, text: str) -> None:
            nonlocal last
            if gone.is_set():
                raise Stopped
            now = time.monotonic()
            if now - last >= PROGRESS_SECONDS:
                last = now
                asyncio.run_coroutine_threadsafe(self.send(Progress(number, done, total, text)), loop)

        return report
