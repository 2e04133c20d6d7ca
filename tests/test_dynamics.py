"""Closed-form training: golden tables and arrays, explicit gradient descent, edges, derivatives, refusals."""

import ast
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from test_golden import build, names_in, tolerance
from widelimit import gram, solve
from widelimit.dynamics import ODE

ORACLES = pathlib.Path(__file__).parent / "oracles"
CASES = [c for c in json.loads((ORACLES / "predict.json").read_text()) if c["kind"] == "ensemble"]
ARRAYS = np.load(ORACLES / "predict.npz")

LEE = wl.serial(wl.Dense(8, 1.5, 0.1), wl.Erf(), wl.Dense(8, 1.5, 0.1), wl.Erf(), wl.Dense(1, 1.5, 0.1))
X = np.array([(1, 0), (0, 1), (0.6, 0.8)])
Y = np.array([1, -1, 0.5])
TEST = np.array([(0.8, 0.6), (-1, 0)])

# REFERENCE.md, table C: t -> mean, (s11, s12, s22); time under the mean loss.
TABLE_C = {
    1.0: ([0.4901979714, -0.8245288787], [0.0734896325, -0.0144374913, 0.1878160713]),
    10.0: ([0.8356997487, -0.9903008544], [0.0324264084, -0.000971846, 0.138684256]),
    np.inf: ([0.8523763257, -0.9820129526], [0.0321161539, -0.000768105, 0.138963429]),
}


@pytest.mark.parametrize("t", TABLE_C)
def test_golden_table_c(t, either_mode):
    g = wl.infinite_ensemble(LEE, X, Y, loss=wl.MeanSquares()).at(t, TEST)
    mean, covariance = TABLE_C[t]
    np.testing.assert_allclose(g.mean, mean, atol=1e-9)
    np.testing.assert_allclose(g.covariance[np.triu_indices(2)], covariance, atol=1e-9)
    assert g.mean.dtype == np.float64


def test_golden_spectrum_and_step_size(either_mode):
    theta = wl.NTK(LEE)(X)
    np.testing.assert_allclose(np.linalg.eigvalsh(theta), [0.90217632, 4.1119016, 7.46399363], atol=1e-8)
    expected = pytest.approx(0.80385920652, abs=1e-10)
    assert float(wl.max_learning_rate(theta, loss=wl.MeanSquares())) == expected
    assert float(wl.infinite_ensemble(LEE, X, Y, loss=wl.MeanSquares()).max_learning_rate) == expected
    assert float(wl.max_learning_rate(theta)) == pytest.approx(0.80385920652 / 3, abs=1e-10)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_ensembles_agree_with_the_golden_arrays(case):
    net = build(ast.parse(case["net"]).body[0].value)
    name = case["name"]
    x, xt, y = (ARRAYS[f"{name}/{key}"] for key in ("x", "xt", "y"))
    ridge = case["diag_reg"] * np.mean(np.diag(wl.NTK(net)(x)))
    flow = wl.infinite_ensemble(net, x, y, loss=wl.MeanSquares(), ridge=ridge)
    for t in ("0.5", "5.0", "50.0", "None"):
        g = flow.at(np.inf if t == "None" else float(t), xt)
        for measured, what in ((g.mean, "mean"), (g.covariance, "cov")):
            expected = ARRAYS[f"{name}/ntk/t{t}/{what}"]
            assert np.abs(measured - expected).max() < tolerance(names_in(case["net"])) * np.abs(expected).max()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_single_networks_agree_with_the_golden_arrays(case):
    net = build(ast.parse(case["net"]).body[0].value)
    name = case["name"]
    x, xt, y, f0, ft0 = (ARRAYS[f"{name}/{key}"] for key in ("x", "xt", "y", "f0", "ft0"))
    flow = wl.network_flow(wl.NTK(net), x, y, lambda z: f0 if len(z) == len(x) else ft0, loss=wl.MeanSquares())
    for t in ("1.0", "20.0", "None"):
        time = np.inf if t == "None" else 0.7 * float(t)
        for measured, what in ((flow.at(time), "train"), (flow.at(time, xt), "test")):
            expected = ARRAYS[f"{name}/mse/t{t}/{what}"]
            assert np.abs(measured - expected).max() < tolerance(names_in(case["net"])) * np.abs(expected).max()
    theta = wl.NTK(net)(x)
    largest = wl.max_learning_rate(theta, loss=wl.MeanSquares(), outputs=y.shape[1])
    assert float(largest) == pytest.approx(float(ARRAYS[f"{name}/max_lr"]), rel=tolerance(names_in(case["net"])))


@pytest.mark.parametrize("loss", [wl.SumOfSquares(), wl.MeanSquares()])
def test_discrete_steps_are_explicit_gradient_descent(loss):
    theta, cross, nngp = wl.NTK(LEE)(X), wl.NTK(LEE)(TEST, X), wl.NNGP(LEE)
    y = np.stack([Y, -2 * Y], 1)
    rate = 0.3 * 2 / np.linalg.eigvalsh(theta)[-1] / loss.scale(y.size)
    flow = wl.infinite_ensemble(LEE, X, y, optimizer=wl.GradientDescent(rate), loss=loss)
    # The whole map from initial outputs on (X, TEST) to outputs after k steps is linear: f -> T f + b.
    kernel = np.concatenate([theta, cross]) * rate * loss.scale(y.size)
    step = np.eye(5) - np.concatenate([kernel, np.zeros((5, 2))], 1)
    transfer, offset = np.eye(5), np.zeros((5, 2))
    prior = nngp(np.concatenate([X, TEST]))
    for k in range(40):
        if k in (0, 1, 7, 39):
            g = flow.at(k, TEST)
            np.testing.assert_allclose(g.mean, offset[3:], atol=1e-12)
            np.testing.assert_allclose(g.covariance, (transfer @ prior @ transfer.T)[3:, 3:], atol=1e-12)
        transfer, offset = step @ transfer, step @ offset + kernel @ y


def test_network_flow_is_the_linearised_network_under_gradient_descent(x64):
    """The claim of the race: with its own kernel, the closed form is the trained linearisation, to rounding."""
    net = wl.serial(wl.Dense(12, 1.5, 0.1), wl.Erf(), wl.Dense(2, 1.5, 0.1))
    params = net.init(jax.random.key(1), (2,))
    y, rate = jnp.asarray(np.stack([Y, Y**2], 1)), 0.05
    kernel = wl.EmpiricalNTK(net.apply, params, outputs=wl.Full())
    flow = wl.network_flow(kernel, X, y, lambda x: net.apply(params, x), optimizer=wl.GradientDescent(rate))
    linear = wl.linearize(net.apply, params)
    gradient = jax.jit(jax.grad(lambda p: jnp.sum((linear(p, X) - y) ** 2) / 2))
    p = params
    for k in range(31):
        if k in (0, 1, 30):
            np.testing.assert_allclose(flow.at(k, TEST), linear(p, TEST), atol=1e-12)
            np.testing.assert_allclose(flow.at(k), linear(p, X), atol=1e-12)
        p = jax.tree.map(lambda a, g: a - rate * g, p, gradient(p))


def test_small_steps_approach_gradient_flow():
    t, errors = 2.0, []
    exact = wl.infinite_ensemble(LEE, X, Y).at(t, TEST).mean
    for k in (1000, 2000):
        flow = wl.infinite_ensemble(LEE, X, Y, optimizer=wl.GradientDescent(t / k))
        errors.append(np.abs(flow.at(k, TEST).mean - exact).max())
    assert errors[1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.02)  # first order in the step


def test_one_mode_against_the_scalar_ode():
    """One training point: f_t = y + (f_0 - y) exp(-theta t), by hand."""
    x, y = X[:1], Y[:1]
    theta = float(wl.NTK(LEE)(x)[0, 0])
    flow = wl.network_flow(wl.NTK(LEE), x, y, lambda z: np.full(len(z), 0.3))
    for t in (0.0, 0.1, 3.0):
        assert float(flow.at(t)[0]) == pytest.approx(1 + (0.3 - 1) * np.exp(-theta * t), abs=1e-13)


def test_times_and_shapes():
    flow = wl.infinite_ensemble(LEE, X, Y)
    g = flow.at([[0, 1], [10, np.inf]], TEST)
    assert (g.mean.shape, g.covariance.shape, g.std.shape) == ((2, 2, 2), (2, 2, 2, 2), (2, 2, 2))
    np.testing.assert_allclose(g.mean[0, 1], flow.at(1.0, TEST).mean, rtol=1e-13)
    np.testing.assert_allclose(g.covariance[1, 1], flow.at(np.inf, TEST).covariance, rtol=1e-13)
    np.testing.assert_allclose(flow.at(0, TEST).mean, 0, atol=0)
    np.testing.assert_allclose(flow.at(0, TEST).covariance, wl.NNGP(LEE)(TEST), rtol=1e-13)
    columns = wl.infinite_ensemble(LEE, X, Y[:, None]).at(1.0, TEST)
    assert (columns.mean.shape, columns.std.shape) == ((2, 1), (2, 1))
    np.testing.assert_allclose(flow.at(np.inf).mean, Y, atol=1e-12)
    np.testing.assert_allclose(flow.at(np.inf).std, 0, atol=1e-6)


def test_singular_kernels_give_no_nan():
    """Duplicated inputs: the kernel is singular; the closed form stays finite and learns the mean of the targets."""
    x, y = np.concatenate([X, X[:1]]), np.append(Y, 3.0)
    flow = wl.infinite_ensemble(LEE, x, y)
    for t in (0.0, 1e3, np.inf):
        g = flow.at(t, TEST)
        assert np.isfinite(g.mean).all()
        assert np.isfinite(g.covariance).all()
    np.testing.assert_allclose(flow.at(np.inf).mean, [2, -1, 0.5, 2], atol=1e-6)
    steps = wl.infinite_ensemble(LEE, x, y, optimizer=wl.GradientDescent(0.9 * float(flow.max_learning_rate)))
    np.testing.assert_allclose(steps.at(np.inf).mean, [2, -1, 0.5, 2], atol=1e-6)


def test_ridge_is_kernel_ridge_regression_at_infinite_time():
    ridge = 0.7
    flow = wl.infinite_ensemble(LEE, X, Y, ridge=ridge)
    theta, cross = wl.NTK(LEE)(X), wl.NTK(LEE)(TEST, X)
    expected = cross @ np.linalg.solve(theta + ridge * np.eye(3), Y)
    np.testing.assert_allclose(flow.at(np.inf, TEST).mean, expected, rtol=1e-12)


def test_derivatives_of_predictions(either_mode):
    """In test inputs, training inputs and hyperparameters, against central differences, in either mode of JAX."""

    def prediction(weight_std, x_train, x):
        net = wl.serial(wl.Dense(4, weight_std, 0.1), wl.Erf(), wl.Dense(1))
        return wl.infinite_ensemble(net, x_train, Y).at(3.0, x).mean.sum()

    args = [1.5, jnp.asarray(X, float), jnp.asarray(TEST, float)]
    exact = jax.grad(prediction, (0, 1, 2))(*args)
    raw = [1.5, X, TEST]
    for i, direction in enumerate([1.0, np.cos(X), np.sin(TEST)]):
        up, down = ([*raw[:i], raw[i] + s * direction, *raw[i + 1 :]] for s in (1e-4, -1e-4))
        central = (prediction(*up) - prediction(*down)) / 2e-4
        assert float(np.sum(np.asarray(exact[i]) * direction)) == pytest.approx(float(central), rel=2e-5, abs=1e-6)


def test_derivative_where_eigenvalues_coincide():
    """Orthogonal inputs of equal length give a kernel with a repeated eigenvalue."""

    def prediction(weight_std):
        net = wl.serial(wl.Dense(4, weight_std, 0.1), wl.Erf(), wl.Dense(1))
        return wl.infinite_ensemble(net, np.eye(3), Y).at(3.0, TEST @ np.eye(2, 3)).mean.sum()

    central = (prediction(1.5001) - prediction(1.4999)) / 2e-4
    assert float(jax.grad(prediction)(1.5)) == pytest.approx(float(central), rel=1e-5)


def test_float32_data_are_computed_in_float64_and_rounded(either_mode):
    single = wl.infinite_ensemble(LEE, X.astype(np.float32), Y.astype(np.float32)).at(1e4, TEST.astype(np.float32))
    double = wl.infinite_ensemble(LEE, X, Y).at(1e4, TEST)
    assert single.mean.dtype == np.float32
    np.testing.assert_allclose(single.mean, double.mean, rtol=3e-7, atol=3e-7)
    assert jnp.zeros(()).dtype == (jnp.float64 if either_mode else jnp.float32)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: wl.infinite_ensemble(LEE, X, Y[:2]), r"y_train has shape \(2,\); expected \(3,\)"),
        (lambda: wl.infinite_ensemble(LEE, X, [1, np.nan, 0]), r"y_train\[1\] is nan"),
        (lambda: wl.infinite_ensemble(wl.serial(wl.Dense(4), wl.Erf()), X, Y), "ends in a Dense"),
        (lambda: wl.infinite_ensemble(LEE, X, Y, ridge=-1.0), "ridge is -1.0"),
        (lambda: wl.infinite_ensemble(LEE, X, Y).at(-1.0), "expected times of zero or more"),
        (lambda: wl.infinite_ensemble(LEE, X, Y).at(np.nan), "expected times of zero or more"),
        (lambda: wl.infinite_ensemble(LEE, X, Y).at("soon"), "expected a time"),
        (lambda: wl.infinite_ensemble(LEE, X, Y).at(1.0, np.ones((2, 3))), r"shape \(3,\), x_train of shape \(2,\)"),
        (lambda: wl.infinite_ensemble(LEE, X, Y, optimizer=wl.GradientDescent(0.1)).at(1.5), "whole numbers of steps"),
        (lambda: wl.infinite_ensemble(LEE, X, Y, optimizer=wl.GradientDescent(9.0)).at(10**6), "diverges"),
        (lambda: wl.infinite_ensemble(LEE, X, Y, optimizer=wl.GradientDescent(9.0)).at(np.inf), "diverges"),
        (lambda: wl.infinite_ensemble(wl.parameterize(LEE, wl.MuP()), X, Y), "learns features"),
        (lambda: wl.infinite_ensemble(wl.parameterize(LEE, wl.MeanField()), X, Y), "learns features"),
        (lambda: wl.infinite_ensemble(LEE, X, Y, method="spectral"), "method is 'spectral'; expected an object such"),
        (lambda: wl.network_flow(np.eye(3), X, Y, np.zeros), "kernel is of type ndarray; expected an object such as"),
        (lambda: wl.network_flow(wl.NTK(LEE), X, Y, np.zeros(3)), "initial is of type ndarray; expected a function"),
        (lambda: wl.network_flow(wl.NTK(LEE), X, Y, lambda x: x[:, 0] * np.nan), r"initial\(x_train\)\[0\] is nan"),
        (lambda: wl.max_learning_rate([[2.0, 1.0], [0.0, 2.0]]), "ntk is not symmetric"),
        (lambda: wl.max_learning_rate(np.eye(2), momentum=1.0), "momentum is 1.0"),
        (lambda: ODE(rtol=-1.0), "rtol is -1.0"),
        (lambda: ODE(max_steps=0), "max_steps is 0"),
        (lambda: wl.GradientDescent(-0.1), "learning_rate is -0.1"),
        (lambda: wl.max_learning_rate(np.ones((2, 3))), r"expected \(n, n\)"),
        (lambda: wl.max_learning_rate(np.zeros((2, 2))), "no positive eigenvalue"),
        (lambda: wl.network_flow(wl.NTK(LEE), X, Y, lambda x: np.zeros((1, 1))), r"initial\(x_train\) has shape"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_kernel_of_zero_is_stable_at_any_step(either_mode):
    flow = wl.network_flow(wl.NTK(wl.serial(wl.Dense(1, 0.0))), X, Y, lambda x: 0 * x[:, 0])
    assert flow.max_learning_rate == np.inf
    np.testing.assert_array_equal(flow.at([0.0, 3.0, np.inf]), np.zeros((3, 3)))


def test_training_inside_jit(either_mode):
    """Concrete inputs beside traced targets, and the other way round."""
    kernel, start = wl.NTK(LEE), lambda x: 0 * x[:, 0]
    eager = wl.network_flow(kernel, X, Y, start).at(2.0, TEST)
    compiled = jax.jit(lambda y: wl.network_flow(kernel, X, y, start).at(2.0, TEST))(jnp.asarray(Y, float))
    np.testing.assert_allclose(compiled, eager, rtol=3e-7, atol=3e-7)


@pytest.mark.parametrize("solver", [solve.Cholesky(), solve.Eigen()])
@pytest.mark.parametrize("columns", [None, 2])
def test_solvers_solve(solver, columns, x64):
    matrix = jnp.asarray(wl.NTK(LEE)(X))
    y = jnp.asarray(Y if columns is None else np.stack([Y, Y**2], 1))
    solution = solver.compute(solver.init(gram.Dense(matrix), 0.1), y)
    np.testing.assert_allclose(solution.value, np.linalg.solve(matrix + 0.1 * np.eye(3), y), rtol=1e-12)
    assert solution.result == solve.Result.successful


def test_cholesky_says_when_the_matrix_is_singular(x64):
    solver = solve.Cholesky()
    solution = solver.compute(solver.init(gram.Dense(jnp.asarray([[1.0, 2.0], [2.0, 1.0]])), 0.0), jnp.ones(2))
    assert solution.result == solve.Result.not_positive_definite
    assert "Add noise" in solve.Result[solution.result]


def test_dense_gram_is_its_matrix(x64):
    matrix = jnp.asarray(wl.NTK(LEE)(X))
    g = gram.Dense(matrix)
    assert g.shape == (3, 3)
    np.testing.assert_array_equal(g.matmat(jnp.eye(3)), matrix)
    np.testing.assert_array_equal(g.tile(slice(1), slice(1, 3)), matrix[:1, 1:])
    np.testing.assert_array_equal(g.diagonal(), jnp.diag(matrix))
    with pytest.raises(ValueError, match="expected a square matrix"):
        gram.Dense(matrix[:2])
