"""Kernels by blocks are the kernels; Monte Carlo means are means of empirical kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import dense, normal

from widelimit.compat import neural_tangents as nt

X, XT = normal(0, 5, 8), normal(1, 3, 8)
INIT, APPLY, KERNEL = dense(16, 2)
PARAMS = INIT(jax.random.key(3), (-1, 8))[1]
HOW = [(0, -1, True), (2, 0, True), (2, -1, False), (4, 1, True), (100, 7, False)]


def trees_close(a, b, **tolerance):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


def record_fn(x1_or_kernel, x2=None, get=None):
    """A kernel function in the form of neural-tangents' layers: of inputs or of a kernel, with all fields."""
    k = x1_or_kernel
    if isinstance(k, nt.Kernel):
        return (k * 2.0 + 1.0).replace(ntk=k.ntk + k.nngp)
    other = k if x2 is None else x2
    same = x2 is None or (k.shape == x2.shape and jnp.all(jnp.abs(k - x2) < 1e-12))
    return nt.Kernel(
        nngp=k @ other.T,
        ntk=(k @ other.T) ** 2,
        cov1=jnp.sum(k**2, 1),
        cov2=None if x2 is None else jnp.sum(x2**2, 1),
        x1_is_x2=jnp.asarray(same),
        is_gaussian=True,
        is_reversed=False,
        is_input=False,
        diagonal_batch=True,
        diagonal_spatial=False,
        shape1=k.shape,
        shape2=other.shape,
        batch_axis=0,
        channel_axis=1,
        mask1=k[:, :1] > 0,
        mask2=None if x2 is None else x2[:, :1] > 0,
    )


@pytest.mark.parametrize("how", HOW, ids=str)
def test_blocks_of_arrays_and_tuples(how):
    empirical = nt.empirical_kernel_fn(APPLY, (), vmap_axes=0)
    batched = nt.batch(empirical, *how)
    for second, get in ((None, "ntk"), (XT, ("ntk", "nngp"))):
        whole = empirical(X, second, get, PARAMS)
        trees_close(batched(X, second, get, PARAMS), whole, atol=1e-5)
        trees_close(batched(X, second, get=get, params=PARAMS), whole, atol=1e-5)


def test_blocks_of_an_infinite_kernel():
    for how in HOW[1:3]:
        trees_close(nt.batch(KERNEL, *how)(X, None, ("ntk", "nngp")), KERNEL(X, None, ("ntk", "nngp")), atol=1e-5)


@pytest.mark.parametrize("how", HOW, ids=str)
def test_blocks_of_kernels_with_all_their_fields(how):
    batched = nt.batch(record_fn, *how)
    for second in (None, XT, X + 0.0, X[::-1]):
        whole = record_fn(X, second)
        trees_close(batched(X, second), whole, atol=1e-5)
        trees_close(batched(whole), record_fn(whole), atol=1e-4)


def test_nested_inputs_and_keywords_of_both_batches():
    def kernel_fn(x1, x2, pattern, scale=1.0):
        other = x1 if x2 is None else x2
        one, two = pattern
        return tuple(scale * (a * one[:, None]) @ (b * two[:, None]).T for a, b in zip(x1, other, strict=True))

    pattern = normal(2, 5), normal(3, 3)
    whole = kernel_fn((X, 2 * X), (XT, XT**2), pattern, scale=3.0)
    for how in HOW:
        blocks = nt.batch(kernel_fn, *how)((X, 2 * X), (XT, XT**2), pattern=pattern, scale=3.0)
        trees_close(blocks, whole, atol=1e-4)


def test_blocks_inside_jit():
    ntk = nt.empirical_ntk_fn(APPLY, vmap_axes=0)
    trees_close(jax.jit(nt.batch(ntk, 2))(X, XT, PARAMS), ntk(X, XT, PARAMS), atol=1e-5)


def test_what_cannot_be_in_blocks_is_refused():
    whole = record_fn(X).replace(diagonal_batch=False, cov1=X @ X.T)
    with pytest.raises(NotImplementedError, match="different examples"):
        nt.batch(lambda k: k, 2)(whole)
    with pytest.raises(ValueError, match="together with a Kernel"):
        nt.batch(record_fn, 2)(record_fn(X), XT)


def test_monte_carlo_is_the_mean_over_networks():
    key, counts = jax.random.key(5), (1, 3, 4)
    fn = nt.empirical_kernel_fn(APPLY, vmap_axes=0)
    kernels, rest = [], key
    for _ in range(4):
        rest, sample = jax.random.split(rest)
        kernels.append(fn(X, XT, None, INIT(jax.random.split(sample)[0], X.shape)[1]))
    for how, gets in ((HOW[0], (None, "ntk")), (HOW[2], (("ntk", "nngp"),))):
        for get in gets:
            several = nt.monte_carlo_kernel_fn(INIT, APPLY, key, counts, *how, vmap_axes=0)(X, XT, get)
            for n, mean in zip(counts, several, strict=True):
                expected = jax.tree.map(lambda *k: sum(k) / len(k), *kernels[:n])
                if isinstance(get, str):
                    np.testing.assert_allclose(mean, expected.ntk, atol=1e-5)
                else:
                    np.testing.assert_allclose(mean.ntk, expected.ntk, atol=1e-5)
                    np.testing.assert_allclose(mean.nngp, expected.nngp, atol=1e-5)
        last = nt.monte_carlo_kernel_fn(INIT, APPLY, key, 4, *how, vmap_axes=0)(X, XT, get="ntk")
        np.testing.assert_allclose(last, expected.ntk, atol=1e-5)


def test_monte_carlo_approaches_the_limit():
    """Within 4.5 standard errors of products of Gaussian outputs; the NTK of a wide network hardly scatters."""
    draws, outputs = 20, 16
    init_fn, apply_fn, kernel_fn = dense(512, outputs)
    sample = nt.monte_carlo_kernel_fn(init_fn, apply_fn, jax.random.key(1), draws, vmap_axes=0, implementation=3)
    measured, limit = sample(X, XT), kernel_fn(X, XT)
    own = [jnp.diagonal(kernel_fn(x, None, "nngp")) for x in (X, XT)]
    error = jnp.sqrt((own[0][:, None] * own[1] + limit.nngp**2) / (draws * outputs))
    assert np.all(np.abs(measured.nngp - limit.nngp) < 4.5 * error)
    assert np.linalg.norm(measured.ntk - limit.ntk) < 0.02 * np.linalg.norm(limit.ntk)


@pytest.mark.parametrize("n", [0, (2, -1), (), 1.5, (True,)], ids=str)
def test_numbers_of_networks_are_checked(n):
    with pytest.raises((ValueError, TypeError)):
        nt.monte_carlo_kernel_fn(INIT, APPLY, jax.random.key(0), n)
