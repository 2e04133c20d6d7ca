"""Code cells: what they return, what stops them, and what is left of them: nothing."""

import asyncio
import os
import pathlib
import tempfile

import pytest
from laboratory import in_a_loop

from widelimit.lab import _cell as cell

LINUX = os.path.exists("/proc/self/stat")


def run(code, seconds=20.0):
    return in_a_loop(cell.Cells(seconds).run(code))


def alive(pid):
    """Return whether a process runs; one that is dead and not yet collected does not."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("code", "error", "line"),
    [
        ("x = 1\n\nprint(x", "SyntaxError: '(' was never closed", 3),
        ("def f():\n    return 1 / 0\n\nf()", "ZeroDivisionError: division by zero", 2),
        ("import numpy as np\nnp.linalg.inv(np.zeros((2, 2)))", "LinAlgError: Singular matrix", 2),
        ("raise SystemExit(3)", "SystemExit: 3", 1),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", 1),
        ("input()", "EOFError: EOF when reading a line", 1),
        ("raise SystemExit", None, None),
        ("", None, None),
    ],
)
def test_an_error_comes_with_the_line_of_the_cell(code, error, line):
    result = run(code)
    assert (result.error, result.line) == (error, line) or (error and error in result.error and result.line == line)


def test_both_streams_come_in_order_and_in_any_script():
    code = "import sys\nprint('Θ₀ before')\nprint('an error stream', file=sys.stderr)\nprint('after')"
    assert run(code).output == "Θ₀ before\nan error stream\nafter\n"


def test_it_starts_alone_in_an_empty_folder_without_the_environment(monkeypatch):
    monkeypatch.setenv("SECRET_OF_A_TEST", "1")
    monkeypatch.setenv("PYTHONSTARTUP", "nowhere")
    code = "import os, sys\nprint(os.listdir(), 'SECRET_OF_A_TEST' in os.environ, sys.flags.isolated, len(sys.argv))"
    assert run(code).output == "[] False 1 2\n"
    assert run("import os; print(os.getcwd() == os.path.realpath(os.environ['HOME']))").output == "True\n"


def test_nothing_of_it_stays():
    folder = run("import os; open('left', 'w').write('x'); print(os.getcwd())").output.strip()
    assert not os.path.exists(folder)
    assert not [name for name in os.listdir(tempfile.gettempdir()) if name == os.path.basename(folder)]


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_the_time_limit_ends_the_cell_and_what_it_has_started():
    code = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(p.pid, flush=True)\n"
        "time.sleep(600)"
    )
    result = run(code, seconds=1.5)
    if "BlockingIOError" in (result.error or ""):
        assert result.line == 2  # Only the superuser gets as far as starting a process.
        return
    assert result.error.startswith("Stopped after 1.5 s")
    assert not alive(int(result.output))


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_what_a_cell_leaves_behind_is_ended_with_it():
    code = (
        "import subprocess, sys\n"
        "try:\n"
        "    print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], stdout=2, stderr=2).pid)\n"
        "except BlockingIOError:\n"
        "    print(0)"
    )
    result = run(code)
    assert result.error is None
    pid = int(result.output)
    assert pid == 0 or not alive(pid)


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_stopping_it_ends_the_process_and_lets_the_next_one_run():
    async def play():
        cells = cell.Cells()
        first = asyncio.create_task(cells.run("import os, time\nopen('pid', 'w').write('1')\ntime.sleep(600)"))
        while not (children := own_children()):
            await asyncio.sleep(0.02)
        second = asyncio.create_task(cells.run("print('next')"))
        await asyncio.sleep(0.1)
        assert cells.busy
        assert own_children() == children
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not any(alive(pid) for pid in children)
        assert (await second).output == "next\n"
        assert not cells.busy

    in_a_loop(play())
    assert own_children() == []


def own_children():
    """Return the processes that this one has started for cells and that are not collected."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat[1]) == os.getpid() and (b"_cell_child" in command or stat[0] == "Z"):
            found.append(int(pid))
    return found


def test_output_is_cut_and_ends_the_cell():
    result = run("while True:\n    print('x' * 997)")
    assert result.truncated
    assert len(result.output) <= cell.MOST_OUTPUT
    assert "more than 65536 characters" in result.error
    assert run("import os; os.write(2, b'y' * 200_000)").truncated


@pytest.mark.skipif(not LINUX, reason="limits of Linux")
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("b = bytearray(3 * 2**30)", "MemoryError"),
        ("open('f', 'wb').write(b'x' * 2**22)", "OSError"),
        ("files = [open('/dev/null') for _ in range(200)]", "Too many open files"),
        ("import os; os.kill(os.getpid(), 11)", "signal 11"),
        ("import os; os._exit(7)", "ended with code 7"),
    ],
)
def test_it_limits_itself(code, words):
    assert words in run(code).error


def test_the_limits_are_said():
    result = run("")
    assert result.limits.startswith("Limits: 20 s, 15 s of computing")
    lacking = cell.limits(["AS", "NPROC"])
    assert "2 GiB" not in lacking.partition("Not enforced")[0]
    assert lacking.endswith("Not enforced on this system: 2 GiB of memory, no further processes or threads.")


def test_a_cell_that_is_too_long_is_refused_in_words():
    with pytest.raises(ValueError, match="40000 characters; at most 32768"):
        run("#" * 40000)
