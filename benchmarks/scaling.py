r"""How the time of compiled kernels grows: with depth, with the number of entries, and with threads.

Symmetric NTK of Gaussian inputs, float32, of ReLU networks on vectors of 32 numbers, and of 3×3 convolutions with
global average pooling on 16×16×3. One of the three numbers varies at a time; where the cost is linear, the time per
entry and activation is the same in all rows, and `of one` is the number of threads. Images are taken 16 at a time, so
that in small symmetric kernels some entries are computed twice.
"""

import dataclasses
import os
import statistics
import time

import numpy as np

import widelimit as wl
from widelimit import arch
from widelimit.engine import Native

from ._table import Record, show, table

COLUMNS = {
    "network": "{case}",
    "varied": "{variant}",
    "depth": "{depth}",
    "n": "{n}",
    "threads": "{threads}",
    "ms": "{ms:.1f}",
    "CPU ms": "{cpu_ms:.1f}",
    "ns/entry/activation": "{ns:.3g}",
    "CPU ns": "{cpu_ns:.3g}",
    "of one": "{speedup:.2f}",
}


@dataclasses.dataclass(frozen=True)
class Grid:
    """A kind of network, the numbers in the middle, and what is varied around them."""

    name: str
    shape: tuple[int, ...]
    depth: int
    n: int
    depths: tuple[int, ...]
    sizes: tuple[int, ...]

    def network(self, depth: int) -> arch.AbstractLayer:
        """Return a network of ``depth`` hidden layers."""
        if len(self.shape) == 1:
            return wl.serial(*[wl.Dense(8, 2**0.5, 0.1), wl.Relu()] * depth, wl.Dense(1))
        conv = wl.Conv(8, (3, 3), 2**0.5, 0.1, padding=arch.Zeros())
        return wl.serial(*[conv, wl.Relu()] * depth, wl.GlobalAvgPool(), wl.Dense(1))

    def settings(self, cores: int) -> list[tuple[str, int, int, int]]:
        """Return (what is varied, depth, n, threads) of each row."""
        return [
            *(("depth", depth, self.n, cores) for depth in self.depths),
            *(("n", self.depth, n, cores) for n in self.sizes),
            *(("threads", self.depth, self.n, threads) for threads in range(1, cores + 1)),
        ]


GRIDS = [
    Grid("dense", (32,), 3, 4000, (3, 6, 12, 24), (2000, 4000, 8000)),
    Grid("cntk", (16, 16, 3), 10, 48, (5, 10, 20), (16, 48, 144)),
]


def run(grid: Grid, rounds: int) -> list[Record]:
    """Return a record for each row of a grid, timed in turn."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    rows = grid.settings(cores)
    x = np.random.default_rng(0).standard_normal((max(grid.sizes), *grid.shape)).astype(np.float32)
    taken: list[list[tuple[float, float]]] = [[] for _ in rows]
    for turn in range(rounds + 1):
        for (_, depth, n, threads), times in zip(rows, taken, strict=True):
            found = _timed(Native(threads=threads), grid.network(depth), x[:n])
            if turn:  # the first turn compiles
                times.append(found)
    records: list[Record] = []
    for (varied, depth, n, threads), times in zip(rows, taken, strict=True):
        seconds, processor = (statistics.median(column) for column in zip(*times, strict=True))
        each = 1e9 / (n * (n + 1) / 2 * depth)
        common = {"benchmark": "scaling", "kind": "variant", "case": grid.name, "side": "own", "variant": varied}
        numbers = {"depth": depth, "n": n, "threads": threads, "ms": 1e3 * seconds, "cpu_ms": 1e3 * processor}
        records.append({**common, **numbers, "ns": each * seconds, "cpu_ns": each * processor})
    alone = next(r for r in records if r["variant"] == "threads" and r["threads"] == 1)
    for record in records:
        if record["variant"] == "threads":
            record["speedup"] = alone["ms"] / record["ms"]
    return records


def report(records: list[Record]) -> None:
    """Print the records of one grid."""
    show(table(f"scaling: {records[0]['case']}", COLUMNS, records))


def _timed(engine: Native, net: arch.AbstractLayer, x: np.ndarray) -> tuple[float, float]:
    processor, start = time.process_time(), time.perf_counter()
    engine.block(net, x, x)
    return time.perf_counter() - start, time.process_time() - processor
