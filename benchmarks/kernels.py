r"""The NTK of infinite networks, symmetric, float32, against neural-tangents: time per entry of the same networks.

Both sides get the same inputs; the peer may get the first of them only, where all would take it minutes or not fit into
memory, and then the time per entry is compared. Its kernel has to agree with that part of ours.
"""

import contextlib
import pathlib
import sys
import tempfile
from collections.abc import Iterable

import numpy as np

from ._kernel_cases import CASES, KernelCase
from ._table import Record, show, table
from ._timing import Entry, interleave, ratios, spread
from ._worker import EXACT_MEMORY, Worker

TOLERANCE = 2e-4
"""Of the peer's kernel, off the diagonal and per activation: its float32 loses digits, as it does not carry the gap.

That both are the same kernel is tested in float64, against arrays of the peer (tests/oracles); here a wrong network is
found.
"""

COLUMNS = {
    "side": "{side}",
    "variant": "{variant}",
    "n": "{n}",
    "ms": "{ms:.1f}",
    "quartiles": "{ms_low:.1f}-{ms_high:.1f}",
    "ns/entry": "{ns:.3g}",
    "times faster": "{faster:.1f}",
    "of it": "{faster_low:.1f}-{faster_high:.1f}",
    "CPU ns/entry": "{cpu_ns:.3g}",
    "CPU faster": "{cpu_faster:.1f}",
    "/ gemm": "{to_gemm:.2f}",
    "% floor": "{floor_percent:.0f}",
    "first s": "{first_s:.2f}",
    "MiB": "{peak_mib:.0f}",
    "error": "{error:.0e}",
}


def run(
    peer: pathlib.Path | None, machine: Record, cases: Iterable[KernelCase], rounds: int, memory: bool
) -> Iterable[list[Record]]:
    """Yield the records of each case: its floor first, then one per variant; ``peer`` is its interpreter."""
    sides = {"own": pathlib.Path(sys.executable), **({"peer": peer} if peer else {})}
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            rows, said = _measured(case, sides, pathlib.Path(folder), rounds)
            if memory:
                _add_memory(case, sides, pathlib.Path(folder), rows)
        floors = floor(case, said["duals"], machine)
        for row in rows:
            if row["side"] == "own":
                row["floor_percent"] = 100 * floors["floor_ms"] / row["ms"]
        yield [{**floors, **said}, *rows]


def floor(case: KernelCase, duals: int, machine: Record) -> Record:
    """Return the least time that half a symmetric kernel needs here.

    Operations of the product of the inputs at the rate of a GEMM (of vectors; at each pair of positions they are few),
    bytes of the result written once at that of a copy, and the evaluations of activations in an entry, ``duals``, one
    per pair of positions that is needed, at the rate measured in the cache (``duals_relu`` of the machine): the sum of
    operations and activations, or the bytes, whichever is more.
    """
    flop = case.n**2 * case.shape[0] if len(case.shape) == 1 else 0
    rate = machine["duals_erf"] if ("erf",) in case.layers else machine["duals_relu"]
    times = {
        "gemm_ms": 1e3 * flop / machine["gemm"],
        "duals_ms": 1e3 * case.n**2 / 2 * duals / rate,
        "copy_ms": 1e3 * 4 * case.n**2 / machine["copy"],
    }
    least = max(times["gemm_ms"] + times["duals_ms"], times["copy_ms"])
    common = {"benchmark": "kernels", "kind": "floor", "case": case.name, "n": case.n, "layers": len(case.layers)}
    return {**common, **times, "floor_ms": least}


def dual_rates(n: int = 1500, tries: int = 5) -> Record:
    """Return evaluations per second of ReLU and of erf with the layer before them, all cores, as ``duals_relu``, ...

    From the time that twelve more layers take on vectors, so that nothing but the loops in the cache is counted.
    """
    import time

    import widelimit as wl

    x = np.random.default_rng(0).standard_normal((n, 8)).astype(np.float32)
    found: Record = {}
    for name, layer, std in (("relu", wl.Relu(), 2**0.5), ("erf", wl.Erf(), 1.5)):
        seconds = []
        for depth in (2, 14):
            net = wl.serial(*[wl.Dense(8, std, 0.1), layer] * depth, wl.Dense(1))
            best = float("inf")
            for _ in range(tries):
                start = time.perf_counter()
                wl.engine.Native().block(net, x, x)
                best = min(best, time.perf_counter() - start)
            seconds.append(best)
        found[f"duals_{name}"] = 12 * n * n / 2 / max(seconds[1] - seconds[0], 1e-9)
    return found


def report(records: list[Record]) -> None:
    """Print the records of one case."""
    floors, *rows = records
    title = f"{floors['case']}: {floors['said']}"
    form = "floor {floor_ms:.1f} ms: product {gemm_ms:.1f}, activations {duals_ms:.1f}, bytes {copy_ms:.1f}"
    show(table(title, COLUMNS, rows, form.format(**floors)))


def selected(names: list[str] | None, cases: list[KernelCase] = CASES) -> list[KernelCase]:
    """Return the cases of those names, all if there are none.

    Raises
    ------
    ValueError
        If there is no case of that name.
    """
    known = {case.name: case for case in cases}
    for name in names or []:
        if name not in known:
            raise ValueError(f"case is {name!r}; expected one of {', '.join(known)}.")
    return [known[name] for name in names] if names else cases


def _measured(case: KernelCase, sides: dict, folder: pathlib.Path, rounds: int) -> tuple[list[Record], Record]:
    files = {side: folder / f"{side}.npz" for side in sides}
    counts = {"own": case.n, "peer": case.peer_n}
    for side, file in files.items():
        np.savez(file, x=case.draw(case.n)["x"][: counts[side]])
    with contextlib.ExitStack() as stack:
        workers = {s: stack.enter_context(Worker(f"{s}_kernels", python)) for s, python in sides.items()}
        entries, rows = [], []
        for side, worker in workers.items():
            for variant in worker.ask("load", network=case.name, file=str(files[side]))["variants"]:
                result = folder / f"{side} {variant}.npy"
                first = worker.ask("first", variant=variant, file=str(result))["seconds"]
                entries.append(Entry(worker, variant))
                common = {"benchmark": "kernels", "kind": "variant", "case": case.name, "n": counts[side]}
                rows.append({**common, "side": side, "variant": variant, "first_s": first})
        _check(case, rows, folder)
        said = workers["own"].ask("predict")
        rows[0]["error"] = said.pop("apart")
        times = interleave(entries, rounds, slow=1e9)
    named = {(row["side"], row["variant"]): times[e] for row, e in zip(rows, entries, strict=True)}
    for row, entry in zip(rows, entries, strict=True):
        _add_times(row, times[entry], named, case)
    return rows, said


def _add_times(row: Record, times: object, named: dict, case: KernelCase) -> None:
    time, processor, entries = spread(times.seconds), spread(times.processor), row["n"] ** 2
    row.update(ms=1e3 * time.median, ms_low=1e3 * time.low, ms_high=1e3 * time.high, rounds=len(times.seconds))
    row.update(ns=1e9 * time.median / entries, cpu_ns=1e9 * processor.median / entries)
    if row["variant"] != "default":
        return
    if ("own", "gemm") in named:
        row["to_gemm"] = spread(ratios(times.seconds, named["own", "gemm"].seconds)).median
    if ("peer", "jit") in named:
        more = (case.n / case.peer_n) ** 2
        found = spread([more * r for r in ratios(named["peer", "jit"].seconds, times.seconds)])
        row.update(faster=found.median, faster_low=found.low, faster_high=found.high)
        row["cpu_faster"] = more * spread(ratios(named["peer", "jit"].processor, times.processor)).median


def _check(case: KernelCase, rows: list[Record], folder: pathlib.Path) -> None:
    ours = np.load(folder / "own default.npy")
    for row in rows:
        if row["side"] == "peer":
            theirs = np.load(folder / f"peer {row['variant']}.npy").astype(np.float64)
            part = ours[: len(theirs), : len(theirs)]
            row["error"] = float(np.max(np.abs(theirs - part)) / np.max(np.abs(part)))
            off = ~np.eye(len(theirs), dtype=bool)
            apart = float(np.max(np.abs(theirs - part)[off]) / np.max(np.abs(part)))
            if not apart < TOLERANCE * case.activations:
                raise ValueError(f"{case.name}: the peer's kernel differs from ours by {apart:.1e} off the diagonal.")


def _add_memory(case: KernelCase, sides: dict, folder: pathlib.Path, rows: list[Record]) -> None:
    for row in rows:
        with Worker(f"{row['side']}_kernels", sides[row["side"]], EXACT_MEMORY) as worker:
            worker.ask("load", network=case.name, file=str(folder / f"{row['side']}.npz"))
            peak = worker.ask("memory", variant=row["variant"])["bytes"]
        row["peak_mib"] = None if peak is None else peak / 2**20
