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
from widelimit.arch import Sample, Space, input_pair
from widelimit.empirical import JacobianContraction
from widelimit.engine import Reference

everything = pytest.mark.parametrize("name", LAYERS)
# What compiles a kernel runs for a few rows in the quick suite, for all in the thorough one.
QUICK = {"conv_zeros", "conv_groups", "avg_pool", "post_activation_residual", "concatenated_space", "repeat", "local"}
QUICK |= {"transpose", "layer_norm_affine", "dropout_in_space", "resize", "embedding_pooled", "attention_softmax"}
costly = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.thorough) for name in LAYERS]
)

WIDTH = 32
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


@costly
def test_symmetric_positive_and_diagonal(name):
    for whole, diagonal in zip(*exact(name), strict=True):
        largest = np.abs(whole).max()
        np.testing.assert_allclose(whole, whole.T, rtol=1e-11, atol=1e-12 * largest)
        np.testing.assert_allclose(diagonal, np.diag(whole), rtol=1e-11)
        values = np.linalg.eigvalsh(whole)
        assert values[0] >= -1e-12 * values[-1]


@costly
def test_float32_at_another_width_with_a_full_mask(name):
    """What must not matter: the precision of the gap form, the width, a mask that hides nothing."""
    net = LAYERS[name][0]
    x, y = inputs(name, np.float32)
    wide = net.at_width(WIDTH)
    assert wide.at_width(16) == net.at_width(16)
    for kind, whole in zip((wl.NNGP, wl.NTK), exact(name)[0], strict=True):
        single = kind(wide)(masked(name, x), masked(name, y))
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, whole[:4, 4:], rtol=1e-5, atol=1e-5 * np.abs(whole).max())


@costly
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


@costly
def test_mean_over_finite_networks_agrees_with_the_limit(name):
    """Outputs and NTK of many networks, with hidden positions, within standard errors and a bias O(1/n)."""
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
        bias = 4 / WIDTH * np.sqrt(np.outer(np.diag(limit), np.diag(limit)))
        assert (np.abs(samples.mean(0) - limit) < 4 * error + bias).all()


# Layers of which every output is a fixed linear function of the inputs, or of the weights: there the limit is exact.
FIXED = {
    "avg_pool": (arch.AvgPool(2, strides=1, padding=arch.Zeros(), normalize_edges=True), (3, 2)),
    "global_avg_pool": (arch.GlobalAvgPool(), (3, 2)),
    "flatten": (wl.Flatten(), (3, 2)),
    "layer_norm": (arch.LayerNorm(eps=0.3), (3, 4)),
    "layer_norm_of_all": (arch.LayerNorm((0, 1, 2)), (2, 3, 4)),
    "layer_norm_of_rows": (arch.LayerNorm((1, -1)), (2, 3, 4)),
    "index": (arch.Index(arch.Slice[1:, ::-1]), (3, 4, 2)),
    "index_removes": (arch.Index(arch.Slice[..., -1]), (3, 4, 2)),
    "index_vector": (arch.Index(1), (3, 2)),
    "resize": (arch.Resize((5, -1)), (3, 2, 2)),
    "resize_smaller": (arch.Resize((2, 3), arch.Linear(antialias=False)), (5, 2, 2)),
    "resize_nearest": (arch.Resize(5, arch.Nearest()), (3, 2)),
    "linear_map": (arch.LinearMap([[1.0, -2.0, 0.5], [0.0, 0.3, 0.0]], 1), (2, 3, 2)),
    "linear_map_of_two": (arch.LinearMap(np.arange(12.0).reshape(3, 2, 2) - 4, (1, 0)), (2, 2, 3, 2)),
    "linear_map_to_vector": (arch.LinearMap([0.5, -1.0, 2.0]), (3, 2)),
    "scale": (arch.Scale([[1.0], [-0.5]]), (2, 3, 2)),
}
WEIGHTS = {
    "conv": (arch.Conv(1, 2, 1.3, 0.4, padding=arch.Zeros()), (3, 2)),
    "local": (arch.LocallyConnected(1, 2, 1.3, 0.4, padding=arch.Circular()), (3, 2)),
    "local_of_planes": (arch.LocallyConnected(1, (2, 2), 1.3, strides=(2, 1), dilation=(1, 2)), (4, 4, 2)),
    "transpose": (arch.ConvTranspose(1, 3, 1.3, 0.4, strides=(2,)), (3, 2)),
    "transpose_zeros": (arch.ConvTranspose(1, (2, 1), 1.3, 0.4, strides=(1, 3), padding=arch.Zeros()), (2, 2, 2)),
    "transpose_circular": (arch.ConvTranspose(1, 5, 1.3, 0.4, strides=(2,), padding=arch.Circular()), (2, 2)),
    "embedding": (arch.Embedding(4, 1, 1.2), (5,)),
}


def two(layer, shape):
    """Return two inputs of a layer with some positions missing."""
    rng = np.random.default_rng(len(shape))
    tokens = layer.reads_tokens
    values = rng.integers(0, 4, (2, *shape)) if tokens else rng.standard_normal((2, *shape))
    masks = rng.random((2, *(shape if tokens else shape[:-1]))) < 0.6
    return [Sample(jnp.asarray(v), jnp.asarray(m)).cleared() for v, m in zip(values, masks, strict=True)]


@pytest.mark.parametrize("name", FIXED)
def test_moments_behind_a_fixed_map_are_those_of_its_outputs(name, x64):
    """The second moments of the outputs, computed from the outputs themselves, in the full space and the diagonal."""
    layer, shape = FIXED[name]
    x, y = two(layer, shape)
    assert layer.forward({}, x).values.shape == layer.out_shape(shape)
    needed = layer.spatial_needed(Space.DIAGONAL)

    @compiled
    def both(x, y):
        out = layer.forward({}, x).cleared(), layer.forward({}, y).cleared()
        least = layer.propagate(input_pair(x, y, needed)).cleared().diagonal()
        return layer.propagate(input_pair(x, y, Space.FULL)).cleared(), input_pair(*out, Space.FULL), least

    full, expected, least = both(x, y)
    for field in ("xx", "yy", "gap", "gap_x", "gap_y", "mean_x", "mean_y", "mask_x", "mask_y"):
        found, right = getattr(full, field), getattr(expected, field)
        if not isinstance(layer, arch.GlobalAvgPool | wl.Flatten) or not field.startswith("mask"):
            assert (found is None) == (right is None), field
        if found is not None and right is not None:
            np.testing.assert_allclose(found, right, atol=1e-10, err_msg=field)
    np.testing.assert_allclose(least.gap, expected.diagonal().gap, atol=1e-10)


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_layer_of_weights_is_its_jacobian(name, x64):
    """Linear in its weights, its NTK at any parameters is that of the limit; in this parameterization also the NNGP."""
    layer, shape = WEIGHTS[name]
    x, y = two(layer, shape)
    params = layer.init(jax.random.key(0), shape)

    def jacobian(sample):
        found = jax.jacrev(lambda p: jnp.ravel(layer.forward(p, sample).cleared().values))(params)
        return jnp.concatenate([j.reshape(len(j), -1) for j in jax.tree.leaves(found)], 1)

    @compiled
    def both(x, y):
        full = layer.propagate(input_pair(x, y, Space.FULL)).cleared()
        return (
            full,
            layer.propagate(input_pair(x, y)).cleared(),
            jacobian(x),
            jacobian(y),
            layer.forward(params, x).mask,
        )

    full, least, j_x, j_y, mask = both(x, y)
    matrix = lambda a: np.reshape(a, (full.xx.size, full.xx.size))  # noqa: E731
    for found, expected in ((full.xy, j_x @ j_y.T), (full.ntk, j_x @ j_y.T)):
        np.testing.assert_allclose(matrix(found), expected, atol=1e-12)
    within = (full.first(full.xx) + full.xx) / 2 - full.gap_x
    np.testing.assert_allclose(matrix(within), j_x @ j_x.T, atol=1e-12)
    for found in (least.xy, least.ntk):
        np.testing.assert_allclose(np.ravel(found), np.diag(j_x @ j_y.T), atol=1e-12)
    assert mask is None or np.array_equal(mask, full.mask_x)


def test_transposed_convolution_has_the_conventions_of_jax(x64):
    """Against `jax.lax.conv_transpose`, whose conventions others share; circular is its full form folded back."""
    x = np.random.default_rng(0).standard_normal((3, 2))
    for w, s in ((1, 1), (2, 1), (3, 2), (4, 2), (2, 3), (5, 3)):
        for padding, word in ((arch.Valid(), "VALID"), (arch.Zeros(), "SAME"), (arch.Circular(), "VALID")):
            layer = arch.ConvTranspose(1, w, strides=(s,), padding=padding)
            params = layer.init(jax.random.key(0), x.shape)
            weight = params["weight"] / (2 * w) ** 0.5
            right = np.asarray(
                jax.lax.conv_transpose(x[None], weight, (s,), word, dimension_numbers=("NHC", "HIO", "NHC"))[0]
            )
            if isinstance(padding, arch.Circular):
                full, right = right, np.zeros((3 * s, 1))
                for place, value in enumerate(full):
                    right[(place - (len(full) - 3 * s) // 2) % (3 * s)] += value
            np.testing.assert_allclose(layer(params, x), right, atol=1e-12)
            assert layer.out_shape(x.shape) == right.shape


def test_layer_norm_of_close_inputs_keeps_the_digits():
    net = wl.serial(wl.Dense(8), arch.LayerNorm(), wl.Relu(), wl.Dense(8), arch.LayerNorm(), wl.Relu(), wl.Dense(1))
    x = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    y = x * np.float32(1.001) + np.float32(1e-5)
    angle = lambda k: 1 - k(x, y)[0, 0] / np.sqrt(k(x)[0, 0] * k(y)[0, 0])  # noqa: E731
    single = wl.NTK(net)(x, y)
    exact = wl.NTK(net)(x.astype(np.float64), y.astype(np.float64))
    np.testing.assert_allclose(single, exact, rtol=2e-6)
    assert abs(float(angle(wl.NNGP(net)))) < 1e-6


def test_dropout_is_one_mask_per_input():
    """The diagonal carries the factor in whatever blocks it comes; other entries do not."""
    rate = 0.25
    net, plain = (wl.serial(wl.Dense(8), wl.Relu(), *drop, wl.Dense(1)) for drop in ([arch.Dropout(rate)], []))
    x = np.random.default_rng(0).standard_normal((4, 3))
    for kind, factor in ((wl.NNGP, 1 / (1 - rate)), (wl.NTK, 1 / (1 - rate))):
        with_it, without = kind(net)(x), kind(plain)(x)
        np.testing.assert_allclose(with_it, without * (1 + (factor - 1) * np.eye(4)), rtol=1e-12)
        np.testing.assert_allclose(kind(net)(x[:2], x[1:]), with_it[:2, 1:], rtol=1e-12)
    params = net.init(jax.random.key(0), (3,))
    single = x.astype(np.float32)
    keys = jax.random.split(jax.random.key(1), 4)
    np.testing.assert_array_equal(wl.NTK(net)(Sample(single, key=keys)), wl.NTK(net)(single))
    dropped = net.apply(params, Sample(single, key=keys))
    np.testing.assert_array_equal(dropped, net.apply(params, Sample(single, key=keys)))
    np.testing.assert_allclose(net.apply(params, single), plain.apply((*params[:2], params[3]), single), rtol=1e-6)
    assert np.abs(dropped - net.apply(params, single)).min() > 0


def test_two_dropouts_have_different_masks():
    net = wl.serial(arch.Dropout(0.5), arch.Dropout(0.5))
    out = net.apply(((), ()), Sample(np.ones((1, 400), np.float32), key=jax.random.split(jax.random.key(0), 1)))
    assert (out != 0).mean() == pytest.approx(0.25, abs=0.1)
    np.testing.assert_array_equal(out[out != 0], 4.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: arch.LayerNorm((0,)).out_shape((3, 4)), "expected the channels"),
        (lambda: arch.LayerNorm((0, 1, 2)).out_shape((3, 4)), "The batch is not among them"),
        (lambda: arch.LayerNorm("channels"), "axes is 'channels'"),
        (lambda: wl.serial(wl.Dense(4), arch.LayerNorm(affine=True), wl.Relu(), wl.Dense(1)), "layer 2.*not Gaussian"),
        (lambda: arch.Dropout(1.0), "rate is 1.0"),
        (lambda: arch.Dropout(-0.1), "rate is -0.1"),
        (lambda: wl.NTK(wl.serial(wl.Dense(4), arch.Dropout(0.1), wl.Relu(), wl.Dense(1))), "not Gaussian"),
        (lambda: arch.Index(arch.Slice[0, 0]).out_shape((3, 4)), "the index has 2 entries"),
        (lambda: arch.Index(5).out_shape((3, 4)), "index 5 is out of range"),
        (lambda: arch.Index(arch.Slice[3:]).out_shape((3, 4)), "keeps no position"),
        (lambda: arch.Index(arch.Slice[..., ...]), "more than one ellipsis"),
        (lambda: arch.Index(arch.Slice[::0]), "an entry of the index"),
        (lambda: arch.Index(None), "an entry of the index is None"),
        (lambda: arch.Resize((0,)), "shape is"),
        (lambda: arch.Resize((2,), "linear"), "method is 'linear'"),
        (lambda: arch.Resize((2, 2)).out_shape((3, 4)), "one number per axis of space"),
        (lambda: arch.LinearMap(np.eye(2)).out_shape((3, 4)), "expected .*new"),
        (lambda: arch.LinearMap(np.eye(2), 1).out_shape((3, 4)), "Channels cannot be mixed"),
        (lambda: arch.LinearMap([[np.nan]]), "not finite"),
        (lambda: arch.Scale([1.0, 2.0]).out_shape((3, 4)), "the constant has shape"),
        (lambda: arch.ConvTranspose(2, (2, 2)).out_shape((3, 4)), "slides over 2 axes"),
        (lambda: arch.LocallyConnected(2, 5).out_shape((3, 4)), "does not fit"),
        (lambda: wl.serial(wl.Dense(2), arch.Embedding(4, 2)), "layer 1: Embedding got features"),
        (lambda: wl.NTK(wl.serial(arch.Embedding(4, 2), wl.Flatten(), wl.Dense(1)))(np.array([[0, 4]])), "token 4"),
        (lambda: wl.NTK(wl.serial(arch.Embedding(4, 2), wl.Flatten(), wl.Dense(1)))(np.array([[0.5]])), "integers"),
        (lambda: wl.NTK(wl.serial(wl.Dense(2), wl.Dense(1))).net.apply((), np.array([[0.5, np.nan]])), "finite"),
        (
            lambda: arch.Embedding(4, 2)(arch.Embedding(4, 2).init(jax.random.key(0), (2,)), np.array([0, -1])),
            "token -1",
        ),
    ],
)
def test_what_a_layer_cannot_do_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
