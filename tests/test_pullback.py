"""Reverse derivatives of kernel matrices: by hand against JAX, in every number and every input."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit import arch
from widelimit.kernels import ScaledInputs, ScaledOutputs, pullback

RNG = np.random.default_rng(2)
X = RNG.standard_normal((9, 4))
W = RNG.standard_normal((9, 9))
W = W + W.T


def dense(activation, depth=2, bias=0.3, **options):
    widths = (wl.Dense(16, 1.3, bias, **options), activation)
    return wl.serial(*widths * depth, wl.Dense(1, 0.9, bias, **options))


NETS = {
    "relu": dense(wl.Relu()),
    "leaky": dense(wl.LeakyRelu(0.3), 3),
    "abs": dense(wl.Abs()),
    "erf": dense(wl.Erf(), 3),
    "scaled erf": dense(wl.Erf(1.2, 0.7, 0.4)),
    "no bias": dense(wl.Relu(), bias=None),
    "linear": wl.serial(wl.Dense(1, 1.2, 0.2)),
    "standard": dense(wl.Relu(), parameterization=arch.StandardParameterization()),
    "tanh": dense(wl.Tanh(), 1),
    "layer norm": wl.serial(wl.Dense(8, 1.1, 0.2), wl.LayerNorm(), wl.Relu(), wl.Dense(1)),
}
KERNELS = {
    **{f"{kind.__name__} {name}": kind(net) for name, net in NETS.items() for kind in (wl.NTK, wl.NNGP)},
    "scaled": ScaledOutputs(ScaledInputs(wl.NTK(NETS["relu"]), np.array([0.5, 1, 2, 0.1])), 1.7),
    "rates": wl.NTK(wl.serial(arch.with_learning_rate(wl.Dense(8, 1.2, 0.1), 0.3), wl.Relu(), wl.Dense(1, 1.1, 0.2))),
    "NNGP mean field": wl.NNGP(wl.parameterize(NETS["relu"], wl.MeanField())),
    "NNGP µP": wl.NNGP(wl.parameterize(NETS["erf"], wl.MuP())),
    "one scale": ScaledInputs(wl.NNGP(NETS["erf"]), 0.8),
}


def by_jax(kernel, x, w):
    """Return the derivatives of Σ W∘K by JAX's reverse mode through the reference engine."""
    with jax.enable_x64():
        free, fixed = eqx.partition(jax.tree.map(jnp.asarray, kernel), eqx.is_inexact_array)
        of = lambda free, x: jnp.sum(w * eqx.combine(free, fixed).block(x))  # noqa: E731
        found, in_inputs = jax.grad(of, (0, 1))(free, jnp.asarray(x))
        named, _ = jax.tree_util.tree_flatten_with_path(found)
        return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in named}, np.asarray(in_inputs)


@pytest.mark.parametrize("name", KERNELS)
def test_slopes_are_those_of_jax(name):
    kernel = KERNELS[name]
    matrix, back = pullback(kernel, X)
    np.testing.assert_allclose(matrix, kernel(X), rtol=1e-12, atol=1e-14)
    found, in_inputs = back(W)
    expected, expected_inputs = by_jax(kernel, X, W)
    np.testing.assert_allclose(in_inputs, expected_inputs, rtol=1e-9, atol=1e-11)
    assert set(found) <= set(expected)
    moving = {path for path in expected if path.rpartition(".")[2] in ("weight_std", "bias_std", "scales", "variance")}
    assert moving <= set(found)
    for path, value in found.items():
        np.testing.assert_allclose(value, expected[path], rtol=1e-9, atol=1e-11, err_msg=path)


@pytest.mark.parametrize("name", ["NTK relu", "NTK erf", "NNGP relu", "scaled"])
def test_equal_opposite_and_zero_inputs_have_finite_slopes(name):
    x = np.concatenate([X[:3], X[:1], -X[:1], np.zeros((1, 4)), 3 * X[:1]])
    matrix, back = pullback(KERNELS[name], x)
    np.testing.assert_allclose(matrix, KERNELS[name](x), rtol=1e-7, atol=1e-12)
    found, in_inputs = back(W[:7, :7])
    assert all(np.isfinite(value).all() for value in found.values())
    assert np.isfinite(in_inputs).all()


def test_frozen_layers_have_slopes_of_their_own():
    kernel = wl.NTK(wl.serial(arch.frozen(wl.Dense(8, 1.2, 0.1)), wl.Relu(), wl.Dense(1, 1.1)))
    found, in_inputs = pullback(kernel, X).back(W)
    expected, expected_inputs = by_jax(kernel, X, W)
    np.testing.assert_allclose(in_inputs, expected_inputs, rtol=1e-9, atol=1e-11)
    for path in (".net.layers[0].weight_std", ".net.layers[0].bias_std", ".net.layers[2].weight_std"):
        np.testing.assert_allclose(found[path], expected[path], rtol=1e-9)
