"""Code cells of the page, each run in a process of its own that limits itself.

The process is a leader of its own group, starts in an empty folder that is removed afterwards, inherits no variables
of the environment, and is killed with its whole group at its end, at the time limit, and when the page stops it or
goes away. That is against accidents: code in a cell can read what this user can read. It is no sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

import msgspec

CHILD = pathlib.Path(__file__).with_name("_cell_child.py")
SECONDS, CPU_SECONDS = 20, 15
MOST_OUTPUT = 65536
MOST_CODE = 32768
LIMITS = {"CPU": CPU_SECONDS, "AS": 2 * 2**30, "FSIZE": 2**20, "NOFILE": 64, "NPROC": 0, "CORE": 0}
WORDS = {
    "CPU": f"{CPU_SECONDS} s of computing",
    "AS": "2 GiB of memory",
    "FSIZE": "files of 1 MiB in an empty folder",
    "NPROC": "no further processes or threads",
}
PASSED_ON = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class CellResult(msgspec.Struct, frozen=True):
    """What a cell has written and how it ended.

    ``error`` is None if it ended well, ``line`` the line of the cell at which the error came up, if there is one;
    ``limits`` says in words what it was allowed.
    """

    output: str
    error: str | None
    line: int | None
    seconds: float
    truncated: bool
    limits: str


class Cells:
    """Runs code cells, one at a time."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._one = asyncio.Lock()
        self._seconds = seconds

    @property
    def busy(self) -> bool:
        """Whether a cell runs now, so that the next one has to wait."""
        return self._one.locked()

    async def run(self, code: str) -> CellResult:
        """Return what the code wrote and how it ended.

        Raises
        ------
        ValueError
            If the code is too long.
        """
        if len(code) > MOST_CODE:
            raise ValueError(f"the cell has {len(code)} characters; at most {MOST_CODE} are run.")
        async with self._one:
            with tempfile.TemporaryDirectory(prefix="widelimit-cell-", ignore_cleanup_errors=True) as folder:
                return await _run(code, folder, self._seconds)


async def _run(code: str, folder: str, seconds: float) -> CellResult:
    start = time.monotonic()
    process = await _spawn(folder)
    killed = None
    try:
        reading = asyncio.gather(_read(process.stdout, process), _read(process.stderr, process), _watch(process))
        try:
            await _feed(process, code)
            (output, cut), (said, _), _ = await asyncio.wait_for(asyncio.shield(reading), seconds)
        except TimeoutError:
            killed = f"Stopped after {seconds:g} s, the most that a cell may take."
            kill(process)
            (output, cut), (said, _), _ = await reading
        await process.wait()
    finally:
        kill(process)
        with contextlib.suppress(ProcessLookupError):
            await asyncio.shield(process.wait())
    end, missing = _report(said)
    if cut:
        killed = f"Stopped: it wrote more than {MOST_OUTPUT} characters."
    error = killed or (end["error"] if end else _signal(process.returncode))
    line = end["line"] if end and not killed else None
    text = output.decode("utf-8", "replace")
    return CellResult(text, error, line, round(time.monotonic() - start, 3), cut, limits(missing, seconds))


async def _spawn(folder: str) -> asyncio.subprocess.Process:
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    place = {"HOME": folder, "TMPDIR": folder, "TEMP": folder, "TMP": folder, "PYTHONIOENCODING": "utf-8"}
    group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if sys.platform == "win32" else {}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-B",
        "-X",
        "utf8",
        str(CHILD),
        json.dumps(LIMITS),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={**kept, **place, **dict.fromkeys(THREADS, "1")},
        start_new_session=sys.platform != "win32",
        **group,
    )


async def _feed(process: asyncio.subprocess.Process, code: str) -> None:
    assert process.stdin is not None
    with contextlib.suppress(ConnectionError):
        process.stdin.write(code.encode("utf-8", "replace"))
        await process.stdin.drain()
    process.stdin.close()


async def _watch(process: asyncio.subprocess.Process) -> None:
    # What the cell has started would keep its streams open.
    while process.returncode is None:
        await asyncio.sleep(0.02)
    kill(process)


async def _read(stream: asyncio.StreamReader | None, process: asyncio.subprocess.Process) -> tuple[bytes, bool]:
    # What was written, and whether it was more than may be, which ends the process.
    assert stream is not None
    parts, size = [], 0
    while size <= MOST_OUTPUT:
        part = await stream.read(16384)
        if not part:
            return b"".join(parts), False
        parts.append(part)
        size += len(part)
    kill(process)
    return b"".join(parts)[:MOST_OUTPUT], True


def kill(process: asyncio.subprocess.Process) -> None:
    """Kill a process and all others of its group."""
    if sys.platform == "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            process.kill()
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _report(said: bytes) -> tuple[dict[str, Any] | None, list[str]]:
    found = []
    for text in said.decode("utf-8", "replace").splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(text))
    missing = next((entry["missing"] for entry in found if isinstance(entry, dict) and "missing" in entry), [])
    end = next((entry for entry in reversed(found) if isinstance(entry, dict) and "error" in entry), None)
    return end, missing


def _signal(code: int | None) -> str:
    if code is not None and code < 0:
        number = -code
        if sys.platform != "win32" and number in (signal.SIGXCPU, signal.SIGKILL):
            return f"Stopped: it used more than {CPU_SECONDS} s of computing, or more memory than there is."
        return f"The process of the cell was ended by signal {number} ({signal.strsignal(number)})."
    return f"The process of the cell ended with code {code}."


def limits(missing: list[str], seconds: float = SECONDS) -> str:
    """Return in words what a cell may use."""
    kept = [text for name, text in WORDS.items() if name not in missing]
    lost = [text for name, text in WORDS.items() if name in missing]
    words = f"Limits: {', '.join([f'{seconds:g} s', *kept])}, {MOST_OUTPUT // 1024} KiB of output, one cell at a time."
    return words if not lost else f"{words} Not enforced on this system: {', '.join(lost)}."
