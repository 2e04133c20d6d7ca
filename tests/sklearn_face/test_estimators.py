"""The estimators: scikit-learn's own checks, and what they do beyond them."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, WhiteKernel
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import widelimit as wl
from widelimit import gp
from widelimit.sklearn import SVM, NNGPClassifier, NNGPKernel, NNGPRegressor, NTKClassifier, NTKKernel, NTKRegressor

RNG = np.random.default_rng(0)
X, X_TEST = RNG.standard_normal((30, 3)), RNG.standard_normal((8, 3))
Y = np.sin(2 * X[:, 0]) + 0.1 * RNG.standard_normal(30)
LABELS = np.where(X[:, 0] + 0.3 * RNG.standard_normal(30) > 0.5, "high", np.where(X[:, 1] > 0, "mid", "low"))
REGRESSORS = {"ntk": NTKRegressor, "nngp": NNGPRegressor}
CLASSIFIERS = {"ntk": NTKClassifier, "nngp": NNGPClassifier}
MACHINES = {"one-vs-all": gp.OneVsAll(), "softmax": gp.SoftmaxLoss((0.1, 1.0), folds=3), "svm": SVM((1.0,), folds=3)}
CALIBRATIONS = {"temperature": gp.Temperature(), "dirichlet": gp.Dirichlet()}


@pytest.mark.slow
@parametrize_with_checks(
    [
        NTKRegressor(),
        NNGPRegressor(depth=1, activation=wl.Erf()),
        NTKClassifier(),
        NNGPClassifier(depth=1, calibration=gp.Dirichlet()),
    ]
)
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


# The checks that found something while this was written, and the ones about shapes: the quick part of the above.
QUICK = (
    "check_estimators_unfitted",
    "check_fit2d_1sample",
    "check_n_features_in",
    "check_parameters_default_constructible",
)


@parametrize_with_checks([NTKRegressor(), NNGPClassifier(depth=1, activation=wl.Erf())])
def test_a_few_of_the_checks(estimator, check):
    if check.func.__name__ in QUICK:
        check(estimator)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_regressors_have_the_numbers_of_the_regression(kind):
    net = wl.serial(wl.Dense(1, 1.3, 0.2), wl.Erf(), wl.Dense(1, 1.3, 0.2))
    kernel = {"ntk": wl.NTK, "nngp": wl.NNGP}[kind](net)
    model = gp.kernel_regression(kernel, X, Y)
    found = REGRESSORS[kind](depth=1, activation=wl.Erf(), weight_std=1.3, bias_std=0.2).fit(X, Y)
    np.testing.assert_allclose(found.predict(X_TEST), model.mean(X_TEST), rtol=1e-10)
    mean, std = found.predict(X_TEST, return_std=True)
    np.testing.assert_allclose(std, model.marginals(X_TEST)[1], rtol=1e-10)
    covariance = found.predict(X_TEST, return_cov=True)[1]
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), std, rtol=1e-9)
    assert (found.ridge_, found.log_marginal_likelihood_) == (model.ridge, pytest.approx(model.evidence))
    assert found.noise_ == pytest.approx(float(model.noise[0]))
    np.testing.assert_array_equal(found.loo_[0], model.left_out[0][:, 0])
    low, high = found.predict_interval(X_TEST, 0.8)
    assert (low < high).all()
    same = REGRESSORS[kind](net=net).fit(X, Y)
    np.testing.assert_allclose(same.predict(X_TEST), mean, rtol=1e-10)


def test_many_outputs_of_different_units():
    y = np.stack([Y, 1000 + 500 * X[:, 1]], 1)
    found = NTKRegressor(depth=1).fit(X, y)
    mean, std = found.predict(X_TEST, return_std=True)
    assert mean.shape == std.shape == (8, 2)
    assert found.predict(X_TEST, return_cov=True)[1].shape == (8, 8, 2)
    for i in range(2):
        alone = NTKRegressor(depth=1, ridge=found.ridge_).fit(X, y[:, i])
        np.testing.assert_allclose(mean[:, i], alone.predict(X_TEST), rtol=1e-9)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("calibration", CALIBRATIONS)
@pytest.mark.parametrize("labels", ["two", "three"])
def test_machines_and_calibrations(machine, calibration, labels):
    y = LABELS if labels == "three" else LABELS == "high"
    found = NTKClassifier(depth=1, machine=MACHINES[machine], calibration=CALIBRATIONS[calibration]).fit(X, y)
    probability = found.predict_proba(X)
    np.testing.assert_allclose(probability.sum(1), 1)
    np.testing.assert_allclose(np.log(probability), found.predict_log_proba(X), atol=1e-9)
    np.testing.assert_array_equal(found.predict(X), found.classes_[probability.argmax(1)])
    assert found.score(X, y) > 0.8
    assert found.loo_proba_.shape == probability.shape
    chance = -np.mean(
        np.log(np.bincount(np.unique(y, return_inverse=True)[1]) / 30)[np.unique(y, return_inverse=True)[1]]
    )
    held_out = -np.mean(np.log(found.loo_proba_[np.arange(30), np.unique(y, return_inverse=True)[1]]))
    assert held_out < chance


@pytest.mark.slow
@pytest.mark.parametrize("machine", MACHINES)
def test_classifiers_on_iris(machine):
    x, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), NTKClassifier(depth=1, machine=MACHINES[machine]))
    assert cross_val_score(model, x, y, cv=3).mean() > 0.93
    assert -cross_val_score(model, x, y, cv=3, scoring="neg_log_loss").mean() < 0.25


def test_left_out_values_are_those_of_refitted_machines():
    matrix = np.asarray(wl.NTK(wl.serial(wl.Dense(1, 1.4, 0.3), wl.Relu(), wl.Dense(1)))(X))
    codes = np.unique(LABELS, return_inverse=True)[1]
    trained = gp.OneVsAll(0.3).fit(matrix, codes, 3, np.ones(30))
    indicator = (codes[:, None] == np.arange(3)).astype(float)
    prior = indicator.mean(0)
    for i in (0, 11):
        rest = np.delete(np.arange(30), i)
        dual = np.linalg.solve(matrix[np.ix_(rest, rest)] + 0.3 * np.eye(29), indicator[rest] - prior)
        np.testing.assert_allclose(trained.held_out[i], matrix[i, rest] @ dual + prior, rtol=1e-9)


def test_the_softmax_machine_is_where_its_loss_is_smallest():
    matrix = np.asarray(wl.NTK(wl.serial(wl.Dense(1, 1.4, 0.3), wl.Relu(), wl.Dense(1)))(X))
    codes = np.unique(LABELS, return_inverse=True)[1]
    trained = gp.SoftmaxLoss((0.3,), folds=3).fit(matrix, codes, 3, np.ones(30))
    logits = trained.decision(matrix)
    rest = np.exp(logits - np.logaddexp.reduce(logits, 1)[:, None]) - (codes[:, None] == np.arange(3))
    # Stationary: the dual of the penalised loss is minus its slope over the penalty, and the biases' slope is zero.
    unit = matrix.diagonal().mean()
    np.testing.assert_allclose(trained.dual * unit, -rest / 0.3, atol=2e-3)
    np.testing.assert_allclose(rest.sum(0), 0, atol=2e-3)


def test_a_temperature_is_where_the_likelihood_is_largest():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((4000, 3))
    codes = np.array([rng.choice(3, p=np.exp(2.5 * row) / np.exp(2.5 * row).sum()) for row in logits])
    for calibration in CALIBRATIONS.values():
        found = calibration.fit(logits, codes, np.ones(4000))
        np.testing.assert_allclose(
            found.matrix.diagonal().mean() - found.matrix[~np.eye(3, dtype=bool)].mean(), 2.5, rtol=0.06
        )


def test_pipeline_search_and_clone():
    model = make_pipeline(StandardScaler(), NTKRegressor(depth=1))
    search = GridSearchCV(model, {"ntkregressor__depth": [1, 2], "ntkregressor__ridge": [None, 1.0]}, cv=3).fit(X, Y)
    assert set(search.best_params_) == {"ntkregressor__depth", "ntkregressor__ridge"}
    copy = clone(NTKClassifier(depth=2, machine=gp.OneVsAll(0.5), activation=wl.Erf()))
    expected = {"depth": 2, "machine": gp.OneVsAll(0.5), "activation": wl.Erf()}
    assert {key: copy.get_params()[key] for key in expected} == expected


def test_names_of_features_are_kept_and_checked():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    found = NTKRegressor(depth=1).fit(frame, Y)
    assert found.feature_names_in_.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(found.predict(frame), NTKRegressor(depth=1).fit(X, Y).predict(X))
    with pytest.raises(ValueError, match="feature names"):
        found.predict(frame.rename(columns={"a": "z"}))


KERNELS = {"ntk": NTKKernel(depth=2), "nngp": NNGPKernel(depth=1, activation=wl.Erf(), bias_std=0.5)}


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_a_kernel_has_the_slopes_of_finite_differences(kernel):
    _, slopes = kernel(X[:5], eval_gradient=True)
    assert slopes.shape == (5, 5, 2)
    for i in range(2):
        up, down = (kernel.clone_with_theta(kernel.theta + sign * 1e-6 * (np.arange(2) == i)) for sign in (1, -1))
        np.testing.assert_allclose(slopes[..., i], (up(X[:5]) - down(X[:5])) / 2e-6, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(kernel.diag(X), np.diag(kernel(X)), rtol=1e-12)
    np.testing.assert_allclose(kernel(X[:5], X), kernel(X)[:5], rtol=1e-10)
    np.testing.assert_allclose(kernel.theta, np.log([kernel.bias_std, kernel.weight_std]))
    assert not kernel.is_stationary()
    assert clone(kernel) == kernel
    fixed = type(kernel)(weight_std_bounds="fixed")
    assert fixed(X[:5], eval_gradient=True)[1].shape == (5, 5, 1)
    with pytest.raises(ValueError, match="Y is given"):
        kernel(X, X, eval_gradient=True)


def test_a_kernel_in_a_gaussian_process_of_scikit_learn():
    kernel = ConstantKernel(1.0) * NNGPKernel(depth=1, activation=wl.Erf()) + WhiteKernel(0.1)
    start = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True).fit(X, Y)
    found = GaussianProcessRegressor(kernel, normalize_y=True).fit(X, Y)
    assert found.log_marginal_likelihood_value_ > start.log_marginal_likelihood_value_ + 1
    mean, std = found.predict(X_TEST, return_std=True)
    assert np.isfinite(mean).all()
    assert (std > 0).all()


BAD = {
    "nan": (np.where(X > 2, np.nan, X), Y, "contains NaN"),
    "inf": (np.where(X > 1, np.inf, X), Y, "contains infinity"),
    "one axis": (X[:, 0], Y, "Expected 2D array"),
    "rows differ": (X, Y[:3], "inconsistent numbers of samples"),
    "strings": (np.full((30, 3), "a"), Y, "could not convert string to float"),
    "empty": (np.zeros((0, 3)), np.zeros(0), "0 sample"),
    "no features": (np.zeros((30, 0)), Y, "0 feature"),
    "one row": (X[:1], Y[:1], "1 sample"),
    "target nan": (X, np.where(Y > 0.5, np.nan, Y), "contains NaN"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("kind", [NTKRegressor, NTKClassifier], ids=lambda kind: kind.__name__)
def test_bad_input_is_a_sentence(case, kind):
    x, y, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        kind(depth=1).fit(x, y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 0}, "depth is 0"),
        ({"weight_std": -1.0}, "weight_std is -1"),
        ({"activation": "relu"}, "activation is 'relu'"),
        ({"net": "dense"}, "net is 'dense'"),
        ({"ridge": -0.1}, "ridge is -0.1"),
    ],
)
def test_bad_parameters_are_a_sentence_when_it_is_fitted(change, message):
    with pytest.raises(ValueError, match=message):
        NTKRegressor(**change).fit(X, Y)


def test_other_bad_input():
    with pytest.raises(ValueError, match="1 class"):
        NTKClassifier().fit(X, np.zeros(30))
    with pytest.raises(ValueError, match="Unknown label type"):
        NTKClassifier().fit(X, Y)
    with pytest.raises(ValueError, match="machine is 'svm'"):
        NTKClassifier(machine="svm").fit(X, LABELS)
    with pytest.raises(ValueError, match="4 features, but NTKRegressor is expecting 3"):
        NTKRegressor(depth=1).fit(X, Y).predict(np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        NTKRegressor(depth=1).fit(X, Y, sample_weight=-np.ones(30))


def test_documented_behaviour_of_odd_tables():
    """More columns than rows and duplicated rows are no error: the ridge takes what they leave open."""
    wide = RNG.standard_normal((10, 40))
    assert np.isfinite(NTKRegressor(depth=1).fit(wide, Y[:10]).predict(wide)).all()
    twice, y_twice = np.concatenate([X, X]), np.concatenate([Y, Y + 0.2 * RNG.standard_normal(30)])
    mean, std = NTKRegressor(depth=1).fit(twice, y_twice).predict(X, return_std=True)
    assert np.sqrt(np.mean((mean - (y_twice[:30] + y_twice[30:]) / 2) ** 2)) < 0.2
    assert (std > 0.05).all()


def test_real_data_are_predicted_with_honest_uncertainty():
    x, y = load_diabetes(return_X_y=True)
    model = make_pipeline(StandardScaler(), NTKRegressor(depth=1)).fit(x[:200], y[:200])
    mean, std = model.predict(x[200:], return_std=True)
    assert np.sqrt(np.mean((mean - y[200:]) ** 2)) < 60
    assert 0.9 < np.mean(np.abs(mean - y[200:]) < 1.96 * std) < 0.99


def test_a_missing_scikit_learn_is_one_sentence():
    code = "import sys; sys.modules['sklearn'] = None; import widelimit.sklearn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "widelimit.sklearn needs scikit-learn: pip install 'widelimit[sklearn]'" in done.stderr.splitlines()[-1]
