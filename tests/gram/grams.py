"""The table that tests of Gram matrices run over: a new kind of matrix is one row here."""

import time

import jax
import jax.numpy as jnp
import numpy as np

import widelimit as wl
from widelimit import gram
from widelimit.engine import Reference, Sharded
from widelimit.kernels import AbstractKernel

N = 23
X = np.random.default_rng(0).standard_normal((N, 3))
NET = wl.serial(wl.Dense(8, 1.5, 0.1), wl.Relu(), wl.Dense(1))


def plain(x):
    """Return an array in NumPy, which compiles nothing, where JAX is not tracing."""
    return x if isinstance(x, jax.core.Tracer) else np.asarray(x)


class Product(AbstractKernel):
    """A kernel that costs nothing: half the inner product, plus one."""

    def block(self, x1, x2=None):
        x1, x2 = map(plain, (x1, x1 if x2 is None else x2))
        return x1 @ x2.T / 2 + 1

    def diagonal(self, x):
        return (plain(x) ** 2).sum(-1) / 2 + 1


class Slow(AbstractKernel):
    """The same, at five milliseconds a tile."""

    def block(self, x1, x2=None):
        time.sleep(0.005)
        return Product().block(x1, x2)

    def diagonal(self, x):
        return Product().diagonal(x)


# name -> the matrix of a kernel on inputs, with room in a folder
GRAMS = {
    "dense": lambda kernel, x, folder: gram.Dense(kernel(x)),
    "lazy": lambda kernel, x, folder: gram.Lazy(kernel, x),
    "lazy-ragged": lambda kernel, x, folder: gram.Lazy(kernel, x, 7),
    "lazy-rows": lambda kernel, x, folder: gram.Lazy(kernel, x, 1),
    "lazy-memory": lambda kernel, x, folder: gram.Lazy(kernel, x, memory=3000),
    "lazy-dask": lambda kernel, x, folder: gram.Lazy(kernel, x, 7, schedule=gram.Distributed(threads=2)),
    "stored": lambda kernel, x, folder: gram.build_stored(kernel, x, folder / "gram.zarr", 7, label="k"),
    "stored-one": lambda kernel, x, folder: gram.build_stored(kernel, x, folder / "gram.zarr", label="k"),
    "stored-in-turn": lambda kernel, x, folder: gram.build_stored(
        kernel, x, folder / "gram.zarr", 9, label="k", schedule=gram.InTurn()
    ),
}

# name -> (kernel, inputs in float64)
KERNELS = {
    "product": (Product(), X),
    "ntk": (wl.NTK(NET), X),
    "nngp-sharded": (wl.NNGP(NET, engine=Sharded(Reference())), X),
    "empirical": (wl.EmpiricalNTK(lambda p, x: jnp.tanh(x @ p), jnp.ones((3, 2))), X),
    "samples": (
        wl.NTK(wl.serial(wl.Conv(8, (2,), 1.3, 0.1), wl.Relu(), wl.GlobalAvgPool(), wl.Dense(1))),
        wl.Sample(np.where(np.arange(6) == 5, np.nan, X.repeat(2, 1))[:, :, None], np.tile(np.arange(6) < 5, (N, 1))),
    ),
}


def files(folder):
    """Return the bytes of all files below a folder, by name."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def build(folder, kernel=Product(), x=X, tile=9, **more):
    """Return a stored matrix of three rows of tiles, built on one thread."""
    return gram.build_stored(kernel, x, folder, tile, **{"label": "product", "schedule": gram.InTurn(), **more})
