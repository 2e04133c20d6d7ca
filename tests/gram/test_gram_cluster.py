"""Tiles on Dask and on several devices: same bytes as in one process, also when a worker is lost."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from grams import NET, X, build, files

import widelimit as wl
from widelimit import engine, gram

CLUSTER = {"dashboard_address": ":0", "threads_per_worker": 1}


@pytest.fixture(scope="module")
def here():
    """A cluster of threads in this process."""
    from distributed import Client

    with Client(processes=False, n_workers=2, **CLUSTER) as client:
        yield client


def test_a_client_gives_the_same_bytes(tmp_path, here):
    told = []
    build(tmp_path / "alone.zarr")
    build(tmp_path / "gram.zarr", schedule=gram.Distributed(here), progress=lambda *news: told.append(news))
    assert files(tmp_path / "gram.zarr") == files(tmp_path / "alone.zarr")
    assert [done for done, _, _ in told] == list(range(7))


def test_a_lazy_product_on_a_client(here):
    kernel = wl.NTK(NET, engine=wl.Reference())
    v = np.random.default_rng(0).standard_normal((len(X), 2))
    alone = gram.Lazy(kernel, X, 9).matmat(v)
    for _ in range(2):
        np.testing.assert_array_equal(gram.Lazy(kernel, X, 9, schedule=gram.Distributed(here)).matmat(v), alone)


def test_an_error_on_a_worker_comes_back(tmp_path, here):
    kernel = wl.NTK(wl.serial(wl.Dense(8, 1e150), wl.Relu(), wl.Dense(8, 1e150), wl.Dense(1)))
    with pytest.raises(ValueError, match="whose moments are not finite"):
        gram.build_stored(kernel, X, tmp_path / "gram.zarr", 9, schedule=gram.Distributed(here, retries=0))
    with pytest.raises(ValueError, match="is not finished"):
        gram.open_stored(tmp_path / "gram.zarr")


def test_inputs_that_are_lost_are_sent_again(tmp_path, here):
    """As where the last worker that held them dies."""
    lost = []
    original = here.scatter

    def scatter(*args, **kwargs):
        futures = original(*args, **kwargs)
        if not lost:
            lost.append(futures[0])
            here.cancel(futures, force=True)
        return futures

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(here, "scatter", scatter)
        build(tmp_path / "gram.zarr", schedule=gram.Distributed(here))
    assert lost
    build(tmp_path / "alone.zarr")
    assert files(tmp_path / "gram.zarr") == files(tmp_path / "alone.zarr")


@pytest.mark.slow
def test_a_worker_that_is_killed(tmp_path):
    """Two processes, one of them killed while tiles are computed."""
    from distributed import Client, LocalCluster

    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((240, 70)).astype(np.float32), wl.NTK(NET, engine=engine.Native())
    killed = []

    with LocalCluster(n_workers=2, processes=True, **CLUSTER) as cluster, Client(cluster) as client:
        processes = client.run(os.getpid)
        assert len(set(processes.values()) - {os.getpid()}) == 2

        def progress(done, total, what):
            if done == 9:
                killed.append(next(iter(processes.values())))
                os.kill(killed[0], signal.SIGKILL)

        gram.build_stored(kernel, x, tmp_path / "gram.zarr", 24, schedule=gram.Distributed(client), progress=progress)
        assert killed
        assert killed[0] not in client.run(os.getpid).values()
    gram.build_stored(kernel, x, tmp_path / "alone.zarr", 24)
    assert files(tmp_path / "gram.zarr") == files(tmp_path / "alone.zarr")
    assert gram.verify_stored(tmp_path / "gram.zarr") == 55


DEVICES = r"""
import jax, numpy as np, widelimit as wl
from widelimit import gram
from widelimit.engine import Planes, Reference, Sharded

devices = jax.devices()
assert len(devices) == 2
x = np.random.default_rng(0).standard_normal((7, 4, 4, 2))
net = wl.serial(wl.Conv(8, (3, 3), 1.4, 0.1), wl.Relu(), wl.GlobalAvgPool(), wl.Dense(1))
exact, v = np.asarray(wl.NTK(net)(x)), np.random.default_rng(1).standard_normal((7, 2))

def close(a, b, tolerance):
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())

for engine in (Planes(), Reference()):
    for kind, tolerance in ((np.float32, 1e-6), (np.float64, 1e-14)):
        kernel, single = wl.NTK(net, engine=Sharded(engine)), x.astype(kind)
        assert kernel(single).dtype == kind
        close(kernel(single), exact, tolerance)                   # 7 rows on 2 devices
        close(kernel(single[:1], single), exact[:1], tolerance)   # fewer rows than devices
        close(kernel.diagonal(single), np.diag(exact), 1e-6)
with jax.enable_x64(True):
    even = wl.NTK(net, engine=Sharded(Reference()))(x[:6])
    assert {s.data.shape for s in even.addressable_shards} == {(3, 6)}
    assert even.sharding.device_set == set(devices)
    one = wl.NTK(net, engine=Sharded(Reference(), (devices[1],)))(x)
    assert one.sharding.device_set == {devices[1]}
    close(one, exact, 1e-14)
    lazy = gram.Lazy(wl.NTK(net, engine=Sharded(Reference())), x, 3)
    close(lazy.matmat(v), exact @ v, 1e-14)

    def entry(weight_std, engine):
        net = wl.serial(wl.Dense(8, weight_std), wl.Relu(), wl.Dense(1))
        return wl.NTK(net, engine=engine).block(x[:, 0, 0])[0, 1]

    close(*(jax.grad(entry)(1.5, engine) for engine in (Sharded(Reference()), Reference())), 1e-14)
print("done")
"""


@pytest.mark.slow
def test_two_devices_agree_with_one():
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run([sys.executable, "-c", DEVICES], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "done"


def test_no_devices_are_refused():
    with pytest.raises(ValueError, match="devices is empty"):
        engine.Sharded(wl.Reference(), ())
    with pytest.raises(ValueError, match="engine is 'planes'"):
        engine.Sharded("planes")
