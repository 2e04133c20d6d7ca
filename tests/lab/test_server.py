"""The server as a page sees it: runs, tasks, strangers, nonsense, many clients."""

import http.client
import json
import os
import random
import re
import string

import numpy as np
import pytest
import soak
import websockets.exceptions
from clients import Client, is_frame, is_phase

from widelimit.recipes.live import LiveConfig, measure


@pytest.fixture(scope="module")
def client(lab):
    with Client(lab) as client:
        assert client.hear()["type"] == "welcome"
        yield client


def open_run(client, run, play=False, **config):
    client.send({"type": "open", "run": run, "config": config, "play": play})
    return client.until(lambda m: is_frame(m) and m[0].run == run)


def test_a_run_is_opened_stepped_and_rewound(client):
    header, arrays = open_run(client, 1, width=32)
    assert header.opening
    assert header.step == 0
    assert "grid" in arrays
    client.send({"type": "step", "run": 1, "steps": 40})
    stepped = client.until(lambda m: is_frame(m) and m[0].step == 40)
    expected = measure(LiveConfig(width=32), 40).frame
    np.testing.assert_allclose(stepped[1]["finite"], expected.arrays["finite"], atol=1e-6)
    assert stepped[0].numbers["gap"] == pytest.approx(expected.numbers["gap"], rel=1e-6)
    client.send({"type": "rewind", "run": 1})
    again = client.until(lambda m: is_frame(m) and m[0].step == 0)
    np.testing.assert_array_equal(again[1]["finite"], arrays["finite"])


def test_frames_wait_for_acknowledgement_and_older_runs_are_silent(lab):
    with Client(lab) as client:
        client.hear()
        client.send({"type": "open", "run": 1, "config": {"width": 16}, "play": True})
        client.until(lambda m: isinstance(m, dict) and m.get("phase") == "compiling")
        received, quiet = [], 0
        while quiet < 3 or not received:
            try:
                message = client.socket.recv(0.7)
            except TimeoutError:
                quiet += 1
                continue
            received += [message] if isinstance(message, bytes) else []
        # Nothing was acknowledged, so that no more than two frames are on the way.
        assert 1 <= len(received) <= 2
        open_run(client, 2, width=32)
        client.send({"type": "step", "run": 2, "steps": 5})
        client.until(lambda m: is_frame(m) and m[0].run == 2 and m[0].step == 5)
        seen = [m[0].run for m in client.frames]
        assert 1 not in seen[seen.index(2) :]


def test_what_is_too_large_is_clamped_with_its_reason(client):
    client.send({"type": "open", "run": 7, "config": {"width": 4096, "depth": 3, "step": 99.0}, "play": False})
    opened = client.until(lambda m: isinstance(m, dict) and m["type"] == "opened")
    assert {change["control"] for change in opened["changes"]} == {"width", "step"}
    assert all(change["reason"].endswith(".") for change in opened["changes"])
    assert set(opened["config"]) == set(LiveConfig.__dataclass_fields__)


def test_divergence_is_told(client):
    client.send({"type": "open", "run": 8, "config": {"step": 3.5, "width": 32}, "play": True})
    assert "Diverged" in client.until(is_phase("diverged"))["text"]


def test_own_points_that_make_no_sense_are_refused_in_words(client):
    client.send({"type": "open", "run": 9, "config": {"target": "own", "x": [0.1], "y": []}})
    failed = client.until(lambda m: isinstance(m, dict) and m["type"] == "failed")
    assert failed["run"] == 9
    assert "own points are 1 inputs" in failed["text"].lower()


def test_tasks_answer_and_are_refused_in_words(client):
    value = client.task(1, "measure", {"config": {"width": 32}, "steps": 25})["value"]
    expected = measure(LiveConfig(width=32), 25).frame
    assert value["numbers"]["loss"] == pytest.approx(expected.numbers["loss"], rel=1e-9)
    assert set(value["config"]) == set(LiveConfig.__dataclass_fields__)
    assert client.task(2, "check", {"name": "eq_ntk"})["value"]["passed"] is True
    assert "widelimit" in client.task(3, "snippet", {"config": {}, "step": 5})["value"]["code"]
    assert client.task(4, "exhibit", {"name": "two_moons", "config": {"cells": 7, "points": 5}})["value"]["panels"]
    for number, (kind, payload, words) in enumerate(
        [
            ("exhibit", {"name": "../../cli"}, "no experiment"),
            ("exhibit", {"name": "two_moons", "config": {"cells": 10**9}}, "expected a number"),
            ("exhibit", {"name": "two_moons", "config": {"colour": 1}}, "has no 'colour'"),
            ("check", {"name": "os"}, "no witness"),
            ("check", {}, "name"),
            ("measure", {"config": {"width": "wide"}, "steps": 1}, "not understood"),
            ("measure", {"config": {}, "steps": 10**9}, "0 to 1,000,000"),
            ("cell", {"code": 5}, "a text 'code'"),
        ],
        start=10,
    ):
        answer = client.task(number, kind, payload)
        assert answer["type"] == "failed", (kind, payload)
        assert words in answer["text"]


def test_a_cell_is_limited(client):
    def run(number, code):
        return client.task(number, "cell", {"code": code})["value"]

    assert run(30, "print(6 * 7)")["output"] == "42\n"
    wrong = run(31, "x = 1\nraise KeyError('k')")
    assert (wrong["line"], wrong["error"]) == (2, "KeyError: 'k'")
    long = run(32, "while True: print('x' * 1000)")
    assert long["truncated"]
    assert len(long["output"]) <= 70000
    forked = run(33, "import os; os.fork()")
    # Root has no limit of processes; then the cell does not claim one.
    assert forked["error"] or (
        os.geteuid() == 0 and "Not enforced on this system: no further processes" in forked["limits"]
    )
    assert run(34, "b = bytearray(8 * 2**30)")["error"].startswith("MemoryError")
    assert "No such file" not in (run(35, "open('x', 'w').write('y'); print(open('x').read())")["error"] or "")
    assert run(36, "import os; print(sorted(os.environ))")["output"].count("TOKEN") == 0


def request(lab, path="/", method="GET", **headers):
    base = lab.partition("/#")[0]
    host = base.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.putrequest(method, path, skip_host=True)
    for name, value in {"Host": host, **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_the_page_forbids_itself_everything_else(lab):
    answer, body = request(lab)
    policy = answer.headers["Content-Security-Policy"]
    assert answer.status == 200
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(rb"\sstyle=", body)
    assert b"onclick" not in body


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "localhost.evil.example", "", "127.0.0.1:{port}@evil"])
def test_another_host_is_refused(lab, host):
    port = lab.partition("/#")[0].rsplit(":", 1)[1]
    assert request(lab, Host=host.format(port=port))[0].status == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_writing_without_the_origin_of_the_page_is_refused(lab, method):
    assert request(lab, method=method)[0].status == 403
    assert request(lab, method=method, Origin="https://evil.example")[0].status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/static/../_security.py",
        "/static/%2e%2e/_security.py",
        "/static/..%2f_security.py",
        "/static//etc/passwd",
        "/sealed/../../etc/passwd",
        "/sealed/practice/nothing",
        "/nothing",
    ],
)
def test_nothing_but_its_files_is_served(lab, path):
    answer, body = request(lab, path)
    assert answer.status in (403, 404)
    assert b"root:" not in body
    assert b"hmac" not in body


def test_strangers_do_not_get_in(lab):
    base = lab.partition("/#")[0]
    for options in ({"token": "wrong"}, {"token": ""}, {"version": 99}):
        with Client(lab, **options) as client, pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            client.hear(20)
        assert closed.value.rcvd.code in (4401, 4406)
        assert closed.value.rcvd.reason
    for origin in ("https://evil.example", None):
        with pytest.raises((websockets.exceptions.InvalidStatus, websockets.exceptions.ConnectionClosed)):
            websockets.sync.client.connect(base.replace("http", "ws", 1) + "/lab", origin=origin, proxy=None).recv(5)


def test_nonsense_is_answered_in_words_and_survived(client):
    rng = random.Random(0)
    for _ in range(60):
        text = "".join(rng.choice(string.printable) for _ in range(rng.randrange(200)))
        shapes = [text, "[" * rng.randrange(1, 5000), json.dumps({"type": rng.choice(["open", "start", "x"]), text: 1})]
        client.send(rng.choice(shapes))
    client.send("x" * 70000)
    client.send(b"binary")
    client.send('{"type":"open","run":1,"config":{"step":NaN}}')
    answer = client.task(900, "measure", {"config": {"width": 16}, "steps": 2})
    assert answer["type"] == "result"
    failed = [m for m in client.texts if m["type"] == "failed" and m["task"] == 0]
    assert len(failed) >= 60
    assert all(len(m["text"]) < 1000 for m in failed)


@pytest.mark.thorough
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")
def test_ten_clients_leave_nothing_behind():
    report = soak.run(seconds=float(os.environ.get("SOAK_SECONDS", "15")))
    print(report)
    assert report.failures == ()
    assert report.right == report.clients == 10
    assert report.children == ()
    # Threads are those of the server and of JAX; those that compile come and go.
    assert report.threads_end <= report.threads_start + 4
    assert report.files_end <= report.files_start + 2
    # Compiled code of the shapes that were met stays, up to a bound.
    assert report.memory_lows[-1] < report.memory_start + 500
    assert max(report.memory_mosts) < report.memory_start + 1000
