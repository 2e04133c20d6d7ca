"""The entry: models of other libraries, runs of the user's own, other trainers and losses, widths, bad input."""

import dataclasses
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import widelimit as wl
from widelimit.arch import MuP
from widelimit.dynamics import CrossEntropy, MeanSquares
from widelimit.regime import (
    Checkpoints,
    CustomTrainer,
    GradientDescentTrainer,
    Regime,
    Report,
    across_seeds,
    diagnose,
)
from widelimit.regime._numbers import Numbers, Rules
from widelimit.regime._sweep import predicted
from widelimit.regime._verdict import classify, decide

RNG = np.random.default_rng(0)
X, X_TEST = RNG.standard_normal((2, 8, 3)).astype(np.float32)
Y = np.sin(X[:, 0]).astype(np.float32)


def model(params, x):
    """A plain JAX model with outputs of shape (n,)."""
    return jnp.tanh(x @ params["hidden"]["w"] + params["hidden"]["b"]) @ params["out"]


def start(width=32, seed=0):
    keys = jax.random.split(jax.random.key(seed), 2)
    hidden = {"w": jax.random.normal(keys[0], (3, width)), "b": jnp.zeros(width)}
    return {"hidden": hidden, "out": jax.random.normal(keys[1], (width,)) / width**0.5}


@pytest.fixture(scope="module")
def trained():
    """Return the initial parameters, the checkpoints of a loop by hand, and the report of our own training."""
    params = start()
    gradient = jax.jit(jax.grad(lambda p: jnp.mean((model(p, X) - Y) ** 2) / 2))
    every = [params]
    for _ in range(30):
        every.append(jax.tree.map(lambda p, g: p - 0.2 * g, every[-1], gradient(every[-1])))
    report = diagnose(model, params, X, Y, train=GradientDescentTrainer(0.2, 30, MeanSquares()), x_test=X_TEST)
    return params, every, report


def test_checkpoints_of_ones_own_give_the_same_report(trained):
    params, every, report = trained
    steps = [int(k) for k in report.along.steps]
    run = Checkpoints([every[k] for k in steps], steps, 0.2, loss=MeanSquares())
    other = diagnose(model, params, X, Y, train=run, x_test=X_TEST)
    for field in dataclasses.fields(report.along):
        mine, theirs = getattr(report.along, field.name), getattr(other.along, field.name)
        np.testing.assert_allclose(theirs, mine, rtol=2e-3, atol=1e-5, err_msg=field.name)
    assert other.regime is report.regime
    assert other.training.snapshots_only
    assert any("snapshots alone" in c for c in other.verdict.cautions)
    assert [a.name for a in report.layers] == ["hidden", "out"]


def test_checkpoints_without_a_step_size_say_what_is_not_known(trained):
    params, every, report = trained
    other = diagnose(model, params, X, Y, train=Checkpoints([every[10], every[30]], [10, 30], loss=MeanSquares()))
    assert list(other.along.steps) == [0, 10, 30]
    assert np.isnan(other.along.gap).all()
    assert other.numbers().gap is None
    assert other.step_ratio == (None, None)
    assert other.along.drift[-1] == pytest.approx(report.along.drift[-1], rel=1e-3)
    assert other.setting["linearisation"] == "not trained"
    assert any("could not be trained" in c for c in other.verdict.cautions)
    assert "at the same parameters" in other.verdict.sentence
    assert Report.from_json(other.to_json()).to_json() == other.to_json()
    other.plot()


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda p: Checkpoints([]), "params is empty"),
        (lambda p: Checkpoints([{"other": p["out"]}]), "checkpoint 0 has other entries"),
        (lambda p: Checkpoints([jax.tree.map(lambda a: a + 1, p)], [0]), "step 0 differs"),
        (lambda p: Checkpoints([p]), "no checkpoint after"),
        (lambda p: Checkpoints([p, p], [3, 2]), "one ascending number"),
        (lambda p: CustomTrainer(lambda f, p, x, y: p), "two lists of one length"),
        (lambda p: Checkpoints(p), "params is of type dict; expected a list"),
        (lambda p: [p, p], r"train is of type list; expected Checkpoints\("),
        (lambda p: lambda f, p, x, y: [p], r"train is of type function; expected CustomTrainer\("),
        (lambda p: None, r"train is of type NoneType; expected GradientDescentTrainer\("),
        (lambda p: GradientDescentTrainer(-0.1, 3), "learning_rate is -0.1"),
        (lambda p: GradientDescentTrainer(0.1, 0), "steps is 0"),
        (lambda p: GradientDescentTrainer(0.1, 3, batch_size=9), "batch_size is 9"),
        (lambda p: GradientDescentTrainer(0.1, 3, learning_rates={"hidden": 1.0}), "learning_rates does not fit"),
    ],
)
def test_bad_trainers_are_refused(run, message):
    params = start()
    with pytest.raises(ValueError, match=message):
        diagnose(model, params, X, Y, train=run(params))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[:, 0]}, "x has shape"),
        ({"y": Y[:3]}, "y has shape"),
        ({"y": np.stack([Y, Y], 1)}, "expected that of the targets"),
        ({"params": {"hidden": {"w": jnp.full((3, 4), jnp.nan), "b": jnp.zeros(4)}, "out": jnp.zeros(4)}}, "params"),
        ({"params": {}}, "no floating arrays"),
        ({"x_test": X_TEST[:, :2]}, "x_test holds examples"),
        ({"x": {"a": X, "b": X[:3]}}, "differ in their number of examples"),
        ({"entries": 0}, "entries is 0"),
        ({"widths": (8, 16)}, "make="),
        ({"widths": (8,), "make": lambda w, k: (model, start(w))}, "two different widths"),
        ({"widths": (8, 16), "make": lambda w, k: start(w)}, "two or three things"),
        ({"output_scale": 0.0}, "alpha is 0"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"params": start(), "x": X, "y": Y, "train": GradientDescentTrainer(0.01, 3), **change}
    with pytest.raises(ValueError, match=message):
        diagnose(model, **arguments)


def test_a_trainer_of_ones_own_is_repeated_with_the_linearised_model(trained):
    params, _, report = trained

    def adam(f, params, x, y):
        optimizer = optax.adam(0.01)
        state = optimizer.init(params)
        step = jax.jit(jax.value_and_grad(lambda p: jnp.mean((f(p, x) - y[:, 0]) ** 2) / 2))
        kept = []
        for _ in range(20):
            _, gradient = step(params)
            updates, state = optimizer.update(gradient, state, params)
            params = optax.apply_updates(params, updates)
            kept.append(params)
        return [kept[4], kept[19]], [5, 20]

    other = diagnose(model, params, X, Y, train=CustomTrainer(adam, MeanSquares()), x_test=X_TEST)
    assert other.setting["linearisation"] == "trained"
    assert list(other.along.steps) == [0, 5, 20]
    assert 0 < other.along.gap[-1] < 1
    assert other.step_ratio == (None, None)
    assert report.along.gap[0] == 0


def test_inputs_may_be_a_pytree_with_integers(trained):
    """The same function of one array, and of a dictionary of columns and of row numbers, has the same report."""
    params, _, report = trained
    table = jnp.stack([X[:, 1:], X_TEST[:, 1:]])

    def split_model(p, x):
        return model(p, jnp.concatenate([x["first"], table[x["half"], x["row"]]], 1))

    def parts(x, half):
        return {"first": x[:, :1], "half": np.full(8, half), "row": np.arange(8)}

    run = GradientDescentTrainer(0.2, 30, MeanSquares())
    other = diagnose(split_model, params, parts(X, 0), Y, train=run, x_test=parts(X_TEST, 1))
    np.testing.assert_allclose(other.along.drift, report.along.drift, rtol=1e-4)
    np.testing.assert_allclose(other.along.gap, report.along.gap, rtol=1e-3)
    assert other.verdict.sentence == report.verdict.sentence
    assert "8 test inputs" in str(other)


def test_cross_entropy_trains_the_linearised_model():
    net = wl.serial(wl.Dense(64), wl.Erf(), wl.Dense(3))
    params = net.init(jax.random.key(0), (3,))
    train = GradientDescentTrainer(0.5, 40, CrossEntropy())
    report = diagnose(net, params, X, np.arange(8) % 3, train=train, x_test=X_TEST)
    assert report.setting["linearisation"] == "trained"
    assert report.laziness is None
    assert report.training.remaining < 0.9
    assert 0 < report.along.gap[-1] < 1
    assert 0 < report.step_ratio[0] < 2
    assert report.features[0].name == "hidden 1"


def test_kernels_on_a_part_of_the_examples(trained):
    params, _, report = trained
    train = GradientDescentTrainer(0.2, 30, MeanSquares())
    part = diagnose(model, params, X, Y, train=train, x_test=X_TEST, entries=4)
    assert part.setting["kernel_examples"] == 4
    assert part.setting["linearisation"] == "trained"
    np.testing.assert_allclose(part.along.gap, report.along.gap, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(part.along.sharpness, report.along.sharpness, rtol=1e-3)


def test_a_frozen_layer_stays(trained):
    params, _, _ = trained
    train = GradientDescentTrainer(0.2, 30, MeanSquares(), {"hidden": False, "out": True})
    report = diagnose(model, params, X, Y, train=train)
    assert report.layers[0].movement == 0
    assert report.layers[0].share == 0
    assert report.verdict.sentence.startswith("Kernel, exactly")
    assert "training more of it" in report.verdict.change[0]


def test_a_flax_model_with_its_representations():
    linen = pytest.importorskip("flax.linen")

    class Small(linen.Module):
        @linen.compact
        def __call__(self, x):
            h = jnp.tanh(linen.Dense(16)(x))
            self.sow("intermediates", "hidden", h)
            return linen.Dense(1)(h)

    module = Small()
    params = module.init(jax.random.key(0), X)["params"]

    def f(params, x):
        return module.apply({"params": params}, x)

    def features(params, x):
        _, state = module.apply({"params": params}, x, mutable="intermediates")
        return {"hidden": state["intermediates"]["hidden"][0]}

    train = GradientDescentTrainer(0.3, 50, MeanSquares())
    report = diagnose(f, params, X, Y, train=train, x_test=X_TEST, features=features)
    assert [a.name for a in report.layers] == ["Dense_0", "Dense_1"]
    assert [a.name for a in report.features] == ["hidden"]
    assert report.regime in (Regime.INTERMEDIATE, Regime.FEATURE_LEARNING, Regime.KERNEL)
    assert 0 < report.along.drift[-1] < 3
    with pytest.raises(ValueError, match="expected 8 rows"):
        diagnose(f, params, X, Y, train=train, features=lambda p, x: {"mean": features(p, x)["hidden"].mean(0)})


def test_an_equinox_module_is_its_own_parameters():
    """Leaves that are no floating arrays, such as the activation, stay where they are."""
    module = eqx.nn.MLP(3, "scalar", 16, 1, activation=jnp.tanh, key=jax.random.key(0))
    moved = jax.tree.map(lambda a: a + 0.01 if eqx.is_inexact_array(a) else a, module)

    def f(module, x):
        return jax.vmap(module)(x)

    def features(module, x):
        return [jax.vmap(lambda v: module.activation(module.layers[0](v)))(x)]

    train = GradientDescentTrainer(0.2, 20, MeanSquares())
    report = diagnose(f, module, X, Y, train=train, x_test=X_TEST, features=features)
    assert [a.name for a in report.layers] == ["0", "1"]
    assert report.training.losses[0] == pytest.approx(float(np.mean((f(module, X) - Y) ** 2)) / 2, rel=1e-5)
    assert report.features[0].name == "layer 1"
    scaled = diagnose(f, module, X, Y, train=train, output_scale=2.0)
    assert scaled.training.losses[0] == pytest.approx(float(np.mean(Y**2)) / 2, rel=1e-5)
    own = diagnose(f, module, X, Y, train=Checkpoints([moved], loss=MeanSquares()), features=features)
    assert own.features[0].change > 0
    assert own.training.losses[1] == pytest.approx(float(np.mean((f(moved, X) - Y) ** 2)) / 2, rel=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize(("parameterization", "r"), [(wl.NTKParameterization(), 0.5), (MuP(), 0.0)])
def test_slopes_over_widths(parameterization, r):
    net = wl.serial(
        wl.Dense(16, 1.5, 0.1, parameterization), wl.Erf(), wl.Dense(16, 1.5, 0.1, parameterization), wl.Erf(),
        wl.Dense(1, 1.5, 0.1, parameterization),
    )  # fmt: skip
    params = net.init(jax.random.key(0), (3,))
    train = GradientDescentTrainer(0.3, 60, MeanSquares())
    report = diagnose(net, params, X, Y, train=train, x_test=X_TEST, widths=(32, 128, 512), seeds=5)
    slopes = {t.quantity: t for t in report.sweep.trends}
    drift = slopes["drift"]
    assert (drift.low, drift.high) == ((-1.0, -0.5) if r else (0.0, 0.0))
    if r:
        assert drift.low - 0.15 < drift.slope.exponent < drift.high + 0.15
        assert abs(slopes["feature_change"].slope.exponent + 0.5) < 0.15
        assert report.verdict.change[0].startswith(("Width, to be lazier: measured", "To learn more"))
    else:
        assert abs(drift.slope.exponent) < 0.15
        assert abs(slopes["feature_change"].slope.exponent) < 0.15
        assert drift.slope.exponent > -0.5 + 2 * drift.slope.standard_error
    assert report.numbers().r == r
    assert max(map(len, str(report).splitlines())) <= 80
    assert Report.from_json(report.to_json()).to_json() == report.to_json()
    panel = report.plot().axes[5]
    assert panel.get_title(loc="left") == "Against width"
    assert [label.get_text() for label in panel.get_xticklabels()] == ["32", "128", "512"]
    assert panel.get_xticklabels(minor=True) == []


GOOD = Numbers(True, 0.01, 1.0, 0.5, 0.5, 0.01, 1e-4, 0.01, 0.01, True, 0.1, 0.1)


@pytest.mark.parametrize(
    ("change", "regime"),
    [
        ({}, Regime.KERNEL),
        ({"drift": 0.3}, Regime.INTERMEDIATE),
        ({"gap": 0.3}, Regime.INTERMEDIATE),
        ({"gap": None, "tangent_gap": 0.3}, Regime.INTERMEDIATE),
        ({"drift": 0.6, "rotation": 0.05}, Regime.FEATURE_LEARNING),
        ({"drift": 0.6, "rotation": 0.001}, Regime.INTERMEDIATE),
        ({"step": 2.5, "spike": 3.0, "step_after": 1.5}, Regime.CATAPULT),
        ({"step": 2.5, "spike": 3.0, "step_after": None}, Regime.KERNEL),
        ({"step": 1.5, "spike": 3.0, "step_after": 1.5}, Regime.KERNEL),
        ({"remaining": 0.95}, Regime.UNDETERMINED),
        ({"remaining": 3.0, "drift": 0.9}, Regime.UNDETERMINED),
        ({"remaining": 11.0}, Regime.DIVERGED),
        ({"finite": False}, Regime.DIVERGED),
        ({"remaining": float("inf"), "step": None}, Regime.DIVERGED),
        ({"remaining": float("nan")}, Regime.DIVERGED),
    ],
)
def test_rules(change, regime):
    numbers = dataclasses.replace(GOOD, **change)
    verdict = decide(numbers, Rules())
    assert classify(numbers, Rules()) is verdict.regime is regime
    assert verdict.sentence.endswith(".")
    assert verdict.change


def test_close_to_a_threshold_is_said():
    clear = decide(GOOD, Rules())
    near = decide(dataclasses.replace(GOOD, drift=0.14), Rules())
    assert clear.clear
    assert not near.clear
    assert "close to the boundary" in near.sentence
    assert decide(dataclasses.replace(GOOD, drift=0.14), Rules(margin=1.0)).clear


@pytest.mark.parametrize(
    ("step", "advice", "side"),
    [
        (0.5, "Step: a smaller one; it was below 2/λ at the start", "0.5/λ, which is below 2/λ"),
        (
            3.0,
            "Step: below 0.67× the present one, .* to about 1.3× .* catapults, which this one did not",
            "between 2/λ",
        ),
        (
            240.0,
            "Step: below 0.0083× the present one, .* to about 0.017× .* catapults\\.",
            "240/λ, which is beyond 4/λ",
        ),
    ],
)
def test_advice_on_a_diverged_run_fits_its_step(step, advice, side):
    verdict = decide(dataclasses.replace(GOOD, finite=False, remaining=np.inf, step=step), Rules())
    assert re.fullmatch(f"{advice}.*", verdict.change[0])
    assert side in verdict.sentence


def test_shares_below_a_thousandth_keep_a_digit():
    sentence = decide(dataclasses.replace(GOOD, drift=3e-5, gap=2e-4), Rules()).sentence
    assert "moved by 0.003% of its norm" in sentence
    assert "up to 0.02% of what it learnt" in sentence


def test_a_kernel_that_has_not_finished_is_so_far():
    verdict = decide(dataclasses.replace(GOOD, remaining=0.7), Rules())
    assert verdict.sentence.startswith("Kernel so far")
    assert any("still at 70%" in c for c in verdict.cautions)


def test_rules_are_in_order():
    with pytest.raises(ValueError, match="ascending"):
        Rules(kernel_drift=0.6)
    with pytest.raises(ValueError, match="above one"):
        Rules(spike=0.5)


def test_seeds_that_disagree_say_so():
    kernel, between = decide(GOOD, Rules()), decide(dataclasses.replace(GOOD, drift=0.3), Rules())
    three = across_seeds([kernel, between, kernel])
    assert three.verdict.regime is Regime.KERNEL
    assert not three.verdict.clear
    assert three.verdict.cautions[0].startswith("The 3 initialisations disagree: 2 kernel, 1 intermediate")
    assert three.verdict.sentence.endswith("; 2 of 3 initialisations say so.")
    assert across_seeds([between, kernel]).verdict.regime is Regime.INTERMEDIATE
    both = across_seeds([kernel, kernel])
    assert both.verdict.clear
    assert both.verdict.cautions[0] == "All 2 initialisations give this regime."
    assert across_seeds([kernel]).verdict == kernel


def test_predicted_intervals():
    assert predicted("drift", 0.5) == (-1.0, -0.5)
    assert predicted("feature_change", 0.5) == (-0.5, -0.5)
    assert predicted("gap", 0.0) == (0.0, 0.0)
    assert predicted("gap", None) == (None, None)
    assert predicted("gap", -1.0) == (None, None)
