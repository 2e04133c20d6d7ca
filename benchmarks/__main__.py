"""The command line of the benchmarks: ``python -m benchmarks empirical --peer``."""

import os
import pathlib
import sys
from typing import Annotated

import typer

from . import (
    _machine,
    _peer,
    _table,
    _uci_data,
    empirical,
    kernels,
    krylov,
    lab,
    planes,
    regression,
    scale,
    scaling,
    uci,
)

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
Out = Annotated[pathlib.Path | None, typer.Option(help="Append the records to this file, one JSON object a line.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON lines in place of tables.")]
Cores = Annotated[str | None, typer.Option(help="Confine everything to these cores, such as 0,1 (Linux).")]


@app.callback()
def main() -> None:
    """Speed and memory, measured against a baseline in the same run."""


@app.command(name="empirical")
def empirical_command(
    peer: Annotated[bool, typer.Option("--peer", help="Compare with neural-tangents.")] = False,
    peer_env: Annotated[pathlib.Path, typer.Option(help="Folder of its environment, made if absent.")] = _peer.DEFAULT,
    peer_python: Annotated[str, typer.Option(help="Python 3.9 to 3.12, to make it with.")] = sys.executable,
    torch: Annotated[
        pathlib.Path | None, typer.Option(help="An interpreter that has PyTorch, to compare with.")
    ] = None,
    case: Annotated[list[str] | None, typer.Option(help="Only these cases.")] = None,
    variant: Annotated[list[str] | None, typer.Option(help="Only variants with this in their name, and ours.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 11,
    memory: Annotated[bool, typer.Option(help="Measure peak memory too.")] = True,
    cores: Cores = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Time empirical kernels: ours, and the peers' on the same weights and inputs in turn."""
    _confine(cores)
    try:
        cases = empirical.selected(case)
        peer_side = _peer.build(peer_env, peer_python) if peer else None
        sides = empirical.Sides(peer_side, torch, tuple(variant or ()))
    except ValueError as error:
        typer.echo(f"benchmarks: {error}", err=True)
        raise typer.Exit(2) from None
    machine = {"benchmark": "machine", "kind": "machine", **_machine.measure()}
    _emit([machine], out, json)
    if not json:
        print(_machine.sentence(machine))
    for records in empirical.run(sides, machine, cases, rounds, memory):
        _emit(records, out, json)
        if not json:
            empirical.report(records)


@app.command(name="kernels")
def kernels_command(
    peer: Annotated[bool, typer.Option("--peer", help="Compare with neural-tangents.")] = False,
    peer_env: Annotated[pathlib.Path, typer.Option(help="Folder of its environment, made if absent.")] = _peer.DEFAULT,
    peer_python: Annotated[str, typer.Option(help="Python 3.9 to 3.12, to make it with.")] = sys.executable,
    case: Annotated[list[str] | None, typer.Option(help="Only these cases.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 5,
    memory: Annotated[bool, typer.Option(help="Measure peak memory too.")] = True,
    cores: Cores = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Time kernels of infinite networks: ours, and the peer's on the same inputs in turn."""
    _confine(cores)
    try:
        cases = kernels.selected(case)
        peer_side = _peer.build(peer_env, peer_python) if peer else None
    except ValueError as error:
        typer.echo(f"benchmarks: {error}", err=True)
        raise typer.Exit(2) from None
    machine = {"benchmark": "machine", "kind": "machine", **_machine.measure(), **kernels.dual_rates()}
    _emit([machine], out, json)
    if not json:
        print(_machine.sentence(machine))
        print(", ".join(f"{machine[f'duals_{k}'] / 1e9:.2f} G{k}/s" for k in ("relu", "erf")))
    for records in kernels.run(peer_side, machine, cases, rounds, memory):
        _emit(records, out, json)
        if not json:
            kernels.report(records)


@app.command(name="planes")
def planes_command(
    case: Annotated[list[str] | None, typer.Option(help="Only these cases.")] = None,
    n: Annotated[int, typer.Option(min=1, help="Inputs of each side.")] = 2,
    lanes: Annotated[list[int] | None, typer.Option(min=1, help="Numbers at once, beside the engine's choice.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Warm calls.")] = 3,
    out: Out = None,
    json: Json = False,
) -> None:
    """Time the plane engine on the device of JAX, against what its arithmetic takes there."""
    try:
        cases = kernels.selected(case, planes.POOLED)
    except ValueError as error:
        typer.echo(f"benchmarks: {error}", err=True)
        raise typer.Exit(2) from None
    machine = planes.device()
    _emit([machine], out, json)
    if not json:
        print(planes.sentence(machine))
    for records in planes.run(machine, cases, n, lanes or [], rounds):
        _emit(records, out, json)
        if not json:
            planes.report(records)


@app.command(name="scaling")
def scaling_command(
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 5,
    cores: Cores = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Time compiled kernels as depth, the number of entries and threads grow."""
    _confine(cores)
    for grid in scaling.GRIDS:
        records = scaling.run(grid, rounds)
        _emit(records, out, json)
        if not json:
            scaling.report(records)


@app.command(name="krylov")
def krylov_command(
    n: Annotated[int, typer.Option(min=2, help="Size of the kernel matrix.")] = 8000,
    cores: Cores = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Time training in function space: Lanczos against the eigendecomposition."""
    _confine(cores)
    records = krylov.run(n)
    _emit(records, out, json)
    if not json:
        krylov.report(records)


@app.command(name="regression")
def regression_command(
    data: Annotated[pathlib.Path, typer.Option(help="Folder of the UCI regression sets.")] = regression.DATA,
    cache: Annotated[pathlib.Path, typer.Option(help="File that keeps what each split gave.")] = pathlib.Path(
        "build/regression.jsonl"
    ),
    name: Annotated[list[str] | None, typer.Option("--set", help="Only these sets.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="Only these methods.")] = None,
    splits: Annotated[int | None, typer.Option(min=1, max=10, help="Fewer splits than 10, or 5 of many rows.")] = None,
    cores: Cores = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Compare Gaussian processes of wide networks with those of scikit-learn, forests and boosting on UCI data."""
    _confine(cores)
    try:
        sets = regression.names(data, name)
        methods = [one for one in regression.METHODS if not method or one in method]
        if unknown := set(method or ()) - set(regression.METHODS):
            raise ValueError(f"method is {sorted(unknown)[0]!r}; expected one of {', '.join(regression.METHODS)}.")
    except ValueError as error:
        typer.echo(f"benchmarks: {error}", err=True)
        raise typer.Exit(2) from None
    everything: list[_table.Record] = []
    for records in regression.run(sets, methods, splits, data, cache):
        everything += records
        _emit(records, out, json)
        if not json:
            regression.report(records)
    totals = regression.summary(everything)
    _emit(totals, out, json)
    if not json:
        regression.report(totals)


@app.command(name="scale")
def scale_command(
    case: Annotated[list[str] | None, typer.Option(help="Only these: exact, kegg, million.")] = None,
    variant: Annotated[list[str] | None, typer.Option(help="Only these: nystrom, random, sklearn.")] = None,
    n: Annotated[int | None, typer.Option(min=100, help="Rows, in place of those of the case.")] = None,
    features: Annotated[int, typer.Option(min=2, help="Features of every variant.")] = 500,
    data: Annotated[pathlib.Path, typer.Option(help="keggundirected.npz of the UCI sets.")] = scale.DATA,
    cores: Cores = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Time kernel regression for large n, exact and on features, beside scikit-learn."""
    _confine(cores)
    try:
        for name in case or scale.VARIANTS:
            records = scale.run(name, n, features, data, variant)
            _emit(records, out, json)
            if not json:
                scale.report(records)
    except ValueError as error:
        typer.echo(f"benchmarks: {error}", err=True)
        raise typer.Exit(2) from None


@app.command(name="lab")
def lab_command(cores: Cores = None, out: Out = None, json: Json = False) -> None:
    """Time what a reader of the lab waits for."""
    _confine(cores)
    records = lab.run()
    _emit(records, out, json)
    if not json:
        lab.report(records)


@app.command(name="uci")
def uci_command(
    data: Annotated[pathlib.Path, typer.Option(help="Folder of the sets.")] = _uci_data.DEFAULT,
    sets: Annotated[str | None, typer.Option(help="Only these sets, such as iris,wine.")] = None,
    methods: Annotated[str | None, typer.Option(help="Only these methods, such as ntk-svm,forest.")] = None,
    out: Annotated[pathlib.Path, typer.Option(help="Folder that keeps results: a run goes on where it was.")] = uci.OUT,
    jobs: Annotated[int, typer.Option(min=1, help="Processes, of one thread each.")] = 2,
    cores: Cores = None,
    json: Json = False,
) -> None:
    """Compare classifiers on 90 UCI sets."""
    _confine(cores)
    try:
        todo = uci.plan(data, out, sets, methods)
    except ValueError as error:
        typer.echo(f"benchmarks: {error}", err=True)
        raise typer.Exit(2) from None
    compared = []
    for record in uci.run(todo, jobs):
        if json:
            _emit([record], None, json)
        elif record["kind"] == "set":
            print(uci.line(record), flush=True)
        compared += [record] * (record["kind"] == "variant")
    if not json:
        uci.report(compared)


def _confine(cores: str | None) -> None:
    if cores is not None:
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})


def _emit(records: list[_table.Record], out: pathlib.Path | None, json: bool) -> None:
    if json:
        _table.write_lines(records, None)
    if out is not None:
        _table.write_lines(records, out)


if __name__ == "__main__":
    app()
