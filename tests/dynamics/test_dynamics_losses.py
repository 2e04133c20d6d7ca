"""Any loss: the golden cross-entropy, explicit training of the linearised network, agreement of methods, refusals."""

import ast
import json
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flows import TEST, Smooth, X, Y, flow, start

import widelimit as wl
from test_golden import build
from widelimit.dynamics import (
    ODE,
    AnyLoss,
    CrossEntropy,
    EntryMean,
    ExampleMean,
    Krylov,
    Momentum,
    MomentumFlow,
    Steps,
    Sum,
)

ORACLES = pathlib.Path(__file__).parents[1] / "oracles"
ARRAYS = np.load(ORACLES / "predict.npz")
CASES = [c for c in json.loads((ORACLES / "predict.json").read_text()) if f"{c['name']}/labels" in ARRAYS]
CLASSES = np.array([0, 1, 1])


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_golden_cross_entropy(case):
    net, name = build(ast.parse(case["net"]).body[0].value), case["name"]
    x, xt, labels, f0, ft0 = (ARRAYS[f"{name}/{key}"] for key in ("x", "xt", "labels", "f0", "ft0"))
    trained = wl.network_flow(
        wl.NTK(net),
        x,
        labels,
        lambda z: f0 if len(z) == len(x) else ft0,
        loss=CrossEntropy(EntryMean()),
        method=ODE(),
    )
    times = np.array([1.0, 10.0, 100.0])
    for out, what in ((trained.at(times), "train"), (trained.at(times, xt), "test")):
        for f, t in zip(out, times, strict=True):
            # The golden solver's own tolerance, far below the 1e-4 that it promises.
            np.testing.assert_allclose(f, ARRAYS[f"{name}/xent/t{t}/{what}"], atol=1e-6)


@pytest.mark.parametrize("m", [0.0, 0.7])
def test_steps_are_training_of_the_linearised_network(m, x64):
    """Cross-entropy with ridge, class scores through all pairs of outputs, against explicit parameters."""
    net, rate, ridge = wl.serial(wl.Dense(8, 1.5, 0.1), wl.Erf(), wl.Dense(3, 1.5, 0.1)), 0.2, 0.1
    params, labels = net.init(jax.random.key(2), (2,)), np.array([2, 0, 1])
    trained = wl.network_flow(
        wl.EmpiricalNTK(net.apply, params, outputs=wl.Full()),
        X,
        labels,
        lambda x: net.apply(params, x),
        optimizer=Momentum(rate, m),
        loss=CrossEntropy(),
        ridge=ridge,
        method=Steps(),
    )
    linear = wl.linearize(net.apply, params)

    def objective(p):
        moved = sum(jnp.sum((a - b) ** 2) for a, b in zip(jax.tree.leaves(p), jax.tree.leaves(params), strict=True))
        scores = optax.softmax_cross_entropy_with_integer_labels(linear(p, X), labels)
        return scores.mean() + ridge / 3 / 2 * moved

    gradient, sgd, p = jax.jit(jax.grad(objective)), optax.sgd(rate, m), params
    state, out = sgd.init(p), trained.at([0, 40, 1], TEST)
    for k in range(41):
        if k in (0, 1, 40):
            np.testing.assert_allclose(out[{0: 0, 40: 1, 1: 2}[k]], linear(p, TEST), atol=1e-12)
        updates, state = sgd.update(gradient(p), state)
        p = optax.apply_updates(p, updates)


def entropy(f, y):
    return -jnp.mean(jnp.sum(jax.nn.log_softmax(f) * jax.nn.one_hot(y, 2), -1))


def logistic(f, y):
    return jnp.mean(jax.nn.softplus(f[:, 0]) - y * f[:, 0])


def test_one_loss_written_in_many_ways():
    """Class numbers or probabilities, sum or means, our formula or the user's; two scores or their difference."""
    t = np.array([[0.0, 9.0], [4.0, 0.5]])
    reference = flow(y=CLASSES, loss=CrossEntropy(), method=ODE()).at(t, TEST)
    assert reference.shape == (2, 2, 2, 2)
    np.testing.assert_array_equal(reference[0, 0], start(TEST))
    for y, loss, factor in [
        (np.eye(2)[CLASSES], CrossEntropy(), 1),
        (CLASSES, CrossEntropy(Sum()), 1 / 3),
        (CLASSES, AnyLoss(entropy), 1),
    ]:
        np.testing.assert_allclose(flow(y=y, loss=loss, method=ODE()).at(factor * t, TEST), reference, atol=1e-9)
    # d = f_1 - f_0 moves twice as fast as one score under the logistic loss.
    difference = flow(
        y=CLASSES, initial=lambda x: start(x)[:, 1] - start(x)[:, 0], loss=AnyLoss(logistic), method=ODE()
    ).at(2 * t, TEST)
    assert difference.shape == (2, 2, 2)
    np.testing.assert_allclose(difference, reference[..., 1] - reference[..., 0], atol=1e-8)


class Apart(Smooth):
    """The same kernel as a table over all pairs of outputs."""

    def block(self, x1, x2):
        distance = jnp.sum((x1[:, None] - x2[None]) ** 2, -1)
        shared = self.constant + x1 @ x2.T + self.smooth * jnp.exp(-distance)
        return shared[:, :, None, None] * jnp.eye(2)


@pytest.mark.parametrize("loss", [CrossEntropy(), AnyLoss(lambda f, y: jnp.sum((f - jax.nn.one_hot(y, 2)) ** 2) / 2)])
def test_outputs_apart_and_shared_agree_also_with_momentum(loss):
    shared, apart = (
        flow(MomentumFlow(0.3, 0.5), y=CLASSES, kernel=k, loss=loss, method=ODE()).at([3.0, 20.0], TEST)
        for k in (Smooth(), Apart())
    )
    np.testing.assert_allclose(apart, shared, atol=1e-9)
    if isinstance(loss, AnyLoss):  # half the sum of squares has a closed form
        closed = flow(MomentumFlow(0.3, 0.5), y=np.eye(2)[CLASSES]).at([3.0, 20.0], TEST)
        np.testing.assert_allclose(shared, closed, atol=1e-8)


def test_small_steps_approach_the_flow():
    exact, errors = flow(y=CLASSES, loss=CrossEntropy(), method=ODE()).at(4.0, TEST), []
    for k in (200, 400):
        steps = flow(wl.GradientDescent(4 / k), y=CLASSES, loss=CrossEntropy(), method=Steps())
        errors.append(np.abs(steps.at(k, TEST) - exact).max())
    assert errors[1] < 1e-2
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.03)


def test_squared_losses_by_any_method_are_the_closed_form():
    """Network and ensemble, through the ODE to 1e-8 and through steps to rounding."""
    net = wl.serial(wl.Dense(8, 1.5, 0.1), wl.Erf(), wl.Dense(1, 1.5, 0.1))
    for optimizer, method, tolerance in [
        (wl.GradientFlow(), ODE(), 1e-8),
        (wl.GradientDescent(0.2), Steps(), 1e-12),
        (Momentum(0.2, 0.5), Steps(), 1e-12),
    ]:
        t = np.array([0.0, 3.0, 20.0])
        for loss in (wl.SumOfSquares(), wl.MeanSquares()):
            one, closed = (flow(optimizer, loss=loss, **m).at(t, TEST) for m in ({"method": method}, {}))
            np.testing.assert_allclose(one, closed, atol=tolerance)
        both = [
            wl.infinite_ensemble(net, X, Y[:, 0], optimizer=optimizer, ridge=0.1, **m).at(t, TEST)
            for m in ({"method": method}, {})
        ]
        np.testing.assert_allclose(both[0].mean, both[1].mean, atol=tolerance)
        np.testing.assert_allclose(both[0].covariance, both[1].covariance, atol=tolerance)


def test_stable_steps_of_cross_entropy():
    """Below twice the inverse curvature bound the loss never rises, whatever the scores."""
    loss = CrossEntropy()
    edge = float(flow(y=CLASSES, loss=loss, method=ODE()).max_learning_rate)
    theta = np.asarray(Smooth()(X))
    assert edge == pytest.approx(2 / (np.linalg.eigvalsh(theta)[-1] / 6), rel=1e-9)
    out = flow(wl.GradientDescent(0.99 * edge), y=CLASSES, loss=loss, method=Steps()).at(np.arange(60))
    values = [float(loss.value(f, np.eye(2)[CLASSES])) for f in out]
    assert (np.diff(values) < 0).all()
    labels = loss.targets(np.array([0, 1, 1]), (3, 2))
    hessian = jax.hessian(lambda f: loss.value(f, labels))(jnp.zeros((3, 2))).reshape(6, 6)
    assert float(jnp.linalg.eigvalsh(hessian)[-1]) == pytest.approx(loss.curvature((3, 2)), rel=1e-6)
    assert float(flow(y=Y, loss=AnyLoss(entropy, 0.5), method=ODE()).max_learning_rate) == pytest.approx(edge / 3)


def test_derivatives_through_the_ode_and_through_steps():
    for optimizer, method in [(wl.GradientFlow(), ODE()), (wl.GradientDescent(0.3), Steps())]:

        def prediction(smooth, optimizer=optimizer, method=method):
            kernel = Smooth(smooth=smooth)
            return flow(optimizer, y=CLASSES, kernel=kernel, loss=CrossEntropy(), method=method).at(5, TEST)[:, 0].sum()

        central = float(prediction(1.001) - prediction(0.999)) / 2e-3
        assert float(jax.grad(prediction)(1.0)) == pytest.approx(central, rel=1e-3)


def test_results_keep_the_dtype_of_the_input():
    f = flow(
        x=X.astype(np.float32),
        y=CLASSES,
        initial=lambda x: start(x).astype(np.float32),
        loss=CrossEntropy(),
        method=ODE(),
    )
    assert f.at(1.0, TEST.astype(np.float32)).dtype == np.float32
    assert flow(y=CLASSES, loss=CrossEntropy(), method=ODE()).at(1.0, TEST).dtype == np.float64


def test_import_is_light():
    code = "import sys, widelimit; print([m for m in ('diffrax', 'optax') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: flow(y=CLASSES, loss=CrossEntropy()), r"Spectral\(\), which needs a squared loss.*CrossEntropy.*ODE"),
        (lambda: flow(y=CLASSES, loss=CrossEntropy(), method=Krylov()), r"Krylov\(\), which needs a squared loss"),
        (lambda: flow(wl.GradientDescent(0.1), y=CLASSES, loss=CrossEntropy()), r"expected method=Steps\(\)"),
        (lambda: flow(wl.GradientDescent(0.1), loss=CrossEntropy(), method=ODE()), "which moves in steps"),
        (lambda: flow(loss=CrossEntropy(), method=Steps()), "which has continuous time"),
        (lambda: flow(y=[0, 1, 2], loss=CrossEntropy(), method=ODE()), "classes 0 to 2; expected 0 to 1"),
        (lambda: flow(y=[0.0, 1.0, 1.0], loss=CrossEntropy(), method=ODE()), "whole class numbers"),
        (lambda: flow(y=Y, loss=CrossEntropy(), method=ODE()), "no probabilities"),
        (lambda: flow(y=[0, 1], loss=CrossEntropy(), method=ODE()), r"class numbers of shape \(3,\)"),
        (lambda: flow(y=[0, 1], loss=AnyLoss(entropy), method=ODE()), "expected 3 rows"),
        (
            lambda: flow(y=CLASSES, initial=lambda x: x[:, 0], loss=CrossEntropy(), method=ODE()),
            "one column; CrossEntropy expects one per class",
        ),
        (lambda: flow(y=CLASSES, loss=AnyLoss(entropy), method=ODE()).max_learning_rate, "curvature of AnyLoss"),
        (lambda: flow(y=CLASSES, loss=CrossEntropy(), method=ODE()).at(np.inf), "expected finite times"),
        (
            lambda: flow(y=CLASSES, initial=lambda x: np.zeros((2, 2)), loss=CrossEntropy(), method=ODE()),
            r"expected \(3, outputs\)",
        ),
        (
            lambda: wl.infinite_ensemble(wl.serial(wl.Dense(4), wl.Dense(2)), X, Y, loss=CrossEntropy(ExampleMean())),
            "outputs do not stay Gaussian",
        ),
        (
            lambda: wl.infinite_ensemble(wl.serial(wl.Dense(4), wl.Dense(2)), X, Y, method=Steps()),
            "which has continuous time",
        ),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
