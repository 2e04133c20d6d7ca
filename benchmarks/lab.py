"""What a reader of the lab waits for: first frames, changed controls, frames per second.

Each side is a process of its own: *cold* starts with an empty compilation cache, *warm* finds what the cold one left on
disk. Times begin once Python has imported the library, and end when a run has its opening and its first step. The
network thread, the browser and drawing are not in them.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

from ._table import Record, show, table

ROOT = pathlib.Path(__file__).parents[1]
WORDS = {
    "first_s": "first frame of the default state",
    "value_s": "a value changed (scale, target, seed, step)",
    "width_s": "another width",
    "width_again_s": "that width again",
    "activation_s": "another activation",
    "depth_s": "another depth",
    "neighbours_s": "all neighbours of the default compiled, while nobody waits",
    "ahead_s": "the slowest of them, once they are",
}
COLUMNS = {"what": "{what}", "unit": "{unit}", "cold": "{cold:.2f}", "warm": "{warm:.2f}"}


def run() -> list[Record]:
    """Return one record for each wait and each rate, cold and warm."""
    with tempfile.TemporaryDirectory() as cache:
        cold, warm = (_measure(cache) for _ in range(2))
    common = {"benchmark": "lab", "kind": "variant", "side": "own"}
    waits = [{**common, "what": text, "unit": "s", "cold": cold[key], "warm": warm[key]} for key, text in WORDS.items()]
    rates = [
        {**common, "what": name, "unit": "frames/s", "cold": cold["rates"][name], "warm": warm["rates"][name]}
        for name in cold["rates"]
    ]
    return waits + rates


def report(records: list[Record]) -> None:
    """Print the records."""
    show(table("lab: what a reader waits for", COLUMNS, records))


def _measure(cache: str) -> dict:
    settings = {
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    command = [sys.executable, "-m", "benchmarks._lab_worker"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])
