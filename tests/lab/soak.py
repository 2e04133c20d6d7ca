"""Ten pages that change controls, start and stop tasks and leave at random: what is left of that.

Run it for ten minutes with ``python tests/lab/soak.py --seconds 600``; every ten seconds it prints memory, threads and
open files of the server, and at the end what is left.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import threading
import time

import numpy as np
from clients import Client, is_frame
from laboratory import serving

from widelimit.recipes.live import LiveConfig, measure

CHOICES = {
    "width": [16, 32, 64, 128],
    "depth": [1, 2],
    "activation": ["relu", "erf", "tanh"],
    "parameterization": ["ntk", "standard", "mean_field"],
    "step": [0.3, 0.9, 1.4, 3.5],
    "points": [5, 12, 20],
    "freeze": [False, False, True],
    "target": ["sin3x", "step"],
}
SETTLE = 3.0


@dataclasses.dataclass(frozen=True)
class Report:
    """What the server holds before and after, in MiB and numbers, and how the pages fared.

    Memory rises with compiled code and falls when that is let go; ``memory_lows`` and ``memory_mosts`` are the lowest
    and highest values in each third of the time.
    """

    seconds: float
    clients: int
    right: int
    opened: int
    frames: int
    tasks: int
    disconnects: int
    memory_start: float
    memory_lows: tuple[float, ...]
    memory_mosts: tuple[float, ...]
    threads_start: int
    threads_end: int
    files_start: int
    files_end: int
    children: tuple[str, ...]
    failures: tuple[str, ...]


@dataclasses.dataclass
class Tally:
    """What the pages have done."""

    right: int = 0
    opened: int = 0
    frames: int = 0
    tasks: int = 0
    disconnects: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)


class Page:
    """One page of the soak, with its own random numbers; it is used by one thread."""

    def __init__(self, address, seed):
        self.address, self.seed, self.rng = address, seed, random.Random(seed)
        self.tally, self.number, self.client = Tally(), 0, None

    def live(self, seconds):
        """Do things at random, then check that the last state is right."""
        try:
            self.connect()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                self.rng.choices([self.change, self.transport, self.task, self.leave], [6, 4, 2, 1])[0]()
                self.listen(self.rng.uniform(0.0, 3.0))
            self.tally.right += self.last_state_is_right()
        except Exception as error:
            self.tally.failures.append(f"page {self.seed}: {type(error).__name__}: {error}")
        finally:
            self.tally.frames += len(self.client.frames) if self.client else 0
            with contextlib.suppress(Exception):
                self.client.socket.close()

    def connect(self):
        self.client = Client(self.address)
        assert self.client.hear(60)["type"] == "welcome"

    def change(self):
        self.number += 1
        self.tally.opened += 1
        names = self.rng.sample(sorted(CHOICES), self.rng.randint(1, len(CHOICES)))
        config = {name: self.rng.choice(CHOICES[name]) for name in names} | {"seed": self.rng.randrange(1000)}
        self.client.send({"type": "open", "run": self.number, "config": config, "play": self.rng.random() < 0.8})

    def transport(self):
        message = self.rng.choice([{"type": t} for t in ("play", "pause", "rewind")] + [{"type": "step", "steps": 7}])
        self.client.send({**message, "run": self.number})

    def task(self):
        self.number += 1
        self.tally.tasks += 1
        kind, payload = self.rng.choice(
            [
                ("measure", {"config": {"width": 16, "seed": self.rng.randrange(50)}, "steps": 20}),
                ("snippet", {"config": {"width": 16}, "step": 3}),
                ("check", {"name": "eq_loss"}),
                ("cell", {"code": "import time; print(1); time.sleep(0.3)"}),
                ("cell", {"code": "import time; time.sleep(60)"}),
                ("exhibit", {"name": "two_moons", "config": {"cells": 9, "points": 6}}),
            ]
        )
        self.client.send({"type": "start", "task": self.number, "kind": kind, "payload": payload})
        if self.rng.random() < 0.4 or "60" in payload.get("code", ""):
            self.listen(self.rng.uniform(0.0, 0.5))
            self.client.send({"type": "cancel", "task": self.number})

    def leave(self):
        self.tally.disconnects += 1
        self.tally.frames += len(self.client.frames)
        if self.rng.random() < 0.5:
            # The line is cut, nobody says goodbye.
            self.client.socket.socket.close()
        self.client.socket.close()
        self.connect()

    def listen(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                message = self.client.hear(left)
            except TimeoutError:
                return
            if isinstance(message, dict) and "error in the program" in message.get("text", ""):
                raise AssertionError(message["text"])

    def last_state_is_right(self):
        """Return whether the state that was opened last is the one that the library computes."""
        self.number += 1
        config = {"width": 32, "seed": self.seed}
        self.client.send({"type": "open", "run": self.number, "config": config, "play": False})
        self.client.until(lambda m: is_frame(m) and m[0].run == self.number, 300)
        self.client.send({"type": "step", "run": self.number, "steps": 10})
        header, arrays = self.client.until(lambda m: is_frame(m) and m[0].run == self.number and m[0].step == 10, 300)
        expected = measure(LiveConfig(width=32, seed=self.seed), 10).frame
        assert header.numbers["loss"] == expected.numbers["loss"] or np.isclose(
            header.numbers["loss"], expected.numbers["loss"], rtol=1e-9
        )
        np.testing.assert_allclose(arrays["finite"], expected.arrays["finite"], atol=1e-6)
        return True


def run(seconds, clients=10, say=lambda line: None):
    """Let pages live for a while; return the report."""
    with serving() as address:
        pid = listener(int(address.partition("/#")[0].rsplit(":", 1)[1]))
        settle(address)
        start, samples = look(pid), []
        pages = [Page(address, seed) for seed in range(clients)]
        threads = [threading.Thread(target=page.live, args=(seconds,)) for page in pages]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            samples.append({"at": time.monotonic() - began, **look(pid)})
            say(json.dumps({name: round(value) for name, value in samples[-1].items()}))
            time.sleep(min(10.0, seconds / 10))
        for thread in threads:
            thread.join()
        time.sleep(SETTLE)
        end, left = look(pid), children(pid)
    tallies = [page.tally for page in pages]
    samples.append({"at": time.monotonic() - began, **end})
    thirds = np.array_split([sample["memory"] for sample in samples], 3)
    return Report(
        seconds=seconds,
        clients=clients,
        **{
            name: sum(getattr(t, name) for t in tallies)
            for name in ("right", "opened", "frames", "tasks", "disconnects")
        },
        memory_start=start["memory"],
        memory_lows=tuple(float(third.min()) for third in thirds),
        memory_mosts=tuple(float(third.max()) for third in thirds),
        threads_start=start["threads"],
        threads_end=end["threads"],
        files_start=start["files"],
        files_end=end["files"],
        children=tuple(left),
        failures=tuple(text for t in tallies for text in t.failures),
    )


def settle(address):
    """Use every kind of thing once, so that what is made once is there."""
    page = Page(address, 0)
    page.connect()
    page.last_state_is_right()
    for number, (kind, payload) in enumerate(
        [("cell", {"code": "1"}), ("check", {"name": "eq_loss"}), ("measure", {"config": {"width": 16}, "steps": 20})]
    ):
        assert page.client.task(1000 + number, kind, payload)["type"] == "result"
    page.client.socket.close()
    time.sleep(1)


def look(pid):
    """Return memory in MiB, threads and open files of a process."""
    lines = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    files = len(os.listdir(f"/proc/{pid}/fd"))
    return {"memory": int(lines["VmRSS"].split()[0]) / 1024, "threads": int(lines["Threads"]), "files": files}


def children(pid):
    """Return the processes that a process has started and not collected."""
    found = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
    return [child for path in found for child in path.read_text().split()]


def listener(port):
    """Return the process that listens on a port."""
    wanted = f"0100007F:{port:04X}"
    with open("/proc/net/tcp") as table:
        inode = next(line.split()[9] for line in table if line.split()[1] == wanted)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if f"socket:[{inode}]" in [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]:
                return int(pid)
    raise LookupError(port)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=10)
    asked = parser.parse_args()
    report = run(asked.seconds, asked.clients, lambda line: print(line, flush=True))
    print(json.dumps(dataclasses.asdict(report), indent=1))
    raise SystemExit(bool(report.failures or report.children or report.right < report.clients))


if __name__ == "__main__":
    main()
