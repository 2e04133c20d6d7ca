"""Solvers: one table, and what each of them keeps: the solution, its residual, its words, its derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit import gram, solve
from widelimit.solve import (
    CG,
    Auto,
    Cholesky,
    Eigen,
    NoJitter,
    NoPreconditioner,
    Nystrom,
    PivotedCholesky,
    Result,
    _blocked,
)

SOLVERS = {
    "Cholesky": Cholesky(),
    "Cholesky without jitter": Cholesky(NoJitter()),
    "Eigen": Eigen(),
    "CG": CG(NoPreconditioner(), 1e-12),
    "CG pivoted": CG(PivotedCholesky(40), 1e-12),
    "CG Nystrom": CG(Nystrom(40), 1e-12),
    "Auto": Auto(),
    "Auto in little memory": Auto(memory=1000, tolerance=1e-12),
}
N = 120


class Products(gram.AbstractGram):
    """A matrix of which tiles are read and products taken in NumPy alone, as on disk."""

    matrix: np.ndarray

    @property
    def shape(self):
        return self.matrix.shape

    def matmat(self, v):
        assert isinstance(v, np.ndarray)
        return self.matrix @ v

    def tile(self, rows, columns):
        return np.array(self.matrix[rows, columns])

    def diagonal(self):
        return np.diagonal(self.matrix).copy()


@pytest.fixture(scope="module")
def problem():
    """A kernel matrix of condition 1e4 with the noise, right-hand sides, noises, and LAPACK's solutions."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, 4))
    k = 3.0 * np.exp(-0.5 * ((x[:, None] - x[None]) ** 2).sum(-1)) + 1.0
    return k, rng.standard_normal((N, 3)), rng.uniform(0.02, 0.3, N)


def wrapped(kind, k):
    """Return a matrix in one of its homes."""
    return {"numpy": np.asarray, "disk": Products, "jax": jnp.asarray}[kind](k)


@pytest.mark.parametrize("home", ["numpy", "disk", "jax"])
@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("vector_noise", [False, True])
def test_solution_and_residual(problem, name, home, vector_noise):
    k, y, noises = problem
    noise = noises if vector_noise else 0.1
    with jax.enable_x64(home == "jax"):
        solution = solve.solve(wrapped(home, k), y, noise=noise, solver=SOLVERS[name])
    full = k + np.diag(np.broadcast_to(noise, N))
    expected = np.linalg.solve(full, y)
    # An error of the solution is at most the condition number times the residual, here 1e-12 for iterations.
    assert np.linalg.norm(solution.value - expected) < np.linalg.cond(full) * 2e-12 * np.linalg.norm(expected)
    residual = np.linalg.norm(full @ solution.value - y, axis=0) / np.linalg.norm(y, axis=0)
    np.testing.assert_allclose(solution.stats["residual"], residual, atol=1e-13)
    assert residual.max() < 1e-12
    assert bool(solution.result == Result.successful)
    assert int(solution.stats["iterations"]) >= 0
    assert 1 <= float(solution.stats["condition_estimate"]) <= np.linalg.cond(full) * 1.01


@pytest.mark.parametrize("name", SOLVERS)
def test_a_vector_is_one_column_and_dtype_follows(problem, name, either_mode):
    k, y, _ = problem
    one = solve.solve(k, y[:, 0], noise=0.1, solver=SOLVERS[name])
    two = solve.solve(k, y[:, :1], noise=0.1, solver=SOLVERS[name])
    assert one.value.shape == (N,)
    assert np.shape(one.stats["residual"]) == ()
    assert np.shape(two.stats["residual"]) == (1,)
    np.testing.assert_allclose(one.value, two.value[:, 0], rtol=1e-8)
    single = solve.solve(k.astype(np.float32), y[:, 0].astype(np.float32), noise=0.1, solver=SOLVERS[name])
    assert single.value.dtype == np.float32
    np.testing.assert_allclose(single.value, one.value, atol=2e-4)
    assert solve.solve(k, np.zeros(N), noise=0.1, solver=SOLVERS[name]).stats["residual"] == 0


@pytest.mark.parametrize("name", SOLVERS)
def test_state_solves_again(problem, name):
    k, y, noises = problem
    solver = SOLVERS[name]
    state = solver.init(gram.Dense(k), noises)
    for columns in (y, y[:, 1]):
        again = solver.compute(state, columns)
        np.testing.assert_allclose(again.value, np.linalg.solve(k + np.diag(noises), columns), rtol=1e-7, atol=1e-9)
    assert again.state is state


@pytest.mark.parametrize("name", ["Cholesky", "Eigen"])
@pytest.mark.parametrize("order", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_derivatives(problem, name, order, x64):
    k, y, noises = (jnp.asarray(a[:12]) for a in problem)
    k = k[:, :12]

    def energy(t):
        matrix, noise = k + t * jnp.outer(k[0], k[0]), noises + 0.1 * t * jnp.arange(12)
        solver = SOLVERS[name]
        solution = solver.compute(solver.init(gram.Dense(matrix), noise), y)
        return jnp.sum(jnp.sin(solution.value))

    f = energy if order == 1 else jax.grad(energy)
    step = 1e-5
    numeric = (f(0.2 + step) - f(0.2 - step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(f)(0.2), numeric, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(f)(0.2), f(0.2), rtol=1e-9)


def test_derivatives_through_the_door_with_x64_off(problem):
    k, y, noises = problem
    assert not jax.config.jax_enable_x64

    def energy(scale):
        return jnp.sum(solve.solve(jnp.asarray(k[:20, :20]) * scale, y[:20], noise=noises[:20]).value ** 2)

    def plain(scale):
        return np.sum(np.linalg.solve(k[:20, :20] * scale + np.diag(noises[:20]), y[:20]) ** 2)

    expected = (plain(1.5 + 1e-5) - plain(1.5 - 1e-5)) / 2e-5
    assert float(jax.grad(energy)(1.5)) == pytest.approx(expected, rel=1e-4)


def singular():
    """Return a matrix of rank 3 and size 6, of integers, in the middle of which a factorisation breaks down."""
    half = np.random.default_rng(1).integers(-3, 4, (6, 3)).astype(float)
    return half @ half.T, half


@pytest.mark.parametrize("home", ["numpy", "disk", "jax"])
def test_jitter_is_reported_and_only_where_needed(problem, home, x64):
    k, y, _ = problem
    assert float(solve.solve(wrapped(home, k), y, noise=0.1).stats["jitter"]) == 0
    flawed, half = singular()
    flawed = flawed - 1e-13 * np.eye(6)
    solution = solve.solve(wrapped(home, flawed), half[:, 0])
    jitter, unit = float(solution.stats["jitter"]), np.finfo(float).eps * np.mean(np.diag(flawed))
    assert jitter > 1e-13
    steps = np.log10(jitter / unit)
    assert steps == pytest.approx(round(steps), abs=1e-6)
    # One tenth of it is too little: this is the smallest that succeeds.
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.cholesky(flawed + jitter / 10 * np.eye(6))
    np.testing.assert_allclose(flawed @ solution.value, half[:, 0], atol=1e-6)
    lower = solution.state.lower
    np.testing.assert_allclose(lower @ lower.T, flawed + jitter * np.eye(6), atol=1e-13)


def test_the_matrix_is_kept_unless_it_may_be_overwritten(problem):
    k, y, noises = problem
    for order in ("C", "F"):
        mine = np.array(k, order=order)
        plain = Cholesky().compute(Cholesky().init(gram.Dense(mine), noises), y)
        np.testing.assert_array_equal(mine, k)
        solver = Cholesky(overwrite=True)
        state = solver.init(gram.Dense(mine), noises)
        assert np.shares_memory(state.packed, mine)
        np.testing.assert_allclose(solver.compute(state, y).value, plain.value, rtol=1e-9)
    expected = np.linalg.slogdet(k + np.diag(noises))[1]
    assert float(state.log_determinant) == pytest.approx(expected, rel=1e-12)


def test_eigen_gives_the_least_squares_solution_and_says_that_a_target_is_out_of_reach():
    matrix, half = singular()
    inside = solve.solve(matrix, half[:, 0], solver=Eigen())
    assert int(inside.stats["rank"]) == 3
    assert float(inside.stats["residual"]) < 1e-12
    y = np.arange(6.0)
    outside = solve.solve(matrix, y, solver=Eigen())
    np.testing.assert_allclose(outside.value, np.linalg.pinv(matrix) @ y, atol=1e-12)
    assert float(outside.stats["residual"]) > 0.1


FAILURES = [
    (lambda k, y: solve.solve(k - 2 * np.eye(N), y), "Cholesky: The matrix is not positive definite.*residual is nan"),
    (lambda k, y: solve.solve(k - 2 * np.eye(N), y, solver=CG(NoPreconditioner())), "CG: The matrix is not positive"),
    (lambda k, y: solve.solve(k, y, solver=CG(NoPreconditioner(), 1e-12, 3), noise=0.01), "CG: The iteration did not"),
    (lambda k, y: solve.solve(k, y, noise=-0.1), "noise is -0.1"),
    (lambda k, y: solve.solve(k, y, noise=np.ones(3)), r"noise has shape \(3,\); expected one number, or \(120,\)"),
    (lambda k, y: solve.solve(k, y, noise=-np.ones(N)), r"noise\[0\] is -1.0"),
    (lambda k, y: solve.solve(k, y[:5]), r"y has shape \(5, 3\); expected \(120,\)"),
    (lambda k, y: solve.solve(k, y * np.nan), "y.*is nan"),
    (lambda k, y: solve.solve(k * np.inf, y), "gram.*is inf"),
    (lambda k, y: solve.solve(Products(k * np.nan), y), "Cholesky: The matrix or a right-hand side holds NaN"),
    (lambda k, y: solve.solve(Products(k * np.nan), y, solver=Eigen()), "Eigen: The matrix or a right-hand side"),
    (lambda k, y: solve.solve(k[:5], y), "matrix has shape"),
    (lambda k, y: solve.solve(k, y, solver="cholesky"), "solver is 'cholesky'"),
    (lambda k, y: Cholesky("more"), "jitter is 'more'"),
    (lambda k, y: CG("none"), "preconditioner is 'none'"),
    (lambda k, y: PivotedCholesky(0), "rank is 0"),
    (lambda k, y: Nystrom(-1), "rank is -1"),
    (lambda k, y: jax.jit(lambda y: solve.solve(k, y, solver=CG()).value)(y), "being traced and CG"),
    (lambda k, y: Auto(memory=1000).select(gram.Dense(k), solve.Wants(determinant=True)), "neither determinants"),
]


@pytest.mark.parametrize(("call", "match"), FAILURES, ids=range(len(FAILURES)))
def test_failures_are_sentences(problem, call, match):
    k, y, _ = problem
    with pytest.raises(ValueError, match=match):
        call(k, y)


def test_a_failure_may_be_looked_at(problem):
    k, y, _ = problem
    solution = solve.solve(k, y, noise=0.01, solver=CG(NoPreconditioner(), 1e-12, 3), throw=False)
    assert bool(solution.result == Result.not_converged)
    assert int(solution.stats["iterations"]) == 3
    assert (solution.stats["residual"] > 1e-12).all()


@pytest.mark.parametrize("preconditioner", [PivotedCholesky(40), Nystrom(40)], ids=["pivoted", "nystrom"])
def test_a_preconditioner_saves_iterations_and_knows_the_noise_of_each_row(problem, preconditioner):
    _, y, noises = problem
    x = np.random.default_rng(2).standard_normal((N, 3))
    k = np.exp(-0.1 * ((x[:, None] - x[None]) ** 2).sum(-1))
    noises = 1e-3 * noises / noises.min() * np.where(np.arange(N) % 7, 1, 100)
    plain, fast = (
        solve.solve(k, y, noise=noises, solver=CG(p, 1e-10)).stats for p in (NoPreconditioner(), preconditioner)
    )
    assert fast["iterations"] < 0.6 * plain["iterations"]
    state = CG(preconditioner).init(gram.Dense(k), noises)
    values = np.linalg.eigvals(state.inverse.apply(k + np.diag(noises))).real
    assert fast["condition_estimate"] == pytest.approx(values.max() / values.min(), rel=0.05)
    # With all columns the inverse is exact.
    whole = type(preconditioner)(N).init(gram.Dense(k), noises)
    np.testing.assert_allclose(whole.apply((k + np.diag(noises)) @ y), y, atol=1e-6)


def test_columns_converge_by_themselves(problem):
    k, y, _ = problem
    easy = np.linalg.eigh(k)[1][:, -1]
    stats = solve.solve(k, np.stack([easy, y[:, 0]], 1), noise=0.1, solver=CG(NoPreconditioner(), 1e-10)).stats
    # The eigenvector is done in about one step and takes part in no other product but its residual.
    assert stats["products"] < stats["iterations"] + 8


def test_pivoted_cholesky_reproduces_its_columns_and_stops_at_the_rank():
    matrix, _ = singular()
    factor, pivots = solve.pivoted_cholesky(lambda i: matrix[:, i], np.diagonal(matrix).copy(), 6)
    assert factor.shape == (6, 3)
    assert len(set(pivots)) == 3
    np.testing.assert_allclose(factor @ factor.T, matrix, atol=1e-12)


def test_auto_says_what_it_takes(problem):
    k, _, _ = problem
    small = Auto().select(gram.Dense(k))
    assert isinstance(small.solver, Cholesky)
    assert str(small).startswith("Cholesky: a copy of the matrix, 1 MB, fits into memory. About ")
    assert isinstance(Auto().select(gram.Dense(k), solve.Wants(ridges=20)).solver, Eigen)
    large = Auto(memory=10**5).select(gram.Dense(k))
    assert isinstance(large.solver, CG)
    assert "only multiplied with" in str(large)
    assert large.bytes < 10**5 < 8 * N**2


def test_a_kernel_of_a_network_by_products_alone(x64):
    net = wl.serial(wl.Dense(8), wl.Relu(), wl.Dense(1))
    x = np.random.default_rng(0).standard_normal((9, 3))
    kernel = wl.EmpiricalNTK(net.apply, net.init(jax.random.key(0), (3,)))
    y = np.arange(9.0)
    found = solve.solve(gram.EmpiricalNTKGram(kernel, x), y, noise=0.1, solver=CG(NoPreconditioner(), 1e-12))
    np.testing.assert_allclose(found.value, np.linalg.solve(kernel(x) + 0.1 * np.eye(9), y), rtol=1e-9)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_large_matrices_are_factorised_block_by_block_in_place(monkeypatch, kind):
    for name, size in (("SMALL", 10), ("BLOCK", 32), ("PANEL", 48), ("CORNER", 8)):
        monkeypatch.setattr(_blocked, name, size)
    rng = np.random.default_rng(0)
    for n in (33, 64, 150):
        half = rng.standard_normal((n, n)).astype(kind)
        matrix = np.asfortranarray(half @ half.T + n * np.eye(n, dtype=kind))
        packed = matrix.copy(order="F")
        assert _blocked.factorise(packed)
        expected = np.linalg.cholesky(matrix)
        np.testing.assert_allclose(np.tril(packed), expected, atol=50 * np.finfo(kind).eps * expected.max())
        np.testing.assert_array_equal(np.triu(packed, 1), np.triu(matrix, 1))
        matrix[n // 2, n // 2] = -1
        assert not _blocked.factorise(matrix)
