"""The plane engine against the reference: architectures by name, derivatives, transformations, tiles, refusals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit import arch
from widelimit.engine import Auto, Native, NoNativeForm, Planes, Reference, Wanted

SINGLE, DOUBLE = 1e-5, 1e-9


def conv(window=(3, 3), **options):
    return wl.Conv(8, window, 1.3, 0.2, **({"padding": arch.Zeros()} | options))


def around(window=(3, 3), **options):
    return conv(window, padding=arch.Circular(), **options)


def inner(window=(3, 3), **options):
    return conv(window, padding=arch.Valid(), **options)


def end(pool=None):
    return pool or wl.GlobalAvgPool(), wl.Dense(1, 1.1, 0.3)


def joined(branch, shortcut):
    return arch.FanOut(2), arch.parallel(branch, shortcut), arch.Sum()


FLAT, AVERAGE, TOTAL = arch.Flatten, wl.AvgPool, arch.SumPool
STANDARD = wl.StandardParameterization()
# name -> (network, shape of one example)
CASES = {
    "global": (wl.serial(conv(), wl.Relu(), conv((2, 3)), wl.Relu(), *end()), (5, 4, 2)),
    "sum": (wl.serial(conv(), wl.Abs(), *end(arch.GlobalSumPool())), (4, 4, 2)),
    "flatten": (wl.serial(conv(), wl.Relu(), conv(strides=(2, 2)), wl.Erf(), *end(FLAT())), (6, 5, 2)),
    "no_padding": (wl.serial(inner(), wl.Relu(), inner((2, 1)), wl.LeakyRelu(0.2), *end()), (6, 5, 2)),
    "strides": (wl.serial(conv((3, 2), strides=(2, 1)), wl.Relu(), conv((4, 3), strides=(2, 2)), *end()), (7, 6, 2)),
    "dilation": (wl.serial(conv(dilation=(2, 1)), wl.Relu(), conv((2, 2), dilation=(2, 3)), *end()), (6, 6, 2)),
    "around": (wl.serial(around(), wl.Relu(), around((2, 4), strides=(2, 3)), wl.Relu(), *end()), (6, 6, 2)),
    "around_still": (wl.serial(around(strides=(4, 4)), wl.Relu(), around(), *end(FLAT())), (6, 6, 2)),
    "around_and_zeros": (wl.serial(conv(), wl.Relu(), around(), wl.Relu(), *end()), (4, 5, 1)),
    "tanh": (wl.serial(conv(), wl.Elementwise(jnp.tanh), *end()), (4, 4, 2)),
    "gelu": (wl.serial(conv(), wl.Gelu(), inner((1, 1), strides=(2, 2)), wl.Gelu(), *end()), (4, 5, 2)),
    "kinks": (wl.serial(conv(), arch.Relu6(), *end()), (4, 4, 2)),
    "dense_within": (wl.serial(conv(), wl.Relu(), wl.Dense(8, 1.2), arch.Scale(0.8), wl.Relu(), *end()), (4, 4, 2)),
    "norms": (
        wl.serial(
            conv(), wl.LayerNorm(), wl.Relu(), wl.LayerNorm((0, 1, -1)), conv(), wl.LayerNorm(affine=True), *end()
        ),
        (4, 4, 2),
    ),
    "norm_of_input": (wl.serial(wl.LayerNorm(), conv(), wl.Relu(), *end()), (4, 4, 3)),
    "standard": (wl.serial(wl.Conv(8, (3, 3), 1.3, 0.2, parameterization=STANDARD), wl.Relu(), *end()), (5, 5, 2)),
    "residual": (wl.serial(conv(), wl.residual(wl.Relu(), conv(), wl.Relu(), conv()), wl.Relu(), *end()), (4, 4, 2)),
    "shortcut": (
        wl.serial(
            conv(),
            *joined(wl.serial(wl.Relu(), conv(strides=(2, 2)), wl.Relu(), conv()), inner((1, 1), strides=(2, 2))),
            wl.Relu(), *end(),
        ),
        (6, 5, 2),
    ),
    "means": (wl.serial(*joined(wl.serial(conv(), wl.Relu()), wl.serial(conv(), wl.Gelu())), *end()), (4, 4, 2)),
    "head": (wl.serial(conv(), wl.Relu(), wl.GlobalAvgPool(), wl.Dense(8, 1.3), wl.Relu(), wl.Dense(1)), (4, 4, 2)),
    "head_of_sum": (
        wl.serial(conv(), wl.Relu(), arch.GlobalSumPool(), wl.Dense(8, 0.4, 0.1), wl.Erf(), wl.Dense(1)), (4, 4, 2),
    ),
    "myrtle": (
        wl.serial(
            conv(), wl.Relu(), AVERAGE((2, 2)), conv(), wl.Relu(), AVERAGE((2, 2)), conv(), wl.Erf(), *end(FLAT())
        ),
        (8, 8, 2),
    ),
    "pools": (
        wl.serial(
            conv(), wl.Relu(), AVERAGE((3, 3), strides=(2, 1)), conv(), wl.Relu(), TOTAL((2, 2), strides=(1, 1)), *end()
        ),
        (6, 5, 2),
    ),
    "padded_pool": (
        wl.serial(conv(), wl.Relu(), AVERAGE((3, 3), strides=(2, 2), padding=arch.Zeros()), conv(), wl.Relu(), *end()),
        (5, 5, 2),
    ),
    "edges": (
        wl.serial(
            conv(), wl.Relu(), AVERAGE((3, 3), strides=(2, 2), padding=arch.Zeros(), normalize_edges=True), conv(),
            wl.Relu(), *end(),
        ),
        (5, 5, 2),
    ),
    "pool_around": (
        wl.serial(conv(), wl.Relu(), AVERAGE((3, 2), strides=(1, 2), padding=arch.Circular()), around(), *end()),
        (4, 4, 2),
    ),
    "linear_behind": (wl.serial(conv(), wl.Relu(), AVERAGE((2, 2)), conv(), *end(FLAT())), (4, 4, 2)),
    "sequence": (wl.serial(conv(3), wl.Relu(), conv(4, strides=2), wl.Relu(), *end()), (9, 2)),
    "sequence_pool": (wl.serial(conv(5), wl.Relu(), TOTAL(3, strides=2), conv(3), wl.Erf(), *end(FLAT())), (9, 2)),
    "volume": (wl.serial(conv((2, 2, 2)), wl.Relu(), conv((1, 3, 2)), wl.Relu(), *end()), (3, 4, 2, 2)),
    "dense": (wl.serial(wl.Dense(8, 1.3, 0.2), wl.Relu(), wl.Dense(8, 1.3), wl.Gelu(), wl.Dense(1)), (7,)),
    "dense_means": (
        wl.serial(
            *joined(wl.serial(wl.Dense(8), wl.Relu()), wl.serial(wl.Dense(8), wl.Abs())), wl.LayerNorm(), wl.Dense(1)
        ),
        (5,),
    ),
}  # fmt: skip
QUICK = ("sum", "dense")
CI = ("global", "means", "myrtle", "pools", "residual", "strides")
SLOW = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow if name in CI else pytest.mark.thorough)
    for name in CASES
]
# Behind a pooling the gap of inputs that nearly agree is a difference of numbers of ordinary size.
CURVED = ("edges", "head", "head_of_sum", "myrtle", "padded_pool", "pools", "sequence_pool")
NEAR = {np.float64: 1e-8, np.float32: 1e-4}


def batch(shape, count=6):
    """Return inputs among which there are equal, close and zero ones."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, *shape))
    x[1] = x[0]
    x[2] = x[0] + 1e-4 * rng.standard_normal(shape)
    x[3] = 0
    return x


@functools.cache
def exact(name):
    """Return inputs and the reference's kernels of them in float64."""
    net, shape = CASES[name]
    x = batch(shape)
    if "norm" in name:
        x = x[[0, 1, 2, 4, 5]]
    with jax.enable_x64(True):
        block, own = Reference().block(net, jnp.asarray(x), jnp.asarray(x[:4])), Reference().diagonal(net, x)
        return x, [np.asarray(a) for a in block], [np.asarray(a) for a in own]


def assert_close(found, expected, tolerance):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_planes_agree_with_the_reference(name, kind):
    x, block, own = exact(name)
    x, net, tolerance = x.astype(kind), CASES[name][0], DOUBLE if kind == np.float64 else SINGLE
    found, alone = Planes().block(net, x, x[:4]), Planes().diagonal(net, x)
    assert all(a.dtype == kind for a in (*found, *alone))
    near = np.zeros(found.ntk.shape, bool)
    if name in CURVED:
        near[:4] = np.eye(4, dtype=bool)
        near[:3, :3] = True
        assert_close([np.where(near, a, 0) for a in found], [np.where(near, b, 0) for b in block], NEAR[kind])
    assert_close([np.where(near, 0, a) for a in found], [np.where(near, 0, b) for b in block], tolerance)
    assert_close(alone, own, NEAR[kind] if name in CURVED else tolerance)


@pytest.mark.parametrize(("name", "memory"), [("dense", 2**11), pytest.param("head", 2**17, marks=pytest.mark.slow)])
def test_tiles_with_ragged_edges_and_halves_change_nothing(name, memory):
    net, shape = CASES[name]
    x = batch(shape, 7)
    small = Planes(memory=memory)
    whole = Planes().block(net, x, x.copy())
    assert_close(small.block(net, x, x[:5]), [a[:, :5] for a in whole], 1e-12)
    half = small.block(net, x, x)
    assert_close(half, whole, 1e-12)
    for a in half:
        np.testing.assert_array_equal(a, a.T)
    with jax.enable_x64(True):
        inside = jax.jit(lambda x, y: small.block(net, x, y))(x, x[:5])
        assert_close(inside, [a[:, :5] for a in whole], 1e-12)
        assert_close(jax.jit(lambda x: small.diagonal(net, x))(x), [np.diagonal(a) for a in whole], 1e-8)


def test_what_is_not_wanted_is_empty():
    net, shape = CASES["dense"]
    x = batch(shape)
    whole = Planes().block(net, x, x)
    only = Planes().block(net, x, x, wanted=Wanted(nngp=False))
    assert only.nngp.size == 0
    np.testing.assert_allclose(only.ntk, whole.ntk, rtol=1e-12)
    assert wl.NNGP(net, Planes())(x)[1, 0] == pytest.approx(whole.nngp[1, 0])


def total(std, scale, x, engine):
    """Return a number that depends on everything: scales, a parameter of an activation, inputs, both kernels."""
    first = wl.Conv(8, (3, 3), std, 0.2, padding=arch.Zeros())
    net = wl.serial(first, wl.Erf(1.0, scale), conv((2, 2)), wl.Erf(), wl.GlobalAvgPool(), wl.Dense(1))
    nngp, ntk = engine.block(net, x, x[:2])
    weights = jnp.arange(1, 1 + ntk.size).reshape(ntk.shape)
    return jnp.sum(weights * ntk) + 0.3 * jnp.sum(jnp.sin(weights) * nngp)


def test_derivatives_of_a_kernel_of_vectors():
    x = jnp.asarray(batch((5,)), jnp.float32)[2:]

    def entry(std, x, engine):
        return jnp.sum(engine.block(wl.serial(wl.Dense(8, std, 0.1), wl.Erf(), wl.Dense(1)), x, x[:2]).ntk)

    found, expected = (jax.grad(entry, (0, 1))(1.3, x, engine) for engine in (Planes(), Reference()))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_derivatives_are_those_of_the_reference_and_differences():
    x = np.random.default_rng(1).standard_normal((3, 4, 4, 2))
    with jax.enable_x64(True):
        at = 1.3, 0.9, jnp.asarray(x)
        found = jax.jit(jax.grad(lambda *at: total(*at, Planes()), (0, 1, 2)))(*at)
        expected = jax.grad(lambda *at: total(*at, Reference()), (0, 1, 2))(*at)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * float(jnp.abs(b).max()))
        step = 1e-5
        ends = [total(1.3 + s, 0.9, x, Planes()) for s in (step, -step)]
        assert found[0] == pytest.approx(float((ends[0] - ends[1]) / (2 * step)), rel=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flatten", "myrtle", "no_padding", "tanh", "norms", "head_of_sum"])
def test_gradients_of_other_networks(name):
    net, shape = CASES[name]
    x = np.random.default_rng(1).standard_normal((3, *shape))
    with jax.enable_x64(True):

        def loss(net, x, engine):
            nngp, ntk = engine.block(net, x, x[:2])
            return jnp.sum(ntk * jnp.arange(6).reshape(3, 2)) + jnp.sum(nngp**2)

        found = jax.grad(loss, (0, 1))(net, jnp.asarray(x), Planes())
        expected = jax.grad(loss, (0, 1))(net, jnp.asarray(x), Reference())
        pairs = list(zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True))
        # A scale in front of a norm has no effect but through eps: its slope is what others round to.
        largest = max(float(np.abs(b).max()) for _, b in pairs)
        for a, b in pairs:
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-11 * largest)


def test_hyperparameters_do_not_compile_again():
    x = batch((5,)).astype(np.float32)
    nets = [wl.serial(wl.Dense(8, std, 0.1), wl.Relu(), wl.Dense(1)) for std in (1.1, 1.7)]
    first = Planes().block(nets[0], x, x)
    with jax.no_tracing():
        second = Planes().block(nets[1], x, x)
    assert not np.allclose(first.ntk, second.ntk)
    assert_close(second, Reference().block(nets[1], jnp.asarray(x), jnp.asarray(x)), 3e-6)


def test_auto_takes_planes_where_loops_cannot_run_and_all_moments_do_not_fit():
    net = wl.serial(conv(), arch.Elu(), *end())
    x = np.zeros((32, 16, 16, 1), np.float32)
    choice = Auto().select(net, x)
    assert isinstance(choice.engine, Planes)
    assert "no native form; planes" in choice.reason
    assert "would take 2 GB" in choice.reason
    assert choice.seconds > 0
    assert isinstance(Auto().select(net, x[:, :4, :4]).engine, Reference)
    assert isinstance(Auto().select(wl.serial(conv(), wl.Relu(), *end()), x).engine, Native)
    assert isinstance(Auto().select(wl.serial(conv(), arch.Elu(), *end(FLAT())), x).engine, Reference)
    assert "engine: Planes" in str(net.describe((16, 16, 1)))
    chosen = []

    def traced(x):
        chosen.append(Auto().select(wl.serial(conv(), wl.Relu(), *end()), x))
        return x

    jax.jit(traced)(x)
    assert isinstance(chosen[0].engine, Planes)
    assert "tracing" in chosen[0].reason


@pytest.mark.parametrize(
    ("net", "shape", "message"),
    [
        (wl.serial(around(strides=(4, 4)), wl.Relu(), *end()), (6, 6, 1), "layer 0 has circular padding of 6"),
        (wl.serial(conv(), wl.residual(AVERAGE((1, 1)), conv()), *end()), (6, 6, 1), "layer 1.0.0 pools inside"),
        (wl.serial(conv(), wl.Relu()), (6, 6, 1), "ends with space"),
        (wl.serial(*joined(inner(), inner((1, 1), strides=(2, 2))), *end()), (4, 4, 1), "different strides"),
        (wl.serial(wl.Dense(4), wl.Dropout(0.5), wl.Dense(1)), (3,), "layer 1"),
    ],
)
def test_what_has_no_planes_is_refused_by_name(net, shape, message):
    with pytest.raises(NoNativeForm, match=message):
        Planes().block(net, np.ones((2, *shape), np.float32), np.ones((2, *shape), np.float32))


def test_inputs_that_planes_do_not_read():
    net, shape = CASES["global"]
    with pytest.raises(NoNativeForm, match="dtype int64"):
        Planes().diagonal(net, np.ones((2, *shape), int))
    with pytest.raises(ValueError, match="memory is 0"):
        Planes(memory=0)
