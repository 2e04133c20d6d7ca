"""Classification on 90 UCI sets: our kernels beside forests, boosting and a Gaussian SVM, on the published protocol.

Each method chooses among its candidates by their accuracy on one validation split (the first of the best), and is
judged by its mean accuracy on four folds. Results of a method on a set are files of a folder, so that an interrupted
run goes on where it was. Sets are shared out to processes, one thread each: most sets are so small that threads of one
another only wait. Seconds are those of that process; the wall time of a run is at most their sum over its processes.
"""

import contextlib
import dataclasses
import itertools
import json
import multiprocessing
import os
import pathlib
import time
from collections.abc import Iterable, Iterator

import numpy as np
import threadpoolctl

from . import _uci_data, _uci_methods, _uci_scores
from ._table import Record, show, table
from ._uci_average import AVERAGE
from ._uci_methods import Candidate, Method

METHODS = {method.name: method for method in (*_uci_methods.PUBLISHED, AVERAGE)}
OUT = pathlib.Path(__file__).parent / ".uci"
COLUMNS = {
    "method": "{variant}",
    "sets": "{sets}",
    "mean %": "{mean:.2f}",
    "± over sets": "{std:.2f}",
    "Friedman rank": "{rank:.2f}",
    "P90 %": "{p90:.1f}",
    "P95 %": "{p95:.1f}",
    "PMA %": "{pma:.2f}",
    "time s": "{seconds:.0f}",
    "CPU s": "{cpu_s:.0f}",
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to run: methods on sets of the folder ``data``, with one file a set and method below ``out``."""

    data: pathlib.Path
    out: pathlib.Path
    sets: list[str]
    methods: list[str]


def plan(data: pathlib.Path, out: pathlib.Path, sets: str | None, methods: str | None) -> Plan:
    """Return a plan of the sets and methods of those names, between commas; of all where None.

    Raises
    ------
    ValueError
        If there is no set or method of a name, or no data.
    """
    every = _uci_data.names(data)
    return Plan(data, out, _named(sets, every, "sets"), _named(methods, list(METHODS), "methods"))


def run(todo: Plan, jobs: int = 1) -> Iterator[Record]:
    """Yield a record for each set and method, as it is there; last, one for each method."""
    found: dict[str, dict[str, Record]] = {name: {} for name in todo.methods}
    tasks = [(todo, name, method) for name in todo.sets for method in todo.methods]
    with contextlib.ExitStack() as stack:
        done = map(_task, tasks)
        if jobs > 1:
            pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(jobs))
            done = pool.imap_unordered(_task, tasks)
        for record in done:
            found[record["variant"]][record["case"]] = record
            yield record
    yield from compared({name: [rows[case] for case in todo.sets] for name, rows in found.items()})


def _task(task: tuple[Plan, str, str]) -> Record:
    todo, name, method = task
    with threadpoolctl.threadpool_limits(1):
        return kept(todo.out, _uci_data.load(todo.data, name), METHODS[method])


def compared(found: dict[str, list[Record]]) -> list[Record]:
    """Return one record for each method, from its records on the same sets in the same order."""
    accuracy = {name: np.array([r["accuracy"] for r in records]) for name, records in found.items()}
    rows = _uci_scores.summary(accuracy)
    for row, records in zip(rows, found.values(), strict=True):
        row.update(benchmark="uci", kind="variant", case="uci", side="own")
        row.update({key: sum(r[key] for r in records) for key in ("seconds", "cpu_s")})
    return rows


def kept(out: pathlib.Path, problem: _uci_data.Problem, method: Method) -> Record:
    """Return the record of a method on a set from its file, or make it and write the file in one step."""
    file = out / method.name / f"{problem.name}.json"
    if file.is_file():
        record = json.loads(file.read_text())
        if record["said"] == method.said:
            return record
    record = judged(problem, method)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(record, allow_nan=False) + "\n")
    part.replace(file)
    return record


def judged(problem: _uci_data.Problem, method: Method) -> Record:
    """Choose on the validation split, where there is a choice, and return accuracies on the folds."""
    start, processor = time.perf_counter(), time.process_time()
    chosen, best = choose(problem, method)
    folds = [accuracy(problem, chosen, split) for split in problem.folds]
    return {
        "benchmark": "uci",
        "kind": "set",
        "case": problem.name,
        "variant": method.name,
        "said": method.said,
        "n": len(problem.x),
        "accuracy": float(np.mean(folds)),
        "folds": folds,
        "validation": best,
        "chosen": chosen.label,
        "seconds": time.perf_counter() - start,
        "cpu_s": time.process_time() - processor,
    }


def choose(problem: _uci_data.Problem, method: Method) -> tuple[Candidate, float | None]:
    """Return the first of the candidates that are best on the validation split, and its accuracy; None if alone."""
    candidates = iter(method.candidates(problem))
    first, second = next(candidates), next(candidates, None)
    if second is None:
        return first, None
    best, chosen = -1.0, first
    for candidate in itertools.chain([first, second], candidates):
        found = accuracy(problem, candidate, problem.validation)
        if found > best:
            best, chosen = found, candidate
    return chosen, best


def accuracy(problem: _uci_data.Problem, candidate: Candidate, split: _uci_data.Split) -> float:
    """Return the share of rows judged right, of the second part of a split, from those of the first alone."""
    fit, judge = split
    return float(np.mean(candidate.classify(fit, judge) == problem.y[judge]))


def line(record: Record) -> str:
    """Return what is said of a method on a set when it is done."""
    form = "{case:34} {n:5} {variant:9} {accuracy:6.2%}  {seconds:7.1f} s  {chosen}"
    return form.format(**record)


def report(records: Iterable[Record]) -> None:
    """Print the comparison of methods."""
    show(table("uci: mean accuracy on four folds, over sets", COLUMNS, records))


def _named(names: str | None, known: list[str], what: str) -> list[str]:
    wanted = [name.strip() for name in names.split(",")] if names is not None else known
    for name in wanted:
        if name not in known:
            raise ValueError(f"{what} has {name!r}; expected some of {', '.join(known)}, between commas.")
    return wanted
