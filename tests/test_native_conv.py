"""The compiled plane engine against the reference: convolutional nets by name and at random, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit import arch
from widelimit.engine import Auto, Native, NoNativeForm, Reference

SINGLE, DOUBLE = 1e-5, 1e-9
RNG = np.random.default_rng(0)


def conv(window=(3, 3), **options):
    return wl.Conv(8, window, 1.3, 0.2, **({"padding": arch.Zeros()} | options))


def around(window=(3, 3), **options):
    return conv(window, padding=arch.Circular(), **options)


def inner(window=(3, 3), **options):
    return conv(window, padding=arch.Valid(), **options)


def bare(window=(3, 3), **options):
    return wl.Conv(8, window, 1.5, **({"padding": arch.Zeros()} | options))


def end(pool=None):
    return pool or wl.GlobalAvgPool(), wl.Dense(1, 1.1, 0.3)


def wide_block(strides):
    branch = wl.serial(wl.Relu(), conv(strides=strides), wl.Relu(), conv())
    shortcut = conv((1, 1), strides=strides, padding=arch.Valid())
    return arch.FanOut(2), arch.parallel(branch, shortcut), arch.Sum()


STANDARD = wl.StandardParameterization()
FLAT = arch.Flatten
AVERAGE = wl.AvgPool
IMAGES = {
    "global": wl.serial(conv(), wl.Relu(), conv(), wl.Relu(), *end()),
    "sum": wl.serial(conv(), wl.Relu(), conv(), wl.Relu(), *end(arch.GlobalSumPool())),
    "flatten": wl.serial(conv(), wl.Relu(), conv(), wl.Relu(), *end(FLAT())),
    "no_bias": wl.serial(bare(), wl.Relu(), bare(), wl.LeakyRelu(0.2), wl.GlobalAvgPool(), wl.Dense(1)),
    "no_padding": wl.serial(inner(), wl.Relu(), inner((2, 1)), wl.Abs(), *end()),
    "strides": wl.serial(conv((3, 2), strides=(2, 1)), wl.Relu(), conv((5, 3), strides=(2, 2)), wl.Relu(), *end()),
    "dilation": wl.serial(conv(dilation=(2, 1)), wl.Relu(), conv((2, 2), dilation=(2, 3)), wl.Relu(), *end()),
    "around": wl.serial(around(), wl.Relu(), around((2, 4)), wl.Relu(), *end()),
    "around_strides": wl.serial(around(), wl.Relu(), around(strides=(2, 3)), wl.Relu(), around(), *end()),
    "around_even": wl.serial(around(), wl.Relu(), around((2, 2), strides=(2, 2)), wl.Relu(), around(), *end()),
    "three": wl.serial(conv(dilation=(2, 1)), wl.Relu(), conv(strides=(2, 1)), wl.Abs(), inner(), wl.Relu(), *end()),
    "three_around": wl.serial(around(dilation=(2, 1)), wl.Relu(), around(strides=(2, 1)), wl.Relu(), around(), *end()),
    "around_pool": wl.serial(around(), wl.Relu(), AVERAGE((2, 2)), around(), wl.Relu(), *end(FLAT())),
    "smooth": wl.serial(conv(), wl.Erf(), conv(), wl.Gelu(), conv(), wl.Sin(), conv(), wl.Cos(), *end()),
    "series": wl.serial(conv(), arch.Snake(), conv(), wl.Gaussian(), *end()),
    "series_residual": wl.serial(conv(), wl.residual(arch.Tanh(), conv()), arch.Softplus(), *end()),
    "dense_within": wl.serial(conv(), wl.Relu(), wl.Dense(8, 1.2, 0.1), arch.Scale(0.8), wl.Relu(), *end()),
    "standard": wl.serial(
        wl.Conv(8, (3, 3), 1.3, 0.2, padding=arch.Zeros(), parameterization=STANDARD), wl.Relu(), *end()
    ),
    "head": wl.serial(conv(), wl.Relu(), wl.GlobalAvgPool(), wl.Dense(8, 1.3, 0.1), wl.Relu(), wl.Dense(1)),
    "myrtle": wl.serial(
        conv(), wl.Relu(), AVERAGE((2, 2)), conv(), wl.Relu(), AVERAGE((2, 2)), conv(), wl.Relu(), *end(FLAT())
    ),
    "pools": wl.serial(
        conv(), wl.Relu(), AVERAGE((3, 3), strides=(2, 1)), conv(), wl.Relu(), arch.SumPool((2, 2), strides=(1, 1)),
        conv(), wl.Relu(), *end(),
    ),
    "padded_pool": wl.serial(
        conv(), wl.Relu(), AVERAGE((3, 3), strides=(2, 2), padding=arch.Zeros()), conv(), wl.Relu(), *end()
    ),
    "edges": wl.serial(
        conv(), wl.Relu(), AVERAGE((3, 3), strides=(2, 2), padding=arch.Zeros(), normalize_edges=True), conv(),
        wl.Relu(), *end(),
    ),
    "residual": wl.serial(conv(), wl.residual(wl.Relu(), conv(), wl.Relu(), conv()), wl.Relu(), *end()),
    "wide_resnet": wl.serial(conv(), *wide_block((1, 1)), *wide_block((2, 2)), wl.residual(conv()), wl.Relu(), *end()),
}  # fmt: skip
SEQUENCES = {
    "sequence": wl.serial(conv(3), wl.Relu(), conv(4, strides=2), wl.Relu(), *end()),
    "sequence_pool": wl.serial(conv(5), wl.Relu(), arch.SumPool(3, strides=2), conv(3), wl.Erf(), *end(FLAT())),
}


def batch(shape, count, seed=0):
    """Return inputs among which there are equal, close and zero ones; one has a zero corner."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, *shape))
    x[1] = x[0]
    x[2] = x[0] + 1e-4 * rng.standard_normal(shape)
    x[3] = 0
    x[4][:2] = 0
    return x


CASES = {name: (net, (6, 6, 3)) for name, net in IMAGES.items()}
CASES |= {name: (net, (9, 2)) for name, net in SEQUENCES.items()}


@functools.cache
def exact(name):
    """Return inputs and the reference's kernels of them in float64."""
    net, shape = CASES[name]
    x = batch(shape, 18)
    with jax.enable_x64(True):
        block, own = Reference().block(net, jnp.asarray(x), jnp.asarray(x[:7])), Reference().diagonal(net, x)
        return x, [np.asarray(a) for a in block], [np.asarray(a) for a in own]


def assert_close(found, expected, tolerance):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


QUICK = ("global", "series", "flatten", "strides", "around", "head", "myrtle", "wide_resnet", "sequence")
QUICK += ("three_around",)
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.thorough) for name in CASES]
# Behind a pooling the gap of inputs that nearly agree is a difference of numbers of ordinary size, also in the
# reference: its error is that of rounding, and an angle, its root, is right to the root of that.
CURVED = ("around_pool", "edges", "head", "myrtle", "padded_pool", "pools", "sequence_pool")
NEAR = {np.float64: 1e-8, np.float32: 1e-4}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_planes_agree_with_the_reference(name, kind):
    x, block, own = exact(name)
    x, tolerance = x.astype(kind), DOUBLE if kind == np.float64 else SINGLE
    with jax.enable_x64(kind == np.float64):
        found, alone = Native().block(CASES[name][0], x, x[:7]), Native().diagonal(CASES[name][0], x)
    assert all(a.dtype == kind for a in (*found, *alone))
    near = np.zeros((18, 7), bool)
    if name in CURVED:
        near[:7] = np.eye(7, dtype=bool)
        near[:3, :3] = True
        assert_close([a[near] for a in map(np.asarray, found)], [b[near] for b in block], NEAR[kind])
        assert_close(alone, own, NEAR[np.float64] if kind == np.float64 else SINGLE)
    else:
        assert_close(alone, own, tolerance)
    assert_close([a[~near] for a in map(np.asarray, found)], [b[~near] for b in block], tolerance)


@pytest.mark.parametrize("name", ["global", "flatten", "around", "myrtle", "head", "sequence"])
@pytest.mark.parametrize("count", [5, 16, 35])
def test_symmetric_is_rectangular(name, count):
    net, shape = CASES[name]
    x = batch(shape, count).astype(np.float32)
    whole, half = Native().block(net, x, x.copy()), Native().block(net, x, x)
    assert_close(half, whole, 2e-6)
    for a in half:
        np.testing.assert_array_equal(a, a.T)
    assert_close([np.diagonal(a) for a in half], Native().diagonal(net, x), 2e-6)


def test_equal_inputs_have_equal_kernels():
    net, shape = CASES["head"]
    x = batch(shape, 6).astype(np.float32)
    nngp, ntk = Native().block(net, x, x)
    np.testing.assert_allclose(ntk[0, 1], ntk[0, 0], rtol=1e-6)
    np.testing.assert_allclose(nngp[0, 1], nngp[0, 0], rtol=1e-6)


def test_threads_and_tiles_change_nothing():
    net, shape = CASES["myrtle"]
    x, y = batch(shape, 40).astype(np.float32), batch(shape, 37, 1).astype(np.float32)
    one = Native(threads=1).block(net, x, y)
    three = Native(threads=3).block(net, x, y)
    for a, b in zip(one, three, strict=True):
        np.testing.assert_array_equal(a, b)


def test_auto_takes_planes_for_images():
    net, x = CASES["global"][0], batch((16, 16, 1), 8).astype(np.float32)
    assert isinstance(Auto().select(net, x[:, :4, :4]).engine, Reference)
    selection = Auto().select(net, x)
    assert isinstance(selection.engine, Native)
    assert selection.seconds > 0
    assert_close(Auto().block(net, x, x), Native().block(net, x, x), 0)


@pytest.mark.parametrize(
    ("net", "shape", "message"),
    [
        (wl.serial(wl.Conv(4, (3, 3, 3)), wl.Relu(), *end()), (4, 4, 4, 1), "axes"),
        (wl.serial(conv(), wl.Relu(), around(), wl.Relu(), *end()), (6, 6, 1), "circular and other padding"),
        (wl.serial(around(strides=(4, 4)), wl.Relu(), *end()), (6, 6, 1), "do not divide"),
        (wl.serial(around(), inner((1, 1), strides=(2, 2)), wl.Relu(), *end()), (5, 6, 1), "do not divide"),
        (wl.serial(conv(), wl.residual(AVERAGE((1, 1)), conv()), wl.Relu(), *end()), (6, 6, 1), "inside a branch"),
        (
            wl.serial(around(), arch.SumPool((2, 2), strides=(1, 1), padding=arch.Zeros()), *end()),
            (6, 6, 1),
            "with any behind",
        ),
        (wl.serial(conv(), wl.Relu()), (6, 6, 1), "ends with space"),
        (wl.serial(conv(), arch.Elu(), *end()), (6, 6, 1), "no native form"),
        (wl.serial(conv(), wl.Relu(), wl.LayerNorm(), *end()), (6, 6, 1), "Norm"),
        (
            wl.serial(arch.FanOut(2), arch.parallel(wl.Conv(4, 3), wl.Conv(4, 1, strides=2)), arch.Sum(), *end()),
            (4, 1),
            "different strides",
        ),
    ],
)
def test_what_has_no_planes_is_refused_by_name(net, shape, message):
    with pytest.raises(NoNativeForm, match=message):
        Native().block(net, np.ones((2, *shape), np.float32), np.ones((2, *shape), np.float32))


def test_inputs_that_are_not_finite_are_refused():
    net, shape = CASES["global"]
    x = np.ones((2, *shape), np.float32)
    bad = x.copy()
    bad[1, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="x2"):
        Native().block(net, x, bad)
    with pytest.raises(ValueError, match="x"):
        Native().diagonal(net, bad)
