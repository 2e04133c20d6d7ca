"""The benchmarks run: same kernels on every side, valid JSON lines, tables, positive floors. Nothing is timed."""

import dataclasses
import io
import json
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import widelimit as wl

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import (  # noqa: E402
    _cases,
    _kernel_cases,
    _machine,
    _own_networks,
    _peer,
    _table,
    _timing,
    _worker,
    empirical,
    kernels,
    krylov,
    planes,
    scale,
    scaling,
)
from benchmarks.__main__ import app  # noqa: E402
from benchmarks._networks import NETWORKS  # noqa: E402

TINY = [
    dataclasses.replace(_cases.CASES[0], name="tiny-mlp", n=3, outputs=2, channels=5, hidden=(4, 6, 4)),
    dataclasses.replace(_cases.CASES[2], name="tiny-cnn", n=2, outputs=3, channels=2, hidden=(3, 4), space=(4, 5)),
]
MACHINE = {
    "benchmark": "machine",
    "kind": "machine",
    "cores": 2,
    "gemm": 3e11,
    "gemm_1": 2e11,
    "copy": 4e10,
    "copy_1": 2e10,
}
FIELDS = {
    "benchmark",
    "kind",
    "case",
    "side",
    "variant",
    "first_s",
    "error",
    "ms",
    "cpu_ms",
    "ms_low",
    "ms_high",
    "rounds",
}


def explicit(case):
    """Return the kernel of all pairs of outputs from the explicit Jacobian, in float64."""
    with jax.enable_x64(True):
        arrays = {name: a.astype(np.float64) for name, a in case.draw().items()}
        params = [arrays[f"p{i}"] for i in range(len(arrays) - 1)]
        jacobian = jax.jacobian(NETWORKS[case.network])(params, arrays["x"])
        flat = np.concatenate([np.reshape(j, (case.n, case.outputs, -1)) for j in jacobian], -1)
    return np.einsum("nap,mbp->nmab", flat, flat)


def kernel(side, python, case, folder):
    """Return the kernels of every variant of a side, asked for as the benchmark does."""
    file = folder / "case.npz"
    np.savez(file, **case.draw())
    kernels = {}
    with _worker.Worker(side, python) as worker:
        for variant in worker.ask("load", network=case.network, file=str(file))["variants"]:
            worker.ask("first", variant=variant, file=str(folder / "kernel.npy"))
            kernels[variant] = np.load(folder / "kernel.npy")
    return kernels


@pytest.mark.parametrize("case", TINY, ids=lambda case: case.name)
def test_our_side_agrees_with_the_explicit_jacobian(case, tmp_path):
    expected = explicit(case)
    kernels = kernel("own", sys.executable, case, tmp_path)
    assert "default" in kernels
    for found in kernels.values():
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


@pytest.mark.thorough
@pytest.mark.parametrize("case", TINY, ids=lambda case: case.name)
def test_the_peer_agrees_with_the_explicit_jacobian(case, tmp_path):
    python = _peer.interpreter(_peer.DEFAULT)
    if python is None:
        pytest.skip("the peer's environment is not built: 'python -m benchmarks empirical --peer' does it")
    expected = explicit(case)
    kernels = kernel("peer", python, case, tmp_path)
    assert len(kernels) == 6
    for found in kernels.values():
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_a_run_gives_valid_lines_and_a_table(tmp_path, capsys):
    (records,) = empirical.run(empirical.Sides(), MACHINE, TINY[:1], rounds=2, memory=True)
    _table.write_lines([MACHINE, *records], tmp_path / "out.jsonl")
    _table.write_lines(records, None)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert lines == [MACHINE, *records]
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == records
    floors, *rows = records
    assert floors["kind"] == "floor"
    assert rows[0]["variant"] == "default"
    for row in rows:
        assert row.keys() >= FIELDS
        assert 0 < row["ms_low"] <= row["ms"] <= row["ms_high"]
        assert row["error"] < empirical.TOLERANCE
        assert row["peak_mib"] is None or row["peak_mib"] >= 0
    empirical.report(records)
    out = capsys.readouterr().out
    assert "tiny-mlp" in out
    assert "floor" in out
    assert all(heading.strip() in out for heading in empirical.COLUMNS)


def test_a_side_that_disagrees_is_refused(tmp_path):
    rows = [{"side": "own", "variant": "a"}, {"side": "peer", "variant": "b"}]
    np.save(tmp_path / "own a.npy", np.eye(2))
    np.save(tmp_path / "peer b.npy", 1.001 * np.eye(2))
    with pytest.raises(ValueError, match=r"peer b differs from ours by 1\.0e-03"):
        empirical._check(TINY[0], rows, tmp_path / "case.npz")
    np.save(tmp_path / "peer b.npy", np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="differs from ours"):
        empirical._check(TINY[0], rows, tmp_path / "case.npz")


def test_a_side_that_fails_says_why(tmp_path):
    with _worker.Worker("own", sys.executable) as worker:
        with pytest.raises(RuntimeError, match=r"'own' failed to load .*FileNotFoundError"):
            worker.ask("load", network="mlp", file=str(tmp_path / "absent.npz"))
        worker.process.kill()
        worker.process.wait()
        with pytest.raises(RuntimeError, match="'own' has ended"):
            worker.ask("load", network="mlp", file="")


def test_multiply_adds_of_a_small_network_counted_by_hand():
    # 2 -> 3 -> 1 on one example with one output: 9 forward, nothing behind the first layer, 2 + 3 for its two factors,
    # 3 for the readout's.
    case = dataclasses.replace(TINY[0], n=1, outputs=1, channels=2, hidden=(3,))
    assert _cases.multiply_adds(case) == {"forward": 9, "backward": 0, "contraction": 8}
    # A 3x3 convolution 1 -> 2 at 4 positions with a readout: 4 * 9 * 2 + 2 forward, as many for the gradient, 18 for
    # its square, 2 for the readout's.
    case = dataclasses.replace(TINY[1], n=1, outputs=1, channels=1, hidden=(2,), space=(2, 2))
    assert _cases.multiply_adds(case) == {"forward": 74, "backward": 0, "contraction": 92}


@pytest.mark.parametrize("case", _cases.CASES, ids=lambda case: case.name)
def test_floors_are_positive_and_no_worse_than_the_whole_jacobian(case):
    floors = empirical.floor(case, MACHINE)
    assert all(value > 0 for value in floors.values() if not isinstance(value, str))
    parameters = sum(layer.fan_in * layer.width for layer in case.layers)
    rows = case.n * case.outputs
    assert floors["flop"] < (1 + 2 * case.outputs) * floors["flop_forward"] + 2 * rows**2 * parameters
    assert floors["bytes"] > 4 * (rows**2 + parameters)


def test_slow_variants_leave_after_the_first_round():
    class Clock:
        side = "own"

        def ask(self, do, variant, least):
            return {"seconds": {"fast": 1.0, "close": 4.0, "slow": 6.0}[variant], "processor": 1.0}

    clock = Clock()
    entries = [_timing.Entry(clock, name) for name in ("fast", "close", "slow")]
    times = _timing.interleave(entries, rounds=4)
    assert [len(times[entry].seconds) for entry in entries] == [4, 4, 1]
    assert _timing.spread([1.0, 2.0, 3.0, 4.0, 5.0]) == _timing.Spread(3.0, 2.0, 4.0)
    assert _timing.spread([2.0]) == _timing.Spread(2.0, 2.0, 2.0)
    assert _timing.ratios([2.0, 3.0], [1.0, 2.0]) == [2.0, 1.5]


def test_the_choice_of_auto_is_judged_by_measured_times():
    rows = [{"side": "own", "variant": v, "ms": t} for v, t in (("default", 2.1), ("A", 2.0), ("B", 1.0))]
    rows.append({"side": "peer", "variant": "B", "ms": 0.5})
    predicted = {"chosen": "A", "expected": {"A": 1.0, "B": 3.0}, "budget": 2**30}
    assert empirical.judged(predicted, rows) == {
        "auto_chosen": "A", "auto_best": "B", "auto_to_best": 2.0, "budget_mib": 1024.0,
    }  # fmt: skip
    assert [row.get("expected") for row in rows] == [None, 1.0, 3.0, None]
    assert empirical.judged({}, rows) == {}


def test_memory_of_a_call_is_seen():
    """In a process of its own, as in a run: a long-lived one has freed memory that a call takes without a rise."""
    code = (
        "import numpy as np\nfrom benchmarks import _serve\n"
        "class Side:\n    def call(self, variant):\n        return np.ones(2**22)\n"
        "print(_serve.memory(Side(), 'any')['bytes'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    if done.stdout.strip() == "None":
        pytest.skip("this system does not tell a peak of resident memory")
    assert int(done.stdout) == pytest.approx(2**25, rel=0.1)


def test_an_absent_peer_is_noticed(tmp_path):
    assert _peer.interpreter(tmp_path) is None
    (tmp_path / "requirements-installed.txt").write_text("\n".join(_peer.REQUIREMENTS))
    assert _peer.interpreter(tmp_path) is not None
    (tmp_path / "requirements-installed.txt").write_text("numpy")
    assert _peer.interpreter(tmp_path) is None


def test_missing_values_leave_a_cell_empty():
    out = io.StringIO()
    columns = {"name": "{name}", "ms": "{ms:.1f}"}
    made = _table.table("t", columns, [{"name": "a", "ms": 1.25}, {"name": "b", "ms": None}, {"name": "c"}])
    Console(file=out, width=60).print(made)
    text = out.getvalue()
    assert "1.2" in text
    assert "None" not in text


def test_the_command_line_refuses_an_unknown_case():
    result = CliRunner().invoke(app, ["empirical", "--case", "resnet"])
    assert result.exit_code == 2
    assert "case is 'resnet'; expected one of mlp-10, mlp-1, cnn-10" in result.output


def test_krylov_and_spectral_agree():
    spectral, lanczos = krylov.run(200, activation="erf")
    assert (spectral["variant"], lanczos["variant"]) == ("Spectral", "Krylov")
    assert spectral["error"] == 0
    assert lanczos["error"] < 1e-6
    assert min(spectral["s"], lanczos["s"]) > 0


def test_scaling_varies_one_number_at_a_time():
    tiny = scaling.Grid("tiny", (4,), 2, 30, (1, 2), (20, 30))
    rows = tiny.settings(2)
    assert [row[0] for row in rows] == ["depth", "depth", "n", "n", "threads", "threads"]
    for varied, depth, n, threads in rows:
        middle = {"depth": depth == 2, "n": n == 30, "threads": threads == 2}
        assert all(same for name, same in middle.items() if name != varied)


@pytest.mark.slow
def test_scaling_gives_records_and_a_table(capsys):
    tiny = scaling.Grid("tiny", (4,), 2, 30, (1, 2), (20, 30))
    records = json.loads(json.dumps(scaling.run(tiny, 1), allow_nan=False))
    assert all(record["ms"] > 0 and record["ns"] > 0 for record in records)
    assert next(r for r in records if r["variant"] == "threads")["speedup"] == 1
    scaling.report(records)
    assert "tiny" in capsys.readouterr().out


def test_machine_rates_in_words():
    assert _machine.sentence(MACHINE) == (
        "2 cores, float32: GEMM 200 Gflop/s on one and 300 on all, copy 20.0 and 40.0 GB/s"
    )


def test_the_benchmark_of_kernels_gives_records_and_a_table(capsys):
    """One small case of vectors, our side alone; every case is a network that maps its inputs to a vector."""
    tiny = dataclasses.replace(_kernel_cases.CASES[0], n=70, peer_n=20)
    machine = {**MACHINE, "duals_relu": 1e9, "duals_erf": 5e8}
    records = next(iter(kernels.run(None, machine, [tiny], rounds=1, memory=False)))
    floors, default, gemm = json.loads(json.dumps(records, allow_nan=False))
    assert floors["engine"] == "Reference"  # fewer moments than compiled loops are worth
    assert floors["floor_ms"] > 0
    assert (default["variant"], gemm["variant"]) == ("default", "gemm")
    assert default["error"] < 1e-5
    assert default["to_gemm"] > 0
    kernels.report(records)
    assert "dense-relu-32" in capsys.readouterr().out
    with pytest.raises(ValueError, match="case is 'none'"):
        kernels.selected(["none"])


def test_the_benchmark_of_planes_gives_records_and_a_table(capsys):
    """One small case, with lanes of its own choice and others, which it leaves as they were."""
    layers = (("conv", (3, 3)), ("relu",), ("pool", (2, 2)), ("conv", (3, 3)), ("relu",), ("global",), ("dense",))
    tiny = dataclasses.replace(planes.POOLED[0], name="tiny", shape=(6, 6, 2), layers=layers)
    machine = {"benchmark": "planes", "kind": "machine", "platform": "cpu", "device": "cpu", "gemm": 3e11, "copy": 4e10}
    before = dict(planes._planes_size.LANES)
    (records,) = planes.run(machine, [tiny], 2, [64], rounds=2)
    assert before == planes._planes_size.LANES
    for record in json.loads(json.dumps(records, allow_nan=False)):
        assert record["error"] < 1e-5
        assert 0 < record["ms_low"] <= record["ms"] <= record["ms_high"]
        assert record["to_floor"] > 0
    assert [record["variant"] for record in records] == [planes.OWN, "64"]
    planes.report(records)
    assert "tiny" in capsys.readouterr().out
    assert planes.sentence(machine) == "cpu (cpu), float32: GEMM 0.3 Tflop/s, copy 40 GB/s"
    result = CliRunner().invoke(app, ["planes", "--case", "dense-relu-32"])
    assert result.exit_code == 2
    assert "expected one of cntk-21-global" in result.output


def test_arithmetic_of_an_entry_counted_by_hand():
    """Positions count in pairs in front of a pooling alone; a convolution has two sums per array and axis."""
    conv = wl.Conv(8, (3, 3), padding=wl.arch.Zeros())
    pairs = (4 * 4) ** 2
    assert planes.flop_of_entry(wl.serial(conv, wl.GlobalAvgPool(), wl.Dense(1)), (4, 4, 3)) == 16 * pairs + 8
    more = planes.flop_of_entry(wl.serial(conv, wl.Relu(), wl.GlobalAvgPool(), wl.Dense(1)), (4, 4, 3))
    assert 10 * pairs < more - 16 * pairs - 8 < 200 * pairs


@pytest.mark.parametrize("case", _kernel_cases.CASES, ids=lambda case: case.name)
def test_networks_of_the_cases_of_kernels(case):
    assert len(_own_networks.network(case).out_shape(case.shape)) == 1
    assert case.draw(2)["x"].shape == (2, *case.shape)


@pytest.mark.slow
def test_scale_solves_exactly_and_on_features():
    (exact,) = scale.run("exact", 300, 10, scale.DATA)
    assert exact["residual"] < 1e-12
    assert exact["jitter"] == 0
    assert exact["floor_s"] > 0
    records = scale.run("million", 1500, 20, scale.DATA, ["nystrom scaled", "random", "sklearn"])
    assert [r["side"] for r in records] == ["own", "own", "sklearn"]
    for record in records:
        # Better than the mean, and not than the noise.
        assert 0.95 < record["rmse"] < 4.5
        assert json.loads(json.dumps(record, allow_nan=False)) == record
    scale.report(records)


def test_scale_refuses_what_it_does_not_know(tmp_path):
    for case, variants, match in (
        ("huge", None, "case is"),
        ("kegg", None, "does not exist"),
        ("exact", ["x"], "variant"),
    ):
        with pytest.raises(ValueError, match=match):
            scale.run(case, None, 10, tmp_path / "absent.npz", variants)


def test_the_function_of_friedman_has_noise_of_standard_deviation_one():
    x, y = scale.friedman(20_000, 0)
    again = scale.friedman(20_000, 1)[0]
    assert x.shape == again.shape == (20_000, 20)
    assert not np.array_equal(x, again)
    signal = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    assert np.std(y - signal) == pytest.approx(1, abs=0.02)
