"""Several kernels at once have the numbers of each by itself, and layers that they share are computed once."""

import collections

import jax
import numpy as np
import pytest

import widelimit as wl
from widelimit import arch, kernels
from widelimit.engine import Native, Planes, Reference, _native_conv, blocks
from widelimit.engine._native_pairs import FINISH, HALF, PAIRS, REST, SUMS

PAIR = np.random.default_rng(0).standard_normal((37, 10, 10, 3))
X, Y = PAIR[:21], PAIR[21:]


def conv(size=3, strides=(1, 1), padding=None):
    """Return a convolution with bias."""
    return wl.Conv(8, (size, size), 2**0.5, 0.1, strides=strides, padding=padding or arch.Zeros())


def net(depth, activation=wl.Relu, tail=(wl.Dense(1),), layer=None):
    """Return convolutions, global pooling and a tail."""
    return wl.serial(*((layer or conv)(), activation()) * depth, wl.GlobalAvgPool(), *tail)


DEEPER = (wl.Dense(8, 1.5, 0.1), wl.Relu(), wl.Dense(1))
RESIDUAL = [
    wl.serial(conv(), *[wl.residual(wl.serial(wl.Relu(), conv()))] * count, arch.GlobalSumPool(), wl.Dense(1))
    for count in (1, 3)
]
GROUPS = {
    "depths": [net(2), net(4), net(1)],
    "two readouts": [net(2), net(2, tail=(wl.Dense(1, 0.5, 0.3),)), net(3, tail=DEEPER[-1:])],
    "series": [net(1, wl.Tanh), net(2, wl.Tanh)],
    "erf": [net(1, wl.Erf), net(3, wl.Erf)],
    "circular": [net(depth, layer=lambda: conv(padding=arch.Circular())) for depth in (1, 2)],
    "residual": RESIDUAL,
}
APART = {
    "other weights": [net(2), net(3, layer=lambda: wl.Conv(8, (3, 3), 1.0, padding=arch.Zeros()))],
    "other activations": [net(2), net(3, wl.Erf)],
    "strides behind": [net(1), wl.serial(conv(), wl.Relu(), conv(strides=(2, 2)), wl.Relu(), *net(0).layers)],
    "an activation behind the pooling": [net(2, tail=DEEPER), net(3, tail=DEEPER)],
    "flattened": [wl.serial(conv(), wl.Relu(), wl.Flatten(), wl.Dense(1)), net(2)],
    "pooled on the way": [wl.serial(conv(), wl.Relu(), wl.AvgPool((2, 2)), *net(1).layers), net(3)],
}


@pytest.fixture
def calls(monkeypatch):
    """Count inputs that compiled loops take against 16 partners, by what is asked of them."""
    counted = collections.Counter()

    class Spy:
        signatures = _native_conv.run.signatures
        run = staticmethod(_native_conv.run)

        def __call__(self, what, *rest):
            counted[what] += len(rest[-1][0])
            return self.run(what, *rest)

    monkeypatch.setattr(_native_conv, "run", Spy())
    return counted


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*GROUPS, *APART])
def test_numbers_are_those_of_each_network_by_itself(name, kind, calls):
    nets = (GROUPS | APART)[name]
    x, y, engine = X.astype(kind), Y.astype(kind), Native(threads=1)
    for a, b in ((x, y), (x, x)):
        together = engine.together(nets, a, b)
        once = calls.copy()
        calls.clear()
        alone = [engine.block(one, a, b) for one in nets]
        for found, expected in zip(together, alone, strict=True):
            for one, other in zip(found, expected, strict=True):
                assert one.dtype == kind
                np.testing.assert_array_equal(one, other)
        if name in GROUPS:
            # The layers of one network run, in place of those of all.
            assert once[PAIRS] == 0
            assert len(nets) * (once[SUMS] + once[HALF]) == calls[PAIRS] + calls[HALF]
        else:
            assert once == calls
        calls.clear()


def test_one_pass_of_the_deepest(calls):
    engine = Native(threads=1)
    engine.together(GROUPS["depths"], X, Y)
    groups = -(-len(Y) // 16)
    assert calls[SUMS] == groups * len(X)
    assert calls[REST] == 3 * groups * len(X)
    calls.clear()
    engine.together(GROUPS["depths"], X, X)
    assert (calls[HALF], calls[FINISH]) == (2 * 16, 3 * 2 * 16)


@pytest.mark.parametrize("args", [(X,), (X, Y), (X.astype(np.float32), Y.astype(np.float32))])
def test_kernels_together(args):
    finite = wl.EmpiricalNTK(*_model())
    many = [
        wl.NTK(net(2)),
        finite,
        wl.NNGP(net(1)),
        wl.NTK(net(1)),
        wl.NTK(net(1), engine=Reference()),
        wl.NNGP(net(2)),
    ]
    found = kernels.together(many, *args)
    for kernel, matrix in zip(many, found, strict=True):
        expected = kernel(*args)
        assert matrix.dtype == expected.dtype
        # XLA compiles the empirical kernel as a part of another function.
        np.testing.assert_allclose(matrix, expected, rtol=1e-6 if kernel is finite else 0)
    assert kernels.together([], *args) == []


def _model():
    small = wl.serial(wl.Flatten(), wl.Dense(3), wl.Relu(), wl.Dense(1))
    return small.apply, small.init(jax.random.key(0), X.shape[1:])


def test_other_engines_take_one_after_the_other():
    nets = [net(1), net(2)]
    x = X[:3, :5, :5]
    for engine in (Reference(), Planes(), wl.Auto()):
        for one, found in zip(nets, blocks(engine, nets, x, x), strict=True):
            for a, b in zip(found, engine.block(one, x, x), strict=True):
                np.testing.assert_array_equal(a, b)


def test_kernels_together_under_transformations():
    x = X[:3, :5, :5].astype(np.float32)
    many = [wl.NTK(net(1)), wl.NTK(net(2))]
    traced = jax.jit(lambda x: kernels.together(many, x))(x)
    for kernel, matrix in zip(many, traced, strict=True):
        np.testing.assert_allclose(matrix, kernel(x), rtol=1e-5)


def test_tokens_and_numbers_are_read_apart():
    words = np.random.default_rng(1).integers(0, 5, (4, 3))
    many = [wl.NTK(wl.serial(arch.Embedding(5, 8), wl.GlobalAvgPool(), wl.Dense(1))), wl.NTK(wl.serial(wl.Dense(1)))]
    found = kernels.together(many, words)
    for kernel, matrix in zip(many, found, strict=True):
        np.testing.assert_allclose(matrix, kernel(words), rtol=1e-6)


def test_what_together_refuses():
    with pytest.raises(ValueError, match=r"kernels\[1\]"):
        kernels.together([wl.NTK(net(1)), net(1)], X)
    bad = X.copy()
    bad[3, 1, 1, 1] = np.nan
    with pytest.raises(ValueError, match="x1"):
        kernels.together([wl.NTK(net(1)), wl.NTK(net(2))], bad)
    with pytest.raises(ValueError, match="x2"):
        Native().together([net(1), net(2)], X, bad)
    with pytest.raises(ValueError, match="the same shape for both"):
        kernels.together([wl.NTK(net(1))], X, X[:, :4])
