"""Engines agree: compiled loops against the reference, on named and on random architectures, and what they refuse."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from tables import DUALS
from widelimit import arch, dual
from widelimit.arch._rates import frozen, with_learning_rate
from widelimit.engine import Auto, Native, NoNativeForm, Reference, Wanted
from widelimit.engine import _native_run as run
from widelimit.engine import _threads as threads
from widelimit.engine._hermite import is_smooth
from widelimit.engine._on_disk import on_disk

RNG = np.random.default_rng(0)
BASE = RNG.standard_normal((20, 5))
# Close, equal and zero inputs among others; sizes that no block divides.
X = np.concatenate([BASE, BASE[:4], BASE[4:8] + 1e-4 * RNG.standard_normal((4, 5)), np.zeros((1, 5))])
Y = np.concatenate([BASE[2:5], np.zeros((1, 5)), RNG.standard_normal((9, 5))])
SINGLE, DOUBLE = 1e-5, 1e-9


def dense(width=8, weight_std=1.4, bias_std=0.2, **options):
    return wl.Dense(width, weight_std, bias_std, **options)


def standard(*args):
    return dense(*args, parameterization=wl.StandardParameterization())


def parts(*branches):
    return arch.FanOut(len(branches)), arch.parallel(*branches), arch.Sum()


NETS = {
    "linear": wl.serial(dense(), wl.Identity(), dense(1)),
    "relu": wl.serial(dense(), wl.Relu(), dense(), wl.Relu(), dense(1)),
    "no_bias": wl.serial(dense(8, 1.5, None), wl.LeakyRelu(0.3), dense(1, 1.5, None)),
    "abs": wl.serial(dense(), wl.Abs(), dense(1)),
    "erf": wl.serial(dense(), wl.Erf(), dense(), wl.Erf(0.7, 1.3, 0.4), dense(1)),
    "gelu": wl.serial(dense(), wl.Gelu(), dense(), wl.Gelu(), dense(1)),
    "waves": wl.serial(dense(), wl.Sin(1.1, 0.7, 0.3), dense(), wl.Cos(), dense(1)),
    "sign": wl.serial(dense(), wl.Relu(), dense(), arch.Sign(), dense(1)),
    "standard": wl.serial(standard(6), wl.Relu(), standard(9), wl.Erf(), standard(1)),
    "abc": arch.parameterize(wl.serial(dense(), wl.Relu(), dense(1)), wl.MeanField()),
    "rates": wl.serial(frozen(dense()), wl.Relu(), with_learning_rate(dense(), 0.3), wl.Relu(), dense(1)),
    "norms": wl.serial(
        dense(), wl.Relu(), wl.LayerNorm(eps=0.01), dense(), wl.LayerNorm(eps=1e-3, affine=True), dense(1)
    ),
    "norm_of_data": wl.serial(wl.LayerNorm(eps=0.1), dense(), wl.Gelu(), dense(1)),
    "residual": wl.serial(
        dense(), wl.residual(wl.Relu(), dense()), wl.Relu(), wl.residual(dense(), wl.Erf(), dense()), dense(1)
    ),
    "branches": wl.serial(*parts(dense(), wl.serial(dense(), wl.Relu(), dense())), wl.Relu(), dense(1)),
    "means_meet": wl.serial(
        *parts(*(wl.serial(dense(), a) for a in (wl.Relu(), wl.Gelu(), wl.Abs()))), wl.LayerNorm(eps=0.1), dense(1)
    ),
    # A series in compiled loops, and a closed form in the reference, which compiles a series of its own slowly.
    "series": wl.serial(
        dense(), arch.Snake(), dense(), wl.Gaussian(), dense(), arch.Polynomial(0.3, -1.0, 0.5), dense(1)
    ),
    "repeat": wl.serial(dense(), wl.Relu(), arch.repeat(wl.serial(dense(), wl.Relu()), 3), arch.Scale(0.7), dense(1)),
    "no_dropout": wl.serial(dense(), wl.Relu(), wl.Dropout(0.0), dense(1)),
}
"""Networks with a native form."""


def agree(net, x, y, tolerance):
    """Compare both kernels of the native engine with the reference in float64, relative to the largest entry."""
    with jax.enable_x64(True):
        exact = Reference().block(net, jnp.asarray(x, jnp.float64), jnp.asarray(y, jnp.float64))
        found = Native().block(net, x, y)
    for a, b in zip(found, exact, strict=True):
        assert a.dtype == x.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


@pytest.mark.parametrize("name", NETS)
def test_compiled_loops_agree_with_the_reference(name):
    agree(NETS[name], X, Y, DOUBLE)
    single = X.astype(np.float32)
    agree(NETS[name], single, single, SINGLE)


@pytest.mark.parametrize("name", NETS)
def test_symmetric_is_rectangular_and_the_diagonal_its_own(name):
    with jax.enable_x64(True):
        whole, rectangular = Native().block(NETS[name], X, X), Native().block(NETS[name], X, X.copy())
        own = Native().diagonal(NETS[name], X)
    for a, b, d in zip(whole, rectangular, own, strict=True):
        np.testing.assert_array_equal(a, a.T)
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14 * np.abs(b).max())
        np.testing.assert_allclose(d, np.diag(a), rtol=1e-12, atol=1e-14 * np.abs(b).max())


SERIES = [n for n, (d, _) in DUALS.items() if is_smooth(d)]


@pytest.mark.thorough
@pytest.mark.parametrize("name", SERIES)
def test_smooth_activations_by_their_series(name):
    """Equal, close and zero inputs, and a layer whose signal has a small variance; with biases and without."""
    activation = arch.Activation(DUALS[name][0])
    for bias in (0.2, None):
        net = wl.serial(dense(8, 0.6, bias), activation, dense(8, 0.9, bias), activation, dense(1))
        agree(net, X, Y, DOUBLE)
        agree(net, X.astype(np.float32), Y.astype(np.float32), SINGLE)


@pytest.mark.thorough
@pytest.mark.parametrize("norm", [False, True])
def test_series_at_depth_20(norm):
    net = wl.serial(*[layer for _ in range(20) for layer in (dense(), arch.Tanh())], dense(1))
    x = BASE / np.sqrt(np.mean(BASE**2, 1, keepdims=True)) if norm else X
    agree(net, x, x, DOUBLE)
    agree(net, x.astype(np.float32), x.astype(np.float32), SINGLE)


def test_a_series_that_is_too_long_is_left_to_the_reference():
    net = wl.serial(dense(8, 6.0), arch.Exp(), dense(1))
    with pytest.raises(NoNativeForm, match=r"Exp.*too steep or too large"):
        Native().block(net, BASE, BASE)
    x = RNG.standard_normal((70, 5))
    with jax.enable_x64(True):
        for a, b in zip(AUTO.block(net, x, x), Reference().block(net, x, x), strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(AUTO.diagonal(net, x), Reference().diagonal(net, x), strict=True):
            np.testing.assert_array_equal(a, b)


def test_infinite_variances_are_refused():
    net = wl.serial(dense(), arch.Tanh(), dense(1))
    with pytest.raises(NoNativeForm, match="not finite"):
        Native().block(net, 1e200 * BASE, BASE)


@pytest.mark.parametrize("d", [6, run.DIRECT + 7])
def test_panels_tiles_and_blocks_may_be_ragged(d, monkeypatch):
    """Panels of about 32 rows, tiles of about 64 columns, blocks over their edges; symmetric too."""
    x = RNG.standard_normal((211, d))
    net = NETS["relu"]
    with jax.enable_x64(True):
        whole = Native().block(net, x, x)
        monkeypatch.setattr(run, "PANEL", 32 * 8 * max(d, 8))
        monkeypatch.setattr(run, "TILE", 64 * 8 * max(d, 8))
        for a, b, c in zip(whole, Native().block(net, x, x), Native().block(net, x, x[:97]), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-13)
            np.testing.assert_array_equal(b, b.T)
            np.testing.assert_allclose(c, a[:, :97], rtol=1e-12)


def test_inputs_of_many_numbers():
    """Gaps come from products, and anew from differences where they are small: close, equal and zero inputs."""
    base = RNG.standard_normal((30, run.DIRECT + 21))
    x = np.concatenate([base, base[:5], base[5:9] * (1 + 1e-4), base[9:13] + 1e-3, np.zeros((1, base.shape[1]))])
    for name in ("relu", "erf", "no_bias"):
        agree(NETS[name], x, x[::-2], DOUBLE)
        agree(NETS[name], x.astype(np.float32), x[::-2].astype(np.float32), SINGLE)


def test_depth_50_in_float32():
    net = wl.serial(*[layer for _ in range(50) for layer in (dense(8, 2**0.5, 0.1), wl.Relu())], dense(1))
    agree(net, X.astype(np.float32), X.astype(np.float32), SINGLE)


def test_inputs_far_from_the_origin_keep_their_digits():
    """Products are taken about the mean of the inputs. The sign shows the angle, here 0.01, in its first digits."""
    x = (100 + RNG.standard_normal((70, 300))).astype(np.float32)
    net = wl.serial(dense(8, 1.0, None), arch.Sign(), dense(1, 1.0, None))
    with jax.enable_x64(True):
        exact = np.asarray(Reference().block(net, jnp.asarray(x, jnp.float64), jnp.asarray(x, jnp.float64)).nngp)
    off = ~np.eye(len(x), dtype=bool)
    assert exact[off].max() < 1
    assert exact[off].min() > 0.98
    np.testing.assert_allclose(Native().block(net, x, x).nngp, exact, rtol=2e-7)


def test_one_kernel_can_be_asked_for():
    net, both = NETS["relu"], Native().block(NETS["relu"], X, Y)
    for wanted in (Wanted(nngp=False), Wanted(ntk=False)):
        for a, b, asked in zip(Native().block(net, X, Y, wanted=wanted), both, wanted, strict=True):
            np.testing.assert_array_equal(a, b if asked else np.empty((0, 0)))


def test_flattened_images_are_vectors():
    images = RNG.standard_normal((9, 3, 4, 2))
    agree(wl.serial(wl.Flatten(), *NETS["relu"].layers), images, images, DOUBLE)


# --- what is chosen


AUTO = Auto(few=4096)
LARGE = RNG.standard_normal((80, 5)).astype(np.float32)


def test_auto_runs_what_it_says_and_keeps_types():
    net = NETS["relu"]
    assert isinstance(AUTO.select(net, LARGE).engine, Native)
    exact = wl.NTK(net, Reference())(LARGE.astype(np.float64))
    for x in (LARGE, jnp.asarray(LARGE), LARGE.astype(np.float64)):
        found = wl.NTK(net, AUTO)(x)
        assert found.dtype == x.dtype
        np.testing.assert_allclose(found, exact, rtol=1e-9 if x.dtype == np.float64 else 1e-5)
        np.testing.assert_allclose(wl.NTK(net, AUTO).block(x, x[:70]), found[:, :70], rtol=1e-6)
    assert isinstance(wl.NTK(net, AUTO)(LARGE.astype(np.float64)), np.ndarray)
    assert isinstance(wl.NTK(net, AUTO)(LARGE), jax.Array)


SAID = [
    ("relu", LARGE, Native, "every layer has a native form"),
    ("relu", LARGE[:5], Reference, "for 25 moments per layer it is not worth"),
    ("relu", arch.Sample(LARGE[:, :, None], np.ones((80, 5), bool)), Reference, "a mask or a graph"),
    ("relu", LARGE.astype(np.float16), Reference, "dtype float16"),
    (wl.serial(arch.Transpose((0,)), wl.Dense(1)), LARGE, Reference, r"layer 0 (Transpose) has no native form"),
    (wl.serial(wl.Dense(4), wl.Dropout(0.5), wl.Dense(1)), LARGE, Reference, "layer 1 (Dropout) treats equal inputs"),
    (
        wl.serial(wl.Dense(4), wl.residual(arch.Transpose((0,)), wl.Dense(4))),
        LARGE,
        Reference,
        "layer 1.0.0 (Transpose)",
    ),
]


@pytest.mark.parametrize(("net", "x", "engine", "reason"), SAID, ids=range(len(SAID)))
def test_the_choice_and_its_reason(net, x, engine, reason):
    found = AUTO.select(NETS.get(net, net) if isinstance(net, str) else net, x)
    assert type(found.engine) is engine
    assert reason in found.reason
    assert found.reason in str(found)
    assert str(found).startswith(engine.__name__)


def test_estimates_grow_with_size_and_are_told():
    small, large = (AUTO.select(NETS["relu"], np.zeros((n, 5), np.float32)) for n in (1000, 4000))
    assert large.seconds == pytest.approx(16 * small.seconds, rel=0.01)
    assert large.bytes > 4 * 4000**2
    assert "About" in str(large)


def test_under_transformations_the_reference_runs():
    net = NETS["relu"]
    chosen = []

    def total(x):
        chosen.append(AUTO.select(net, x))
        return jnp.sum(wl.NTK(net, AUTO)(x))

    x = jnp.asarray(LARGE)
    assert np.isfinite(jax.grad(total)(x)).all()
    assert jax.jit(total)(x) == pytest.approx(float(jnp.sum(wl.NTK(net, AUTO)(x))), rel=1e-5)
    assert all(isinstance(c.engine, Reference) and "JAX is tracing" in c.reason for c in chosen)
    assert all(c.seconds is None for c in chosen)
    slope = jax.grad(lambda std: jnp.sum(wl.NTK(wl.serial(wl.Dense(8, std), wl.Relu(), wl.Dense(1)))(x)))(1.3)
    assert np.isfinite(slope)


@pytest.mark.parametrize("rectangular", [False, True])
def test_the_reference_runs_in_tiles_where_memory_is_short(rectangular):
    net = wl.serial(wl.Conv(4, (3,)), wl.Relu(), wl.GlobalAvgPool(), wl.Dense(1))
    x = RNG.standard_normal((23, 8, 3))
    small = Auto(memory=2**17)
    chosen = small.select(net, x)
    assert "tile by tile" in chosen.reason
    assert chosen.bytes == 2**17
    other = x[:9] if rectangular else None
    np.testing.assert_allclose(wl.NTK(net, small)(x, other), wl.NTK(net, Reference())(x, other), rtol=1e-12)
    with jax.enable_x64(True):
        for a, b in zip(small.diagonal(net, x), Reference().diagonal(net, x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


# --- refusals, threads, interruption


def test_what_is_refused():
    with pytest.raises(NoNativeForm, match="no native form"):
        Native().block(wl.serial(arch.Transpose((0,)), wl.Dense(1)), X, Y)
    bad = X.copy()
    bad[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"\[3, 1\] is nan"):
        Native().block(NETS["relu"], bad, Y)
    with pytest.raises(ValueError, match="expected finite"):
        wl.NTK(NETS["relu"])(np.full((80, 5), np.inf))
    with pytest.raises(ValueError, match="threads is 0"):
        Native(threads=0)
    with pytest.raises(ValueError, match="not finite in float32"):
        wl.NTK(NETS["relu"])(np.float32(1e25) * LARGE)


def test_the_number_of_threads_is_honoured(monkeypatch):
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert threads.thread_count() >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads.thread_count() == 3
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    assert threads.thread_count() == 2
    monkeypatch.setenv("NUMBA_NUM_THREADS", "two")
    with pytest.raises(ValueError, match="NUMBA_NUM_THREADS is 'two'"):
        threads.thread_count()
    results = [Native(threads=n).block(NETS["relu"], LARGE, LARGE).ntk for n in (1, 2, 5)]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_interruption_leaves_no_thread():
    """Ctrl-C while calls wait: those that run end, the others never start, and no thread is left."""
    import threading

    before, started = threading.active_count(), []

    def work(i, go):
        started.append(i)
        if i == 1:
            raise KeyboardInterrupt
        if i == 2:
            # A long call: it looks whether anybody waits.
            while not go.stopped():
                time.sleep(0.001)
        return i

    done = []
    with pytest.raises(KeyboardInterrupt), threads.workers(2) as go:
        go(work, [(i, go) for i in range(50)], done.append)
    assert threading.active_count() == before
    assert done == [0]
    assert len(started) < 50
    with threads.workers(3) as go:
        go(lambda i: i**2, [(i,) for i in range(20)], done.append)
    assert done[1:] == [i**2 for i in range(20)]


def test_compiled_code_without_a_place_on_disk(tmp_path):
    """It is compiled in memory; the key on disk changes with any of the files it is made of."""
    file, tried = tmp_path / "part.py", []

    def build(stamp, cache):
        tried.append((stamp, cache))
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return "built"

    for text in ("one", "two"):
        file.write_text(text)
        assert on_disk(build, (__file__, str(file))) == "built"
    (first, yes), (again, no), (second, _), _ = tried
    assert (yes, no) == (True, False)
    assert first == again != second
    assert 0 not in (first, second)


INTERRUPTED = """
import numpy as np, threading, widelimit as wl
from widelimit.engine import Native
net = wl.serial(*[l for _ in range(300) for l in (wl.Dense(8), wl.Gelu())], wl.Dense(1))
Native().block(net, np.ones((2, 3), np.float32), np.ones((2, 3), np.float32))
print("ready", flush=True)
try:
    Native().block(net, np.random.randn(20000, 3).astype(np.float32), np.random.randn(20000, 3).astype(np.float32))
except KeyboardInterrupt:
    print("interrupted", threading.active_count(), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_a_long_evaluation():
    source = str(pathlib.Path(wl.__file__).parents[1])
    path = os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", INTERRUPTED]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert out.strip() == "interrupted 1"


@pytest.mark.parametrize(
    "name", [n for n, (d, _) in DUALS.items() if isinstance(d, dual.Sin | dual.Erf | dual.PiecewiseLinear)]
)
def test_scaled_duals(name):
    agree(wl.serial(dense(), arch.Activation(DUALS[name][0]), dense(1)), X, Y, DOUBLE)
