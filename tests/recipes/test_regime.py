"""The recipe and the command: numbers, files, and what becomes of bad input."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from widelimit import plot, recipes
from widelimit.regime import Regime, Report, regime_figure

SMALL = recipes.RegimeConfig(recipes.Architecture(depth=1), width=16, steps=20, seeds=2)


@pytest.fixture(scope="module")
def small():
    """Return a small diagnosis."""
    calls = []
    data = recipes.load("sine", n_train=6, n_test=9)
    return data, recipes.regime(data, SMALL, lambda *args: calls.append(args)), calls


def test_the_step_is_half_the_largest_stable(small):
    _, result, _ = small
    assert result.reports[0].step_ratio[0] == pytest.approx(1.0, rel=1e-3)
    assert result.reports[0].training.loss == "MeanSquares"
    assert len(result.reports) == 2
    assert result.reports[0].training.learning_rate == result.reports[1].training.learning_rate


def test_progress_only_goes_forward(small):
    shares = [done / total for done, total, _ in small[2]]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_sum_and_mean_are_the_same_training_at_the_same_share_of_the_stable_step(small):
    data, result, _ = small
    import dataclasses

    other = recipes.regime(data, dataclasses.replace(SMALL, loss="sum", seeds=1))
    mean, total = result.reports[0], other.reports[0]
    np.testing.assert_allclose(total.along.drift, mean.along.drift, rtol=1e-3, atol=1e-6)
    assert total.training.learning_rate * 6 == pytest.approx(mean.training.learning_rate, rel=1e-3)


def test_a_large_output_scale_is_lazier(small):
    data, result, _ = small
    import dataclasses

    scaled = recipes.regime(data, dataclasses.replace(SMALL, output_scale=10.0, seeds=1))
    assert scaled.report.step_ratio[0] == pytest.approx(1.0, rel=1e-3)
    assert scaled.report.along.drift[-1] < 0.3 * result.reports[0].along.drift[-1]


def test_files(small, tmp_path):
    _, result, _ = small
    recipes.write_regime(result, tmp_path / "r")
    assert sorted(os.listdir(tmp_path / "r")) == ["regime.png", "report.html", "report.json"]
    text = (tmp_path / "r" / "report.json").read_text()
    document = json.loads(text)
    assert document["networks"][0]["regime"] in Regime.__members__
    assert document["config"]["width"] == 16
    again = Report.from_json(text)
    assert again.verdict == result.report.verdict
    page = (tmp_path / "r" / "report.html").read_text()
    assert result.report.verdict.sentence.split(":")[0] in page
    assert "data:image/png;base64" in page
    assert "http" not in page.replace("http-equiv", "")
    assert (tmp_path / "r" / "regime.png").read_bytes()[:4] == b"\x89PNG"
    assert plot.regime_figure is regime_figure


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"seeds": 0}, "seeds is 0"),
        ({"widths": (8,)}, "two different widths"),
        ({"widths": (8, -1)}, "widths is -1"),
        ({"learning_rate": 0.0}, "learning_rate is 0"),
        ({"output_scale": -1.0}, "output_scale is -1"),
        ({"loss": "median"}, "loss is 'median'; expected one of mean, sum"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_bad_configurations_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        recipes.RegimeConfig(**change)


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "widelimit", "regime", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1", "TERM": "dumb"},
    )


@pytest.mark.thorough
def test_the_command(tmp_path):
    done = command(
        *[
            "--data",
            "sine",
            "--train",
            "6",
            "--test",
            "9",
            "--depth",
            "1",
            "--width",
            "16",
            "--parameterization",
            "mup",
            "--steps",
            "20",
            "--seeds",
            "1",
        ],
        *["--learning-rate", "0.2", "--widths", "8,16", "--out"],
        str(tmp_path / "r"),
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Regime: ")
    assert max(len(line) for line in lines if "Written" not in line) <= 80
    assert any(line.startswith("Slopes against width") for line in lines)
    assert "r = 0: features at any width" in " ".join(done.stdout.split())
    document = json.loads((tmp_path / "r" / "report.json").read_text())
    assert document["sweep"]["rows"][1]["width"] == 16
    assert document["training"]["learning_rate"] == 0.2


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--loss", "median"], "loss is 'median'"),
        (["--widths", "8,x"], "widths is '8,x'"),
        (["--parameterization", "mupp"], "parameterization is 'mupp'"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message, tmp_path):
    done = command(*arguments, "--out", str(tmp_path / "r"))
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
