"""The random projection: unbiased, with the error it states, positive semi-definite, one matrix for all batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit.empirical import Full, JacobianContraction, Problem, Sketch
from widelimit.kernels import EmpiricalNTK

RNG = np.random.default_rng(4)
X = RNG.standard_normal((5, 6))
PARAMS = {"w": RNG.standard_normal((6, 30)), "v": RNG.standard_normal((30, 2)), "b": RNG.standard_normal(2)}
PROBLEM = Problem(lambda p, x: jnp.tanh(x @ p["w"]) @ p["v"] + p["b"], PARAMS, {"w": 0.5, "v": 2.0, "b": 1.0})
DIMENSION, SEEDS = 64, 400


@pytest.fixture(scope="module")
def samples():
    """Return (exact kernel, sketches of it with many keys, norms of gradients (n, o))."""
    with jax.enable_x64(True):
        exact = np.asarray(JacobianContraction().block(PROBLEM, jnp.asarray(X), None, Full()))
        keys = jax.random.split(jax.random.key(0), SEEDS)
        one = lambda key: Sketch(DIMENSION, key).block(PROBLEM, jnp.asarray(X), None, Full())  # noqa: E731
        sketches = np.asarray(jax.jit(jax.vmap(one))(keys))
    return exact, sketches, np.sqrt(np.einsum("nnaa->na", exact))


def test_the_mean_over_keys_is_the_kernel(samples):
    exact, sketches, _ = samples
    z = (sketches.mean(0) - exact) / (sketches.std(0, ddof=1) / SEEDS**0.5)
    # 100 entries (55 of them independent): the largest of so many normal values is below 4.
    assert np.abs(z).max() < 4
    assert abs(np.mean(z**2) - 1) < 0.5


def expected_variance():
    """Return the variance of each entry: pairs of parameters fall into one sum with chance 1/d, or 0 in one row."""
    with jax.enable_x64(True):
        jacobian = jax.jacobian(PROBLEM.f)(PARAMS, jnp.asarray(X))
    rates = PROBLEM.learning_rates
    rows = []
    for key, leaf in jacobian.items():
        flat = np.asarray(leaf).reshape(5, 2, -1) * rates[key] ** 0.5
        rows += np.split(flat, range(DIMENSION, flat.shape[2], DIMENSION), 2)

    def pairs(g):
        squares = np.sum(g**2, 2)
        return np.einsum("na,mb->nmab", squares, squares) + np.einsum("nap,mbp->nmab", g, g) ** 2

    return (pairs(np.concatenate(rows, 2)) - sum(map(pairs, rows))) / DIMENSION


def test_the_variance_is_that_of_random_rows_and_below_its_bound(samples):
    exact, sketches, norms = samples
    expected = expected_variance()
    bound = (np.einsum("na,mb->nmab", norms**2, norms**2) + exact**2) / DIMENSION
    assert (expected <= bound).all()
    ratio = sketches.var(0, ddof=1) / expected
    # A variance over 400 keys is known to about 7 %, more for heavy tails.
    assert np.abs(ratio - 1).max() < 0.35
    assert abs(ratio.mean() - 1) < 0.1


def test_all_keys_give_positive_semi_definite_matrices(samples):
    for sketch in samples[1][:10]:
        values = np.linalg.eigvalsh(sketch.swapaxes(1, 2).reshape(10, 10))
        assert values.min() > -1e-12 * values.max()


def test_blocks_belong_to_one_matrix(x64):
    """Also by any budget, and for the diagonal."""
    sketch, x = Sketch(100, jax.random.key(7)), jnp.asarray(X)
    full = sketch.block(PROBLEM, x, None, Full())
    small = Sketch(100, jax.random.key(7), memory=1).block(PROBLEM, x[1:3], x[2:], Full())
    np.testing.assert_allclose(small, full[1:3, 2:], rtol=1e-12)
    np.testing.assert_allclose(sketch.diagonal(PROBLEM, x, Full()), np.einsum("nnab->nab", full), rtol=1e-12)


def test_a_dimension_above_the_number_of_parameters_keeps_each_leaf_exact(x64):
    """Then no two entries of one leaf share a sum, so a model of one leaf is exact."""
    problem = Problem(lambda w, x: jnp.sin(x @ w), jnp.asarray(PARAMS["w"]))
    exact = JacobianContraction().block(problem, jnp.asarray(X), None, Full())
    np.testing.assert_allclose(Sketch(200).block(problem, jnp.asarray(X), None, Full()), exact, rtol=0, atol=1e-12)


def test_as_the_method_of_a_kernel():
    kernel = EmpiricalNTK(PROBLEM.f, PARAMS, method=Sketch(4096), learning_rates=PROBLEM.learning_rates)
    exact = EmpiricalNTK(PROBLEM.f, PARAMS, learning_rates=PROBLEM.learning_rates)(X)
    q = np.diag(exact)
    assert (np.abs(kernel(X) - exact) < 4 * (2 / 4096) ** 0.5 * np.sqrt(np.outer(q, q))).all()


@pytest.mark.parametrize("dimension", [0, -3, 1.5, True])
def test_bad_dimensions_are_refused(dimension):
    with pytest.raises(ValueError, match=f"dimension is {dimension}"):
        Sketch(dimension)
