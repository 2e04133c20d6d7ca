"""Regression that chooses for itself: better than its candidates, and honest about its errors."""

import numpy as np
import pytest

import widelimit as wl
from widelimit import gp
from widelimit.kernels import ScaledOutputs

RNG = np.random.default_rng(11)


def noisy(n, d=5, noise=0.3):
    x = RNG.standard_normal((n, d))
    truth = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2]
    return x, 4 + truth + noise * RNG.standard_normal(n), 4 + truth


@pytest.fixture(scope="module")
def fitted():
    x, y, _ = noisy(150)
    return x, y, gp.learn(x, y, among=gp.candidates(depths=(1, 2)), relevance=gp.Relevance(best=1, steps=30))


def test_relevance_improves_evidence_and_prediction(fitted):
    x, y, learned = fitted
    plain = gp.learn(x, y, among=gp.candidates(depths=(1, 2)), relevance=None)
    assert learned.refined[0][1].value > plain.choice.best.evidence
    assert not plain.refined
    x_new, _, truth = noisy(300)
    error, before = (np.mean((one.predict(x_new)[0] - truth) ** 2) for one in (learned, plain))
    assert error < 0.7 * before < np.var(truth)


def test_refinement_is_taken_if_left_out_targets_are_likelier():
    x, y = RNG.standard_normal((24, 12)), RNG.standard_normal(24)
    learned = gp.learn(x, y, among=gp.candidates(depths=(1,)), relevance=gp.Relevance(best=1, steps=60))
    centred, best, refined = y - y.mean(), learned.choice.best, learned.refined[0][1]
    plain = ScaledOutputs(best.kernel, best.scale)
    density = {
        "plain": gp.leave_one_out(plain, x, centred, noise=best.noise).log_density,
        "refined": gp.leave_one_out(refined.kernel, x, centred, noise=refined.noise).log_density,
    }
    taken = learned.posterior.kernel.kernel
    assert refined.value > best.evidence
    assert taken == (plain if density["plain"] >= density["refined"] else refined.kernel)


def test_intervals_cover_new_observations(fitted):
    _, _, learned = fitted
    x_new, y_new, _ = noisy(2000)
    mean, std = learned.predict(x_new)
    covered = np.mean(np.abs(y_new - mean) < 1.96 * std)
    assert covered == pytest.approx(0.95, abs=0.03)


def test_left_out_targets_vary_as_predicted(fitted):
    x, y, learned = fitted
    left = gp.leave_one_out(learned.posterior.kernel, x, y - y.mean(), noise=learned.posterior.noise)
    np.testing.assert_allclose(np.mean((y - y.mean() - left.mean) ** 2 / left.variance), 1, rtol=1e-8)


def test_calibration_multiplies_variances_alone():
    x, y, _ = noisy(40)
    kernel = wl.NNGP(gp.dense_network(1, wl.Erf(), 1.0, 0.5))
    once = gp.calibration(kernel, x, y[:, None], 0.1)
    np.testing.assert_allclose(gp.calibration(ScaledOutputs(kernel, 3.0), x, y[:, None], 0.3), once / 3, rtol=1e-9)


def test_several_outputs_and_progress():
    x, y, truth = noisy(30)
    calls = []
    learned = gp.learn(
        x,
        np.stack([y, truth], 1),
        among=gp.candidates(depths=(1,)),
        relevance=None,
        progress=lambda done, total: calls.append((done, total)),
    )
    mean, std = learned.predict(x[:7])
    assert (mean.shape, std.shape) == ((7, 2), (7,))
    assert calls[-1] == (8, 8)


REFUSED = {
    "rows": (lambda: gp.Relevance(rows=0), "rows is 0"),
    "criterion": (lambda: gp.learn(np.ones((3, 1)), np.ones(3), criterion="evidence"), "criterion is 'evidence'"),
    "variance": (lambda: ScaledOutputs(wl.NTK(gp.dense_network(1, wl.Erf(), 1, 1)), -1.0), "variance is -1.0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_with_a_sentence(name):
    call, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()
