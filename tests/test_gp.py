"""Gaussian processes: against explicit inverses, refits without a point, and finite differences."""

import jax
import numpy as np
import pytest
import scipy.stats

import widelimit as wl
from widelimit import gp
from widelimit.kernels import ScaledInputs

RNG = np.random.default_rng(0)
X, X_TEST = RNG.standard_normal((13, 3)), RNG.standard_normal((5, 3))
Y = np.stack([np.sin(X[:, 0]), X[:, 1] ** 2], 1)
NOISES = {"one": 0.05, "each": RNG.uniform(0.01, 0.2, 13)}
NET = wl.serial(wl.Dense(1, 1.4, 0.3), wl.LeakyRelu(0.2), wl.Dense(1, 1.2, 0.1), wl.Erf(), wl.Dense(1, 1.1, 0.2))
KERNELS = {
    "nngp": wl.NNGP(NET),
    "ntk": wl.NTK(NET),
    "relevance": ScaledInputs(wl.NTK(NET), np.array([0.5, 1.0, 2.0])),
}


@pytest.fixture(params=KERNELS)
def kernel(request):
    return KERNELS[request.param]


@pytest.fixture(params=NOISES)
def noise(request):
    return NOISES[request.param]


def matrices(kernel, noise):
    return kernel(X) + np.diag(np.broadcast_to(noise, 13)), kernel(X_TEST, X), kernel(X_TEST)


def test_posterior_is_that_of_the_explicit_inverse(kernel, noise):
    k, cross, own = matrices(kernel, noise)
    found = gp.posterior(kernel, X, Y, noise=noise).at(X_TEST)
    np.testing.assert_allclose(found.mean, cross @ np.linalg.inv(k) @ Y, rtol=1e-9, atol=1e-11)
    covariance = own - cross @ np.linalg.inv(k) @ cross.T
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-9, atol=1e-10)


def test_marginals_are_those_of_the_joint_distribution_whatever_the_chunk(kernel, noise):
    posterior = gp.posterior(kernel, X, Y[:, 0], noise=noise)
    joint = posterior.at(X_TEST)
    for chunk in (2, 5, 100):
        mean, std = posterior.marginals(X_TEST, chunk=chunk)
        np.testing.assert_allclose(mean, joint.mean, rtol=1e-12)
        np.testing.assert_allclose(std, joint.std, rtol=1e-9)


def test_evidence_is_the_density_of_a_normal(kernel, noise):
    k, _, _ = matrices(kernel, noise)
    expected = sum(scipy.stats.multivariate_normal(np.zeros(13), k).logpdf(column) for column in Y.T)
    np.testing.assert_allclose(gp.log_marginal_likelihood(kernel, X, Y, noise=noise), expected, rtol=1e-11)


def test_leave_one_out_is_refitting_without_each(kernel, noise):
    k, _, _ = matrices(kernel, noise)
    found = gp.leave_one_out(kernel, X, Y, noise=noise)
    density = 0.0
    for i in range(13):
        rest = np.delete(np.arange(13), i)
        weights = np.linalg.solve(k[np.ix_(rest, rest)], k[rest, i])
        variance = k[i, i] - k[i, rest] @ weights
        np.testing.assert_allclose(found.mean[i], weights @ Y[rest], rtol=1e-8)
        np.testing.assert_allclose(found.variance[i], variance, rtol=1e-8)
        density += scipy.stats.norm(weights @ Y[rest], variance**0.5).logpdf(Y[i]).sum()
    np.testing.assert_allclose(found.log_density, density, rtol=1e-9)


def scores():
    return {
        "evidence": gp.log_marginal_likelihood,
        "leave-one-out": lambda *a, **k: gp.leave_one_out(*a, **k).log_density,
    }


@pytest.mark.parametrize("score", scores().values(), ids=scores())
def test_gradients_are_finite_differences_in_every_hyperparameter(kernel, score):
    value, slopes, slope = gp.gradients(score, kernel, X, Y, noise=0.05)
    leaves, structure = jax.tree.flatten(kernel)
    found = structure.flatten_up_to(slopes)
    np.testing.assert_allclose(value, score(kernel, X, Y, noise=0.05), rtol=1e-12)
    count = 0
    for place, leaf in enumerate(leaves):
        for index in np.ndindex(np.shape(leaf)):
            count += 1

            def at(step, place=place, index=index, leaf=leaf):
                moved = np.array(leaf, float)
                moved[index] += step
                return float(
                    score(structure.unflatten([*leaves[:place], moved, *leaves[place + 1 :]]), X, Y, noise=0.05)
                )

            h = 1e-4
            expected = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
            np.testing.assert_allclose(np.asarray(found[place])[index], expected, rtol=1e-6, atol=1e-7)
    assert count >= 8
    h = 1e-5
    expected = (float(score(kernel, X, Y, noise=0.05 + h)) - float(score(kernel, X, Y, noise=0.05 - h))) / (2 * h)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_ridge_path_agrees_with_each_ridge_alone(kernel):
    k = kernel(X)
    path = gp.ridge_path(k, Y, [1e-3, 0.1, 10.0])
    for i, ridge in enumerate(path.ridges):
        scale = path.scale[i]

        class Scaled(wl.kernels.AbstractKernel):
            def block(self, x1, x2=None):
                return scale * k  # noqa: B023

            def diagonal(self, x):
                raise NotImplementedError

        np.testing.assert_allclose(scale, np.trace(Y.T @ np.linalg.inv(k + ridge * np.eye(13)) @ Y) / 26, rtol=1e-9)
        alone = gp.leave_one_out(Scaled(), X, Y, noise=scale * ridge)
        np.testing.assert_allclose(path.residual[i], Y - alone.mean, rtol=1e-8, atol=1e-11)
        np.testing.assert_allclose(path.variance[i], alone.variance, rtol=1e-8)
        np.testing.assert_allclose(path.loo_density[i], alone.log_density, rtol=1e-9)
        evidence = gp.log_marginal_likelihood(Scaled(), X, Y, noise=scale * ridge)
        np.testing.assert_allclose(path.evidence[i], evidence, rtol=1e-10)
        smooth = k @ np.linalg.inv(k + ridge * np.eye(13))
        np.testing.assert_allclose(path.degrees[i], np.trace(smooth), rtol=1e-9)


def test_the_scale_of_a_ridge_path_is_where_the_evidence_is_largest(kernel):
    path = gp.ridge_path(kernel(X), Y, [0.1])
    for factor in (0.9, 1.1):
        s2 = path.scale[0] * factor
        cov = s2 * (kernel(X) + 0.1 * np.eye(13))
        other = sum(scipy.stats.multivariate_normal(np.zeros(13), cov).logpdf(column) for column in Y.T)
        assert other < path.evidence[0]


REFUSED = {
    "nan": (lambda: gp.posterior(KERNELS["ntk"], np.full((3, 2), np.nan), np.ones(3)), r"x\[0, 0\] is nan"),
    "targets": (lambda: gp.posterior(KERNELS["ntk"], X, Y[:5]), "y has shape"),
    "noise": (lambda: gp.posterior(KERNELS["ntk"], X, Y, noise=-1.0), "noise is -1.0"),
    "noises": (lambda: gp.posterior(KERNELS["ntk"], X, Y, noise=np.ones(4)), "noise has shape"),
    "each noise": (lambda: gp.posterior(KERNELS["ntk"], X, Y, noise=-np.ones(13)), "noise holds -1.0"),
    "kernel": (lambda: gp.posterior(NET, X, Y), "kernel is of type"),
    "duplicates": (lambda: gp.posterior(KERNELS["ntk"], np.ones((4, 3)), np.arange(4.0)), "not positive definite"),
    "ridges": (lambda: gp.ridge_path(np.eye(3), np.ones(3), [0.0]), "ridges are"),
    "matrix": (lambda: gp.ridge_path(np.ones((3, 2)), np.ones(3), [1.0]), "matrix has shape"),
    "scales": (lambda: ScaledInputs(KERNELS["ntk"], -np.ones(3)), "scales holds"),
    "features": (lambda: ScaledInputs(KERNELS["ntk"], np.ones(2))(X), "scales has shape"),
    "other inputs": (lambda: gp.posterior(KERNELS["ntk"], X, Y, noise=1.0).at(np.ones((2, 4))), "x holds examples"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_with_a_sentence(name):
    call, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_dtype_follows_the_targets():
    x, y = X.astype(np.float32), Y.astype(np.float32)
    found = gp.posterior(KERNELS["ntk"], x, y, noise=0.1).at(X_TEST.astype(np.float32))
    assert found.mean.dtype == np.float32
    exact = gp.posterior(KERNELS["ntk"], x.astype(float), y.astype(float), noise=0.1)
    np.testing.assert_allclose(found.mean, exact.at(X_TEST.astype(np.float32).astype(float)).mean, rtol=1e-5, atol=1e-6)
