"""Feature maps: one table, and what each of them keeps: the kernel in the mean, the exact solution, every ridge."""

import jax
import numpy as np
import pytest

import widelimit as wl
from widelimit import arch, features
from widelimit.features import (
    Evidence,
    GeneralizedCrossValidation,
    GradientFeatures,
    KMeans,
    LeaveOneOut,
    NystromFeatures,
    OutputFeatures,
    Pivots,
    RandomFeatures,
    RidgeLeverage,
    Uniform,
)

RELU = wl.serial(wl.Dense(64, 2**0.5, 0.3), wl.Relu(), wl.Dense(64, 2**0.5, 0.3), wl.Relu(), wl.Dense(1, 1.0, 0.1))
SHALLOW = wl.serial(wl.Dense(64, 1.3, 0.3), wl.Relu(), wl.Dense(1))
ERF = wl.serial(wl.Dense(64, 1.5, 0.2), wl.Erf(), wl.Dense(1))
RESIDUAL = wl.serial(wl.Dense(64), wl.residual(wl.Relu(), wl.Dense(64)), wl.Relu(), wl.Dense(1))
POOLED = wl.serial(wl.Conv(16, (3, 3), weight_std=1.4, bias_std=0.2), wl.Relu(), wl.GlobalAvgPool(), wl.Dense(1))
DEEPER = wl.serial(
    wl.Conv(16, (3, 3), weight_std=1.4, padding=arch.Zeros()),
    wl.Relu(),
    wl.AvgPool((2, 2), strides=(2, 2)),
    wl.Conv(16, (2, 2), weight_std=1.4, bias_std=0.1, padding=arch.Circular()),
    wl.Relu(),
    wl.Flatten(),
    wl.Dense(1),
)
NORMED = wl.serial(wl.Dense(4), wl.LayerNorm(), wl.Relu(), wl.Dense(1))
VECTORS, IMAGES = (5,), (4, 4, 2)
RANDOM = {
    "relu": (RELU, VECTORS, True),
    "relu nngp": (RELU, VECTORS, False),
    "shallow": (SHALLOW, VECTORS, True),
    "erf": (ERF, VECTORS, True),
    "residual": (RESIDUAL, VECTORS, True),
    "conv, pooled": (POOLED, IMAGES, True),
    "conv, flattened": (DEEPER, IMAGES, True),
    "conv, flattened, nngp": (DEEPER, IMAGES, False),
}


def inputs(shape, n=6, seed=0):
    """Return inputs."""
    return np.random.default_rng(seed).standard_normal((n, *shape))


def gram_of(feature_map, x):
    """Return the products of the features of some inputs."""
    phi = features.features(feature_map, feature_map.init(x), x)
    return phi @ phi.T


SLOW = {"residual", "conv, flattened", "conv, flattened, nngp"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in RANDOM])
def test_products_of_random_features_have_the_kernel_as_their_mean(name):
    net, shape, ntk = RANDOM[name]
    x = inputs(shape)
    expected = (wl.NTK if ntk else wl.NNGP)(net)(x)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))

    def draws(width, count):
        return np.stack([gram_of(RandomFeatures(net, width, ntk=ntk, seed=s), x) / scale for s in range(count)])

    few, many = draws(32, 16), draws(512, 4)
    mean, error = few.mean(0), few.std(0, ddof=1) / len(few) ** 0.5
    # Behind the second activation there is an error of order 1/width beside the standard error.
    assert np.all(np.abs(mean - expected / scale) < 4.5 * error + 1 / 32)
    spread = np.sqrt(np.mean((few - expected / scale) ** 2)), np.sqrt(np.mean((many - expected / scale) ** 2))
    # Sixteen times the width: a quarter of the error.
    assert 2.4 < spread[0] / spread[1] < 7
    assert spread[1] < 0.08


def test_behind_one_activation_the_mean_is_exact():
    x = inputs(VECTORS, 4)
    expected = wl.NTK(SHALLOW)(x)
    draws = np.stack([gram_of(RandomFeatures(SHALLOW, 16, seed=s), x) for s in range(300)])
    error = draws.std(0, ddof=1) / len(draws) ** 0.5
    assert np.all(np.abs(draws.mean(0) - expected) < 4.5 * error)
    assert error.max() < 0.03 * expected.max()


def test_orthogonal_directions_have_a_smaller_error_than_independent_ones(monkeypatch):
    from widelimit.features import _random

    x = inputs((32,))
    expected = wl.NNGP(SHALLOW)(x)

    def error():
        draws = [gram_of(RandomFeatures(SHALLOW, 64, ntk=False, seed=s), x) - expected for s in range(20)]
        return np.sqrt(np.mean(np.square(draws)))

    orthogonal = error()
    monkeypatch.setattr(_random, "orthogonal", lambda rng, size, count: rng.standard_normal((size, count)))
    assert orthogonal < 0.9 * error()


@pytest.mark.parametrize("kind", ["outputs", "gradients"])
def test_features_of_finite_networks_have_their_kernel_as_their_mean(kind):
    x, key = inputs(VECTORS, 4), jax.random.key(0)
    if kind == "outputs":
        hidden = wl.serial(wl.Dense(256, 1.3, 0.3), wl.Relu())
        expected = wl.NNGP(wl.serial(hidden, wl.Dense(1)))(x)
        maps = [
            OutputFeatures(lambda k: hidden.init(k, VECTORS), hidden.apply, samples, jax.random.fold_in(key, samples))
            for samples in (2, 32)
        ]
    else:
        net = wl.serial(wl.Dense(16), wl.Relu(), wl.Dense(3))
        params, rates = net.init(key, VECTORS), 2.0
        kernel = wl.EmpiricalNTK(net.apply, params, learning_rates=rates)
        expected = kernel(x)
        maps = [
            GradientFeatures(lambda _: params, net.apply, count, key, learning_rates=rates) for count in (512, 8192)
        ]
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    few, many = (np.abs(gram_of(m, x) - expected) / scale for m in maps)
    assert many.max() < 0.06
    assert np.sqrt(np.mean(many**2)) < 0.6 * np.sqrt(np.mean(few**2))


def test_gradient_features_of_many_networks_tend_to_the_limit():
    x = inputs(VECTORS, 4)
    net = wl.serial(wl.Dense(64, 1.3, 0.3), wl.Relu(), wl.Dense(1))
    feature_map = GradientFeatures(lambda k: net.init(k, VECTORS), net.apply, 4096, jax.random.key(1), networks=16)
    expected = wl.NTK(net)(x)
    np.testing.assert_allclose(gram_of(feature_map, x), expected, atol=0.12 * expected.max())


def data(n=60, seed=0, kind=np.float64):
    """Return inputs and two noisy targets."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 5))
    y = np.stack([np.sin(x[:, 0] * x[:, 1]), x[:, 2]], 1) + 0.1 * rng.standard_normal((n, 2))
    return x.astype(kind), y.astype(kind)


LANDMARKS = {
    "uniform": Uniform(25),
    "k-means": KMeans(25),
    "pivots": Pivots(25),
    "leverage": RidgeLeverage(25),
}


@pytest.mark.parametrize("noisy", [False, True])
def test_nystrom_with_all_inputs_is_the_exact_regression(noisy):
    x, y = data()
    kernel, ridge = wl.NTK(RELU), 0.05
    noise = np.random.default_rng(1).uniform(0.5, 3, len(x)) if noisy else None
    fit = features.regress(NystromFeatures(kernel, Uniform(100)), x, y, ridges=[ridge], noise=noise, chunk=16)
    k, test = kernel(x), data(20, 1)[0]
    full = k + ridge * np.diag(np.ones(len(x)) if noise is None else noise)
    cross = kernel(test, x)
    expected = cross @ np.linalg.solve(full, y)
    np.testing.assert_allclose(fit.mean(test), expected, atol=1e-8)
    mean, std = fit.marginals(test, chunk=7)
    np.testing.assert_allclose(mean, expected, atol=1e-8)
    scale = np.sum(y * np.linalg.solve(full, y)) / y.size
    variance = scale * (kernel.diagonal(test) - np.sum(cross.T * np.linalg.solve(full, cross.T), 0))
    np.testing.assert_allclose(std**2, variance, rtol=1e-6)
    evidence = -0.5 * (y.size * (np.log(2 * np.pi * scale) + 1) + 2 * np.linalg.slogdet(full)[1])
    np.testing.assert_allclose(fit.path.evidence, evidence, rtol=1e-9)
    np.testing.assert_allclose(fit.path.scale, scale, rtol=1e-9)
    assert fit.noise == pytest.approx(scale * ridge)


MAPS = {
    **{f"nystrom, {name}": NystromFeatures(wl.NTK(RELU), landmarks) for name, landmarks in LANDMARKS.items()},
    "random": RandomFeatures(RELU, 24),
    "gradients": GradientFeatures(lambda k: SHALLOW.init(k, VECTORS), SHALLOW.apply, 32, jax.random.key(0)),
    "outputs": OutputFeatures(lambda k: SHALLOW.init(k, VECTORS), SHALLOW.apply, 16, jax.random.key(0)),
}


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_sums_over_chunks_are_regression_on_the_features(name, kind):
    x, y = data(kind=kind)
    feature_map, ridges = MAPS[name], np.geomspace(1e-2, 10, 4)
    fit = features.regress(feature_map, x, y, ridges=ridges, chunk=17)
    phi = features.features(feature_map, fit.state, x).astype(np.float64)
    exact = 1e-9 if kind == np.float64 else 2e-3
    k, o = phi @ phi.T, y.astype(np.float64)
    for i, ridge in enumerate(ridges):
        full = k + ridge * np.eye(len(x))
        hat = k @ np.linalg.inv(full)
        scale = np.sum(o * np.linalg.solve(full, o)) / o.size
        evidence = -0.5 * (o.size * (np.log(2 * np.pi * scale) + 1) + 2 * np.linalg.slogdet(full)[1])
        np.testing.assert_allclose(fit.path.evidence[i], evidence, rtol=exact, atol=exact)
        np.testing.assert_allclose(fit.path.degrees[i], np.trace(hat), rtol=exact)
        gcv = np.mean((o - hat @ o) ** 2) / (1 - np.trace(hat) / len(x)) ** 2
        np.testing.assert_allclose(fit.path.validation[i], gcv, rtol=exact)
    assert fit.ridge == ridges[np.argmax(fit.path.evidence)]
    expected = k @ np.linalg.solve(k + fit.ridge * np.eye(len(x)), o)
    np.testing.assert_allclose(fit.mean(x), expected, atol=10 * exact)
    assert fit.mean(x).dtype == kind
    assert np.isfinite(fit.marginals(x)[1]).all()


def test_leave_one_out_is_what_leaving_out_gives():
    x, y = data(40)
    noise = np.random.default_rng(1).uniform(0.5, 3, len(x))
    ridges = np.array([0.1, 1.0])
    feature_map = RandomFeatures(SHALLOW, 10)
    fit = features.regress(feature_map, x, y, ridges=ridges, noise=noise, criterion=LeaveOneOut(), chunk=13)
    phi = features.features(feature_map, fit.state, x)
    for ridge, score in zip(ridges, fit.scores, strict=True):
        total = 0.0
        for i in range(len(x)):
            rest = np.arange(len(x)) != i
            weighted = phi[rest] / noise[rest, None]
            w = np.linalg.solve(weighted.T @ phi[rest] + ridge * np.eye(phi.shape[1]), weighted.T @ y[rest])
            total += np.sum((y[i] - phi[i] @ w) ** 2) / noise[i]
        assert score == pytest.approx(total / y.size, rel=1e-9)


@pytest.mark.parametrize("noisy", [False, True])
def test_left_out_predictions_are_those_of_a_fit_without_the_row(noisy):
    x, y = data(30)
    noise = np.random.default_rng(1).uniform(0.5, 3, len(x)) if noisy else None
    own = np.ones(len(x)) if noise is None else noise
    feature_map = NystromFeatures(wl.NTK(RELU), Uniform(8))
    fit = features.regress(feature_map, x, y, ridges=[0.3], noise=noise)
    mean, std = fit.left_out(x, y, noise=noise, chunk=7)
    assert mean.shape == y.shape
    assert std.shape == (len(x),)
    phi = features.features(feature_map, fit.state, x)
    prior = np.asarray(wl.NTK(RELU)(x)).diagonal()
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        weighted = phi[rest] / own[rest, None]
        inverse = np.linalg.inv(weighted.T @ phi[rest] + 0.3 * np.eye(phi.shape[1]))
        np.testing.assert_allclose(mean[i], phi[i] @ inverse @ weighted.T @ y[rest], atol=1e-9)
        missed = prior[i] - phi[i] @ phi[i]
        variance = fit.scale * (0.3 * phi[i] @ inverse @ phi[i] + 0.3 * own[i] + missed)
        assert std[i] ** 2 == pytest.approx(variance, rel=1e-6)
    np.testing.assert_array_equal(features.regress(feature_map, x, y[:, 0]).left_out(x, y[:, 0])[0].shape, (len(x),))
    with pytest.raises(ValueError, match="y has 1 targets a row; expected 2"):
        fit.left_out(x, y[:, :1])
    tight = features.regress(NystromFeatures(wl.NTK(RELU), Uniform(30)), x, y, ridges=[1e-15])
    with pytest.raises(ValueError, match="Increase the ridge"):
        tight.left_out(x, y)


@pytest.mark.parametrize("name", LANDMARKS)
def test_landmarks_are_inputs_or_their_centres_and_the_same_each_time(name):
    x, kernel = data(200)[0], wl.NTK(RELU)
    first, again = (LANDMARKS[name].choose(kernel, x) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (25, 5)
    assert len(np.unique(first, axis=0)) == 25
    if name != "k-means":
        assert all((row == x).all(1).any() for row in first)
    few = LANDMARKS[name].choose(kernel, x[:10])
    np.testing.assert_array_equal(few, x[:10])


def test_chosen_landmarks_miss_less_of_a_kernel_than_uniform_ones():
    """A tenth of the inputs is far from all others: uniform landmarks hardly see it."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 5)) * np.where(np.arange(400) % 20 == 0, 6.0, 0.3)[:, None]
    kernel = wl.NTK(RELU)

    def missed(landmarks):
        phi_map = NystromFeatures(kernel, landmarks)
        phi = features.features(phi_map, phi_map.init(x), x)
        return float(np.sum(kernel.diagonal(x) - (phi**2).sum(1)))

    uniform = np.mean([missed(Uniform(25, seed)) for seed in range(4)])
    for kind in (Pivots, RidgeLeverage, KMeans):
        assert np.mean([missed(kind(25, seed)) for seed in range(2)]) < 0.8 * uniform


def test_more_landmarks_are_better_and_features_in_float32_lose_little():
    x, y = data(600)
    test, truth = data(200, 1)
    errors = []
    for count in (10, 60, 300):
        fit = features.regress(NystromFeatures(wl.NTK(RELU), Pivots(count)), x, y)
        single = features.regress(NystromFeatures(wl.NTK(RELU), Pivots(count)), *(a.astype(np.float32) for a in (x, y)))
        np.testing.assert_allclose(single.mean(test.astype(np.float32)), fit.mean(test), atol=0.02)
        errors.append(np.mean((fit.mean(test) - truth) ** 2))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.1
    assert 0.3 < fit.noise / 0.01 < 3


def test_criteria_agree_on_plain_data_and_borders_are_told():
    x, y = data(300)
    found = [
        features.regress(RandomFeatures(RELU, 40), x, y, criterion=c)
        for c in (Evidence(), GeneralizedCrossValidation(), LeaveOneOut())
    ]
    ridges = np.array([fit.ridge for fit in found])
    assert ridges.max() / ridges.min() < 10
    assert not found[0].at_border
    assert features.regress(RandomFeatures(RELU, 40), x, y, ridges=[1e-9, 2e-9]).at_border


REFUSED = [
    (lambda x, y: features.regress("nystrom", x, y), "feature_map is 'nystrom'"),
    (lambda x, y: features.regress(RandomFeatures(RELU, 8), x, y[:5]), r"y has shape \(5, 2\)"),
    (lambda x, y: features.regress(RandomFeatures(RELU, 8), x * np.nan, y), "x.*is nan"),
    (lambda x, y: features.regress(RandomFeatures(RELU, 8), x, y, ridges=[-1.0]), "ridges is"),
    (lambda x, y: features.regress(RandomFeatures(RELU, 8), x, y, noise=np.zeros(len(x))), "noise has shape"),
    (lambda x, y: features.regress(RandomFeatures(RELU, 8), x, y, criterion="loo"), "criterion is 'loo'"),
    (lambda x, y: features.regress(RandomFeatures(RELU, 8), x, y).mean(x[:, :3]), r"expected \(5,\), as in training"),
    (lambda x, y: features.regress(RandomFeatures(RELU, 8), x.astype(np.float32) * 1e30, y), "not finite"),
    (lambda x, y: RandomFeatures(RELU, 0), "width is 0"),
    (
        lambda x, y: RandomFeatures(wl.serial(wl.Dense(4), wl.LayerNorm(), wl.Relu(), wl.Dense(1)), 8).init(x),
        "is a norm",
    ),
    (lambda x, y: NystromFeatures(RELU), "kernel is of type"),
    (lambda x, y: NystromFeatures(wl.NTK(RELU), 100), "landmarks is of type int"),
    (lambda x, y: NystromFeatures(wl.NTK(RELU), cutoff=2.0), "cutoff is 2.0"),
    (lambda x, y: NystromFeatures(wl.NTK(wl.serial(wl.Dense(3), wl.Relu(), wl.Dense(1)))).init(0 * x), "vanishes"),
    (lambda x, y: Uniform(0), "count is 0"),
    (lambda x, y: GradientFeatures(len, len, 10, None, networks=3), "multiple of networks"),
    (lambda x, y: OutputFeatures(None, len, 10, None), "init_params is None"),
]


@pytest.mark.parametrize(("call", "match"), REFUSED, ids=range(len(REFUSED)))
def test_refusals_are_sentences(call, match):
    with pytest.raises(ValueError, match=match):
        call(*data())


def test_input_scales_tell_which_inputs_matter():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 4)) * np.array([1.0, 2.0, 1.0, 0.0])
    scales = features.input_scales(lambda z: np.stack([3 * z[:, 0] + 1, z[:, 1]], 1), x)
    # Of a linear function: in proportion to its slopes, and the sum of variances is kept.
    np.testing.assert_allclose(scales[1:] / scales[0], [1 / 3, 0, 0], rtol=1e-9)
    np.testing.assert_allclose(np.sum(scales**2 * x.var(0)), np.sum(x.var(0)), rtol=1e-9)
    with pytest.raises(ValueError, match="constant"):
        features.input_scales(lambda z: np.ones(len(z)), x)
    with pytest.raises(ValueError, match="without space"):
        features.input_scales(len, x[:, :, None])
