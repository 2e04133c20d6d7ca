"""Masks travel with their input: a padded input is the short one, and what is missing altogether stays zero."""

import jax
import numpy as np
import pytest

import widelimit as wl
from widelimit import arch
from widelimit.arch import Sample
from widelimit.engine import Reference

SAME = arch.Zeros()
X = np.random.default_rng(0).standard_normal((3, 7, 2))
BODIES = {
    "conv": [wl.Conv(8, 3, padding=SAME, bias_std=0.3), wl.Relu(), wl.Conv(8, 2, padding=SAME, bias_std=0.2)],
    "dilated": [wl.Conv(8, 3, padding=SAME, dilation=2, bias_std=0.3), wl.Relu(), wl.Conv(8, 1)],
    "local": [arch.LocallyConnected(8, 3, padding=SAME, bias_std=0.3)],
    "transposed": [arch.ConvTranspose(8, 3, strides=2, padding=SAME, bias_std=0.3)],
    "full": [arch.ConvTranspose(8, 3, strides=2, padding=arch.Valid(), bias_std=0.3)],
    "pool": [
        wl.Conv(8, 1),
        wl.Relu(),
        wl.AvgPool(3, strides=1, padding=SAME),
        wl.Conv(8, 3, padding=SAME, bias_std=0.3),
    ],
    "attention": [wl.Conv(8, 3, padding=SAME), wl.Relu(), wl.SelfAttention(8, 8)],
}


def padded(x, present):
    """Return inputs that are present at their first positions alone, with anything behind."""
    mask = np.arange(x.shape[1]) < np.asarray(present)[:, None]
    return Sample(np.where(mask[..., None], x, np.nan), mask)


@pytest.mark.parametrize("name", BODIES)
def test_a_padded_input_is_the_short_one(name, x64):
    """Kernels and networks, in one batch with inputs of other lengths, behind one pooling of what is there."""
    net = wl.serial(*BODIES[name], wl.Relu(), wl.GlobalAvgPool(), wl.Dense(1, bias_std=0.5))
    long = padded(X, (4, 7, 5))
    both = Reference().block
    for found, expected in zip(both(net, long, long), both(net, X[:1, :4], X[:1, :4]), strict=True):
        np.testing.assert_allclose(found[0, 0], expected[0, 0], rtol=1e-9)
    if name != "local":  # its weights belong to places
        params = net.init(jax.random.key(0), X.shape[1:])
        np.testing.assert_allclose(net.apply(params, long)[:1], net.apply(params, X[:1, :4]), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "tail", [wl.GlobalAvgPool(), arch.GlobalSumPool(), wl.Flatten()], ids=lambda t: type(t).__name__
)
def test_an_input_that_is_missing_altogether_is_zero(tail, x64):
    """To the end, also where biases are added behind the last position."""
    net = wl.serial(wl.Conv(8, 3, padding=SAME, bias_std=0.3), wl.Relu(), tail, wl.Dense(4, bias_std=0.5), wl.Relu())
    x = padded(X, (4, 0, 5))
    params = net.init(jax.random.key(0), X.shape[1:])
    out = net.apply(params, x)
    assert not np.any(out[1])
    assert np.all(np.any(np.asarray(out)[[0, 2]] != 0, 1))
    for kernel in (wl.NNGP(net)(x), wl.NTK(net)(x)):
        assert not np.any(kernel[1])
        assert np.all(np.diag(kernel)[[0, 2]] > 0)


def test_a_window_that_does_not_fit_is_refused_by_kernels_too():
    net = wl.serial(wl.Conv(8, 5), wl.Relu(), wl.GlobalAvgPool(), wl.Dense(1))
    with pytest.raises(ValueError, match=r"window of shape \(5,\) does not fit into space \(4,\)"):
        wl.NTK(net)(X[:, :4])


def test_equal_inputs_of_different_keys_drop_different_entries(x64):
    """The factor of dropout is for inputs that share their key, so that a network of two passes has a kernel too."""
    net = wl.serial(wl.Dense(8), wl.Relu(), arch.Dropout(0.25), wl.Dense(1))
    x, keys = X[:, 0], jax.random.split(jax.random.key(0), 6)
    one, two = Sample(x, key=keys[:3]), Sample(x, key=keys[3:])
    plain = wl.NNGP(wl.serial(wl.Dense(8), wl.Relu(), wl.Dense(1)))(x)
    np.testing.assert_allclose(wl.NNGP(net)(one, two), plain, rtol=1e-12)
    np.testing.assert_allclose(wl.NNGP(net)(one, one), plain * (1 + np.eye(3) / 3), rtol=1e-12)
