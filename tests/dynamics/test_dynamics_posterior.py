"""The NNGP posterior, last-layer training and samples: golden arrays, the textbook formula, Monte Carlo."""

import ast
import json
import pathlib

import jax
import numpy as np
import pytest
from flows import TEST, X, Y

import widelimit as wl
from test_golden import build, names_in, tolerance
from widelimit.dynamics import Gaussian, Krylov, LastLayer, nngp_posterior

ORACLES = pathlib.Path(__file__).parents[1] / "oracles"
CASES = json.loads((ORACLES / "predict.json").read_text())
ARRAYS = np.load(ORACLES / "predict.npz")
NET = wl.serial(wl.Dense(8, 1.5, 0.1), wl.Erf(), wl.Dense(1, 1.5, 0.1))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_last_layer_training_agrees_with_the_golden_arrays(case):
    net, name = build(ast.parse(case["net"]).body[0].value), case["name"]
    x, xt, y = (ARRAYS[f"{name}/{key}"] for key in ("x", "xt", "y"))
    noise = case["diag_reg"] * np.mean(np.diag(wl.NNGP(net)(x)))
    posterior = nngp_posterior(net, x, y, noise=noise)
    times = ("0.5", "5.0", "50.0", "None")
    # The posterior has the time of the sum over examples; the golden arrays that of the mean over entries.
    g = posterior.at([np.inf if t == "None" else float(t) / y.size for t in times], xt)
    for i, t in enumerate(times):
        for measured, what in ((g.mean[i], "mean"), (g.covariance[i], "cov")):
            expected = ARRAYS[f"{name}/nngp/t{t}/{what}"]
            assert np.abs(measured - expected).max() < tolerance(names_in(case["net"])) * np.abs(expected).max()


def test_posterior_is_the_textbook_formula(either_mode):
    noise = 0.3
    k, cross, own = wl.NNGP(NET)(X), wl.NNGP(NET)(TEST, X), wl.NNGP(NET)(TEST)
    weights = np.linalg.solve(k + noise * np.eye(3), cross.T)
    for method in ({}, {"method": Krylov()}):
        g = nngp_posterior(NET, X, Y, noise=noise, **method).at(x=TEST)
        np.testing.assert_allclose(g.mean, weights.T @ Y, rtol=1e-8)
        np.testing.assert_allclose(g.covariance, own - cross @ weights, rtol=1e-8)
    exact = nngp_posterior(NET, X, Y[:, 0]).at()
    np.testing.assert_allclose(exact.mean, Y[:, 0], atol=1e-10)
    np.testing.assert_allclose(exact.covariance, 0, atol=1e-10)


def test_the_law_of_random_features_trained_by_gradient_flow():
    """Last-layer training of an explicit Gaussian function space, with noisy targets, by Monte Carlo."""
    both = np.concatenate([X, TEST])
    k, noise, t, draws = wl.NNGP(NET)(both), 0.2, 0.7, 40_000
    rng = np.random.default_rng(0)
    f = rng.multivariate_normal(np.zeros(5), k, draws)
    y = Y[:, 0] + noise**0.5 * rng.normal(size=(draws, 3))
    values, vectors = np.linalg.eigh(k[:3, :3] + noise * np.eye(3))
    response = vectors @ np.diag(-np.expm1(-values * t) / values) @ vectors.T
    trained = f[:, 3:] + (y - f[:, :3]) @ response @ k[:3, 3:]
    g = nngp_posterior(NET, X, Y[:, 0], noise=noise).at(t, TEST)
    error = np.sqrt(np.diag(g.covariance) / draws)
    assert (np.abs(trained.mean(0) - g.mean) < 4 * error).all()
    scale = np.sqrt(np.outer(np.diag(g.covariance), np.diag(g.covariance)))
    assert (np.abs(np.cov(trained.T) - g.covariance) < 6 * scale / draws**0.5).all()


def test_last_layer_is_a_strategy_of_the_ensemble():
    a = wl.infinite_ensemble(NET, X, Y, trained=LastLayer(), optimizer=wl.GradientDescent(0.05)).at(7, TEST)
    k, cross = wl.NNGP(NET)(X), wl.NNGP(NET)(TEST, X)
    f, ft = np.zeros((3, 2)), np.zeros((2, 2))
    for _ in range(7):
        f, ft = f - 0.05 * k @ (f - Y), ft - 0.05 * cross @ (f - Y)
    np.testing.assert_allclose(a.mean, ft, atol=1e-12)


def test_samples_have_the_mean_and_covariance(either_mode):
    g = nngp_posterior(NET, X, Y, noise=0.1).at([0.5, np.inf], TEST)
    draws = g.sample(jax.random.key(0), 20_000)
    assert draws.shape == (20_000, 2, 2, 2)
    assert draws.dtype == np.float64
    error = g.std / 20_000**0.5
    assert (np.abs(draws.mean(0) - g.mean) < 4 * error).all()
    for i in range(2):
        scale = g.std[i] @ g.std[i].T
        for output in range(2):
            gap = np.cov(np.asarray(draws[:, i, :, output]).T) - g.covariance[i]
            assert (np.abs(gap) < 6 * scale / 20_000**0.5).all()
    assert np.abs(np.corrcoef(draws[:, 0, 0, 0], draws[:, 0, 0, 1])[0, 1]) < 4 / 20_000**0.5


def test_samples_of_singular_covariances_are_finite():
    posterior = nngp_posterior(NET, np.concatenate([X, X]), np.concatenate([Y, Y])[:, 0])
    draws = posterior.at().sample(jax.random.key(1), 3)
    np.testing.assert_allclose(draws, np.broadcast_to(np.tile(Y[:, 0], 2), (3, 6)), atol=1e-5)
    single = Gaussian(np.zeros(2, np.float32), np.ones((2, 2), np.float32)).sample(jax.random.key(0), 4)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single[:, 0], single[:, 1], atol=1e-6)
    assert float(np.std(single[:, 0])) > 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nngp_posterior(NET, X, Y, noise=-1.0), "ridge is -1.0|noise is -1.0"),
        (lambda: nngp_posterior(NET, X, Y[:2]), "y_train has shape"),
        (lambda: nngp_posterior(NET, X, Y).at().sample(jax.random.key(0), 0), "count is 0"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
