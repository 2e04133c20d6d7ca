"""Threads that compute while the server goes on listening, and compiled code: on disk, and in memory.

A job waits its turn, first come first served. A page has one job of each kind at most in the queue, so that pages
take turns.
"""

import asyncio
import contextlib
import ctypes
import gc
import os
import pathlib
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jax

from ..recipes.live import forget, let_go
from ._folders import cache_folder

T = TypeVar("T")

MOST_CACHE_BYTES = 512 * 2**20
MOST_SHAPES, MOST_AHEAD = 20, 18
TIDY, GONE_PER_SHAPE = 8, 5


class Worker:
    """A few threads for computations."""

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"lab-{name}")
        self._waiting, self._ended = 0, time.monotonic()
        self._lock = threading.Lock()

    async def run(self, job: Callable[[], T]) -> T:
        """Return what the job returns; a caller that is cancelled leaves a job that has begun to end by itself."""
        future = self._pool.submit(job)
        with self._lock:
            self._waiting += 1
        future.add_done_callback(self._note_end)
        return await asyncio.wrap_future(future)

    def quiet(self) -> float:
        """Return for how many seconds there has been nothing to do."""
        return 0.0 if self._waiting else time.monotonic() - self._ended

    def _note_end(self, _future: object) -> None:
        with self._lock:
            self._waiting -= 1
            self._ended = time.monotonic()

    def close(self) -> None:
        """Forget the jobs that have not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Memory:
    """Keeps compiled code from filling the memory: what was asked for longest ago is let go first.

    Code of live runs is let go shape by shape; that of experiments and checks, and what JAX keeps besides, all at once.

    Parameters
    ----------
    most
        Number of shapes of networks that were asked for.
    ahead
        Number of those that were not, but compiled ahead.
    let_go
        Frees the code of a shape.
    forget
        Frees all.
    """

    def __init__(
        self,
        most: int = MOST_SHAPES,
        ahead: int = MOST_AHEAD,
        let_go: Callable[[Any], None] = let_go,
        forget: Callable[[], None] = forget,
    ) -> None:
        self._most, self.most_ahead = most, ahead
        self._let_go, self._forget = let_go, forget
        self._asked: dict[Hashable, int] = {}
        self._ahead: dict[Hashable, None] = {}
        self._gone = 0
        self._lock = threading.RLock()

    def note(self, shape: Hashable, count: int = 1) -> None:
        """Note that a shape is about to be used; ``count`` is how many it counts for, more than 1 if it is no run."""
        with self._lock:
            self._ahead.pop(shape, None)
            self._asked[shape] = self._asked.pop(shape, count)
            while sum(self._asked.values()) > self._most and len(self._asked) > 1:
                oldest = next(iter(self._asked))
                if self._asked.pop(oldest) > 1:
                    self._clear(shape)
                else:
                    self._free(oldest)

    def reserve(self, shape: Hashable) -> bool:
        """Note a shape that nobody has asked for yet; return whether it is new, so that it is to be compiled."""
        with self._lock:
            if shape in self._asked:
                return False
            new = shape not in self._ahead
            self._ahead.pop(shape, None)
            self._ahead[shape] = None
            if len(self._ahead) > self.most_ahead:
                oldest = next(iter(self._ahead))
                del self._ahead[oldest]
                self._free(oldest)
            return new

    def _free(self, shape: Hashable) -> None:
        self._let_go(shape)
        self._gone += 1
        if self._gone >= GONE_PER_SHAPE * self._most:
            self._clear(next(reversed(self._asked), None))
        elif self._gone % TIDY == 0:
            gc.collect()
            give_back()

    def _clear(self, kept: Hashable) -> None:
        # The one that is about to be used stays noted.
        self._asked = {kept: self._asked[kept]} if kept in self._asked else {}
        self._ahead.clear()
        self._gone = 0
        self._forget()
        gc.collect()
        give_back()


def give_back() -> None:
    """Return freed memory to the system, where the C library keeps it (glibc)."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def live_threads() -> int:
    """Return how many live runs may compute at the same moment."""
    return max(2, min(4, os.cpu_count() or 2))


def keep_compiled_code(folder: pathlib.Path | None = None) -> pathlib.Path | None:
    """Let JAX keep compiled code in a folder, by default of the user's cache; return it, or None if it cannot be used.

    Without it (a full disk, no permission) everything works, and what is new compiles at every start.
    """
    folder = folder or cache_folder() / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"0" * 4096)
        probe.unlink()
        prune(folder, MOST_CACHE_BYTES)
    except OSError:
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder


def prune(folder: pathlib.Path, most: int) -> None:
    """Delete the files of a folder that were used longest ago until at most ``most`` bytes are left."""
    found = [(path, path.stat()) for path in folder.iterdir() if path.is_file()]
    left = sum(status.st_size for _, status in found)
    for path, status in sorted(found, key=lambda entry: max(entry[1].st_atime, entry[1].st_mtime)):
        if left <= most:
            break
        path.unlink(missing_ok=True)
        left -= status.st_size
