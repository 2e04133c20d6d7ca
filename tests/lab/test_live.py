"""Live runs: every array and number against explicit formulas, and the stories of the presets."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit.recipes import Architecture
from widelimit.recipes.live import (
    LiveConfig,
    LivePhase,
    LiveRun,
    _draws,
    _program,
    clamp,
    measure,
    parameters,
    precompile,
    record,
    snippet,
)
from widelimit.recipes.live._targets import training_points

SMALL = LiveConfig(width=16, points=5)
CASES = [
    SMALL,
    dataclasses.replace(SMALL, activation="relu", depth=2, ridge=0.2),
    dataclasses.replace(SMALL, parameterization="mup"),
    dataclasses.replace(SMALL, parameterization="standard", bias_std=0.0),
    dataclasses.replace(SMALL, freeze=True, ridge=0.05),
    dataclasses.replace(SMALL, target="own", x=(0.7, -0.5, 0.1), y=(0.3, 1.0, -0.4)),
]


def names(config):
    return "-".join(f"{k}={v}" for k, v in dataclasses.asdict(config).items() if v != getattr(LiveConfig(), k))


class Explicit:
    """The same run with an explicit Jacobian, an explicit loop and matrix powers."""

    def __init__(self, config, run, steps):
        opening = run.opening
        self.x, self.y = training_points(config)
        grid = np.linspace(-1.5, 1.5, 161)[:, None]
        eta, rho = opening.numbers["learning_rate"], config.ridge
        arch = Architecture(
            config.depth, config.activation, config.weight_std, config.bias_std, config.parameterization
        )
        net = arch.build(config.width, 1)
        first = net.init(jax.random.key(config.seed), (1,))
        rates = net.learning_rates(first)
        rates = jax.tree.map(lambda r, p: jnp.full_like(p, r), rates, first)
        if config.freeze:
            rates = (*jax.tree.map(jnp.zeros_like, rates[:-1]), rates[-1])
        x = self.x[:, None]

        def f(params, inputs):
            return net.apply(params, inputs)[:, 0]

        def jacobian(params, inputs):
            leaves = jax.tree.leaves(jax.jacobian(f)(params, inputs))
            return np.concatenate([np.asarray(leaf).reshape(len(inputs), -1) for leaf in leaves], 1)

        flat = np.concatenate([np.asarray(r).ravel() for r in jax.tree.leaves(rates)])
        params = first
        for _ in range(steps):
            gradient = jax.grad(lambda p: 0.5 * jnp.sum((f(p, x) - self.y) ** 2))(params)
            params = jax.tree.map(
                lambda p, p0, r, g: p - eta * (r * g + (r > 0) * rho * (p - p0)), params, first, rates, gradient
            )
        j0, j1 = jacobian(first, x), jacobian(params, x)
        self.theta0, self.theta = j0 * flat @ j0.T, j1 * flat @ j1.T
        f0, f0_grid, n = np.asarray(f(first, x)), np.asarray(f(first, grid)), len(x)
        self.finite, self.finite_train = np.asarray(f(params, grid)), np.asarray(f(params, x))

        def descend(train, cross):
            alpha = np.zeros(n)
            for _ in range(steps):
                alpha = alpha - eta * (train @ alpha + f0 - self.y + rho * alpha)
            return f0_grid + cross @ alpha

        self.linear = descend(self.theta0, jacobian(first, grid) * flat @ j0.T)
        has_limit = config.parameterization in ("ntk", "standard")
        limit_net = arch if has_limit else dataclasses.replace(arch, parameterization="ntk")
        kernel = (wl.NNGP if config.freeze else wl.NTK)(limit_net.build(config.width, 1))
        train, cross = np.asarray(kernel(x)), np.asarray(kernel(grid, x))
        scale = 1.0
        if not has_limit:
            scale = np.linalg.eigvalsh(self.theta0)[-1] / np.linalg.eigvalsh(train)[-1]
        self.infinite = descend(scale * train, scale * cross)


@pytest.mark.parametrize("config", CASES, ids=names)
def test_curves_and_kernels_are_those_of_an_explicit_computation(config):
    run = LiveRun.open(config)
    frame = run.advance(40)
    with jax.enable_x64(True):
        expected = Explicit(config, run, 40)
    for name in ("finite", "linear", "infinite", "finite_train"):
        # Frames are float32: half a unit in the last place of the largest value.
        scale = np.abs(getattr(expected, name)).max()
        np.testing.assert_allclose(frame.arrays[name], getattr(expected, name), atol=2e-7 * scale, err_msg=name)
    np.testing.assert_allclose(run.opening.arrays["ntk_start"], expected.theta0, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(frame.arrays["ntk"], expected.theta, rtol=1e-6, atol=1e-6)
    change = np.linalg.norm(expected.theta - expected.theta0) / np.linalg.norm(expected.theta0)
    assert frame.numbers["kernel_change"] == pytest.approx(change, rel=1e-9, abs=1e-12)
    loss = 0.5 * np.sum((expected.finite_train - expected.y) ** 2)
    assert frame.numbers["loss"] == pytest.approx(loss, rel=1e-6)
    np.testing.assert_allclose(
        frame.arrays["spectrum"],
        np.linalg.eigvalsh(expected.theta)[::-1],
        rtol=1e-5,
        atol=1e-6 * frame.arrays["spectrum"][0],
    )


def test_the_band_is_the_covariance_of_the_library():
    run = LiveRun.open(dataclasses.replace(SMALL, width=64))
    frame, x = run.advance(30), run.opening.arrays["x"].astype(np.float64)[:, None]
    net = Architecture(1, "erf", SMALL.weight_std, SMALL.bias_std).build(64, 1)
    descent = wl.GradientDescent(run.opening.numbers["learning_rate"])
    flow = wl.infinite_ensemble(net, x, np.sin(3 * x), optimizer=descent)
    expected = flow.at(30, np.linspace(-1.5, 1.5, 161)[:, None])
    np.testing.assert_allclose(frame.arrays["mean"], expected.mean[:, 0], atol=2e-6)
    np.testing.assert_allclose(frame.arrays["std"], expected.std[:, 0], atol=2e-5)


def test_mean_and_band_are_those_of_many_wide_networks():
    config, count = dataclasses.replace(SMALL, width=2048), 48
    rate = LiveRun.open(config).opening.numbers["learning_rate"]
    curves = []
    for seed in range(count):
        run = LiveRun.open(dataclasses.replace(config, seed=seed))
        # The same step size for all: each takes its own as a share of its largest stable one.
        share = config.step * rate / run.opening.numbers["learning_rate"]
        frame = measure(dataclasses.replace(config, seed=seed, step=share), 20).frame
        curves.append(frame.arrays["finite"][::16])
    expected = measure(config, 20).frame.arrays
    mean, std = expected["mean"][::16], expected["std"][::16]
    # Four standard errors, and what a finite width adds: its kernel differs from network to network.
    assert np.all(np.abs(np.mean(curves, 0) - mean) < 4 * std / count**0.5 + 0.005)
    assert np.all(np.abs(np.std(curves, 0, ddof=1) - std) < 4 * std / (2 * count) ** 0.5 + 0.005)


def test_a_residual_that_stays_is_told_with_the_rank():
    found = measure(LiveConfig(activation="identity", width=256, step=0.5), 5000).frame
    assert found.phase is LivePhase.CONVERGED
    assert "rank 2" in found.sentence
    assert "Too early" not in found.sentence


def test_the_frozen_network_is_its_linearisation():
    frame = measure(LiveConfig(freeze=True), 20000).frame
    np.testing.assert_allclose(frame.arrays["finite"], frame.arrays["linear"], atol=1e-6)
    assert frame.numbers["gap"] < 1e-6
    assert frame.numbers["feature_change"] == 0
    assert "Frozen" in frame.sentence


def test_the_story_of_the_default_and_of_a_wide_network():
    narrow, wide = (measure(LiveConfig(width=width), 800).frame.numbers for width in (64, 4096))
    assert narrow["gap"] > 0.2
    assert narrow["gap_infinite"] > 0.2
    assert narrow["kernel_change"] > 0.1
    assert max(wide["gap"], wide["gap_infinite"], wide["kernel_change"]) < 0.03


@pytest.mark.parametrize("width", [64, 1024])
def test_mean_field_leaves_its_linearisation_at_every_width(width):
    found = measure(LiveConfig(width=width, parameterization="mean_field"), 800).frame
    assert found.numbers["gap"] > 0.25
    assert found.numbers["kernel_change"] > 0.4
    assert found.numbers["has_kernel_limit"] == 0
    assert "no kernel limit" in found.sentence


def test_the_catapult_first_rises_then_converges():
    config = LiveConfig(step=1.5, width=256, activation="relu", weight_std=1.0, bias_std=0.6)
    found = measure(config, 3000).frame
    assert found.numbers["loss_highest"] > 1.1 * found.numbers["loss_start"]
    assert found.numbers["loss"] < 0.1 * found.numbers["loss_start"]
    assert found.numbers["sharpness"] < 1 < found.numbers["sharpness_start"]
    assert found.numbers["linear_diverged"] == 1
    assert found.numbers["gap"] is None
    assert found.sentence.startswith("Catapult")
    # On the way its linearisation is beyond all measure, and the sentence says so rather than a percentage.
    assert "linearisation diverges" in measure(config, 10).frame.sentence


@pytest.mark.parametrize("step", [2.5, 4.0])
def test_divergence_stops_before_anything_is_no_number(step):
    run = LiveRun.open(LiveConfig(step=step))
    frame = run.advance(500)
    assert frame.phase is LivePhase.DIVERGED
    assert frame.step < 100
    assert all(np.isfinite(array).all() for array in frame.arrays.values())
    assert all(math.isfinite(value) for value in frame.numbers.values() if value is not None)
    assert run.advance(10).step == frame.step
    assert run.rewind().step == 0
    assert run.advance(500).step == frame.step


@pytest.mark.parametrize("width", [64, 512])
def test_without_biases_the_kernel_has_rank_two_at_every_width(width):
    found = measure(LiveConfig(activation="relu", bias_std=0.0, points=12, width=width), 2000).frame
    x = found.arrays["x"].astype(np.float64)
    sides = np.stack([np.maximum(x, 0), np.maximum(-x, 0)], 1)
    best = np.linalg.lstsq(sides, np.sin(3 * x), rcond=None)[0]
    assert found.numbers["rank"] == 2
    assert found.numbers["mse"] == pytest.approx(np.mean((sides @ best - np.sin(3 * x)) ** 2), rel=0.05)


def test_rewinding_brings_back_the_same_start():
    run = LiveRun.open(LiveConfig(seed=3))
    first = run.advance(7)
    again = run.rewind()
    assert again.step == 0
    np.testing.assert_array_equal(again.arrays["finite"], run.opening.arrays["finite"])
    later = run.advance(3), run.advance(4)
    np.testing.assert_allclose(later[-1].arrays["finite"], first.arrays["finite"], rtol=1e-6)


def compiled_functions(caplog, config):
    """Return which of a run's functions are compiled for a state."""
    caplog.clear()
    before = jax.config.jax_log_compiles
    jax.config.update("jax_log_compiles", True)  # in every thread
    try:
        with caplog.at_level("WARNING"):
            LiveRun.open(config).advance(17)
    finally:
        jax.config.update("jax_log_compiles", before)
    parts = ("vectors", "matrix", "start", "limit", "train", "look")
    logged = " ".join(r.getMessage() for r in caplog.records if r.getMessage().startswith("Compiling"))
    return {name for name in parts if f"jit({name})" in logged}


def test_a_changed_value_does_not_compile_again(caplog):
    precompile()
    changed = LiveConfig(weight_std=1.1, bias_std=0.5, target="bump", points=13, ridge=0.1, step=0.3, seed=9)
    assert compiled_functions(caplog, changed) == set()
    # Another width compiles the network anew, but neither the limit nor random numbers, which know no width.
    assert compiled_functions(caplog, LiveConfig(width=8)) == {"start", "train", "look"}


@pytest.mark.parametrize(
    ("width", "depth", "parameterization"),
    [(8, 1, "ntk"), (64, 6, "standard"), (128, 2, "mean_field"), (1024, 2, "mup"), (4096, 1, "standard")],
)
def test_initial_parameters_are_those_of_the_network(width, depth, parameterization):
    with jax.enable_x64(True):
        net = Architecture(depth, "erf", 1.3, 0.4, parameterization).build(width, 1)
        drawn, expected = _draws.draw(net, 7), net.init(jax.random.key(7), (1,))
    assert jax.tree.structure(drawn) == jax.tree.structure(expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-13), drawn, expected)


def to_the_power(power, x):
    return x**power


def test_an_option_that_the_compiler_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setattr(_program, "QUICK", {"xla_no_such_option": True})
    cube = _program.program(1)(to_the_power)
    assert cube(3, np.full((), 2.0)) == 8
    # What is wrong with a function is not taken for an option.
    with pytest.raises(TypeError):
        cube("three", np.full((), 2.0))


def test_the_opening_stays_that_of_step_zero():
    run = LiveRun.open(LiveConfig())
    before = run.opening
    run.advance(5)
    assert run.opening is before
    assert (before.step, before.numbers["parameter_change"]) == (0, 0.0)
    assert run.frame().step == 5


def test_points_that_fill_up_do_not_matter():
    x, y = tuple(np.linspace(-1, 1, 17)), tuple(np.sin(np.linspace(0, 3, 17)))
    config = LiveConfig(width=16, target="own", x=x, y=y)
    frame = measure(config, 30).frame
    with jax.enable_x64(True):
        net = Architecture(1, "erf", config.weight_std, config.bias_std).build(16, 1)
        params = net.init(jax.random.key(0), (1,))
        for _ in range(30):
            gradient = jax.grad(
                lambda p: 0.5 * jnp.sum((net.apply(p, np.array(x)[:, None])[:, 0] - jnp.array(y)) ** 2)
            )(params)
            params = jax.tree.map(lambda p, g: p - frame.numbers["learning_rate"] * g, params, gradient)
        expected = np.asarray(net.apply(params, np.linspace(-1.5, 1.5, 161)[:, None])[:, 0])
    np.testing.assert_allclose(frame.arrays["finite"], expected, atol=1e-6)
    assert frame.arrays["ntk"].shape == (17, 17)
    assert all(frame.arrays[f"modes_{name}"].shape == (17,) for name in ("finite", "linear", "infinite"))


def test_states_are_clamped_with_a_reason():
    config, changes = clamp(LiveConfig(width=4096, depth=3, step=9.0, weight_std=0.0))
    assert {change.control for change in changes} == {"width", "step", "weight_std"}
    assert parameters(config.width, config.depth) < parameters(4096, 3)
    assert all(change.reason.endswith(".") for change in changes)
    assert clamp(config) == (config, ())
    assert clamp(LiveConfig(width=100))[0].width == 128


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"weight_std": math.nan}, "weight_std is nan"),
        ({"target": "own"}, "own points are 0 inputs"),
        ({"target": "own", "x": (0.0, 1.0), "y": (0.0, math.inf)}, "not finite"),
        ({"target": "own", "x": (0.0,) * 60, "y": (0.0,) * 60}, "2 to 48"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        LiveRun.open(LiveConfig(**wrong))


@pytest.mark.parametrize("config", [CASES[1], CASES[2], CASES[4], CASES[5]], ids=names)
def test_the_code_of_a_state_reproduces_its_curves(config):
    frame = measure(config, 25).frame
    namespace = {}
    before = jax.config.jax_enable_x64
    try:
        exec(compile(snippet(config, 25), "snippet", "exec"), namespace)
    finally:
        jax.config.update("jax_enable_x64", before)
    for name in ("finite", "linear", "infinite"):
        np.testing.assert_allclose(frame.arrays[name], np.ravel(namespace[name]), atol=1e-5, err_msg=name)


def test_a_recording_ends_where_nothing_moves():
    found = record(LiveConfig(activation="relu", bias_std=0.0), (1, 10, 100, 1000, 10000))
    assert found.frames[0].step == 0
    assert "grid" in found.frames[0].arrays
    assert found.frames[-1].phase is LivePhase.CONVERGED
    assert found.frames[-1].step < 10000
