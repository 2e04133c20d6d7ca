"""Kernels as means over random networks: against the closed form, and block by block the same networks."""

import jax
import numpy as np
import pytest

import widelimit as wl
from widelimit import kernels
from widelimit.empirical import JacobianContraction

X = np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)
# A network whose kernels have the mean of their limit at any width: linear, so that no bias of O(1/n) is left.
LINEAR = wl.serial(wl.Dense(24, 1.3, 0.2), wl.Dense(4, 0.9, 0.1))
DEEP = wl.serial(wl.Dense(128, 1.3, 0.2), wl.Erf(), wl.Dense(128, 1.1, 0.1), wl.Relu(), wl.Dense(1))


def make(kind, net, samples, **options):
    return kind(lambda key: net.init(key, X.shape[1:]), net.apply, samples, jax.random.key(0), **options)


@pytest.mark.parametrize(
    ("kind", "exact"), [(kernels.MonteCarloNNGP, wl.NNGP), (kernels.MonteCarloNTK, wl.NTK)], ids=["nngp", "ntk"]
)
@pytest.mark.parametrize(("net", "bias"), [(LINEAR, 0.0), (DEEP, 4 / 128)], ids=["linear", "deep"])
def test_the_mean_is_the_closed_form_within_its_error(kind, exact, net, bias):
    found, limit = make(kind, net, 150, chunk=16).estimate(X), exact(net)(X)
    assert found.samples == 150
    assert (found.standard_error > 0).all()
    assert (found.standard_error < 0.2 * limit.max()).all()
    assert (np.abs(found.mean - limit) < 4 * found.standard_error + bias * limit.max()).all()


@pytest.mark.parametrize("kind", [kernels.MonteCarloNNGP, kernels.MonteCarloNTK])
def test_blocks_are_parts_of_one_matrix(kind):
    kernel = make(kind, LINEAR, 5)
    whole = kernel(X)
    np.testing.assert_allclose(kernel(X[:1], X[1:]), whole[:1, 1:], rtol=1e-5)
    np.testing.assert_allclose(kernel(X, X.copy()), whole, rtol=1e-5)
    np.testing.assert_allclose(whole, whole.T, rtol=1e-6)
    np.testing.assert_allclose(kernel.diagonal(X), np.diag(whole), rtol=1e-5)
    np.testing.assert_allclose(kernel.estimate(X).mean, whole, rtol=1e-6)
    assert np.linalg.eigvalsh(whole).min() > -1e-5


def test_mean_and_error_are_those_of_the_networks_whatever_the_chunk():
    keys = jax.random.split(jax.random.key(0), 7)
    each = np.stack([wl.EmpiricalNTK(LINEAR.apply, LINEAR.init(k, X.shape[1:]))(X) for k in keys])
    for chunk in (1, 3, 50):
        found = make(kernels.MonteCarloNTK, LINEAR, 7, chunk=chunk).estimate(X)
        np.testing.assert_allclose(found.mean, each.mean(0), rtol=1e-5)
        np.testing.assert_allclose(found.standard_error, each.std(0, ddof=1) / np.sqrt(7), rtol=1e-4)


def test_methods_and_learning_rates_are_those_of_the_empirical_kernel():
    params = LINEAR.init(jax.random.key(0), X.shape[1:])
    rates = jax.tree.map(lambda _: 1.0, params)
    rates[0]["weight"] = 0.0
    kernel = make(kernels.MonteCarloNTK, LINEAR, 1, method=JacobianContraction(), learning_rates=rates)
    drawn = LINEAR.init(jax.random.split(jax.random.key(0), 1)[0], X.shape[1:])
    expected = wl.EmpiricalNTK(LINEAR.apply, drawn, learning_rates=rates)(X)
    np.testing.assert_allclose(kernel(X), expected, rtol=1e-5)


def test_float64_inputs_give_float64():
    assert make(kernels.MonteCarloNTK, LINEAR, 2)(X.astype(float)).dtype == np.float64
    assert make(kernels.MonteCarloNTK, LINEAR, 2)(X).dtype == np.float32


def test_refusals():
    for options, words in (({"samples": 0}, "samples is 0"), ({"chunk": 0}, "chunk is 0"), ({"init": 1}, "init is 1")):
        given = {"init": lambda key: key, "apply": LINEAR.apply, "samples": 3, "key": jax.random.key(0), **options}
        with pytest.raises(ValueError, match=words):
            kernels.MonteCarloNTK(**given)
    with pytest.raises(ValueError, match="method is 'auto'"):
        make(kernels.MonteCarloNTK, LINEAR, 3, method="auto")
    with pytest.raises(ValueError, match="at least two networks"):
        make(kernels.MonteCarloNTK, LINEAR, 1).estimate(X)
    with pytest.raises(ValueError, match="expected finite numbers"):
        make(kernels.MonteCarloNTK, LINEAR, 2).estimate(np.array([[np.nan, 1.0]]))
