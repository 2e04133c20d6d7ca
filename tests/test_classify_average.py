"""The average of one-vs-all regressions: rows left out as by refitting, shares by their formula, errors in words."""

import itertools

import numpy as np
import pytest

from widelimit import gp

N, CLASSES, RIDGES = 14, 3, (1e-3, 0.1, 10.0)


def problem(seed=0, n=N):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 4))
    labels = np.concatenate([np.arange(CLASSES), rng.integers(0, CLASSES, n - CLASSES)])
    return x, gp.one_hot(labels, CLASSES), labels


def gaussian(x, y, width):
    return 3 * np.exp(-((x[:, None] - y[None]) ** 2).sum(-1) / width)


def bordered(k, y, ridge):
    """Ridge regression with a free intercept, from its optimality conditions: (K + r)A + 1b = Y, 1'A = 0."""
    n, ones = len(k), np.ones((len(k), 1))
    system = np.block([[k + ridge * np.mean(np.diag(k)) * np.eye(n), ones], [ones.T, np.zeros((1, 1))]])
    found = np.linalg.solve(system, np.concatenate([y, np.zeros((1, y.shape[1]))]))
    return found[:-1], found[-1]


def test_regression_with_an_intercept_and_rows_left_out_as_by_refitting():
    x, y, _ = problem()
    k = gaussian(x, x, 4.0)
    path = gp.intercept_path(k, y, RIDGES)
    for r, ridge in enumerate(RIDGES):
        weights, intercept = bordered(k, y, ridge)
        np.testing.assert_allclose(path.weights[r], weights, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(path.intercepts[r], intercept, rtol=1e-9, atol=1e-12)
        for i in range(N):
            rest = np.arange(N) != i
            # The diagonal of this kernel is constant, so that the unit of the ridge is that of all rows.
            weights, intercept = bordered(k[np.ix_(rest, rest)], y[rest], ridge)
            np.testing.assert_allclose(path.left_out[r, i], k[i, rest] @ weights + intercept, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("sharpness", [0.5, 4.0, np.inf])
def test_an_average_is_the_sum_of_its_members_by_their_shares(sharpness):
    x, y, _ = problem()
    new = np.random.default_rng(1).standard_normal((5, 4))
    widths = (1.0, 4.0, 16.0)
    average = gp.averaged((gaussian(x, x, w) for w in widths), y, RIDGES, sharpness=sharpness)
    paths = [gp.intercept_path(gaussian(x, x, w), y, RIDGES) for w in widths]
    errors = np.array([[((left - y) ** 2).sum() / N for left in path.left_out] for path in paths])
    np.testing.assert_allclose(average.errors, errors, rtol=1e-12)
    shares = np.exp(-sharpness * N * (errors - errors.min())) if np.isfinite(sharpness) else errors == errors.min()
    np.testing.assert_allclose(average.shares, shares / shares.sum(), rtol=1e-9)
    expected, left_out = np.zeros((5, CLASSES)), np.zeros((N, CLASSES))
    for (k, w), r in itertools.product(enumerate(widths), range(len(RIDGES))):
        expected += average.shares[k, r] * (gaussian(new, x, w) @ paths[k].weights[r] + paths[k].intercepts[r])
        left_out += average.shares[k, r] * paths[k].left_out[r]
    np.testing.assert_allclose(average.decision(gaussian(new, x, w) for w in widths), expected, rtol=1e-9)
    np.testing.assert_allclose(average.left_out, left_out, rtol=1e-9)


def test_values_sum_to_one_and_the_scale_of_a_kernel_does_not_matter():
    x, y, _ = problem()
    new, k = x[:3] + 0.1, gaussian(x, x, 4.0)
    one = gp.averaged([k], y).decision([gaussian(new, x, 4.0)])
    np.testing.assert_allclose(one.sum(1), 1, rtol=1e-9)
    np.testing.assert_allclose(gp.averaged([1e4 * k], y).decision([1e4 * gaussian(new, x, 4.0)]), one, rtol=1e-7)


def test_a_singular_kernel_and_equal_rows_are_no_trouble():
    x, y, _ = problem(n=10)
    x = np.concatenate([x, x])
    average = gp.averaged([x @ x.T], np.concatenate([y, y]))
    assert np.isfinite(average.weights).all()
    assert np.isfinite(average.left_out).all()
    assert average.shares.sum() == pytest.approx(1)


def test_members_that_count_are_kept_and_fitted_as_before():
    shares = np.array([[0.5, 0.02], [0.3, 0.18]])
    np.testing.assert_allclose(gp.members(shares, total=0.75), np.array([[0.5, 0], [0.3, 0]]) / 0.8)
    np.testing.assert_allclose(gp.members(shares, total=0.999), shares)
    np.testing.assert_allclose(gp.members(shares, total=0.999, most=1), np.array([[1, 0], [0, 0]]))
    x, y, _ = problem()
    kernels = [gaussian(x, x, 4.0), x @ x.T + 1]
    average = gp.averaged(kernels, y, RIDGES)
    parts = [gp.fitted(k, y, RIDGES, share) for k, share in zip(kernels, average.shares, strict=True)]
    np.testing.assert_allclose([part.weights for part in parts], average.weights, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(sum(part.intercept for part in parts), average.intercept, rtol=1e-8)


def test_the_temperature_is_the_one_of_the_best_likelihood():
    x, y, labels = problem(n=30)
    left = gp.averaged([gaussian(x, x, 4.0)], y).left_out + 0.3 * y
    beta = gp.temperature(left, labels)

    def loss(b):
        return -np.mean(np.log(gp.probabilities(left, b)[np.arange(30), labels]))

    assert 0.1 < beta < 100
    assert all(loss(beta) < loss(beta * factor) for factor in (0.9, 1.1))
    np.testing.assert_allclose(gp.probabilities(left, beta).sum(1), 1, rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((np.ones((3, 4)), np.ones((3, 2))), r"kernel has shape \(3, 4\); expected \(n, n\)"),
        ((np.ones((1, 1)), np.ones((1, 2))), "two or more"),
        ((np.eye(3), np.ones((4, 2))), r"targets has shape \(4, 2\); expected \(3, c\)"),
        ((np.eye(3), np.ones(3)), r"targets has shape \(3,\)"),
        ((np.full((3, 3), np.nan), np.ones((3, 2))), r"kernel\[0, 0\] is nan"),
        ((np.eye(3), np.full((3, 2), np.inf)), r"targets\[0, 0\] is inf"),
        ((np.zeros((3, 3)), np.ones((3, 2))), "mean diagonal of 0.0; expected a positive one"),
        ((np.eye(3), np.ones((3, 2)), (0.0,)), r"ridges is \(0.0,\); expected one or more positive"),
        ((np.eye(3), np.ones((3, 2)), ()), "expected one or more positive"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_a_sentence(arguments, match):
    with pytest.raises(ValueError, match=match):
        gp.intercept_path(*arguments)


def test_an_average_of_nothing_or_without_a_sharpness_is_refused():
    with pytest.raises(ValueError, match="kernels is empty"):
        gp.averaged([], np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"sharpness is 0\.0; expected a positive number"):
        gp.averaged([np.eye(3)], np.ones((3, 2)), sharpness=0.0)
