"""Kernels of infinite networks: golden arrays, properties, dtypes, derivatives, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from tables import NETS

RNG = np.random.default_rng(0)
X1 = RNG.standard_normal((3, 5))
X2 = np.concatenate(
    [X1[:1], np.zeros((1, 5)), X1[1:2] + 1e-3 * RNG.standard_normal((1, 5)), RNG.standard_normal((2, 5))]
)
KERNELS = {"nngp": wl.NNGP, "ntk": wl.NTK}
everything = pytest.mark.parametrize(("name", "kind"), [(n, k) for n in NETS for k in KERNELS])


@everything
def test_symmetric_and_positive(name, kind):
    x = np.concatenate([X1, X2])
    k = KERNELS[kind](NETS[name][0])(x)
    np.testing.assert_allclose(k, k.T, rtol=1e-12, atol=1e-14)
    values = np.linalg.eigvalsh(k)
    assert values[0] >= -1e-12 * values[-1]


@everything
def test_blocks_and_diagonal_agree_with_the_whole(name, kind):
    kernel = KERNELS[kind](NETS[name][0])
    x = np.concatenate([X1, X2])
    whole = kernel(x)
    np.testing.assert_allclose(kernel(X1, X2), whole[:3, 3:], rtol=1e-12, atol=1e-14)
    with jax.enable_x64(True):
        np.testing.assert_allclose(kernel.diagonal(jnp.asarray(x)), np.diag(whole), rtol=1e-12)


@everything
def test_float32_agrees_with_float64(name, kind):
    """Also on close, equal and zero inputs: the gap form keeps the digits."""
    kernel = KERNELS[kind](NETS[name][0])
    exact = kernel(X1, X2)
    single = kernel(X1.astype(np.float32), X2.astype(np.float32))
    assert exact.dtype == np.float64
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, exact, rtol=3e-6, atol=3e-6 * np.abs(exact).max())


@everything
def test_under_jit_and_vmap(name, kind):
    kernel = KERNELS[kind](NETS[name][0])
    x1, x2 = jnp.asarray(X1, jnp.float32), jnp.asarray(X2, jnp.float32)
    plain = kernel(x1, x2)
    rounding = 1e-6 * np.abs(plain).max()
    np.testing.assert_allclose(jax.jit(kernel)(x1, x2), plain, rtol=1e-6, atol=rounding)
    stacked = jax.vmap(kernel, (None, 0))(x1, jnp.stack([x2, x2[::-1]]))
    np.testing.assert_allclose(stacked[1], plain[:, ::-1], rtol=1e-6, atol=rounding)


@everything
def test_gradients_are_right_and_finite(name, kind):
    """In every hyperparameter against central differences, and in inputs that coincide or vanish."""
    net = NETS[name][0]
    leaves, treedef = jax.tree.flatten(net)

    def total(leaves):
        return jnp.sum(KERNELS[kind](jax.tree.unflatten(treedef, leaves))(X1, X2))

    with jax.enable_x64(True):
        exact = jax.grad(total)(leaves)
        for i, leaf in enumerate(leaves):
            up, down = ([*leaves[:i], leaf + s, *leaves[i + 1 :]] for s in (1e-5, -1e-5))
            assert float(exact[i]) == pytest.approx(float(total(up) - total(down)) / 2e-5, rel=1e-5, abs=1e-7)
        in_inputs = jax.grad(lambda x: jnp.sum(KERNELS[kind](net)(x, X2)))(jnp.asarray(X1))
    assert np.isfinite(in_inputs).all()
    assert np.abs(in_inputs).max() > 0


def test_gradient_without_x64_is_float64_accurate_for_float64_input():
    def total(weight_std):
        return wl.NTK(wl.serial(wl.Dense(4, weight_std), wl.Erf(), wl.Dense(1)))(X1).sum()

    with jax.enable_x64(True):
        exact = jax.grad(total)(1.5)
    assert float(jax.grad(total)(1.5)) == pytest.approx(float(exact), rel=1e-7)


@pytest.mark.parametrize("name", NETS)
def test_gradients_at_coincident_and_zero_inputs_are_finite(name):
    x = jnp.asarray([[1.0, 0.5], [1.0, 0.5], [0.0, 0.0]])
    for kernel in KERNELS.values():
        assert np.isfinite(jax.grad(lambda x, k=kernel: jnp.sum(k(NETS[name][0])(x)))(x)).all()


def test_critical_relu_diagonal_in_closed_form():
    """K(x, x) = |x|^2/n0 at every depth and Theta(x, x) = depth times that, for weight variance 2 and no bias."""
    x = RNG.standard_normal((4, 3))
    for depth in (1, 2, 5, 20):
        layers = [layer for _ in range(depth - 1) for layer in (wl.Dense(9, 2**0.5), wl.Relu())]
        net = wl.serial(*layers, wl.Dense(1, 2**0.5))
        first = 2 * (x**2).sum(1) / 3
        np.testing.assert_allclose(np.diag(wl.NNGP(net)(x)), first, rtol=1e-12)
        np.testing.assert_allclose(np.diag(wl.NTK(net)(x)), depth * first, rtol=1e-12)


def test_deep_relu_off_diagonal_golden_value():
    """REFERENCE.md, table B (four layers, weight variance 2, book convention: ours is twice as large)."""
    x = np.array([[-0.9895229339599609, -0.5992491841316223], [-0.17877478897571564, 2.253682851791382]])
    layers = [layer for _ in range(3) for layer in (wl.Dense(9, 2**0.5), wl.Relu())]
    theta = wl.NTK(wl.serial(*layers, wl.Dense(1, 2**0.5)))(x) / 2
    expected = [[2.6765104430302884, 0.99886503184261], [0.99886503184261, 10.222093643263696]]
    np.testing.assert_allclose(theta, expected, rtol=1e-12)


def test_depth_50_in_float32():
    """Close, equal and zero inputs at depth 50, where the plain form loses up to 1 % (DESIGN.md)."""
    base = RNG.standard_normal((6, 10))
    x = np.concatenate([base, base + 1e-3 * RNG.standard_normal((6, 10)), base[:2], np.zeros((1, 10))])
    layers = [layer for _ in range(50) for layer in (wl.Dense(8, 2**0.5, 0.1), wl.Relu())]
    kernel = wl.NTK(wl.serial(*layers, wl.Dense(1)))
    exact = kernel(x.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(kernel(x.astype(np.float32)), exact, rtol=1e-5)


def test_dtype_follows_the_input(either_mode):
    kernel = wl.NTK(NETS["deep_erf"][0])
    assert kernel(X1).dtype == np.float64
    assert kernel(X1.astype(np.float32)).dtype == np.float32
    assert kernel(jnp.asarray(X1, jnp.float32)).dtype == jnp.float32
    assert kernel(X1.tolist()).dtype == np.float64
    assert kernel(np.ones((2, 3), np.int64)).dtype == (np.float64 if either_mode else np.float32)
    np.testing.assert_allclose(kernel(X1.tolist()), kernel(X1), rtol=0)


def test_jax_configuration_is_left_alone():
    before = jax.config.jax_enable_x64
    wl.NTK(NETS["mixed"][0])(X1)
    with pytest.raises(ValueError):
        wl.NTK(NETS["mixed"][0])(np.full((2, 2), np.nan))
    assert jax.config.jax_enable_x64 == before
    assert jnp.zeros(()).dtype == (jnp.float64 if before else jnp.float32)


@pytest.mark.parametrize(
    ("x1", "x2", "words"),
    [
        (np.ones(3), None, r"x1 has shape \(3,\).*x1\[:, None\]"),
        (np.ones((2, 3)), np.ones((2, 4)), r"shape \(3,\), x2 of shape \(4,\)"),
        (np.array([[1.0, np.nan]]), None, r"x1\[0, 1\] is nan"),
        (np.ones((2, 3)), np.array([[1.0, 2.0, np.inf]]), r"x2\[0, 2\] is inf"),
        (np.ones((0, 3)), None, "at least one example"),
        (np.ones((2, 3)) * 1j, None, "expected real numbers"),
        (np.array([["a", "b"]]), None, "expected real numbers"),
    ],
)
def test_bad_inputs_are_refused(x1, x2, words):
    with pytest.raises(ValueError, match=words):
        wl.NTK(NETS["shallow_relu"][0])(x1, x2)


def test_networks_without_a_limit_are_refused():
    with pytest.raises(ValueError, match=r"layer 0: .*Put a Dense layer before it"):
        wl.NTK(wl.serial(wl.Relu(), wl.Dense(1)))
    with pytest.raises(ValueError, match="End it with Flatten"):
        wl.NTK(wl.serial(wl.Dense(4), wl.Erf(), wl.Dense(1)))(np.ones((2, 3, 3, 1)))


def test_flatten_of_images_is_the_vector_kernel():
    images = RNG.standard_normal((3, 4, 4, 2))
    dense = wl.serial(wl.Dense(8), wl.Erf(), wl.Dense(1))
    flat = wl.serial(wl.Flatten(), wl.Dense(8), wl.Erf(), wl.Dense(1))
    np.testing.assert_allclose(wl.NTK(flat)(images), wl.NTK(dense)(images.reshape(3, -1)), rtol=1e-12)


def test_position_wise_network_is_the_mean_over_positions():
    """Dense and activation act at each position alike; Flatten and a readout average over positions."""
    images = RNG.standard_normal((3, 4, 2))
    position_wise = wl.serial(wl.Dense(8, 1.2, 0.3), wl.Erf(), wl.Flatten(), wl.Dense(1))
    vector = wl.serial(wl.Dense(8, 1.2, 0.3), wl.Erf(), wl.Dense(1))
    per_position = [wl.NNGP(vector)(images[:, p]) for p in range(4)]
    np.testing.assert_allclose(wl.NNGP(position_wise)(images), np.mean(per_position, 0), rtol=1e-12)
