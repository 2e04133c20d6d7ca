"""Every measured quantity against its definition, computed another way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit.dynamics import CrossEntropy, MeanSquares
from widelimit.regime import GradientDescentTrainer, Report, diagnose, scale_output, sharpness
from widelimit.regime._features import compare
from widelimit.regime._kernels import alignment, curvature, drift, rotation
from widelimit.regime._lazy import laziness
from widelimit.regime._run import Model, spread

RNG = np.random.default_rng(0)
X, X_TEST = RNG.standard_normal((2, 7, 3))
Y = RNG.standard_normal((7, 2))
NET = wl.serial(wl.Dense(12, 1.5, 0.1), wl.Erf(), wl.Dense(2, 1.5, 0.1))


def full(params, x1, x2=None):
    """Return the kernel over (example, output) entries from whole Jacobians."""

    def jacobian(x):
        leaves = jax.tree.leaves(jax.jacobian(NET.apply)(params, jnp.asarray(x)))
        return np.concatenate([np.asarray(a).reshape(len(x) * 2, -1) for a in leaves], 1)

    return jacobian(x1) @ jacobian(x1 if x2 is None else x2).T


@pytest.fixture(scope="module")
def run():
    """Return a diagnosis in float64, and the parameters of the same training by hand."""
    with jax.enable_x64(True):
        start = NET.init(jax.random.key(0), (3,))
        start = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), start)
        report = diagnose(NET, start, X, Y, train=GradientDescentTrainer(0.3, 40, MeanSquares()), x_test=X_TEST)
        objective = jax.jit(jax.value_and_grad(lambda p: jnp.sum((NET.apply(p, X) - Y) ** 2) / 2 / 14))
        params, losses = [start], []
        for _ in range(40):
            value, gradient = objective(params[-1])
            losses.append(float(value))
            params.append(jax.tree.map(lambda p, g: p - 0.3 * g, params[-1], gradient))
        losses.append(float(objective(params[-1])[0]))
        yield report, params, np.array(losses)


def flat(params):
    return np.concatenate([np.ravel(a) for a in jax.tree.leaves(params)])


def test_losses_and_movement(run):
    report, params, losses = run
    np.testing.assert_allclose(report.training.losses, losses, rtol=1e-10)
    for step, moved in zip(report.along.steps, report.along.movement, strict=True):
        expected = np.linalg.norm(flat(params[step]) - flat(params[0])) / np.linalg.norm(flat(params[0]))
        assert moved == pytest.approx(expected, rel=1e-10)
    layer = report.layers[1]
    assert layer.name == "2 Dense"
    expected = np.linalg.norm(flat(params[-1][2]) - flat(params[0][2])) / np.linalg.norm(flat(params[0][2]))
    assert layer.movement == pytest.approx(expected, rel=1e-10)


def test_kernels_along_the_run(run):
    report, params, _ = run
    along = report.along
    kernels = [full(params[step], X) for step in along.steps]
    first = kernels[0]
    for i, theta in enumerate(kernels):
        assert along.drift[i] == pytest.approx(np.linalg.norm(theta - first) / np.linalg.norm(first), rel=1e-9)
        cosine = np.sum(theta * first) / np.linalg.norm(theta) / np.linalg.norm(first)
        assert along.rotation[i] == pytest.approx(1 - cosine, abs=1e-12)
        assert along.sharpness[i] == pytest.approx(np.linalg.eigvalsh(theta)[-1] / 14, rel=1e-9)
    since = along.steps[3] - along.steps[2]
    speed = np.linalg.norm(kernels[3] - kernels[2]) / np.linalg.norm(first) / since
    assert along.velocity[3] == pytest.approx(speed, rel=1e-9)
    assert np.isnan(along.velocity[0])
    assert report.step_ratio[0] == pytest.approx(0.3 * np.linalg.eigvalsh(first)[-1] / 14, rel=1e-9)


def test_alignment_of_the_mean_over_outputs(run):
    report, params, _ = run
    kernel = np.mean([full(params[0], X)[a::2, a::2] for a in range(2)], 0)
    target = Y @ Y.T
    expected = np.sum(kernel * target) / np.linalg.norm(kernel) / np.linalg.norm(target)
    assert report.along.alignment[0] == pytest.approx(expected, rel=1e-9)
    centre = np.eye(7) - 1 / 7
    kernel, target = centre @ kernel @ centre, centre @ target @ centre
    expected = np.sum(kernel * target) / np.linalg.norm(kernel) / np.linalg.norm(target)
    assert report.along.centred_alignment[0] == pytest.approx(expected, rel=1e-9)


def test_alignment_is_one_for_the_target_kernel():
    target = np.kron(Y @ Y.T, np.eye(2))
    assert alignment(target, Y).plain == pytest.approx(1)
    assert alignment(target, Y).centred == pytest.approx(1)
    assert alignment(target, np.ones((7, 2))).centred is None


def test_gap_is_that_of_the_closed_form(run):
    report, params, _ = run
    start = params[0]
    flow = wl.network_flow(
        wl.EmpiricalNTK(NET.apply, start, wl.Full()), X, Y, lambda x: NET.apply(start, x),
        optimizer=wl.GradientDescent(0.3), loss=MeanSquares(),
    )  # fmt: skip
    learnt = np.asarray(NET.apply(params[-1], X_TEST) - NET.apply(start, X_TEST))
    for step, gap in zip(report.along.steps, report.along.gap, strict=True):
        difference = np.asarray(NET.apply(params[step], X_TEST)) - flow.at(int(step), X_TEST)
        assert gap == pytest.approx(np.linalg.norm(difference) / np.linalg.norm(learnt), rel=1e-6, abs=1e-9)
    tangent = wl.linearize(NET.apply, start)(params[-1], X_TEST)
    expected = np.linalg.norm(NET.apply(params[-1], X_TEST) - tangent) / np.linalg.norm(learnt)
    assert report.along.tangent_gap[-1] == pytest.approx(float(expected), rel=1e-9)
    weights = np.linalg.solve(full(start, X), np.ravel(NET.apply(params[-1], X) - NET.apply(start, X)))
    left = learnt.ravel() - full(start, X_TEST, X) @ weights
    assert report.explained == pytest.approx(1 - np.sum(left**2) / np.sum(learnt**2), rel=1e-6)


def test_trained_and_closed_form_linearisations_agree(run):
    """With batches of all examples the linearised model is trained, and that is the same thing."""
    report, params, _ = run
    trainer = GradientDescentTrainer(0.3, 40, MeanSquares(), batch_size=7)
    other = diagnose(NET, params[0], X, Y, train=trainer, x_test=X_TEST)
    assert (report.setting["linearisation"], other.setting["linearisation"]) == ("closed form", "trained")
    np.testing.assert_allclose(other.along.gap, report.along.gap, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(other.along.drift, report.along.drift, rtol=1e-8, atol=1e-12)


def test_shares_of_the_layers(run):
    report, params, _ = run
    jacobian = jax.jacobian(NET.apply)(params[0], jnp.asarray(X))
    traces = [sum(np.sum(np.asarray(a) ** 2) for a in jax.tree.leaves(jacobian[i])) for i in (0, 2)]
    assert [a.share for a in report.layers] == pytest.approx([t / sum(traces) for t in traces], rel=1e-9)
    assert sum(a.share_after for a in report.layers) == pytest.approx(1, rel=1e-12)


def test_the_first_step_moves_the_kernel_as_predicted(run):
    _, params, _ = run
    report = diagnose(NET, params[0], X, Y, train=GradientDescentTrainer(1e-4, 2, MeanSquares()))
    assert report.predicted_velocity == pytest.approx(report.along.velocity[1], rel=1e-3)


def test_cka_and_angles():
    before = RNG.standard_normal((20, 5))
    rotated = 3 * before @ np.linalg.qr(RNG.standard_normal((5, 5)))[0] + 7
    same = compare("h", before, rotated)
    assert same.cka == pytest.approx(1)
    assert same.angle == pytest.approx(0, abs=1e-5)
    assert same.change > 1
    left = np.linalg.qr(RNG.standard_normal((20, 20)) - 0.0)[0]
    left -= left.mean(0)
    left = np.linalg.qr(left)[0]
    other = compare("h", left[:, :2], left[:, 2:4])
    assert other.cka == pytest.approx(0, abs=1e-20)
    assert other.angle == pytest.approx(90, abs=1e-5)
    turned = compare("h", left[:, :1], np.cos(0.3) * left[:, :1] + np.sin(0.3) * left[:, 1:2])
    assert turned.angle == pytest.approx(np.degrees(0.3), rel=1e-6)
    assert compare("h", np.ones((20, 2)), before[:, :2]).cka is None


def test_drift_and_rotation():
    a = RNG.standard_normal((4, 4))
    assert drift(3 * a, a) == pytest.approx(2)
    assert rotation(3 * a, a) == pytest.approx(0, abs=1e-15)
    assert rotation(-a, a) == pytest.approx(2)
    assert (drift(a, 0 * a), drift(0 * a, 0 * a)) == (float("inf"), 0.0)


def product(params, x):
    """f = a b x: its second derivative in (a, b) has operator norm |x|."""
    return params["a"] * params["b"] * x


def test_laziness_of_a_product(x64):
    x, y = jnp.array([[2.0]]), jnp.array([[5.0]])
    a, b = 0.7, -1.1
    model = Model(product, {"a": jnp.array(a), "b": jnp.array(b)}, x, y)
    jacobian = 2 * np.hypot(a, b)
    lazy = laziness(model, jacobian, iterations=60)
    assert lazy.hessian == pytest.approx(2.0, rel=1e-6)
    # Along the gradient g = (b, a)/|(b, a)|: 2 |a b| / (a^2 + b^2) of it.
    assert lazy.hessian_gradient == pytest.approx(2.0 * 2 * abs(a * b) / (a**2 + b**2), rel=1e-9)
    residual = abs(2 * a * b - 5)
    assert lazy.kappa == pytest.approx(residual * 2.0 / jacobian**2, rel=1e-6)
    for alpha in (0.3, 4.0):
        scaled = Model(scale_output(product, alpha), model.params, x, y)
        assert lazy.at_scale(alpha) == pytest.approx(laziness(scaled, alpha * jacobian, 60).kappa, rel=1e-6)
        centred = Model(scale_output(product, alpha, model.params), model.params, x, y)
        expected = laziness(centred, alpha * jacobian, 60).kappa
        assert lazy.at_scale(alpha, centred=True) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="alpha is 0"):
        lazy.at_scale(0.0)


def test_sharpness_of_any_loss(x64):
    """The power iteration finds the largest eigenvalue of J^T H J, with the Hessian of softmax from its formula."""
    params = jax.tree.map(lambda a: jnp.asarray(a, float), NET.init(jax.random.key(1), (3,)))
    labels = np.arange(7) % 2
    theta, f = full(params, X), np.asarray(NET.apply(params, X))
    p = np.asarray(jax.nn.softmax(f, axis=-1))
    blocks = np.zeros((14, 14))
    for i in range(7):
        blocks[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = (np.diag(p[i]) - np.outer(p[i], p[i])) / 7
    expected = np.max(np.linalg.eigvals(blocks @ theta).real)
    assert sharpness(NET, params, X, labels, loss=CrossEntropy()) == pytest.approx(expected, rel=1e-6)
    model = Model(NET.apply, params, jnp.asarray(X), jnp.asarray(Y))
    assert curvature(model, params, MeanSquares()) == pytest.approx(np.linalg.eigvalsh(theta)[-1] / 14, rel=1e-6)


def test_json_round_trip(run):
    report, *_ = run
    again = Report.from_json(report.to_json())
    assert again.to_json() == report.to_json()
    assert again.verdict == report.verdict
    assert str(again) == str(report)
    np.testing.assert_array_equal(again.along.drift, report.along.drift)
    with pytest.raises(ValueError, match="no report"):
        Report.from_json("{}")


def test_text_and_figure(run):
    report, *_ = run
    lines = str(report).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == f"Regime: {report.regime.value.upper()}"
    figure = report.plot()
    assert len(figure.axes) == 7
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert "Share of each layer in the kernel" in titles


def test_learning_rates_are_a_prefix():
    params = {"a": {"w": 1.0, "b": 2.0}, "c": 3.0}
    assert spread({"a": 0.5, "c": 2}, params) == {"a": {"w": 0.5, "b": 0.5}, "c": 2}
    with pytest.raises(ValueError, match="learning_rates does not fit"):
        spread({"a": 0.5}, params)
    with pytest.raises(ValueError, match="zero or more"):
        spread(-1.0, params)
