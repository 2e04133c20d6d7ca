"""The width sweep: function-space dynamics converge in NTK and in µP, kernel and features stop moving only in NTK."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit import recipes
from widelimit.recipes import _widths

DATA = recipes.load("sine", n_train=6, n_test=8)


def between(slope):
    """Return the slope less and plus three standard errors."""
    return slope.exponent - 3 * slope.standard_error, slope.exponent + 3 * slope.standard_error


@pytest.mark.thorough
def test_what_converges_and_what_stops_moving():
    """64 seeds, 5 widths, two hidden layers: every claim by a fitted power of the width and three standard errors.

    Slopes average log values over seeds, so the error of one comes from 64 independent networks per width; the seed is
    fixed, and the bounds leave room for others.
    """
    config = recipes.WidthsConfig(
        recipes.Architecture(depth=2),
        parameterizations=("ntk", "standard", "mup"),
        widths=(32, 64, 128, 256, 512),
        seeds=64,
        steps=16,
    )
    sweep = recipes.width_sweep(DATA, config)
    rows = {name: [r for r in sweep.rows if r.parameterization == name] for name in config.parameterizations}
    for name, slopes in sweep.slopes.items():
        low, high = between(slopes["distance"])
        assert low < -0.5 < high < -0.3, f"{name}\n{sweep.table()}"
        assert (np.diff([np.median(row.distance) for row in rows[name]]) < 0).all(), sweep.table()
    for name in ("ntk", "standard"):
        assert between(sweep.slopes[name]["kernel_movement"])[1] < -0.5, sweep.table()
        assert between(sweep.slopes[name]["first_step"])[1] < -0.3, sweep.table()
        assert sweep.slopes[name]["feature_movement"].exponent == pytest.approx(-0.5, abs=0.05)
    for quantity in ("kernel_movement", "feature_movement", "first_step"):
        low, high = between(sweep.slopes["mup"][quantity])
        assert -0.2 < low < high < 0.2, f"{quantity}\n{sweep.table()}"
    # At the largest width, the least of 64 kernels in µP moves more than the greatest in a kernel limit, and by 15 %.
    least = rows["mup"][-1].kernel_movement.min()
    assert least > 0.15
    assert least > 5 * max(rows[name][-1].kernel_movement.max() for name in ("ntk", "standard"))
    assert all(row.train_loss.max() < 0.5 for row in sweep.rows)


SMALL = recipes.WidthsConfig(
    recipes.Architecture(depth=1, activation="relu"), ("standard", "mean_field"), widths=(8, 16, 32), seeds=3, steps=3
)


@pytest.fixture(scope="module")
def small():
    calls = []
    return recipes.width_sweep(DATA, SMALL, lambda *args: calls.append(args)), calls


def test_a_small_sweep_and_its_forms(small):
    sweep, calls = small
    assert [(r.parameterization, r.width) for r in sweep.rows] == [
        (name, w) for name in SMALL.parameterizations for w in SMALL.widths
    ]
    assert json.loads(json.dumps(sweep.to_dict()))["config"]["seeds"] == 3
    assert sweep.table().count("slope") == 2
    assert calls[-1][0] == calls[-1][1] == 6
    assert all(np.isfinite(r.distance).all() and r.distance.shape == (3,) for r in sweep.rows)


def by_hand(row, net, key):
    """Return the quantities of one seed by a plain loop and explicit Jacobians, and its learning curve."""
    x, y, x_test = (jnp.asarray(a, float) for a in (DATA.x_train, DATA.y_train, DATA.x_test))
    start = net.init(key, x.shape[1:])
    rates = net.learning_rates(start)

    @jax.jit
    def look(params):
        jacobian = jax.jacrev(lambda p: net.apply(p, x)[:, 0])(params)
        parts = jax.tree.map(lambda r, j: r * j.reshape(6, -1) @ j.reshape(6, -1).T, rates, jacobian)
        hidden = jnp.maximum(net.layers[0](params[0], x), 0)
        trained = net.apply(params, x) - net.apply(start, x)
        return sum(jax.tree.leaves(parts)), hidden, trained, net.apply(params, x_test)

    @jax.jit
    def gradient(params):
        return jax.grad(lambda p: _widths.LOSS.value(net.apply(p, x) - net.apply(start, x), y))(params)

    params, seen = start, [look(start)]
    for _ in range(SMALL.steps):
        params = jax.tree.map(lambda p, r, g: p - row.learning_rate * r * g, params, rates, gradient(params))
        seen.append(look(params))
    kernels, hidden, trained, test = (np.asarray(a, np.float64) for a in zip(*seen, strict=True))
    change = np.linalg.norm
    return {
        "kernel_movement": change(kernels[-1] - kernels[0]) / change(kernels[0]),
        "feature_movement": change(hidden[-1] - hidden[0]) / change(hidden[0]),
        "first_step": change(hidden[1] - hidden[0]) / change(hidden[0]),
        "train_loss": np.sum((trained[-1] - np.asarray(y)) ** 2) / np.sum(np.asarray(y) ** 2),
    }, test[1:] - test[0]


def test_rows_by_hand(small):
    """Mean field at the largest width, where learning rates are 32 and 1: all columns against a plain loop."""
    row = small[0].rows[-1]
    net = recipes.Architecture(1, "relu", parameterization="mean_field").build(8, 1).at_width(32)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(0), 32), 3)
    found, curves = zip(*(by_hand(row, net, key) for key in keys), strict=True)
    for name in found[0]:
        np.testing.assert_allclose(getattr(row, name), [f[name] for f in found], rtol=1e-4, err_msg=name)
    away = np.stack(curves) - np.mean(curves, 0)
    np.testing.assert_allclose(row.distance, np.sqrt(np.mean(away**2, axis=(1, 2, 3))), rtol=1e-4)


def test_seeds_that_do_not_fit_together_train_one_after_another(small, monkeypatch):
    monkeypatch.setattr(_widths, "PARAMETERS_AT_ONCE", 1)
    again = recipes.width_sweep(DATA, dataclasses.replace(SMALL, parameterizations=("mean_field",)))
    for one, other in zip(again.rows, small[0].rows[3:], strict=True):
        for name in _widths.QUANTITIES:
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-4)


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
