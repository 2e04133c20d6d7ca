"""Momentum: exact powers of the recurrence, the golden ODE, explicit training, edges, derivatives."""

import ast
import decimal
import json
import pathlib

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flows import TEST, Smooth, X, Y, flow

import widelimit as wl
from test_golden import build
from widelimit.dynamics import ODE, Momentum, MomentumFlow, Spectral, Steps

ORACLES = pathlib.Path(__file__).parents[1] / "oracles"
ARRAYS = np.load(ORACLES / "predict.npz")
CASES = [c for c in json.loads((ORACLES / "predict.json").read_text()) if f"{c['name']}/momentum/t1.0/train" in ARRAYS]

D = decimal.Decimal
NET = wl.serial(wl.Dense(8, 1.5, 0.1), wl.Erf(), wl.Dense(2, 1.5, 0.1))


def multiply(a, b):
    return [[sum((a[i][k] * b[k][j] for k in range(3)), D(0)) for j in range(3)] for i in range(3)]


IDENTITY = [[D(int(i == j)) for j in range(3)] for i in range(3)]


def power(a, k):
    out = IDENTITY
    while k:
        out = multiply(out, a) if k & 1 else out
        a, k = multiply(a, a), k >> 1
    return out


def exponential(a, halvings=30):
    a, out = [[v / 2**halvings for v in row] for row in a], IDENTITY
    for order in range(20, 0, -1):
        out = multiply(a, out)
        out = [[IDENTITY[i][j] + out[i][j] / order for j in range(3)] for i in range(3)]
    for _ in range(halvings):
        out = multiply(out, out)
    return out


def eigenvalues(m):
    """Zero, tiny, real roots, critical damping (twice) and beside it, complex roots, the edge of stability."""
    low, high = (1 - m**0.5) ** 2, (1 + m**0.5) ** 2
    return np.array([0, 1e-14, 1e-6, 1e-3, low, low * (1 + 1e-9), 0.5, high, 2 * (1 + m) * 0.999])


@pytest.mark.parametrize("m", [0.0, 0.5, 0.9, 0.99])
def test_responses_are_exact_in_every_mode(m, x64):
    """The augmented 3×3 map in 60 decimal digits; what remains is the phase error of k steps in a double."""
    values, counts = eigenvalues(m), np.array([0, 1, 2, 7, 100, 1001, 100_000])
    steps, ode = (
        np.asarray(o(1.0, m).response(jnp.asarray(values), jnp.asarray(counts, float)[:, None]))
        for o in (Momentum, MomentumFlow)
    )
    mass, zero, one = D(m), D(0), D(1)
    with decimal.localcontext(prec=60):
        for j, h in enumerate(map(D, values.tolist())):
            for i, k in enumerate(counts.tolist()):
                exact = power([[1 - h, mass, one], [-h, mass, one], [zero, zero, one]], k)[0][2]
                assert float(abs(D(float(steps[i, j])) - exact)) <= 1e-8 * float(abs(exact))
                generator = [[zero, D(k), zero], [-h * k, (mass - 1) * k, D(k)], [zero] * 3]
                exact = exponential(generator)[0][2]
                assert float(abs(D(float(ode[i, j])) - exact)) <= 1e-12 * float(abs(exact))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_golden_momentum(case):
    net, name = build(ast.parse(case["net"]).body[0].value), case["name"]
    x, xt, y, f0, ft0 = (ARRAYS[f"{name}/{key}"] for key in ("x", "xt", "y", "f0", "ft0"))
    golden = wl.network_flow(
        wl.NTK(net),
        x,
        y,
        lambda z: f0 if len(z) == len(x) else ft0,
        loss=wl.MeanSquares(),
        optimizer=MomentumFlow(1.0, 0.9),
    )
    for t in (1.0, 10.0):
        np.testing.assert_allclose(golden.at(t), ARRAYS[f"{name}/momentum/t{t}/train"], atol=1e-6)
        np.testing.assert_allclose(golden.at(t, xt), ARRAYS[f"{name}/momentum/t{t}/test"], atol=1e-6)


@pytest.mark.parametrize(("m", "ridge"), [(0.0, 0.3), (0.6, 0.0), (0.6, 0.3)])
def test_steps_are_heavy_ball_training_of_the_linearised_network(m, ridge, x64):
    """Explicit parameters and optax, weight decay towards the initial point included."""
    rate = 0.05
    params = NET.init(jax.random.key(1), (2,))
    closed, taken = (
        wl.network_flow(
            wl.EmpiricalNTK(NET.apply, params, outputs=wl.Full()),
            X,
            Y,
            lambda x: NET.apply(params, x),
            optimizer=Momentum(rate, m),
            ridge=ridge,
            method=method,
        )
        for method in (Spectral(), Steps())
    )
    linear = wl.linearize(NET.apply, params)

    def objective(p):
        moved = sum(jnp.sum((a - b) ** 2) for a, b in zip(jax.tree.leaves(p), jax.tree.leaves(params), strict=True))
        return jnp.sum((linear(p, X) - Y) ** 2) / 2 + ridge / 2 * moved

    gradient, sgd, p = jax.jit(jax.grad(objective)), optax.sgd(rate, m), params
    state = sgd.init(p)
    for k in range(31):
        if k in (0, 1, 30):
            np.testing.assert_allclose(closed.at(k, TEST), linear(p, TEST), atol=1e-12)
            np.testing.assert_allclose(taken.at(k, TEST), linear(p, TEST), atol=1e-12)
        updates, state = sgd.update(gradient(p), state)
        p = optax.apply_updates(p, updates)


def test_without_momentum_it_is_gradient_descent():
    k = [0, 1, 9, np.inf]
    steps, plain = flow(Momentum(0.1, 0.0)), flow(wl.GradientDescent(0.1))
    np.testing.assert_allclose(steps.at(k, TEST), plain.at(k, TEST), rtol=1e-12)


@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("optimizer", [MomentumFlow(0.1, 0.9), wl.GradientFlow()])
def test_flows_agree_with_an_accurate_ode(optimizer, ridge):
    t = [[0.0, 30.0], [1.0, 0.2]]
    closed = flow(optimizer, ridge=ridge)
    ode = flow(optimizer, ridge=ridge, method=ODE(rtol=1e-12, atol=1e-13))
    np.testing.assert_allclose(ode.at(t, TEST), closed.at(t, TEST), atol=1e-8)


def test_a_stiff_solver_agrees():
    ode = flow(method=ODE(rtol=1e-9, atol=1e-11, solver=diffrax.Kvaerno5()))
    np.testing.assert_allclose(ode.at([1.0, 1e4], TEST), flow().at([1.0, 1e4], TEST), atol=1e-6)


def test_small_steps_approach_the_momentum_flow(x64):
    """At m = 1 - h and rate h², k steps are time hk of one ODE; the error falls with h."""
    values, errors = jnp.asarray([0.0, 0.05, 0.3]), []
    for h in (1e-2, 5e-3):
        k = jnp.asarray([[5 / h]])
        pair = [o(h**2, 1 - h).response(values, k) for o in (Momentum, MomentumFlow)]
        errors.append(float(jnp.abs(pair[0] - pair[1]).max()))
    assert errors[1] < 0.02
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("optimizer", [Momentum(0.1, 0.9), MomentumFlow(0.1, 0.9)])
def test_limits(optimizer, x64):
    values = jnp.asarray([0.0, 0.3, 4.0])
    out = optimizer.response(values, jnp.asarray([[0.0], [3000.0], [np.inf]]))
    np.testing.assert_array_equal(out[0], 0)
    np.testing.assert_allclose(out[1:, 1:], np.broadcast_to(1 / values[1:], (2, 2)), rtol=1e-10)
    assert float(out[2, 0]) == 0.0
    assert np.isfinite(out).all()


@pytest.mark.parametrize("m", [0.0, 0.5, 0.9])
def test_the_largest_stable_step(m):
    theta = Smooth()(X)
    edge = wl.max_learning_rate(theta, loss=wl.MeanSquares(), outputs=2, momentum=m)
    assert float(edge) == pytest.approx(2 * (1 + m) * 6 / np.linalg.eigvalsh(theta)[-1], rel=1e-12)
    below, above = (flow(Momentum(c * float(edge), m), loss=wl.MeanSquares()) for c in (0.99, 1.01))
    assert float(below.max_learning_rate) == pytest.approx(float(edge), rel=1e-12)
    np.testing.assert_allclose(below.at(20_000), Y, atol=1e-8)
    with pytest.raises(ValueError, match="diverges"):
        above.at(np.inf)
    with pytest.raises(ValueError, match="diverges"):
        above.at(10**6)


@pytest.mark.parametrize("optimizer", [Momentum, MomentumFlow])
def test_derivatives_of_momentum(optimizer, either_mode):
    """In the kernel, the step and the momentum, against central differences."""

    def prediction(smooth, rate, m):
        return flow(optimizer(rate, m), kernel=Smooth(smooth=smooth)).at([0, 12, np.inf], TEST).sum()

    at = (1.5, 0.1, 0.8)
    exact = jax.grad(prediction, (0, 1, 2))(*at)
    for i, derivative in enumerate(exact):
        up, down = ([*at[:i], at[i] + s, *at[i + 1 :]] for s in (1e-5, -1e-5))
        central = float(prediction(*up) - prediction(*down)) / 2e-5
        assert float(derivative) == pytest.approx(central, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Momentum(-0.1, 0.9), "learning_rate is -0.1"),
        (lambda: Momentum(0.1, 1.0), "momentum is 1.0; expected a number from zero up to"),
        (lambda: MomentumFlow(0.1, -0.5), "momentum is -0.5"),
        (lambda: flow(Momentum(0.1, 0.9)).at(0.5), "whole numbers of steps"),
        (lambda: flow(MomentumFlow(0.1, 0.9)).at(-0.5), "times of zero or more"),
        (lambda: flow(Momentum(0.1, 0.9), method=ODE()), r"ODE\(\) and optimizer is Momentum.*Steps\(\)"),
        (lambda: flow(MomentumFlow(0.1, 0.9), method=Steps()), r"Steps\(\) and optimizer is MomentumFlow.*ODE\(\)"),
        (lambda: flow(wl.GradientFlow(), method=ODE()).at([1.0, np.inf]), "expected finite times"),
        (lambda: flow(Momentum(0.1, 0.9), method=Steps()).at(np.inf), "expected finite times"),
        (lambda: flow(wl.GradientFlow(), method=ODE(max_steps=3)).at(9.0), "did not reach t = 9.0 in 3 steps"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
