"""The regression benchmark: splits, comparisons by hand-computed numbers, and a run that goes on where it stopped."""

import json
import pathlib
import sys

import numpy as np
import pytest
import scipy.stats
from typer.testing import CliRunner

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from benchmarks import regression
from benchmarks.__main__ import app
from benchmarks._regression_methods import METHODS


@pytest.fixture
def folder(tmp_path):
    """Two small sets in the format of the real ones, one with a constant column."""
    rng = np.random.default_rng(0)
    for name, n in (("small", 40), ("smaller", 30)):
        x = rng.standard_normal((n, 3))
        x[:, 2] = 7
        y = 100 * x[:, 0] + 5
        np.savez(tmp_path / f"{name}.npz", X=x, y=y, test_split=np.arange(n) % 10)
    (tmp_path / "index.json").write_text("{}")
    return tmp_path


def test_a_split_is_standardised_on_its_training_rows(folder):
    x, y, x_test, y_test, scale = regression.split(folder, "small", 3)
    assert (x.shape, y.shape, x_test.shape, y_test.shape) == ((36, 2), (36,), (4, 2), (4,))
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(np.r_[x.std(0), y.std()], 1)
    with np.load(folder / "small.npz") as data:
        np.testing.assert_allclose(y_test * scale + data["y"][np.arange(40) % 10 != 3].mean(), data["y"][3::10])


def test_the_corrected_t_test():
    mine, other = np.array([1.0, 2.0, 3.0, 2.5]), np.array([1.5, 2.2, 3.9, 2.6])
    d = mine - other
    for share in (0.0, 1 / 9):
        t = d.mean() / np.sqrt((0.25 + share) * d.var(ddof=1))
        expected = "win" if 2 * scipy.stats.t.sf(-t, 3) < 0.05 else "tie"
        assert regression.compared(mine, other, share) == expected
    assert regression.compared(mine, mine, 0.1) == "tie"
    assert regression.compared(mine, mine + 1, 0.1) == "win"
    assert regression.compared(mine + np.array([1, 1.1, 0.9, 1]), mine, 0.1) == "loss"
    assert regression.compared(mine[:1], mine[:1] + 5, 0.1) == "tie"


def test_densities_and_coverage_are_those_of_a_normal(folder, monkeypatch):
    def fit(x, y, seed):
        return lambda x: (np.zeros(len(x)), np.full(len(x), 0.5))

    monkeypatch.setitem(METHODS, "ours", type(METHODS["ours"])("ours", fit))
    record = regression.measure("small", 0, "ours", folder)
    _, _, _, y, scale = regression.split(folder, "small", 0)
    np.testing.assert_allclose(record["nll"], -scipy.stats.norm(0, 0.5 * scale).logpdf(y * scale).mean())
    np.testing.assert_allclose(record["rmse"], np.sqrt(np.mean((y * scale) ** 2)))
    assert record["coverage"] == np.mean(np.abs(y) < 0.98)


def test_the_command_runs_and_goes_on_where_it_stopped(folder, tmp_path):
    cache, out = tmp_path / "kept" / "cache.jsonl", tmp_path / "out.jsonl"
    command = ["regression", "--data", str(folder), "--cache", str(cache), "--splits", "2"]
    command += ["--method", "ours, no relevance", "--method", "random forest", "--out", str(out)]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    kept = cache.read_text().splitlines()
    assert len(kept) == 8
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [r["set"] for r in records[:4]] == ["smaller", "smaller", "small", "small"]
    assert {r["kind"] for r in records[4:]} == {"summary"}
    ours = records[0]
    assert (ours["method"], ours["splits"]) == ("ours, no relevance", 2)
    assert ours["rmse"] < 30
    # The last line is cut, as by a kill: it alone is measured again.
    cache.write_text("\n".join(kept[:-1]) + "\n" + kept[-1][:20] + "\n")
    assert CliRunner().invoke(app, command).exit_code == 0
    again = [json.loads(line)["rmse"] for line in cache.read_text().splitlines() if line.endswith("}")]
    # Trees of a forest are added in the order in which threads end.
    np.testing.assert_allclose(again, [json.loads(line)["rmse"] for line in kept], rtol=1e-9)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--set", "none"], "set is 'none'; expected one of smaller, small."),
        (["--method", "magic"], "method is 'magic'"),
        (["--data", "/nowhere"], "there are no data"),
    ],
)
def test_bad_options_are_refused(folder, option, message):
    found = CliRunner().invoke(app, ["regression", "--data", str(folder), *option])
    assert found.exit_code == 2
    assert message in found.output
