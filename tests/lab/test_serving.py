"""The command ``widelimit lab``: its port, its words, its start and its end."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
import typer
from clients import Client, is_frame
from laboratory import free_port, in_a_thread, serving

from widelimit import cli
from widelimit.lab import _check, _serve

COMMAND = [sys.executable, "-m", "widelimit", "lab", "--no-browser"]


def failing(*options, **environment):
    """Return what a command that does not start says."""
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@contextlib.contextmanager
def started(*before, port, options=(), **environment):
    """Run the command, with its output in a pipe, and yield it with the address that it prints."""
    process = subprocess.Popen(
        [*before, *COMMAND, "--port", str(port), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if address := re.search(r"http://\S+$", line.strip()):
                break
        else:
            pytest.fail("".join(said))
        yield process, address[0], "".join(said)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_port_that_is_taken_is_told(lab):
    port = lab.partition("/#")[0].rsplit(":", 1)[1]
    assert f"port {port} is taken by another lab" in failing("--port", port)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert f"port {taken} is taken by another program; stop it, or choose another with --port" in failing(
            "--port", str(taken)
        )


def test_an_address_of_another_machine_is_told():
    assert "host is 'no.such.host.invalid', which is no address" in failing("--host", "no.such.host.invalid")
    assert "the lab cannot listen on 192.0.2.1" in failing("--host", "192.0.2.1", "--port", str(free_port()))
    with pytest.raises(ValueError, match="port is -1; expected a number from 1 to 65535"):
        _serve.listen("127.0.0.1", -1)


def test_what_is_missing_is_told_with_its_remedy(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "starlette" else True)
    with pytest.raises(ValueError, match=r"the lab needs starlette; install .* pip install 'widelimit\[lab\]'"):
        cli._need_lab()


def test_the_command_is_described():
    names = {command.name or command.callback.__name__ for command in cli.app.registered_commands}
    assert "lab" in names
    assert isinstance(cli.app, typer.Typer)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_it_ends_at_once_and_leaves_nothing(name):
    port = free_port()
    with started(port=port) as (process, address, _):
        with Client(address) as client:
            client.hear()
            client.send({"type": "open", "run": 1, "config": {"width": 16}, "play": True})
            client.send(
                {"type": "start", "task": 1, "kind": "cell", "payload": {"code": "import time\ntime.sleep(60)"}}
            )
            client.send({"type": "start", "task": 2, "kind": "exhibit", "payload": {"name": "unit_circle"}})
            client.until(lambda m: is_frame(m) and m[0].step > 0, 120)
            cells = children(process.pid)
            assert cells or not os.path.exists("/proc")
            process.send_signal(getattr(signal, name))
            rest = process.stdout.read()
            code = process.wait()
        assert "Traceback" not in rest
        if name == "SIGINT":
            assert code == 0
            assert "Stopped. Notes and predictions stay in the browser." in rest
        assert not [pid for pid in cells if os.path.exists(f"/proc/{pid}")]
    # The port is free at once.
    _serve.listen("127.0.0.1", port).close()


def children(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []


@pytest.mark.skipif(sys.platform == "win32", reason="ulimit")
def test_a_full_disk_costs_speed_alone(tmp_path):
    # No file may grow: neither compiled code nor the token can be kept.
    full = ("bash", "-c", 'ulimit -f 0; exec "$@"', "bash")
    folders = {"XDG_CACHE_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    with started(*full, port=free_port(), **folders) as (process, address, said):
        assert "Compiled code cannot be kept on this disk; the lab works" in said
        with Client(address) as client:
            assert client.hear()["type"] == "welcome"
            client.send({"type": "open", "run": 1, "config": {"width": 8}, "play": False})
            header, _ = client.until(lambda m: is_frame(m), 240)
            assert header.opening
        process.send_signal(signal.SIGINT)
        assert "Traceback" not in process.stdout.read()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]


def test_reached_from_outside_it_runs_no_cells_unless_it_is_told_to():
    for options, on in (((), False), (("--cells",), True)):
        with started(port=free_port(), options=("--host", "0.0.0.0", *options)) as (process, address, _):
            words = process.stdout.readline()
            assert "not encrypted" in words
            assert ("Code cells are off" in words) is not on
            with Client(address) as client:
                assert client.hear()["cells"] is on
                if not on:
                    assert "cells are off" in client.task(1, "cell", {"code": "1"})["text"]


def test_a_cell_starts_without_a_warning():
    # An event loop that forks beside the threads of JAX makes JAX warn.
    with started(port=free_port()) as (process, address, _):
        with Client(address) as client:
            client.hear()
            client.send({"type": "open", "run": 1, "config": {"width": 8}, "play": False})
            client.until(is_frame, 240)
            assert client.task(1, "cell", {"code": "print(6 * 7)"})["value"]["output"] == "42\n"
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
    assert "Warning" not in said
    assert said.strip() == "Stopped. Notes and predictions stay in the browser."


def test_cells_can_be_switched_off():
    with serving("--no-cells") as address, Client(address) as client:
        assert client.hear()["cells"] is False


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.9.9.9", True), ("0.0.0.0", False), ("box", False)],
)
def test_what_only_this_machine_reaches(host, alone):
    assert _serve.is_loopback(host) is alone


@pytest.mark.parametrize(
    ("platform", "environment", "there"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "w"}, True),
        ("linux", {"DISPLAY": ":0", "SSH_CONNECTION": "x"}, False),
        ("darwin", {}, True),
        ("win32", {}, True),
    ],
)
def test_whether_there_is_a_browser(monkeypatch, platform, environment, there):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert _serve.has_browser() is there


def test_too_many_pages_are_told(lab):
    import websockets.exceptions

    from widelimit.lab import _protocol, _session

    with contextlib.ExitStack() as stack:
        refused = None
        for _ in range(_session.MOST_PAGES + 1):
            client = stack.enter_context(Client(lab, greet=False))
            try:
                with contextlib.suppress(websockets.exceptions.ConnectionClosed):
                    client.greet()
                client.hear(20)
            except websockets.exceptions.ConnectionClosed as closed:
                refused = closed.rcvd
                break
        assert refused.code == _protocol.FULL
        assert "pages at a time" in refused.reason
    # Those who have left make room.
    for _ in range(100):
        with contextlib.suppress(websockets.exceptions.ConnectionClosed), Client(lab) as client:
            if client.hear(20)["type"] == "welcome":
                return
        time.sleep(0.05)
    pytest.fail("no room was made")


def check(monkeypatch, port, witnesses=("eq_ntk",)):
    monkeypatch.setattr(_check.witnesses, "names", lambda: witnesses)
    monkeypatch.setattr(_check, "_content", lambda: "not asked here")
    said = []
    return in_a_thread(lambda: _check.check("127.0.0.1", port, said.append)), said


def test_a_check_passes_where_everything_works(monkeypatch):
    passed, said = check(monkeypatch, free_port())
    assert passed
    assert [line for line in said if line.startswith("pass  witness eq_ntk")]
    assert said[-1] == f"All {len(said) - 1} checks passed."


def test_a_check_fails_where_something_does_not(monkeypatch):
    monkeypatch.setattr(_check.hashlib, "sha256", lambda _: type("Other", (), {"hexdigest": lambda _: "0"})())
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        passed, said = check(monkeypatch, other.getsockname()[1], ("no_such_witness",))
    assert not passed
    failed = [line for line in said if line.startswith("FAIL")]
    assert {line.split()[1] for line in failed} >= {"vendored", "port", "witness"}
    assert "is taken by another program" in "".join(failed)
