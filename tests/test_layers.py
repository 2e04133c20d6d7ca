"""Properties that every layer has, over the table of layers, and what is particular to some."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from layers import LAYERS
from widelimit import arch
from widelimit.arch import Sample

everything = pytest.mark.parametrize("name", LAYERS)


def inputs(name, seed=0):
    """Return two batches of four inputs: close, equal and zero ones are among the pairs."""
    net, shape, _ = LAYERS[name]
    rng = np.random.default_rng(seed)
    if arch.input_signal(net).tokens:
        x, y = rng.integers(0, 4, (2, 4, *shape))
    else:
        x, y = rng.standard_normal((2, 4, *shape))
        y[1] = x[1] + 1e-3 * y[1]
        y[2] = 0
    y[0] = x[0]
    return x, y


def some(name, n, seed=1):
    """Return a mask that hides a few positions of n inputs, or None where there is no space."""
    net, shape, _ = LAYERS[name]
    space = shape if arch.input_signal(net).tokens else shape[:-1]
    if not space:
        return None
    mask = np.random.default_rng(seed).random((n, *space)) < 0.7
    mask[(slice(None), *(0,) * len(space))] = True
    mask[0] = True
    return mask


@functools.cache
def block(kind, name, order=1):
    """Return a kernel in float64: of x and y, or of y and x."""
    return kind(LAYERS[name][0])(*inputs(name)[::order])


@everything
def test_json_round_trip(name):
    net = LAYERS[name][0]
    assert arch.from_json(arch.to_json(net)) == net


@everything
@pytest.mark.parametrize("kind", [wl.NNGP, wl.NTK])
def test_symmetric_positive_and_diagonal(name, kind):
    x, y = inputs(name)
    kernel = kind(LAYERS[name][0])
    xy = block(kind, name)
    largest = np.abs(xy).max()
    np.testing.assert_allclose(xy, block(kind, name, -1).T, rtol=1e-11, atol=1e-12 * largest)
    whole = np.block([[kernel(x), xy], [xy.T, kernel(y)]])
    assert np.linalg.eigvalsh(whole)[0] >= -1e-12 * np.linalg.eigvalsh(whole)[-1]
    with jax.enable_x64(True):
        np.testing.assert_allclose(kernel.diagonal(jnp.asarray(x)), np.diag(kernel(x)), rtol=1e-11)


@everything
def test_float32_at_another_width_with_a_full_mask(name):
    """What must not matter: the precision of the gap form, the width, a mask that hides nothing."""
    net, (x, y) = LAYERS[name][0], inputs(name)
    if x.dtype == np.float64:
        x, y = x.astype(np.float32), y.astype(np.float32)
    mask = some(name, 4)
    if mask is not None:
        x, y = Sample(x, mask | True), Sample(y, mask | True)
    wide = net.at_width(40)
    assert net.at_width(16) == net
    for kind in (wl.NNGP, wl.NTK):
        exact = block(kind, name)
        single = kind(wide)(x, y)
        np.testing.assert_allclose(single, exact, rtol=1e-5, atol=1e-5 * np.abs(exact).max())


@everything
def test_gradients_under_jit_and_vmap(name):
    """One compiled function: its value is the plain one; its gradients are finite, also at equal and zero inputs."""
    net, (x, y) = LAYERS[name][0], inputs(name)
    leaves, treedef = jax.tree.flatten(net)
    features = x.dtype == np.float64
    x, y = (jnp.asarray(a, jnp.float32 if features else jnp.int32) for a in (x, y))

    def total(leaves, x):
        kernel = wl.NTK(jax.tree.unflatten(treedef, leaves))
        return jnp.sum(jax.vmap(kernel.block, (None, 0))(x, y.reshape(2, 2, *y.shape[1:])))

    value, found = jax.jit(jax.value_and_grad(total, (0, 1) if features else 0))([jnp.asarray(v) for v in leaves], x)
    exact = block(wl.NTK, name)
    assert float(value) == pytest.approx(exact.sum(), abs=3e-5 * np.abs(exact).sum())
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(found))
    assert max(np.abs(g).max() for g in jax.tree.leaves(found)) > 0
