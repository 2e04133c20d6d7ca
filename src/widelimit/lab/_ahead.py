"""Compiling, while nobody waits for anything, what a reader is likely to ask for next."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable

from ..recipes import live
from ._worker import Memory

QUIET_SECONDS = 0.5
NICE = 10

log = logging.getLogger("widelimit.lab")


class Ahead:
    """A thread of low priority that compiles the neighbours of the newest state: those that are one control away.

    Parameters
    ----------
    memory
        Knows which code is there, and makes room for more.
    quiet
        Returns for how many seconds no page has waited for anything; while one does, nothing new is begun.
    compile_ahead
        Compiles what a state needs; calls its second argument between two steps.
    """

    def __init__(
        self,
        memory: Memory,
        quiet: Callable[[], float],
        compile_ahead: Callable[[live.LiveConfig, Callable[[], None]], None] = live.compile_ahead,
    ) -> None:
        self._memory = memory
        self._quiet = quiet
        self._compile = compile_ahead
        self._state: live.LiveConfig | None = None
        self._news = threading.Event()

    def note(self, config: live.LiveConfig) -> None:
        """Note the state that a page has opened, as clamped."""
        self._state = config
        self._news.set()

    def start(self) -> None:
        """Start the thread, which ends with the process."""
        threading.Thread(target=self._work, daemon=True, name="lab-ahead").start()

    def _work(self) -> None:
        _lower_priority()
        while True:
            self._news.wait()
            self._news.clear()
            try:
                self.prepare()
            except Exception as error:
                log.error("a state cannot be prepared", exc_info=error)

    def prepare(self) -> None:
        """Compile the neighbours of the newest state, until there is a newer one."""
        state = self._state
        if state is None:
            return
        for config in live.neighbours(state)[: self._memory.most_ahead]:
            self._wait()
            if self._state is not state:
                return
            if self._memory.reserve(live.code_of(config)):
                self._compile(config, self._wait)

    def _wait(self) -> None:
        while (left := QUIET_SECONDS - self._quiet()) > 0:
            time.sleep(max(left, 0.02))


def _lower_priority() -> None:
    # Of this thread alone, and of those that it starts; elsewhere the priority of a thread cannot be set so.
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            own = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, own, max(NICE, os.getpriority(os.PRIO_PROCESS, own)))
