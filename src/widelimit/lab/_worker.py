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
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import jax

from ..recipes.live import forget
from ._folders import cache_folder

T = TypeVar("T")

MOST_CACHE_BYTES = 512 * 2**20
MOST_SHAPES = 24


class Worker:
    """A few threads for computations."""

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"lab-{name}")

    async def run(self, job: Callable[[], T]) -> T:
        """Return what the job returns; a caller that is cancelled leaves a job that has begun to end by itself."""
        return await asyncio.wrap_future(self._pool.submit(job))

    def close(self) -> None:
        """Forget the jobs that have not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Memory:
    """Keeps compiled code from filling the memory: after so many shapes of networks, all of it is let go.

    Parameters
    ----------
    most
        Number of shapes; each takes about 30 MiB.
    let_go
        Frees them.
    """

    def __init__(self, most: int = MOST_SHAPES, let_go: Callable[[], None] = forget) -> None:
        self._most = most
        self._let_go = let_go
        self._seen: dict[Hashable, int] = {}
        self._lock = threading.Lock()

    def note(self, shape: Hashable, count: int = 1) -> None:
        """Note that a shape is about to be compiled, unless it has been; ``count`` is how many it counts for."""
        with self._lock:
            if shape in self._seen:
                return
            full = sum(self._seen.values()) + count > self._most
            if full:
                self._seen.clear()
            self._seen[shape] = count
        if full:
            self._let_go()
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
