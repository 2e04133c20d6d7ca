"""Model choice: every score against its definition, and the true network among others."""

import numpy as np
import pytest

import widelimit as wl
from widelimit import gp
from widelimit.kernels import ScaledInputs

RNG = np.random.default_rng(3)
X = RNG.standard_normal((40, 4))
NET = gp.dense_network(2, wl.Relu(), 2**0.5, 0.3)
K = wl.NNGP(NET)(X)


def drawn(kernel_matrix, noise, count=3):
    root = np.linalg.cholesky(kernel_matrix + noise * np.eye(len(kernel_matrix)))
    return root @ RNG.standard_normal((len(kernel_matrix), count))


Y = drawn(K, 0.05)
CRITERIA = {
    "evidence": gp.Evidence(),
    "density": gp.LeaveOneOutDensity(),
    "error": gp.LeaveOneOutError(),
    "folds": gp.CrossValidation(4),
}


def score_by_hand(name, matrix, ridge):
    """Return the score of one ridge by refitting."""
    noisy = matrix + ridge * np.eye(40)
    inverse = np.linalg.inv(noisy)
    scale = np.trace(Y.T @ inverse @ Y) / Y.size
    if name == "evidence":
        _, log_det = np.linalg.slogdet(2 * np.pi * scale * noisy)
        return -0.5 * (Y.size + 3 * log_det) / Y.size
    folds = np.array_split(np.random.default_rng(20250101).permutation(40), 4)
    left = folds if name == "folds" else np.arange(40)[:, None]
    total = 0.0
    for fold in left:
        rest = np.setdiff1d(np.arange(40), fold)
        weights = np.linalg.solve(matrix[np.ix_(rest, rest)] + ridge * np.eye(len(rest)), matrix[np.ix_(rest, fold)])
        errors = Y[fold] - weights.T @ Y[rest]
        if name == "density":
            variance = scale * (matrix[fold, fold] + ridge - (matrix[np.ix_(fold, rest)] @ weights)[0, 0])
            total += (-0.5 * (errors**2 / variance + np.log(2 * np.pi * variance))).sum()
        else:
            total -= (errors**2).sum()
    return total / Y.size


@pytest.mark.parametrize("name", CRITERIA)
def test_scores_are_those_of_refitting(name):
    path = gp.ridge_path(K, Y, [0.01, 0.3])
    found = CRITERIA[name].scores(path, K, Y)
    np.testing.assert_allclose(found, [score_by_hand(name, K, ridge) for ridge in path.ridges], rtol=1e-8)


def test_accuracy_counts_left_out_classes_that_are_right():
    classes = np.argmax(Y, 1)
    targets = np.eye(3)[classes] - 1 / 3
    path = gp.ridge_path(K, targets, [0.1])
    left_out = targets - path.residual[0]
    share = (left_out.argmax(1) == classes).mean()
    assert 0 <= share - gp.LeaveOneOutAccuracy().scores(path, K, targets)[0] < 1 / 40
    sign = np.where(Y[:, :1] > 0, 1.0, -1.0)
    path = gp.ridge_path(K, sign, [0.1])
    share = ((sign - path.residual[0] > 0) == (sign > 0)).mean()
    assert 0 <= share - gp.LeaveOneOutAccuracy().scores(path, K, sign)[0] < 1 / 40


def test_the_network_that_made_the_data_is_found():
    x = np.random.default_rng(1).standard_normal((150, 3))
    options = gp.candidates(depths=(1, 4), bias_stds=(0.3,))
    for truth in options:
        matrix = truth.kernel(x)
        choice = gp.choose(options, x, drawn(matrix / matrix.diagonal().mean(), 1e-3, 40))
        assert choice.best.name == truth.name
        assert choice.best.scale * matrix.diagonal().mean() == pytest.approx(1, rel=0.1)
        if truth.name.startswith("NNGP"):
            # The spectrum of an NTK is so flat that 150 rows do not tell its end from noise.
            assert choice.best.ridge / matrix.diagonal().mean() == pytest.approx(1e-3, rel=0.8)
            assert not choice.best.at_border


def test_table_is_sorted_and_its_best_is_the_path_kept():
    calls = []
    choice = gp.choose(gp.candidates(depths=(1, 2)), X, Y, progress=lambda done, total: calls.append((done, total)))
    scores = [row.score for row in choice.table]
    assert scores == sorted(scores, reverse=True)
    assert calls == [(i + 1, 16) for i in range(16)]
    assert choice.path.evidence.max() / Y.size == choice.best.score
    assert str(choice).splitlines()[1].startswith(choice.best.name)


def test_of_many_rows_some_are_compared():
    choice = gp.choose(gp.candidates(depths=(1,)), X, Y, rows=30)
    assert len(choice.rows) == len(set(choice.rows)) == 30
    assert choice.path.values.shape == (30,)


def test_maximize_improves_and_finds_the_relevant_feature():
    x = np.random.default_rng(5).standard_normal((60, 3))
    y = np.sin(2 * x[:, 0])
    kernel = wl.kernels.ScaledInputs(wl.NNGP(gp.dense_network(1, wl.Erf(), 1.0, 0.5)), np.ones(3))
    found = gp.maximize(kernel, x, y, noise=0.1, steps=40)
    assert found.value > found.start + 30
    assert found.kernel.scales[0] > 20 * found.kernel.scales[1:].max()
    there = gp.log_marginal_likelihood(found.kernel, x, y, noise=found.noise)
    assert found.value == pytest.approx(float(there), rel=1e-9)


def test_held_scales_add_their_log_density():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((30, 3))
    y = np.sin(2 * x[:, 0])
    start = ScaledInputs(wl.NNGP(NET), np.ones(3))
    free, held, stiff = (
        gp.maximize(start, x, y, noise=0.1, held={"scales": tau} if tau else {}, steps=40) for tau in (None, 0.5, 1e-4)
    )
    evidence = float(gp.log_marginal_likelihood(held.kernel, x, y, noise=held.noise))
    moved = np.log(held.kernel.scales)
    np.testing.assert_allclose(held.value, evidence - (moved**2).sum() / (2 * 0.5**2), rtol=1e-9)
    assert stiff.value < held.value < free.value
    assert 0.1 < np.abs(moved).max() < np.abs(np.log(free.kernel.scales)).max()
    np.testing.assert_allclose(stiff.kernel.scales, 1, atol=1e-3)


def test_a_steep_score_is_not_left_where_it_starts():
    # The slope is so large that a first step along all of it meets matrices that are not positive definite.
    x = np.linspace(-2, 2, 40)[:, None] * np.array([1.0, 0.5])
    y = x[:, 0] ** 2 - 1
    found = gp.maximize(ScaledInputs(wl.NNGP(NET), np.ones(2)), x, y, noise=1e-8, steps=20)
    assert found.steps > 5
    assert found.value > found.start + 10


def test_maximize_moves_what_is_free_alone():
    kernel = wl.NTK(gp.dense_network(1, wl.LeakyRelu(0.2), 1.2, 0.0))
    found = gp.maximize(kernel, X, Y, noise=0.1, free=("weight_std", "a"), steps=5)
    layers, before = found.kernel.net.layers, kernel.net.layers
    assert layers[0].weight_std != before[0].weight_std
    assert layers[1].dual.a != before[1].dual.a
    assert layers[0].bias_std == 0.0
    assert layers[1].dual.b == before[1].dual.b
    fixed = gp.maximize(kernel, X, Y, noise=0.1, free=(), steps=5)
    assert fixed.kernel.net.layers[0].weight_std == 1.2
    assert fixed.noise != 0.1


REFUSED = {
    "empty": (lambda: gp.choose([], X, Y), "candidates is empty"),
    "depths": (lambda: gp.candidates(depths=(0,)), "depths is 0"),
    "nothing": (lambda: gp.candidates(depths=()), "there is no candidate"),
    "folds": (lambda: gp.CrossValidation(1), "folds is 1"),
    "many folds": (
        lambda: gp.choose(gp.candidates(depths=(1,)), X, Y, criterion=gp.CrossValidation(41)),
        "at most as many",
    ),
    "nan": (lambda: gp.choose(gp.candidates(depths=(1,)), X, Y * np.nan), r"y\[0, 0\] is nan"),
    "noise": (lambda: gp.maximize(wl.NTK(NET), X, Y, noise=0.0), "noise is 0.0"),
    "free": (lambda: gp.maximize(wl.NTK(NET), X, Y, noise=0.1, free=("wieght_std",)), "which the kernel has not"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_with_a_sentence(name):
    call, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()
