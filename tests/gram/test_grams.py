"""Gram matrices in memory, computed anew, and on disk are one matrix: products, parts, diagonal, solvers, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from grams import GRAMS, KERNELS, NET, N, Product, X

import widelimit as wl
from widelimit.gram import Distributed, InTurn, Lazy
from widelimit.solve import Cholesky, Eigen, largest_eigenvalue

V = np.random.default_rng(1).standard_normal((N, 3))
SLICES = [slice(None), slice(3, 20, 2), slice(22, None), slice(None, None, -4), slice(5, 5)]
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-13}


def made(name, kernel, kind, folder):
    k, x = KERNELS[kernel]
    x = jax.tree.map(lambda a: a.astype(kind) if a.dtype == np.float64 else a, x)
    return GRAMS[name](k, x, folder), np.asarray(k(x), np.float64)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", GRAMS)
def test_it_is_the_matrix(name, kind, either_mode, tmp_path):
    """Products, parts (ragged, backwards, empty) and diagonal, and their dtypes, with x64 off and on."""
    found, matrix = made(name, "product", kind, tmp_path)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE[kind] * np.abs(matrix).max())  # noqa: E731
    assert found.shape == (N, N)
    v = V.astype(kind)
    assert found.matmat(v).dtype == found.diagonal().dtype == kind
    close(found.matmat(v) / N, matrix @ v / N)
    close(found.diagonal(), np.diag(matrix))
    for rows in SLICES:
        for columns in SLICES:
            part = found.tile(rows, columns)
            assert part.dtype == kind
            assert part.shape == matrix[rows, columns].shape
            close(part, matrix[rows, columns])


OTHERS = [
    pytest.param(
        name, kernel, marks=() if (name, kernel) in {("lazy-ragged", "ntk"), ("stored", "ntk")} else pytest.mark.slow
    )
    for name in ("lazy-ragged", "lazy-dask", "stored")
    for kernel in KERNELS
]


@pytest.mark.parametrize(("name", "kernel"), OTHERS)
def test_of_any_kernel(name, kernel, tmp_path):
    found, matrix = made(name, kernel, np.float64, tmp_path)
    scale = np.abs(matrix).max()
    np.testing.assert_allclose(found.matmat(V), matrix @ V, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(found.tile(slice(2, 12), slice(6, 23)), matrix[2:12, 6:23], rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("name", ["lazy-ragged", "stored"])
def test_sums_run_in_double_precision(name, tmp_path):
    """In float32 the sum of 1 and many small numbers stays one."""
    x = np.array([[1.0], *[[2e-8]] * (N - 1)], np.float32)
    kernel = Product()
    found = GRAMS[name](kernel, x, tmp_path)
    v = np.array([[1.0], *[[2**-26]] * (N - 1)], np.float32)
    exact = np.asarray(kernel(x), np.float64) @ v.astype(np.float64)
    np.testing.assert_allclose(found.matmat(v), exact, rtol=6e-8)
    assert np.asarray(found.matmat(v.astype(np.float64))).dtype == np.float64
    np.testing.assert_allclose(found.matmat(v.astype(np.float64)), exact, rtol=1e-14)


@pytest.mark.parametrize("name", ["lazy-ragged", "lazy-dask", "stored"])
def test_solvers_run_on_it(name, x64, tmp_path):
    found, matrix = made(name, "product", np.float64, tmp_path)
    y, noise = jnp.asarray(V), 0.3
    exact = np.linalg.solve(matrix + noise * np.eye(N), V)
    for solver in (Cholesky(), Eigen()):
        solution = solver.compute(solver.init(found, noise), y)
        np.testing.assert_allclose(solution.value, exact, rtol=1e-9)
    np.testing.assert_allclose(largest_eigenvalue(found), np.linalg.eigvalsh(matrix)[-1], rtol=1e-9)


@pytest.mark.parametrize("name", ["lazy-ragged", "stored"])
def test_products_within_compiled_code(name, x64, tmp_path):
    found, matrix = made(name, "product", np.float64, tmp_path)
    inside = jax.jit(lambda v: found.matmat(jnp.cos(v)) * 2)
    np.testing.assert_allclose(inside(V), 2 * matrix @ np.cos(V), rtol=1e-11)


def test_a_lazy_product_has_gradients(x64):
    """In the vector, and in a hyperparameter of the network."""

    def product(weight_std, v, lazy):
        net = wl.serial(wl.Dense(8, weight_std, 0.1), wl.Relu(), wl.Dense(1))
        kernel = wl.NTK(net, engine=wl.Reference())
        return jnp.sum((Lazy(kernel, X, 7).matmat(v) if lazy else kernel.block(X) @ v) ** 2)

    found, exact = (jax.grad(product, (0, 1))(jnp.asarray(1.5), jnp.asarray(V), lazy) for lazy in (True, False))
    for a, b in zip(found, exact, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_each_tile_is_computed_once_per_product():
    asked = []

    class Counted(wl.kernels.AbstractKernel):
        def block(self, x1, x2=None):
            asked.append((len(x1), None if x2 is None else len(x2)))
            return Product().block(x1, x2)

        def diagonal(self, x):
            return Product().diagonal(x)

    Lazy(Counted(), X, 10).matmat(V)
    assert asked == [(10, None), (10, 10), (10, 3), (10, None), (10, 3), (3, None)]


def test_the_order_of_tiles_does_not_matter():
    """Threads end in any order; the sum is the same, bit by bit."""
    x = np.random.default_rng(2).standard_normal((200, 5)).astype(np.float32)
    v = np.random.default_rng(3).standard_normal((200, 2))
    one, *others = (np.asarray(Lazy(Product(), x, 13, schedule=s).matmat(v)) for s in [InTurn(), *[Distributed()] * 3])
    for other in others:
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Lazy("ntk", X), "kernel is 'ntk'; expected an object such as"),
        (lambda: Lazy(wl.NTK, X), "kernel is of type"),
        (lambda: Lazy(wl.NTK(NET), np.where(X > 1, np.nan, X)), r"x\[.*nan; expected finite numbers"),
        (lambda: Lazy(wl.NTK(NET), "x.npy"), "x is a str; expected an array"),
        (lambda: Lazy(wl.NTK(NET), X, 0), "tile is 0; expected a positive integer"),
        (lambda: Lazy(wl.NTK(NET), X, 2.5), "tile is 2.5"),
        (lambda: Lazy(wl.NTK(NET), X, memory=-1), "memory is -1"),
        (lambda: Lazy(wl.NTK(NET), X, schedule="threads"), "schedule is 'threads'; expected an object such as"),
        (lambda: Distributed("tcp://127.0.0.1:8786"), "client is 'tcp://127.0.0.1:8786'; expected an object such as"),
        (lambda: Distributed(threads=0), "threads is 0"),
        (lambda: Distributed(retries=-1), "retries is -1"),
        (lambda: Lazy(wl.EmpiricalNTK(lambda p, x: x @ p, jnp.ones((3, 2)), wl.Full()), X), "EmpiricalNTKGram"),
        (lambda: Lazy(Product(), X).matmat(V[:, 0]), r"v has shape \(23,\); expected \(23, k\)"),
        (lambda: Lazy(Product(), X).matmat(V[1:]), r"v has shape \(22, 3\); expected \(23, k\)"),
        (lambda: Lazy(wl.NTK(NET), X[:, :, None]).matmat(V), "the network ends with space"),
    ],
)
def test_what_cannot_be_used_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_first_error_ends_all_threads(threads):
    """Nothing is handed over behind an error, and none is lost."""
    taken = []

    def task(shared, item):
        if item == 7:
            raise ValueError("seven")
        return item + shared

    with pytest.raises(ValueError, match="seven"):
        Distributed(threads=threads).run(
            task, 100, list(range(1000)), lambda item, result: taken.append((item, result))
        )
    assert len(taken) < 1000
    assert all(result == item + 100 for item, result in taken)
