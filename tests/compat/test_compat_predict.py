"""predict: what holds whatever the numbers are, on small networks; shapes, times, states, kernels of any kind."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import Both, dense, normal

from widelimit.compat import neural_tangents as nt
from widelimit.compat.neural_tangents import predict

X, XT, Y = normal(0, 4, 8), normal(1, 6, 8), (normal(2, 4, 2) > 0).astype(jnp.float32)
INIT, APPLY, KERNEL = dense(64, 2)
PARAMS = INIT(jax.random.key(3), (-1, 8))[1]
F0, FT0 = APPLY(PARAMS, X), APPLY(PARAMS, XT)
K = KERNEL(X), KERNEL(XT, X), KERNEL(XT)
GETS = ("ntk", "nngp", ("ntk", "nngp"), ("NNGP",), None)


def half_mse(f, y):
    return jnp.mean((f - y) ** 2) / 2


def leaves_close(a, b, **tolerance):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for one, two in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(one, two, **tolerance)


def test_half_the_mean_squared_error_in_closed_form_and_by_the_solver():
    """Also with outputs kept in pairs, where each has a kernel of its own; inside jit, and several times at once."""
    full = nt.empirical_ntk_fn(APPLY, trace_axes=(), vmap_axes=0)
    kernels = full(X, None, PARAMS), full(XT, X, PARAMS)
    assert kernels[0].shape == (4, 4, 2, 2)
    settings = {"learning_rate": 0.02, "trace_axes": ()}
    t = np.array([[[0.0, 30.0, 2.0]], [[1.0, 5.0, 11.0]]])
    closed = predict.gradient_descent_mse(kernels[0], Y, **settings)(t, F0, FT0, kernels[1])
    solved = predict.gradient_descent(half_mse, kernels[0], Y, **settings)(t, F0, FT0, kernels[1])
    assert closed[0].shape == (2, 1, 3, 4, 2)
    assert closed[1].shape == (2, 1, 3, 6, 2)
    assert closed[0].dtype == jnp.float32
    leaves_close(closed, solved, atol=1e-6)
    np.testing.assert_array_equal(closed[0][0, 0, 0], F0)
    compiled = jax.jit(predict.gradient_descent_mse(kernels[0], Y, **settings))
    leaves_close(compiled(t, F0, FT0, kernels[1]), closed, atol=1e-6)
    one = compiled(11.0, F0, FT0, kernels[1])
    leaves_close(one, (closed[0][1, 0, 2], closed[1][1, 0, 2]), atol=1e-6)


def test_the_end_of_training():
    predict_fn = predict.gradient_descent_mse(K[0].ntk, Y)
    np.testing.assert_array_equal(predict_fn(None, F0), Y)
    np.testing.assert_allclose(predict_fn(np.inf, F0), Y, atol=1e-6)
    leaves_close(predict_fn(None, F0, FT0, K[1].ntk), predict_fn(np.inf, F0, FT0, K[1].ntk), atol=1e-5)
    compiled = jax.jit(predict_fn)
    leaves_close(compiled(None, F0, FT0, K[1].ntk), predict_fn(None, F0, FT0, K[1].ntk), atol=1e-5)


def test_a_singular_kernel_has_no_nan():
    """Of two equal inputs with different targets the mean is learned; the peer gives NaN here."""
    k = jnp.ones((2, 2))
    predict_fn = predict.gradient_descent_mse(k, jnp.array([[0.0], [1.0]]))
    for t in (None, np.inf):
        _, test = predict_fn(t, 0.0, 0.0, jnp.ones((1, 2)))
        np.testing.assert_allclose(test, [[0.5]], atol=1e-6)
    np.testing.assert_allclose(predict_fn(np.inf, 0.0), [[0.5], [0.5]], atol=1e-6)


def test_regularisation_is_relative_to_the_diagonal_unless_absolute():
    k, reg = K[0].ntk, 0.3
    absolute = predict.gradient_descent_mse(k, Y, 1.0, reg * jnp.mean(jnp.diagonal(k)), True)
    relative = predict.gradient_descent_mse(k, Y, diag_reg=reg)
    plain = predict.gradient_descent_mse(k + reg * jnp.mean(jnp.diagonal(k)) * jnp.eye(4), Y)
    for t in (None, 3.0):
        leaves_close(relative(t, F0, FT0, K[1].ntk), absolute(t, F0, FT0, K[1].ntk), atol=1e-6)
        leaves_close(relative(t, F0, FT0, K[1].ntk), plain(t, F0, FT0, K[1].ntk), atol=1e-6)


def test_what_is_not_wanted_is_left_out_and_what_is_missing_is_refused():
    for make in (
        lambda: predict.gradient_descent_mse(K[0].ntk, Y),
        lambda: predict.gradient_descent(half_mse, K[0].ntk, Y),
    ):
        predict_fn = make()
        train, test = predict_fn(2.0, 0.0, FT0, K[1].ntk)
        leaves_close(predict_fn(2.0, 0.0), train, atol=1e-6)
        leaves_close(predict_fn(2.0, None, FT0, K[1].ntk), test, atol=1e-6)
        with pytest.raises(ValueError, match="fx_train_0 and fx_test_0 are both None"):
            predict_fn(2.0, None, None)
        with pytest.raises(ValueError, match="without k_test_train"):
            predict_fn(2.0, F0, FT0)
    with pytest.raises(ValueError, match="closed form for squared losses"):
        predict_fn(None, F0)
    with pytest.raises(ValueError, match="momentum is None"):
        predict_fn(1.0, predict.ODEState(F0, None, F0))
    with pytest.raises(ValueError, match="together with an ODEState"):
        predict_fn(1.0, predict.ODEState(F0), FT0, K[1].ntk)


def test_training_with_momentum_can_be_resumed():
    predict_fn = predict.gradient_descent(half_mse, K[0].ntk, Y, learning_rate=0.04, momentum=0.8)
    whole = predict_fn(25.0, predict.ODEState(F0, FT0), None, K[1].ntk)
    middle = predict_fn(10.0, predict.ODEState(F0, FT0), None, K[1].ntk)
    assert middle.qx_test.shape == FT0.shape
    leaves_close(predict_fn(15.0, middle, None, K[1].ntk), whole, atol=2e-6)
    # The velocity is the derivative in units of sqrt(learning_rate) t.
    ends = [predict_fn(t, F0) for t in (9.99, 10.01)]
    np.testing.assert_allclose((ends[1] - ends[0]) / 0.02 / 0.2, middle.qx_train, atol=1e-3)


@pytest.mark.parametrize("trace", [(), (-1,), (-2,), (0, 1), (1, 3), (0, -1), (0, 0, -3), (0, 1, 2, 3)], ids=str)
@pytest.mark.parametrize("t", [None, np.arange(6.0).reshape(2, 3)], ids=["end", "times"])
def test_outputs_and_traces_of_any_axes(trace, t):
    weights, y = normal(0, 2, 3, 4), normal(1, 2, 3, 2, 4)

    def f(params, x):
        return jnp.einsum("nhwc,wcd->nhwd", x, params)

    x, xt = normal(2, 2, 3, 2, 3), normal(3, 2, 3, 2, 3)
    kernel_fn = jax.jit(nt.empirical_kernel_fn(f, trace_axes=trace), static_argnames="get")
    lead, f0, ft0 = np.shape(t), f(weights, x), f(weights, xt)
    one = predict.gradient_descent_mse(kernel_fn(x, None, "ntk", weights), y, 1.0, 0.1, trace_axes=trace)
    train, test = one(t, f0, ft0, kernel_fn(xt, x, "ntk", weights))
    assert train.shape == (*lead, *y.shape) or t is None
    assert test.shape == (*lead, *ft0.shape)
    ensemble = predict.gradient_descent_mse_ensemble(kernel_fn, x, y, 1.0, 0.1, trace_axes=trace, params=weights)
    for inputs in (None, xt):
        out = ensemble(t, inputs, ("ntk", "nngp"), compute_cov=True)
        kernel = kernel_fn(x, None, "nngp", weights)
        for gaussian in out:
            assert gaussian.mean.shape == (*lead, *y.shape)
            assert gaussian.covariance.shape == (*lead, *kernel.shape)
    # With outputs of zero at the start a network is the mean of the ensemble.
    leaves_close(one(t, None, 0.0, kernel_fn(xt, x, "ntk", weights)), out.ntk.mean, atol=1e-5)


def test_ensembles_start_at_the_prior_and_end_at_the_posterior():
    ensemble = predict.gradient_descent_mse_ensemble(KERNEL, X, Y)
    for inputs, get in itertools.product((None, X, XT), GETS):
        end, limit = (ensemble(t, inputs, get, compute_cov=True) for t in (None, np.inf))
        leaves_close(end, limit, atol=1e-5)
    start = ensemble(0.0, XT, ("ntk", "nngp"), compute_cov=True)
    for gaussian in start:
        assert isinstance(gaussian, predict.Gaussian)
        np.testing.assert_array_equal(gaussian.mean, np.zeros((6, 2)))
        np.testing.assert_allclose(gaussian.covariance, K[2].nngp, atol=1e-6)
    assert type(start).__name__ == "Gaussians"
    mean, covariance = ensemble(2.0, XT, "ntk", True)
    assert covariance.shape == (6, 6)
    leaves_close(ensemble(2.0, XT, "ntk"), mean, atol=1e-6)


def test_covariances_are_positive():
    ensemble = predict.gradient_descent_mse_ensemble(KERNEL, X, Y)
    for get, inputs, t in itertools.product(("nngp", "ntk"), (None, XT), (None, np.logspace(-3, 3, 7))):
        covariance = ensemble(t, inputs, get, compute_cov=True).covariance
        np.testing.assert_allclose(covariance, np.swapaxes(covariance, -1, -2), atol=1e-6)
        assert np.linalg.eigvalsh(covariance).min() > -1e-5


def test_one_kernel_for_both_gives_one_posterior():
    """With the NNGP kernel in place of the NTK training of all layers is training of the last one."""

    def always(x1, x2, get):
        k = KERNEL(x1, x2, "nngp")
        return k if isinstance(get, str) else Both(k, k)

    ensemble = predict.gradient_descent_mse_ensemble(always, X, Y, diag_reg=1e-6)
    for inputs, t in itertools.product((None, XT), (None, np.array([0.1, 4.0]))):
        leaves_close(*ensemble(t, inputs, ("nngp", "ntk"), compute_cov=True), atol=1e-5)


def test_gp_inference_is_the_ensemble_at_the_end():
    ensemble = predict.gradient_descent_mse_ensemble(KERNEL, X, Y, diag_reg=1e-3)
    posterior = predict.gp_inference(K[0], Y, diag_reg=1e-3)
    for get in GETS:
        leaves_close(posterior(get, K[1], K[2]), ensemble(None, XT, get, True), atol=1e-6)
        leaves_close(posterior(get, K[1]), ensemble(None, XT, get), atol=1e-6)
        leaves_close(posterior(get, k_test_test=True), ensemble(None, None, get, True), atol=1e-6)
    np.testing.assert_array_equal(posterior("ntk"), Y)
    np.testing.assert_array_equal(posterior("ntk", None, True).covariance, np.zeros((4, 4)))
    as_gp = predict.gp_inference(Both(K[0].ntk, None), Y, diag_reg=1e-3)
    leaves_close(posterior("ntkgp", K[1], K[2]), as_gp("nngp", K[1].ntk, K[2].ntk), atol=1e-6)
    assert predict.gp_inference(Both(None, K[0].ntk), Y)(None, K[1])._fields == ("ntk",)


def test_gp_inference_refuses_kernels_that_do_not_suffice():
    alone = predict.gp_inference(K[0].ntk, Y)
    assert alone("ntk", K[1].ntk).shape == (6, 2)
    with pytest.raises(ValueError, match="needs both kernels"):
        alone("ntk", K[1].ntk, K[2].nngp)
    with pytest.raises(ValueError, match="k_train_train holds no nngp"):
        predict.gp_inference(Both(None, K[0].ntk), Y)("ntk", K[1], K[2])
    with pytest.raises(ValueError, match="k_test_train holds no ntk"):
        predict.gp_inference(K[0], Y)("ntk", Both(K[1].nngp, None))


def test_get_is_checked():
    ensemble = predict.gradient_descent_mse_ensemble(KERNEL, X, Y)
    for get, words in (((), "expected a name"), (("ntk", "NTK"), "different names"), ("ntkgp", "there is no")):
        with pytest.raises(ValueError, match=words):
            ensemble(1.0, XT, get)


def test_keywords_go_to_the_kernels_of_their_inputs():
    seen = []

    def kernel_fn(x1, x2, get, pattern, flag=False):
        seen.append((len(x1), None if x2 is None else len(x2), pattern, flag))
        return KERNEL(x1, x2, get)

    train, test = jnp.zeros(4), jnp.ones(6)
    ensemble = predict.gradient_descent_mse_ensemble(kernel_fn, X, Y, pattern=(train, train), flag=True)
    ensemble(1.0, XT, "ntk", compute_cov=True, pattern=(test, test), flag=True)
    lengths = [(n, m, len(p[0]), len(p[1]), flag) for n, m, p, flag in seen]
    assert lengths == [(4, None, 4, 4, True), (6, 4, 6, 4, True), (6, None, 6, 6, True)]
    with pytest.raises(ValueError, match="keyword flag"):
        ensemble(1.0, XT, "ntk", pattern=(test, test), flag=False)


def test_the_kernel_is_computed_once():
    calls = []

    def kernel_fn(x1, x2, get):
        calls.append(get)
        return KERNEL(x1, x2, get)

    ensemble = predict.gradient_descent_mse_ensemble(kernel_fn, X, Y)
    for t in (None, 1.0, 2.0):
        ensemble(t, None, ("nngp", "ntk"), compute_cov=True)
    assert calls == [("nngp", "ntk")]


def test_the_largest_step():
    k = K[0].ntk
    top = np.linalg.eigvalsh(np.asarray(k, np.float64))[-1]
    np.testing.assert_allclose(predict.max_learning_rate(k, y_train_size=8, momentum=0.5), 2 * 1.5 * 8 / top, rtol=1e-5)
    full = nt.empirical_ntk_fn(APPLY, trace_axes=(), vmap_axes=0)(X, None, PARAMS)
    matrix = np.asarray(jnp.transpose(full, (0, 2, 1, 3)).reshape(8, 8), np.float64)
    np.testing.assert_allclose(predict.max_learning_rate(full), 2 * 8 / np.linalg.eigvalsh(matrix)[-1], rtol=1e-5)
    assert np.isfinite(predict.max_learning_rate(jnp.zeros((3, 3))))


def test_derivatives_and_maps_over_networks():
    def test_output(scale):
        predict_fn = predict.gradient_descent_mse(scale * K[0].ntk, Y)
        return jnp.sum(predict_fn(2.0, F0, FT0, scale * K[1].ntk)[1])

    numeric = (test_output(1.05) - test_output(0.95)) / 0.1
    np.testing.assert_allclose(jax.grad(test_output)(1.0), numeric, rtol=1e-2)

    def trained(key):
        params = INIT(key, (4, 8))[1]
        ntk = nt.empirical_ntk_fn(APPLY, vmap_axes=0)
        predict_fn = predict.gradient_descent_mse(ntk(X, None, params), Y)
        return predict_fn(jnp.array([1.0, 5.0]), APPLY(params, X), APPLY(params, XT), ntk(XT, X, params))

    keys = jax.random.split(jax.random.key(5), 3)
    leaves_close(jax.vmap(trained)(keys), jax.tree.map(lambda *a: jnp.stack(a), *map(trained, keys)), atol=1e-5)
