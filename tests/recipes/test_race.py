"""The race: statistics with known answers, every number by its definition, files, and the command line."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit import recipes
from widelimit._slope import fit_slope
from widelimit.recipes._race_report import SCHEMA
from widelimit.recipes._statistics import band_coverage
from widelimit.regime import snapshot_steps

SMALL = recipes.RaceConfig(recipes.Architecture(depth=1), widths=(16, 64), seeds=2, steps=20)


@pytest.fixture(scope="module")
def small():
    """Return a small race and its report."""
    data = recipes.load("sine", n_train=6, n_test=9)
    calls = []
    return data, recipes.race(data, SMALL, lambda *args: calls.append(args)), calls


def test_slope_of_an_exact_power_law():
    widths = np.array([10, 100, 1000])
    slope = fit_slope(widths, np.stack([3.0 * widths**-0.7] * 4, 1))
    assert slope.exponent == pytest.approx(-0.7)
    assert slope.standard_error == pytest.approx(0, abs=1e-12)
    assert slope.r_squared == pytest.approx(1)
    assert slope.poor == ""


def test_slope_error_is_calibrated():
    """Over many noisy data sets the true exponent lies within two standard errors about 95 % of the time."""
    rng, widths = np.random.default_rng(0), np.array([32, 128, 512, 2048])
    inside = []
    for _ in range(400):
        noisy = np.exp(-0.5 * np.log(widths)[:, None] + 0.3 * rng.standard_normal((4, 5)))
        slope = fit_slope(widths, noisy)
        inside.append(abs(slope.exponent + 0.5) < 2 * slope.standard_error)
    assert 0.9 < np.mean(inside) <= 1.0


def test_a_poor_fit_says_so():
    assert "only two widths" in fit_slope([1, 2], np.ones((2, 3))).poor
    assert "explains only" in fit_slope([1, 2, 4], np.array([[1.0] * 3, [5.0] * 3, [0.9] * 3])).poor
    assert "fewer than two" in fit_slope([1, 2], np.full((2, 3), np.nan)).poor
    assert "fewer than three seeds" in fit_slope([1, 2, 4], np.array([[4.0], [2.0], [1.0]])).poor


def test_band_coverage_is_right_for_the_gaussian_and_wrong_for_another():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((7, 7)) / 3
    covariance, mean = root @ root.T, rng.standard_normal((7, 1))
    draws = mean + (root @ rng.standard_normal((7, 40))).T[..., None]
    good = band_coverage(draws, mean, covariance)
    assert good.expected == pytest.approx(0.9545, abs=0.01)
    assert good.as_it_should
    assert not band_coverage(mean + 3 * (draws - mean), mean, covariance).as_it_should
    # Draws without any spread are covered more often than draws from the Gaussian ever are.
    assert not band_coverage(np.repeat(mean[None], 40, 0), mean, covariance).as_it_should


@pytest.mark.parametrize("steps", [1, 5, 9, 64, 1000])
def test_recorded_steps(steps):
    recorded = snapshot_steps(steps)
    assert recorded[0] == 0
    assert recorded[-1] == steps
    assert list(recorded) == sorted(set(recorded))


def test_every_number_of_a_row_by_its_definition(small):
    """Train the first network of the race again by hand, with a plain loop, and recompute each quantity."""
    data, report, _ = small
    row, limit = report.rows[0], report.limit
    net = SMALL.architecture.build(16, 1)
    key = jax.random.split(jax.random.fold_in(jax.random.key(0), 16), 2)[0]
    start = net.init(key, (1,))
    x, y = jnp.asarray(data.x_train, jnp.float32), jnp.asarray(data.y_train, jnp.float32)
    gradient = jax.jit(jax.grad(lambda p: jnp.sum((net.apply(p, x) - y) ** 2) / 2))
    linear = wl.network_flow(
        wl.EmpiricalNTK(net.apply, start, wl.Full()),
        data.x_train,
        data.y_train,
        lambda x: net.apply(start, x),
        optimizer=wl.GradientDescent(limit.learning_rate),
    )
    params, gaps = start, []
    for k in range(21):
        if k in limit.recorded_steps:
            f = np.asarray(net.apply(params, jnp.asarray(data.x_test, jnp.float32)))
            gaps.append(np.sqrt(np.mean((f - linear.at(k, data.x_test)) ** 2)))
        if k < 20:
            params = jax.tree.map(lambda p, g: p - limit.learning_rate * g, params, gradient(params))
    np.testing.assert_allclose(row.outputs[0], f, rtol=1e-3, atol=1e-5)
    assert row.gap_linearisation[0] == pytest.approx(max(gaps), rel=1e-3)
    theta = [np.asarray(wl.EmpiricalNTK(net.apply, p)(data.x_train)) for p in (start, params)]
    assert row.kernel_drift[0] == pytest.approx(
        np.linalg.norm(theta[1] - theta[0]) / np.linalg.norm(theta[0]), rel=1e-3
    )
    flat = [np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(p)]) for p in (start, params)]
    moved = np.linalg.norm(flat[1] - flat[0]) / np.linalg.norm(flat[0])
    assert row.parameter_movement[0] == pytest.approx(moved, rel=1e-3)
    assert row.test_error[0] == pytest.approx(np.sqrt(np.mean((f - data.y_test) ** 2)), rel=1e-3)
    assert row.parameters == len(flat[0])
    flow = wl.infinite_ensemble(net, data.x_train, data.y_train, optimizer=wl.GradientDescent(limit.learning_rate))
    np.testing.assert_allclose(limit.mean, flow.at(20, data.x_test).mean, rtol=1e-9)
    assert limit.max_learning_rate == pytest.approx(float(wl.max_learning_rate(wl.NTK(net)(data.x_train))))
    assert limit.learning_rate == pytest.approx(limit.max_learning_rate / 2)


def test_progress_only_goes_forward(small):
    _, _, calls = small
    shares = [done / total for done, total, _ in calls]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert any("training" in what for *_, what in calls)


def test_the_report_is_json_with_a_version(small):
    _, report, _ = small
    document = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert document["schema"] == SCHEMA
    assert [row["width"] for row in document["rows"]] == [16, 64]
    assert {f.name for f in dataclasses.fields(report)} < set(document)
    assert document["verdict"].startswith("At width 64")
    assert "only two widths" in document["verdict"]


def test_diverged_networks_are_reported_not_averaged():
    data = recipes.load("sine", n_train=6, n_test=9)
    config = dataclasses.replace(SMALL, learning_rate=50.0, steps=None)
    with pytest.raises(ValueError, match="diverges"):
        recipes.race(data, config)


def test_standard_parameterization_races_to_its_own_limit():
    data = recipes.load("sine", n_train=6, n_test=9)
    config = dataclasses.replace(
        SMALL, architecture=recipes.Architecture(depth=2, parameterization="standard"), widths=(16, 256)
    )
    report = recipes.race(data, config)
    narrow, wide = report.rows
    assert wide.gap_limit.mean() < narrow.gap_limit.mean()
    assert wide.gap_linearisation.mean() < narrow.gap_linearisation.mean()


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["sine", "digits"])
def test_the_gap_falls_with_width_at_the_rate_of_the_theory(name):
    config = recipes.RaceConfig(widths=(32, 128, 512, 2048), seeds=5)
    report = recipes.race(recipes.load(name), config)
    gap = report.trends[0].slope
    assert gap.standard_error < 0.2
    assert -1.2 < gap.exponent < -0.4
    assert -0.7 < report.trends[1].slope.exponent < -0.3
    assert report.rows[-1].relative_gap < 0.05
    assert report.rows[-1].coverage.as_it_should


def run(*args, cwd):
    return subprocess.run(
        [sys.executable, "-m", "widelimit", *args], capture_output=True, text=True, cwd=cwd, timeout=600, check=False
    )


QUICK = ("--depth", "1", "--widths", "8,16", "--seeds", "2", "--steps", "8", "--train", "5", "--test", "6")


def test_command_line_writes_a_complete_report(tmp_path):
    done = run("race", *QUICK, "--out", "result", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "result").iterdir()) == ["race.png", "report.html", "report.json"]
    report = json.loads((tmp_path / "result/report.json").read_text())
    assert report["schema"] == SCHEMA
    assert "gap to" in done.stdout
    assert report["verdict"][:40] in " ".join(done.stdout.split())
    assert (tmp_path / "result/race.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "result/report.html").read_text()
    assert report["verdict"].replace("'", "&#x27;") in page
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:)", page)
    assert [p.name for p in tmp_path.iterdir()] == ["result"]


def test_command_line_prints_json_alone(tmp_path):
    done = run("race", *QUICK, "--json", "--out", "r", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    assert json.loads(done.stdout) == json.loads((tmp_path / "r/report.json").read_text())


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--data", "nowhere.csv"), "no such file"),
        (("--widths", "8,x"), "expected whole numbers separated by commas"),
        (("--widths", "8"), "at least two different widths"),
        (("--widths", "0,8"), "expected a positive integer"),
        (("--activation", "rleu"), "Did you mean 'relu'"),
        (("--parameterization", "mup"), "no kernel limit to race against"),
        (("--parameterization", "ntl"), "Did you mean 'ntk'"),
        (("--depth", "0"), "expected a number of hidden layers"),
        (("--seeds", "0"), "seeds is 0"),
        (("--learning-rate", "-1"), "learning_rate is -1.0"),
        (("--weight-std", "nan"), "weight_std is nan"),
        (("--out", "file"), "which is a file"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_two(tmp_path, args, words):
    (tmp_path / "file").write_text("")
    done = run("race", *args, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_an_interrupted_race_leaves_nothing(tmp_path):
    command = [sys.executable, "-m", "widelimit", "race", "--widths", "512,2048", "--steps", "100000", "--out", "r"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    time.sleep(12)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"interrupted; nothing was written" in errors
    assert list(tmp_path.iterdir()) == []


def test_an_existing_report_is_replaced_file_by_file(tmp_path, monkeypatch):
    from widelimit.recipes import _write

    folder = tmp_path / "r"
    _write.write_folder(folder, {"a": _write.write_text("1"), "b": _write.write_text("1")})

    def fail(path):
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        _write.write_folder(folder, {"a": _write.write_text("2"), "b": fail})
    assert (folder / "a").read_text() == (folder / "b").read_text() == "1"
    _write.write_folder(folder, {"a": _write.write_text("2")})
    assert (folder / "a").read_text() == "2"
    assert os.listdir(tmp_path) == ["r"]


def test_a_step_beyond_the_stability_of_a_narrow_kernel_gives_no_gap():
    """The step is stable for the limit but not for the kernel of every narrow network: said, not averaged."""
    data = recipes.load("sine", n_train=6, n_test=9)
    limit = recipes.race(data, SMALL).limit
    config = dataclasses.replace(SMALL, seeds=4, learning_rate=0.97 * limit.max_learning_rate)
    document = recipes.race(data, config).to_dict()
    narrow = document["rows"][0]
    assert narrow["beyond_stability"] > 0
    assert narrow["gap_linearisation"].count(None) == narrow["beyond_stability"] + narrow["diverged"]
    assert recipes.row_table(document)[1][0][0].endswith("*")
