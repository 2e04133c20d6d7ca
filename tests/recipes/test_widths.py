"""The width sweep: function-space dynamics converge in NTK and in µP, kernel and features stop moving only in NTK."""

import json

import numpy as np
import pytest

from widelimit import recipes

DATA = recipes.load("sine", n_train=6, n_test=8)


@pytest.mark.slow
def test_what_converges_and_what_stops_moving():
    """8 seeds, 5 widths, two hidden layers: every claim by a fitted power of the width and its standard error."""
    config = recipes.WidthsConfig(
        recipes.Architecture(depth=2),
        parameterizations=("ntk", "mup"),
        widths=(32, 64, 128, 256, 512),
        seeds=8,
        steps=16,
    )
    sweep = recipes.width_sweep(DATA, config)
    for name in config.parameterizations:
        distance = sweep.slopes[name]["distance"]
        assert distance.exponent + 2 * distance.standard_error < 0, sweep.table()
    ntk, mup = sweep.slopes["ntk"], sweep.slopes["mup"]
    for quantity in ("kernel_movement", "feature_movement", "first_step"):
        assert ntk[quantity].exponent + 3 * ntk[quantity].standard_error < 0, sweep.table()
        assert abs(mup[quantity].exponent) < 0.1 + 2 * mup[quantity].standard_error, sweep.table()
        assert mup[quantity].standard_error < 0.15
    assert ntk["feature_movement"].exponent == pytest.approx(-0.5, abs=0.1)
    wide = {row.parameterization: row for row in sweep.rows if row.width == 512}
    assert wide["mup"].kernel_movement.min() > 5 * np.median(wide["ntk"].kernel_movement)
    assert all(row.train_loss.max() < 0.5 for row in sweep.rows)


def test_a_small_sweep_and_its_forms():
    config = recipes.WidthsConfig(
        recipes.Architecture(depth=1), ("standard", "mean_field"), widths=(8, 16, 32), seeds=2, steps=3
    )
    calls = []
    sweep = recipes.width_sweep(DATA, config, lambda *args: calls.append(args))
    assert [(r.parameterization, r.width) for r in sweep.rows] == [
        (name, w) for name in config.parameterizations for w in config.widths
    ]
    assert json.loads(json.dumps(sweep.to_dict()))["config"]["seeds"] == 2
    assert sweep.table().count("slope") == 2
    assert calls[-1][0] == calls[-1][1] == 6
    assert all(np.isfinite(r.distance).all() and r.distance.shape == (2,) for r in sweep.rows)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"widths": (8, 16)}, "three different widths"),
        ({"seeds": 0}, "seeds is 0"),
        ({"step": 2.0}, "step is 2.0"),
        ({"parameterizations": ("mupp",)}, "Did you mean 'mup'"),
        ({"parameterizations": ()}, "empty"),
    ],
)
def test_bad_sweeps_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        recipes.WidthsConfig(**options)


def test_there_is_no_race_against_a_limit_that_is_no_kernel():
    with pytest.raises(ValueError, match=r"'mup'.*no kernel limit to race.*learns features"):
        recipes.RaceConfig(recipes.Architecture(parameterization="mup"))
