"""Krylov flow: agreement with the eigendecomposition, invariant spaces, singular matrices, honest failure."""

import pathlib
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flows import Smooth, flow

import widelimit as wl
from widelimit.dynamics import Krylov, Momentum, MomentumFlow, Spectral
from widelimit.gram import AbstractGram, Dense
from widelimit.solve import Result, largest_eigenvalue

ROOT = pathlib.Path(__file__).parents[2]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
OTHER = RNG.normal(size=(5, 3))
Y = np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], 1)
TWICE = np.concatenate([X[:40], X[:20]])  # every third point is a copy: the kernel is singular

TIMES = np.array([[0.0, 0.01], [3.0, np.inf]])
STEPS = np.array([[0.0, 1.0], [40.0, np.inf]])
OPTIMIZERS = {
    "flow": (wl.GradientFlow(), TIMES),
    "descent": (wl.GradientDescent(0.005), STEPS),
    "momentum": (Momentum(0.005, 0.9), STEPS),
    "momentum_flow": (MomentumFlow(0.005, 0.9), TIMES),
}
SETTINGS = {
    "regular": {"x": X},
    "ridge": {"x": X, "ridge": 0.5},
    "mean_loss": {"x": X, "loss": wl.MeanSquares()},
    "singular": {"x": TWICE},
    "low_rank": {"x": X, "kernel": Smooth(smooth=0.0)},
}


def zeros(x):
    return np.zeros((len(x), 2))


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_flows_agree_with_the_eigendecomposition(name, setting):
    optimizer, t = OPTIMIZERS[name]
    krylov, spectral = (
        flow(optimizer, y=Y, initial=zeros, method=m, **SETTINGS[setting]) for m in (Krylov(), Spectral())
    )
    for x in (None, OTHER):
        np.testing.assert_allclose(krylov.at(t, x), spectral.at(t, x), atol=1e-7)
    assert float(krylov.max_learning_rate) == pytest.approx(float(spectral.max_learning_rate), rel=1e-9)


def test_the_error_estimate_is_honest(x64):
    """Loose tolerances: the true relative error, in the norm of the kernel, is below what was asked for."""
    theta = jnp.asarray(Smooth()(X)) + 1e-2 * jnp.eye(60)
    y, t = jnp.asarray(Y), jnp.asarray([0.1, 10.0, jnp.inf])
    exact = Spectral().apply(Spectral().init(Dense(theta), 0.0), wl.GradientFlow(), 1.0, t, y)
    iterations = []
    for tolerance in (1e-2, 1e-4, 1e-6):
        method = Krylov(tolerance)
        solution = method.solve(method.init(Dense(theta), 0.0), wl.GradientFlow(), 1.0, t, y)
        d = solution.value - exact
        error, whole = (jnp.sqrt(jnp.einsum("tnk,nm,tmk->tk", a, theta, a)) for a in (d, exact))
        assert solution.result == Result.successful
        assert solution.stats["estimate"] <= tolerance
        assert float(jnp.max(error / whole)) <= tolerance
        iterations.append(solution.stats["iterations"])
    assert iterations == sorted(iterations)
    assert iterations[0] < 60


def test_ensembles_by_krylov():
    net = wl.serial(wl.Dense(8, 1.5, 0.1), wl.Erf(), wl.Dense(1, 1.5, 0.1))
    krylov, spectral = (wl.infinite_ensemble(net, X, Y[:, 0], ridge=0.1, method=m) for m in (Krylov(), Spectral()))
    a, b = (e.at([0.0, 2.0, np.inf], OTHER) for e in (krylov, spectral))
    np.testing.assert_allclose(a.mean, b.mean, atol=1e-8)
    np.testing.assert_allclose(a.covariance, b.covariance, atol=1e-8)


class Products(AbstractGram):
    """A matrix that can only be multiplied with."""

    matrix: jax.Array

    @property
    def shape(self):
        return self.matrix.shape

    def matmat(self, v):
        return self.matrix @ v

    def tile(self, rows, columns):
        raise NotImplementedError

    def diagonal(self):
        return jnp.diagonal(self.matrix)


def test_it_needs_products_only_and_any_number_of_columns(x64):
    theta, t = jnp.asarray(Smooth()(X)), jnp.asarray([1.0, jnp.inf])
    columns = jnp.concatenate([jnp.asarray(Y), jnp.zeros((60, 1)), theta[:, :4], jnp.eye(60)[:, :1]], 1)
    exact = Spectral().apply(Spectral().init(Dense(theta), 0.1), wl.GradientFlow(), 0.5, t, columns)
    # All columns together, in groups that are halved as the bases grow, and one at a time.
    for method in (Krylov(), Krylov(memory=8 * 60 * 8 * 32), Krylov(memory=1)):
        state = method.init(Products(theta), 0.1)
        out = method.apply(state, wl.GradientFlow(), 0.5, t, columns)
        np.testing.assert_allclose(out, exact, atol=1e-6)
        np.testing.assert_array_equal(out[:, :, 2], 0)
        assert float(method.largest(state)) == pytest.approx(float(jnp.linalg.eigvalsh(theta)[-1]) + 0.1, rel=1e-10)


MATRICES = {
    "random": RNG.normal(size=(40, 40)),
    "rank_one": np.ones((1, 30)),
    "identity": np.eye(20),
    "one": np.full((1, 1), 3.0),
    "zero": np.zeros((4, 4)),
    "close_pair": np.diag([1, 1 - 1e-9, 0.5, 0.1]),
}


@pytest.mark.parametrize("name", MATRICES)
def test_largest_eigenvalue(name, x64):
    matrix = jnp.asarray(MATRICES[name].T @ MATRICES[name])
    exact = float(jnp.linalg.eigvalsh(matrix)[-1])
    assert float(largest_eigenvalue(Products(matrix))) == pytest.approx(exact, rel=1e-9, abs=1e-300)
    if exact > 0:
        assert float(wl.max_learning_rate(Dense(matrix))) == pytest.approx(2 / exact, rel=1e-9)


def test_the_benchmark_case_runs():
    (row,) = runpy.run_path(str(ROOT / "benchmarks" / "krylov.py"))["run"](n=200, activation="erf")
    assert row["max_relative_difference_outputs"] < 1e-6
    assert row["max_relative_difference_weights"] < 1e-6
    assert row["iterations"] <= 200


def traced(smooth):
    return flow(y=Y, x=X, initial=zeros, kernel=Smooth(smooth=smooth), method=Krylov()).at(1.0).sum()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: flow(y=Y, x=TWICE, initial=zeros, method=Krylov(max_iterations=20)).at(np.inf),
            r"estimated relative error of .* after 20 iterations, above its tolerance of 1.0e-08. The iteration did",
        ),
        (lambda: jax.grad(traced)(1.0), r"traced and Krylov\(\) decides by values; use method=Spectral"),
        (
            lambda: flow(wl.GradientDescent(9.0), y=Y, x=X, initial=zeros, method=Krylov()).at(10**6),
            "overflowed: gradient descent on the linear model diverges",
        ),
        (lambda: Krylov(tolerance=-1.0), "tolerance is -1.0"),
        (lambda: Krylov(max_iterations=0), "max_iterations is 0"),
        (lambda: largest_eigenvalue(Dense(jnp.diag(jnp.arange(50.0))), max_iterations=3), "after 3 iterations"),
        (lambda: largest_eigenvalue(Dense(jnp.full((3, 3), jnp.nan))), "not finite"),
        (lambda: jax.jit(lambda a: largest_eigenvalue(Dense(a)))(jnp.eye(3)), "eigvalsh instead"),
    ],
)
def test_failures_are_sentences(call, words):
    with pytest.raises(ValueError, match=words):
        call()
