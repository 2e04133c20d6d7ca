r"""The empirical NTK of the networks of `_cases`, all pairs of outputs, against neural-tangents and PyTorch.

Every side gets the same weights and inputs in float32 and has to return the same kernel: the largest difference to
ours, relative to the largest entry, is checked before anything is timed.
"""

import contextlib
import dataclasses
import pathlib
import sys
import tempfile
from collections.abc import Iterable

import numpy as np

from ._cases import CASES, Case, multiply_adds, traffic
from ._table import Record, show, table
from ._timing import Entry, Times, interleave, ratios, spread
from ._worker import EXACT_MEMORY, Worker

TOLERANCE = 1e-4
COLUMNS = {
    "side": "{side}",
    "variant": "{variant}",
    "ms": "{ms:.1f}",
    "quartiles": "{ms_low:.1f}-{ms_high:.1f}",
    "/ peer": "{to_peer:.2f}",
    "of it": "{to_peer_low:.2f}-{to_peer_high:.2f}",
    "CPU ms": "{cpu_ms:.1f}",
    "/ its": "{cpu_to_peer:.2f}",
    "Auto": "{expected:.2f}",
    "rounds": "{rounds}",
    "first s": "{first_s:.2f}",
    "% GEMM": "{gemm_percent:.0f}",
    "MiB": "{peak_mib:.0f}",
    "error": "{error:.0e}",
}


@dataclasses.dataclass(frozen=True)
class Sides:
    """Who takes part: an interpreter each, None for absent, and parts of the names of the variants, none for all."""

    peer: pathlib.Path | None = None
    torch: pathlib.Path | None = None
    variants: tuple[str, ...] = ()

    def take(self, variant: str) -> bool:
        """Whether a variant takes part; our default always does."""
        return variant == "default" or not self.variants or any(part in variant for part in self.variants)

    def interpreters(self) -> dict[str, pathlib.Path]:
        """Return the interpreters by side, ours first."""
        every = {"own": pathlib.Path(sys.executable), "peer": self.peer, "torch": self.torch}
        return {side: python for side, python in every.items() if python is not None}


def run(sides: Sides, machine: Record, cases: Iterable[Case], rounds: int, memory: bool) -> Iterable[list[Record]]:
    """Yield the records of each case: its floors first, then one per variant."""
    for case in cases:
        floors = floor(case, machine)
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "case.npz"
            np.savez(file, **case.draw())
            rows, predicted = _measured(case, sides, file, rounds)
            if memory:
                _add_memory(case, sides.interpreters(), file, rows)
        for row in rows:
            row["to_floor"] = row["ms"] / floors["floor_ms"]
            row["gemm_percent"] = 100 * floors["flop"] / (row["ms"] / 1e3) / machine["gemm"]
        yield [{**floors, **judged(predicted, rows)}, *rows]


def floor(case: Case, machine: Record) -> Record:
    """Return the floors of a case: operations, bytes, and the time that the slower of the two needs here."""
    phases = {f"flop_{phase}": 2 * count for phase, count in multiply_adds(case).items()}
    flop, moved = sum(phases.values()), traffic(case)
    times = {"gemm_ms": 1e3 * flop / machine["gemm"], "copy_ms": 1e3 * moved / machine["copy"]}
    shape = {"n": case.n, "outputs": case.outputs}
    common = {"benchmark": "empirical", "kind": "floor", "case": case.name}
    return {**common, **shape, **phases, "flop": flop, "bytes": moved, **times, "floor_ms": max(times.values())}


def judged(predicted: dict, rows: list[Record]) -> Record:
    """Enter the expected times into the rows; return the choice of `Auto`, the best method and their ratio."""
    if not predicted:
        return {}
    times = {row["variant"]: row["ms"] for row in rows if row["side"] == "own" and row["variant"] != "default"}
    for row in rows:
        if row["side"] == "own":
            row["expected"] = predicted["expected"].get(row["variant"])
    if predicted["chosen"] not in times:
        return {}
    chosen, best = predicted["chosen"], min(times, key=times.get)
    ratio = times[chosen] / times[best]
    return {"auto_chosen": chosen, "auto_best": best, "auto_to_best": ratio, "budget_mib": predicted["budget"] / 2**20}


def report(records: list[Record]) -> None:
    """Print the records of one case."""
    floors, *rows = records
    title = f"{floors['case']}: n = {floors['n']}, outputs = {floors['outputs']}, all pairs of outputs"
    form = (
        "floor {flop_g:.2f} Gflop (forward {forward:.0f} %, backward {backward:.0f} %, contraction {contraction:.0f} %)"
        " = {gemm_ms:.1f} ms; {mb:.0f} MB = {copy_ms:.1f} ms"
    )
    phases = {p: 100 * floors[f"flop_{p}"] / floors["flop"] for p in ("forward", "backward", "contraction")}
    caption = form.format(flop_g=floors["flop"] / 1e9, mb=floors["bytes"] / 1e6, **phases, **floors)
    if "auto_chosen" in floors:
        choice = "Auto chose {auto_chosen}, {auto_to_best:.2f} of the time of the best, {auto_best}; "
        caption += ("\n" + choice + "memory budget {budget_mib:.0f} MiB").format(**floors)
    show(table(title, COLUMNS, rows, caption))


def _measured(case: Case, sides: Sides, file: pathlib.Path, rounds: int) -> tuple[list[Record], dict]:
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(side, python)) for side, python in sides.interpreters().items()]
        entries = []
        for worker in workers:
            variants = worker.ask("load", network=case.network, file=str(file))["variants"]
            entries += [Entry(worker, variant) for variant in variants if sides.take(variant)]
        rows = [_first(case, entry, file) for entry in entries]
        _check(case, rows, file)
        predicted = workers[0].ask("predict")
        times = interleave(entries, rounds)
    peers = [times[entry] for entry in entries if entry.side == "peer"]
    best = min(peers, key=lambda t: spread(t.seconds).median, default=None)
    for row, entry in zip(rows, entries, strict=True):
        _add_times(row, times[entry], best)
    return rows, predicted


def _add_times(row: Record, times: Times, best: Times | None) -> None:
    time, processor = spread(times.seconds), spread(times.processor)
    row.update(ms=1e3 * time.median, ms_low=1e3 * time.low, ms_high=1e3 * time.high, rounds=len(times.seconds))
    row.update(cpu_ms=1e3 * processor.median)
    if best is not None:
        ratio = spread(ratios(times.seconds, best.seconds))
        row.update(to_peer=ratio.median, to_peer_low=ratio.low, to_peer_high=ratio.high)
        row.update(cpu_to_peer=spread(ratios(times.processor, best.processor)).median)


def _first(case: Case, entry: Entry, file: pathlib.Path) -> Record:
    # The first call compiles; its kernel is kept beside the case for the comparison.
    result = file.with_name(f"{entry.side} {entry.variant}.npy")
    answer = entry.worker.ask("first", variant=entry.variant, file=str(result))
    common = {"benchmark": "empirical", "kind": "variant", "case": case.name}
    return {**common, "side": entry.side, "variant": entry.variant, "first_s": answer["seconds"]}


def _check(case: Case, rows: list[Record], file: pathlib.Path) -> None:
    kernels = [np.load(file.with_name(f"{row['side']} {row['variant']}.npy")).astype(np.float64) for row in rows]
    for row, kernel in zip(rows, kernels, strict=True):
        error = float(np.max(np.abs(kernel - kernels[0])) / np.max(np.abs(kernels[0])))
        if not error < TOLERANCE:
            raise ValueError(f"{case.name}: {row['side']} {row['variant']} differs from ours by {error:.1e}.")
        row["error"] = error


def _add_memory(case: Case, interpreters: dict, file: pathlib.Path, rows: list[Record]) -> None:
    # A process of its own per variant: what others left behind would blur the peak. Slow ones are left out.
    for row in rows:
        row["peak_mib"] = None
        if row["rounds"] > 1 or row["side"] != "peer":
            with Worker(row["side"], interpreters[row["side"]], EXACT_MEMORY) as worker:
                worker.ask("load", network=case.network, file=str(file))
                peak = worker.ask("memory", variant=row["variant"])["bytes"]
            row["peak_mib"] = None if peak is None else peak / 2**20


def selected(names: list[str] | None) -> list[Case]:
    """Return the cases of those names, all if there are none.

    Raises
    ------
    ValueError
        If there is no case of that name.
    """
    known = {case.name: case for case in CASES}
    for name in names or []:
        if name not in known:
            raise ValueError(f"case is {name!r}; expected one of {', '.join(known)}.")
    return [known[name] for name in names] if names else CASES
