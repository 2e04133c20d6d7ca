"""Intervals: how often they cover, and the jackknife against models that were refitted."""

import numpy as np
import pytest

import widelimit as wl
from widelimit import gp

KERNEL = wl.NNGP(wl.serial(wl.Dense(1, 1.4, 0.3), wl.Erf(), wl.Dense(1, 1.2, 0.1)))


def draw(rng, n):
    """Return exchangeable data with skewed noise, to which no Gaussian interval is fitted."""
    x = rng.standard_normal((n, 2))
    return x, np.sin(2 * x[:, 0]) + 0.3 * (rng.exponential(size=n) - 1) * (1 + np.abs(x[:, 1]))


def covered(low, high, y):
    return float(np.mean((low <= y) & (y <= high)))


def shares(method, level, repetitions=40):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(repetitions):
        x, y = draw(rng, 60)
        x_test, y_test = draw(rng, 40)
        found.append(covered(*method(x, y, x_test, level), y_test))
    return np.mean(found), np.std(found) / repetitions**0.5


def split(x, y, x_test, level):
    model = gp.kernel_regression(KERNEL, x[:30], y[:30], ridge=0.3)
    calibration = gp.split_conformal(y[30:], *model.marginals(x[30:]), level=level)
    return calibration.interval(*model.marginals(x_test))


def jackknife(x, y, x_test, level):
    return gp.jackknife_plus(gp.kernel_regression(KERNEL, x, y, ridge=0.3), x_test, level=level)


@pytest.mark.parametrize("method", [split, jackknife], ids=lambda m: m.__name__)
@pytest.mark.parametrize("level", [0.9, pytest.param(0.7, marks=pytest.mark.slow)])
def test_intervals_cover_as_often_as_they_say(method, level):
    share, error = shares(method, level)
    assert share > level - 3 * error
    # 1/(n+1) more at most for the split; the jackknife+ is close to its level too.
    assert share < level + 1 / 31 + 3 * error + 0.01


def test_the_jackknife_is_that_of_refitted_models():
    rng = np.random.default_rng(1)
    x, y = draw(rng, 15)
    x_test, _ = draw(rng, 4)
    model = gp.kernel_regression(KERNEL, x, y, ridge=0.3)
    standard = (y - model.center) / model.spread
    lows, highs = [], []
    for i in range(15):
        rest = np.delete(np.arange(15), i)
        posterior = gp.posterior(KERNEL, x[rest], standard[rest], noise=0.3)
        mean, std = posterior.marginals(np.concatenate([x_test, x[i : i + 1]]))
        deviation = np.sqrt(std**2 + 0.3)
        score = abs(standard[i] - mean[-1]) / deviation[-1]
        lows.append(mean[:-1] - score * deviation[:-1])
        highs.append(mean[:-1] + score * deviation[:-1])
    low, high = gp.jackknife_plus(model, x_test, level=0.8)
    # 16 · 0.2 = 3.2 and 16 · 0.8 = 12.8.
    np.testing.assert_allclose(low, np.sort(lows, 0)[2] * model.spread + model.center, rtol=1e-9)
    np.testing.assert_allclose(high, np.sort(highs, 0)[12] * model.spread + model.center, rtol=1e-9)


def test_many_outputs_and_few_examples():
    rng = np.random.default_rng(2)
    x, y = draw(rng, 12)
    model = gp.kernel_regression(KERNEL, x, np.stack([y, 5 * y], 1), ridge=0.3)
    low, high = gp.jackknife_plus(model, x, level=0.8)
    np.testing.assert_allclose(5 * (high - low)[:, 0], (high - low)[:, 1])
    low, high = gp.jackknife_plus(model, x, level=0.99)
    assert np.isinf(low).all()
    assert np.isinf(high).all()
    few = gp.split_conformal(y, 0 * y, 1 + 0 * y, level=0.99)
    assert np.isinf(few.interval(y, 0 * y)[1]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], [1.0], [1.0], 1.0), "level is 1.0"),
        (([1.0], [1.0, 2.0], [1.0], 0.5), "have shapes"),
        (([1.0], [1.0], [0.0], 0.5), "std holds 0"),
        (([np.nan], [1.0], [1.0], 0.5), "is nan"),
    ],
)
def test_what_cannot_be_is_a_sentence(arguments, message):
    with pytest.raises(ValueError, match=message):
        gp.split_conformal(*arguments[:3], level=arguments[3])
