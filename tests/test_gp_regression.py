"""Regression with ridges, weights and outputs: against the posterior, refits, and repeated rows."""

import numpy as np
import pytest

import widelimit as wl
from widelimit import gp
from widelimit.gp._choice import Evidence, LeaveOneOutError

RNG = np.random.default_rng(0)
X, X_TEST = RNG.standard_normal((20, 3)), RNG.standard_normal((6, 3))
Y = np.stack([np.sin(2 * X[:, 0]), 30 + 10 * X[:, 1] * X[:, 2]], 1) + 0.1 * RNG.standard_normal((20, 2))
KERNEL = wl.NTK(wl.serial(wl.Dense(1, 1.4, 0.3), wl.Relu(), wl.Dense(1, 1.2, 0.1)))
WEIGHTS = np.array([1, 2, 3, 1] * 5)
REPEATED = np.repeat(np.arange(20), WEIGHTS)


def test_it_is_the_posterior_of_standardised_targets():
    model = gp.kernel_regression(KERNEL, X, Y, ridge=0.2)
    scaled = (Y - Y.mean(0)) / Y.std(0)
    posterior = gp.posterior(KERNEL, X, scaled, noise=0.2)
    mean, std = posterior.marginals(X_TEST)
    found_mean, found_std = model.marginals(X_TEST)
    np.testing.assert_allclose(found_mean, mean * Y.std(0) + Y.mean(0), rtol=1e-10)
    np.testing.assert_array_equal(model.mean(X_TEST), found_mean)
    expected = np.sqrt(model.scale * (std**2 + 0.2))[:, None] * Y.std(0)
    np.testing.assert_allclose(found_std, expected, rtol=1e-10)
    covariance = model.covariance(X_TEST)
    np.testing.assert_allclose(np.sqrt(covariance[range(6), range(6)]), found_std, rtol=1e-10)


def test_the_evidence_is_that_of_the_targets_as_they_came():
    model = gp.kernel_regression(KERNEL, X, Y[:, 1], ridge=0.2)
    factor = model.scale * Y[:, 1].var()
    import scipy.stats

    density = scipy.stats.multivariate_normal(np.full(20, Y[:, 1].mean()), factor * (KERNEL(X) + 0.2 * np.eye(20)))
    np.testing.assert_allclose(model.evidence, density.logpdf(Y[:, 1]), rtol=1e-10)


@pytest.mark.parametrize("criterion", [Evidence(), LeaveOneOutError()], ids=lambda c: type(c).__name__)
def test_a_ridge_is_chosen_where_the_criterion_is_best(criterion):
    model = gp.kernel_regression(KERNEL, X, Y[:, 0], criterion=criterion)
    others = [gp.kernel_regression(KERNEL, X, Y[:, 0], ridge=ridge) for ridge in model.path.ridges]
    errors = [np.mean((Y[:, 0] - other.left_out[0][:, 0]) ** 2) for other in others]
    best = np.argmax([o.evidence for o in others]) if isinstance(criterion, Evidence) else np.argmin(errors)
    assert model.ridge == model.path.ridges[best]
    assert model.border == ""
    np.testing.assert_allclose(model.path.loo_error * Y[:, 0].var(), errors, rtol=1e-8)
    np.testing.assert_allclose(model.path.scale[best], model.scale, rtol=1e-10)


def test_a_ridge_is_chosen_on_a_part_of_many_rows():
    model = gp.kernel_regression(KERNEL, X, Y, rows=12)
    assert model.path is None
    assert model.ridge > 0
    assert model.dual.shape == (20, 2)


@pytest.mark.parametrize("ridge", [None, 0.2])
def test_a_weight_is_a_number_of_repetitions(ridge):
    one = gp.kernel_regression(KERNEL, X, Y, ridge=ridge, weights=WEIGHTS)
    many = gp.kernel_regression(KERNEL, X[REPEATED], Y[REPEATED], ridge=ridge)
    assert one.ridge == pytest.approx(many.ridge, rel=1e-12)
    for a, b in zip((one.scale, one.evidence), (many.scale, many.evidence), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8)
    for a, b in zip(one.marginals(X_TEST), many.marginals(X_TEST), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7)
    for a, b in zip(one.left_out, many.left_out, strict=True):
        np.testing.assert_allclose(a[np.repeat(np.arange(20), WEIGHTS)], b, rtol=1e-6)


def test_weights_below_one_and_of_zero():
    weights = np.where(np.arange(20) < 15, 0.5, 0.0)
    found = gp.kernel_regression(KERNEL, X, Y, ridge=0.2, weights=weights)
    same = gp.kernel_regression(KERNEL, X[:15], Y[:15], ridge=0.4)
    np.testing.assert_allclose(found.mean(X_TEST), same.mean(X_TEST), rtol=1e-9)
    np.testing.assert_allclose(found.left_out[0], same.left_out[0], rtol=1e-8)


def test_leaving_out_is_refitting_without():
    model = gp.kernel_regression(KERNEL, X, Y, ridge=0.2)
    mean, std = model.left_out
    scaled = (Y - model.center) / model.spread
    for i in (0, 7):
        rest = np.delete(np.arange(20), i)
        m, s = gp.posterior(KERNEL, X[rest], scaled[rest], noise=0.2).marginals(X[i : i + 1])
        np.testing.assert_allclose(mean[i], m[0] * model.spread + model.center, rtol=1e-9)
        np.testing.assert_allclose(std[i], np.sqrt(model.scale * (s[0] ** 2 + 0.2)) * model.spread, rtol=1e-9)


def test_the_inverse_is_symmetric_beyond_one_block(monkeypatch):
    monkeypatch.setattr("widelimit.gp._weighted.BLOCK", 7)
    model = gp.kernel_regression(KERNEL, X, Y, ridge=0.2)
    np.testing.assert_allclose(model.inverse @ (KERNEL(X) + 0.2 * np.eye(20)), np.eye(20), atol=1e-9)
    np.testing.assert_array_equal(model.inverse, model.inverse.T)


def test_a_constant_target_is_predicted_as_it_is():
    model = gp.kernel_regression(KERNEL, X, np.full(20, 3.7))
    np.testing.assert_allclose(model.mean(X_TEST), 3.7)
    assert np.isfinite(model.marginals(X_TEST)[1]).all()


def test_a_vector_gives_vectors():
    model = gp.kernel_regression(KERNEL, X, Y[:, 0], ridge=0.1)
    assert [a.shape for a in (model.mean(X_TEST), *model.marginals(X_TEST))] == [(6,)] * 3
    assert model.covariance(X_TEST).shape == (6, 6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[:, 0]}, "x has shape"),
        ({"y": Y[:3]}, "y has shape"),
        ({"y": np.where(Y > 30, np.nan, Y)}, "is nan"),
        ({"x": X[:1], "y": Y[:1]}, "1 sample"),
        ({"ridge": -1.0}, "ridge is -1"),
        ({"weights": np.ones(3)}, r"weights has shape \(3,\)"),
        ({"weights": -np.ones(20)}, "zero or more"),
        ({"weights": np.zeros(20)}, "all weights are zero"),
        ({"x": X[[0] * 20], "ridge": 0.0}, "singular to working precision"),
        ({"kernel": "ntk"}, "kernel is 'ntk'"),
    ],
)
def test_what_cannot_be_is_a_sentence(change, message):
    given = {"kernel": KERNEL, "x": X, "y": Y, **change}
    with pytest.raises(ValueError, match=message):
        gp.kernel_regression(given.pop("kernel"), given.pop("x"), given.pop("y"), **given)


def test_inputs_that_do_not_fit_are_refused():
    model = gp.kernel_regression(KERNEL, X, Y, ridge=0.1)
    with pytest.raises(ValueError, match="examples of shape"):
        model.mean(X[:, :2])
