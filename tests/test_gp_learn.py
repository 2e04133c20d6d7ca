"""Regression that chooses for itself: better than its candidates, and honest about its errors."""

import numpy as np
import pytest
import scipy.stats

import widelimit as wl
from widelimit import gp
from widelimit.gp._choice import SHUFFLE
from widelimit.gp._relevance import rounding
from widelimit.kernels import ScaledInputs, ScaledOutputs

QUICK = gp.Relevance(steps=30)


def noisy(n, d=5, noise=0.3, seed=11):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    truth = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2]
    return x, 4 + truth + noise * rng.standard_normal(n), 4 + truth


@pytest.fixture(scope="module")
def fitted():
    x, y, _ = noisy(150)
    return x, y, gp.learn(x, y, among=gp.candidates(depths=(1, 2)), relevance=QUICK)


def test_relevance_improves_evidence_and_prediction(fitted):
    x, y, learned = fitted
    plain = gp.learn(x, y, among=gp.candidates(depths=(1, 2)), relevance=None)
    assert learned.refinement.found.value > plain.choice.best.evidence
    assert plain.refinement is None
    x_new, _, truth = noisy(300, seed=12)
    error, before = (np.mean((one.predict(x_new)[0] - truth) ** 2) for one in (learned, plain))
    assert error < 0.7 * before < np.var(truth)
    scales = learned.refinement.found.kernel.kernel.scales
    assert scales[:3].min() > 2 * scales[3:].max()


def test_one_feature_of_many_is_found_where_all_together_look_like_noise():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((120, 20))
    y = np.sin(2 * x[:, 0]) + 0.1 * rng.standard_normal(120)
    y -= y.mean()
    best = gp.choose(gp.candidates(depths=(2,)), x, y).best
    assert best.noise > np.var(y) / 2
    refinement = gp.refine(best, x, y, QUICK)
    assert refinement.best.density > refinement.tried[0].density + 0.5
    scales = refinement.found.kernel.kernel.scales
    assert scales[0] > 3 * scales[1:].max()


def test_scales_are_not_learnt_from_noise():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 12)), rng.standard_normal(30)
    learned = gp.learn(x, y, among=gp.candidates(depths=(1,)), relevance=QUICK)
    best = learned.choice.best
    assert learned.refinement.found is None
    assert learned.posterior.kernel.kernel == ScaledOutputs(best.kernel, best.scale)
    start = ScaledOutputs(ScaledInputs(best.kernel, np.ones(12)), best.scale)
    # Evidence alone would have taken them.
    assert gp.maximize(start, x, y - y.mean(), noise=best.noise).value > best.evidence + 1


def test_refinement_is_judged_on_rows_that_the_search_did_not_see():
    x, y, _ = noisy(40)
    y = y - y.mean()
    best = gp.choose(gp.candidates(depths=(1,)), x, y).best
    rest, fold = (np.sort(part) for part in np.split(np.random.default_rng(SHUFFLE).permutation(40), 2))
    parts = []
    for seen, left in ((fold, rest), (rest, fold)):
        start = ScaledOutputs(ScaledInputs(best.kernel, np.ones(5)), best.scale)
        found = gp.maximize(start, x[seen], y[seen], noise=best.noise, held={"scales": 0.5}, steps=9)
        mean, std = gp.posterior(found.kernel, x[seen], y[seen], noise=found.noise).marginals(x[left])
        parts.append(((y[left] - mean) ** 2, std**2 + found.noise))
    squares, variances = (np.concatenate(part) for part in zip(*parts, strict=True))
    inflation = np.mean(squares / variances)
    density = scipy.stats.norm.logpdf(squares**0.5, scale=(inflation * variances) ** 0.5).mean()
    tried = gp.refine(best, x, y, gp.Relevance(spreads=(0.5,), folds=2, steps=9)).tried
    assert [one.spread for one in tried] == [0, 0.5]
    np.testing.assert_allclose([tried[1].density, tried[1].inflation], [density, inflation], rtol=1e-8)


@pytest.mark.parametrize(
    ("y", "step"),
    [
        (np.repeat([1.0, 1.5, 2.5, 4.0], 3)[:, None], 0.5),
        (np.round(np.linspace(0, 7, 500) ** 1.5, 1)[:, None], 0.1),
        (np.stack([np.arange(60.0), np.arange(60.0) / 4], 1), 0.25),
        (np.zeros((5, 1)), 0.0),
    ],
)
def test_rounding_is_the_variance_between_multiples_of_the_step(y, step):
    assert rounding(y) == pytest.approx(step**2 / 12)


def test_targets_that_are_not_rounded_have_next_to_none():
    assert rounding(np.random.default_rng(0).standard_normal((300, 1))) < 1e-6


def test_noise_is_that_of_rounding_at_least():
    """Equal rows with equal targets say that there is no noise, until a new row says otherwise."""
    rng = np.random.default_rng(2)
    x = np.repeat(rng.standard_normal((40, 2)), 2, 0)
    y = np.round(np.sin(2 * x[:, 0]) * 3, 1)
    least = 0.1**2 / 12
    learned = gp.learn(x, y, among=gp.candidates(depths=(1,)), relevance=QUICK)
    assert learned.posterior.noise >= least * (1 - 1e-9)
    mean, std = learned.predict(x[::2])
    assert (np.abs(mean - (y[::2] + 0.1)) < 6 * std).all()
    plain = gp.learn(x, y, among=gp.candidates(depths=(1,)), relevance=None)
    assert plain.choice.best.noise < least
    assert plain.posterior.noise == pytest.approx(least)


def test_intervals_cover_new_observations():
    covered = []
    for seed in range(4):
        x, y, _ = noisy(120, seed=seed)
        learned = gp.learn(x, y, among=gp.candidates(depths=(1,)), relevance=QUICK)
        x_new, y_new, _ = noisy(2000, seed=seed + 100)
        mean, std = learned.predict(x_new)
        covered.append(np.mean(np.abs(y_new - mean) < 1.96 * std))
    # 120 rows tell their variance to 13 percent: one fit covers 95 percent within four points, four fits within two.
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)


def test_left_out_targets_vary_as_predicted():
    x, y, _ = noisy(60)
    learned = gp.learn(x, y, among=gp.candidates(depths=(1,)), relevance=None)
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


def best():
    return gp.choose(gp.candidates(depths=(1,)), np.eye(3), np.arange(3.0) - 1).best


REFUSED = {
    "rows": (lambda: gp.Relevance(rows=0), "rows is 0"),
    "folds": (lambda: gp.Relevance(folds=1), "folds is 1"),
    "spreads": (lambda: gp.Relevance(spreads=(0.3, 0.0)), r"spreads is \(0.3, 0.0\)"),
    "few rows": (lambda: gp.refine(best(), np.ones((5, 2)), np.arange(5.0)), "x has 5 rows; expected at least 6"),
    "lengths": (lambda: gp.refine(best(), np.ones((9, 2)), np.ones(8)), "y has"),
    "constant": (lambda: gp.refine(best(), np.ones((9, 2)), np.ones(9)), "y is constant"),
    "constant, learnt": (lambda: gp.learn(np.eye(9), np.full((9, 2), 3.0)), "y is constant"),
    "held": (
        lambda: gp.maximize(best().kernel, np.eye(3), np.ones(3), noise=0.1, held={"noise": 1.0}),
        "held has 'noise'",
    ),
    "least noise": (
        lambda: gp.maximize(best().kernel, np.eye(3), np.ones(3), noise=0.1, least_noise=0.2),
        "least_noise is 0.2; expected a number from zero to noise, 0.1",
    ),
    "criterion": (lambda: gp.learn(np.ones((3, 1)), np.ones(3), criterion="evidence"), "criterion is 'evidence'"),
    "variance": (lambda: ScaledOutputs(wl.NTK(gp.dense_network(1, wl.Erf(), 1, 1)), -1.0), "variance is -1.0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_with_a_sentence(name):
    call, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()
