"""Properties that every layer has, over the table of layers, and what is particular to some."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from layers import LAYERS
from widelimit import arch
from widelimit.arch import Sample
from widelimit.empirical import JacobianContraction
from widelimit.engine import Reference

everything = pytest.mark.parametrize("name", LAYERS)

WIDTH = 64
# Compiling is what these tests spend their time on; the code need not be fast.
compiled = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
)


def inputs(name, dtype=np.float64):
    """Return two batches of four inputs: close, equal and zero ones are among the pairs."""
    net, shape, _ = LAYERS[name]
    rng = np.random.default_rng(0)
    if arch.input_signal(net).tokens:
        x, y = rng.integers(0, 4, (2, 4, *shape), dtype=np.int32)
        y[0] = x[0]
        return x, y
    x, y = rng.standard_normal((2, 4, *shape))
    y[0], y[1], y[2] = x[0], x[1] + 1e-3 * y[1], 0
    return x.astype(dtype), y.astype(dtype)


def masked(name, x, seed=None):
    """Return inputs with a mask that hides nothing, or a few positions; or as they are where there is no space."""
    net = LAYERS[name][0]
    space = x.shape if arch.input_signal(net).tokens else x.shape[:-1]
    if len(space) == 1:
        return Sample(x)
    mask = np.ones(space, bool) if seed is None else np.random.default_rng(seed).random(space) < 0.7
    mask[0] = True
    return Sample(x, mask)


@functools.cache
def exact(name):
    """Return both kernels of all eight inputs, and their diagonals, in float64."""
    engine = Reference()
    z = np.concatenate(inputs(name))
    with jax.enable_x64(True):
        z = arch.as_samples(jnp.asarray(z))
        found = compiled(lambda net, z: (engine.block(net, z, z), engine.diagonal(net, z)))(LAYERS[name][0], z)
    return jax.tree.map(np.asarray, found)


@everything
def test_json_round_trip(name):
    net = LAYERS[name][0]
    assert arch.from_json(arch.to_json(net)) == net


@everything
def test_symmetric_positive_and_diagonal(name):
    for whole, diagonal in zip(*exact(name), strict=True):
        largest = np.abs(whole).max()
        np.testing.assert_allclose(whole, whole.T, rtol=1e-11, atol=1e-12 * largest)
        np.testing.assert_allclose(diagonal, np.diag(whole), rtol=1e-11)
        values = np.linalg.eigvalsh(whole)
        assert values[0] >= -1e-12 * values[-1]


@everything
def test_float32_at_another_width_with_a_full_mask(name):
    """What must not matter: the precision of the gap form, the width, a mask that hides nothing."""
    net = LAYERS[name][0]
    x, y = inputs(name, np.float32)
    wide = net.at_width(WIDTH)
    assert net.at_width(16) == net
    for kind, whole in zip((wl.NNGP, wl.NTK), exact(name)[0], strict=True):
        single = kind(wide)(masked(name, x), masked(name, y))
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, whole[:4, 4:], rtol=1e-5, atol=1e-5 * np.abs(whole).max())


@everything
def test_gradients_under_jit_and_vmap(name):
    """One compiled function: its value is the plain one; its gradients are finite, also at equal and zero inputs."""
    leaves, treedef = jax.tree.flatten(LAYERS[name][0])
    x, y = (jnp.asarray(a) for a in inputs(name, np.float32))
    features = jnp.issubdtype(x.dtype, jnp.floating)

    def total(leaves, x):
        kernel = wl.NTK(jax.tree.unflatten(treedef, leaves))
        return jnp.sum(jax.vmap(kernel.block, (None, 0))(x, y.reshape(2, 2, *y.shape[1:])))

    value, found = compiled(jax.value_and_grad(total, (0, 1) if features else 0))(list(map(jnp.asarray, leaves)), x)
    plain = exact(name)[0].ntk[:4, 4:]
    assert float(value) == pytest.approx(plain.sum(), abs=1e-5 * np.abs(plain).sum())
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(found))
    assert max(np.abs(g).max() for g in jax.tree.leaves(found)) > 0


@everything
def test_mean_over_finite_networks_agrees_with_the_limit(name):
    """Outputs and NTK of many networks against NNGP and NTK, with hidden positions: standard errors and a bias O(1/n)."""
    net = LAYERS[name][0]
    net = wl.serial(*net.layers[:-1], dataclasses.replace(net.layers[-1], width=4)).at_width(WIDTH)
    x = masked(name, inputs(name, np.float32)[0], seed=1)

    def one(key):
        first, second = jax.random.split(key)
        keys = jax.random.split(second, 4) if "dropout" in name else None
        sample = dataclasses.replace(x, key=keys)
        params = net.init(first, x.values.shape[1:])
        outputs = net.apply(params, sample)
        rates = net.learning_rates(params)
        ntk = wl.EmpiricalNTK(net.apply, params, method=JacobianContraction(), learning_rates=rates)
        return outputs @ outputs.T / 4, ntk.block(sample, sample)

    keys = jax.random.split(jax.random.key(1, impl="rbg"), 96)
    found = compiled(lambda keys: jax.lax.map(one, keys, batch_size=16))(keys)
    for kind, samples in zip((wl.NNGP, wl.NTK), found, strict=True):
        samples, limit = np.asarray(samples, np.float64), kind(net)(x)
        error = samples.std(0, ddof=1) / np.sqrt(len(samples))
        bias = 3 / WIDTH * np.sqrt(np.outer(np.diag(limit), np.diag(limit)))
        assert (np.abs(samples.mean(0) - limit) < 4 * error + bias).all()
