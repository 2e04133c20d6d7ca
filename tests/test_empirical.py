"""Empirical kernels against explicit Jacobians, Taylor expansions against hand derivatives, and finite width."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from tables import NETS
from widelimit import empirical


def explicit(f, params, x1, x2):
    """Return the full NTK (n1, n2, o, o) from Jacobians."""

    def jacobian(x):
        leaves = jax.tree.leaves(jax.jacobian(lambda p: f(p, x))(params))
        return jnp.concatenate([jnp.reshape(leaf, (*leaf.shape[:2], -1)) for leaf in leaves], 2)

    return jnp.einsum("nap,mbp->nmab", jacobian(x1), jacobian(x2))


def _weights(*shapes):
    rng = np.random.default_rng(5)
    return [jnp.asarray(rng.standard_normal(shape)) for shape in shapes]


# name -> (f, parameters): every way in which a parameter can meet data.
MODELS = {
    "linear": (lambda p, x: x @ p[0], _weights((5, 3))),
    "bias": (lambda p, x: jnp.tanh(x @ p[0] + p[1]) @ p[2], _weights((5, 4), (4,), (4, 3))),
    "transposed": (lambda p, x: jnp.tanh(x @ p[0].T) @ p[1], _weights((4, 5), (4, 3))),
    "einsum_left": (lambda p, x: jnp.einsum("ij,nj->ni", p[0], x), _weights((3, 5))),
    "scaled_weight": (lambda p, x: x @ (2.0 * p[0]), _weights((5, 3))),
    "tied": (lambda p, x: jnp.sin(x @ p[0]) @ p[0].T, _weights((5, 4))),
    "used_twice": (lambda p, x: x @ p[0] + jnp.sin(x) @ p[0], _weights((5, 3))),
    "weight_norm": (lambda p, x: x @ (p[0] / jnp.linalg.norm(p[0])), _weights((5, 3))),
    "product_of_weights": (lambda p, x: x @ (p[0] @ p[1]), _weights((5, 4), (4, 3))),
    "scale_and_gate": (lambda p, x: (x * p[0]) @ p[1] * jax.nn.sigmoid(x @ p[2]), _weights((5,), (5, 3), (5, 3))),
    "under_jit": (jax.jit(lambda p, x: jnp.tanh(x @ p[0]) @ p[1]), _weights((5, 4), (4, 3))),
    "jit_called_twice": (
        lambda p, x: jax.jit(jnp.matmul)(jax.nn.relu(jax.jit(jnp.matmul)(x, p[0])), p[1]),
        _weights((5, 5), (5, 3)),
    ),
    "position_wise": (lambda p, x: jnp.tanh(x[:, :4].reshape(-1, 2, 2) @ p[0]).sum(1), _weights((2, 3))),
    "custom_jvp": (lambda p, x: jax.nn.relu(x @ p[0]) @ p[1], _weights((5, 4), (4, 3))),
    "scan": (
        lambda p, x: jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, p[0])[0][:, :3],
        _weights((2, 5, 5)),
    ),
    "embedding": (lambda p, x: p[0][(x[:, 0] > 0).astype(int)] @ p[1], _weights((2, 4), (4, 3))),
    "output_is_a_parameter": (lambda p, x: jnp.broadcast_to(p[0], (len(x), 3)), _weights((3,))),
    "layer_norm": (
        lambda p, x: jax.nn.standardize(x @ p[0], axis=-1) * p[1] + p[2],
        _weights((5, 3), (3,), (3,)),
    ),
    "unused_parameter": (lambda p, x: x @ p[0], _weights((5, 3), (7,))),
}


@pytest.mark.parametrize("name", MODELS)
def test_empirical_ntk_is_the_contraction_of_jacobians(name, x64):
    f, params = MODELS[name]
    params = [jnp.asarray(np.asarray(p), jnp.float64) for p in params]
    x1 = jnp.asarray(np.random.default_rng(1).standard_normal((4, 5)))
    x2 = jnp.asarray(np.random.default_rng(2).standard_normal((3, 5)))
    expected = explicit(f, params, x1, x2)
    scale = np.abs(expected).max()
    full = empirical.empirical_ntk(f, params, x1, x2, outputs=wl.Full())
    np.testing.assert_allclose(full, expected, rtol=0, atol=1e-13 * scale)
    trace_ = empirical.empirical_ntk(f, params, x1, x2)
    np.testing.assert_allclose(trace_, np.einsum("nmaa->nm", expected) / expected.shape[2], rtol=0, atol=1e-13 * scale)
    # A budget of one byte forces blocks of one example.
    small = empirical.empirical_ntk(f, params, x1, outputs=wl.Full(), memory=1)
    np.testing.assert_allclose(small, explicit(f, params, x1, x1), rtol=0, atol=1e-13 * scale)
    diagonal = empirical.empirical_ntk_diagonal(f, params, x1, outputs=wl.Full())
    np.testing.assert_allclose(diagonal, np.einsum("nnab->nab", small), rtol=0, atol=1e-13 * scale)


def test_scalar_outputs_without_an_axis(x64):
    (w,) = _weights((5,))
    x = jnp.asarray(np.random.default_rng(1).standard_normal((4, 5)))
    np.testing.assert_allclose(wl.EmpiricalNTK(lambda p, x: x @ p, w)(x), x @ x.T, rtol=1e-13)


@pytest.mark.parametrize("name", NETS)
def test_weights_of_our_networks_are_never_expanded(name):
    """Every weight matrix of a fully connected network is found as a product; only biases keep a Jacobian."""
    net = NETS[name][0]
    params = net.init(jax.random.key(0), (5,))
    found = empirical.describe(empirical.Problem(net.apply, params), jnp.ones((4, 5)))
    ranks = {jax.tree_util.keystr(p): a.ndim for p, a in jax.tree_util.tree_leaves_with_path(params)}
    assert {c.parameter: c.strategy for c in found} == {p: "factored" if r == 2 else "direct" for p, r in ranks.items()}


def test_kernel_object_checks_and_keeps_dtypes():
    net = NETS["deep_erf"][0]
    kernel = wl.EmpiricalNTK(net.apply, net.init(jax.random.key(0), (5,)))
    x = np.random.default_rng(0).standard_normal((3, 5))
    double, single = kernel(x), kernel(x.astype(np.float32))
    assert (double.dtype, single.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-4 * np.abs(double).max())
    np.testing.assert_allclose(kernel.diagonal(jnp.asarray(x, jnp.float32)), np.diag(double), rtol=1e-4)
    with pytest.raises(ValueError, match=r"x1\[0, 0\] is nan"):
        kernel(np.full((2, 5), np.nan))


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_taylor_expansion_of_a_polynomial_is_exact_from_its_degree_on(order, x64):
    def f(p, x):
        return {"y": x * p["a"] ** 3 + p["b"] * p["a"], "z": p["b"] ** 2 * x}

    p0, p = {"a": jnp.asarray(0.7), "b": jnp.asarray(-1.2)}, {"a": jnp.asarray(1.1), "b": jnp.asarray(0.4)}
    x = jnp.asarray([1.0, -2.0])
    taylor = wl.taylor_expand(f, p0, order)(p, x)
    if order == 3:
        for key, value in f(p, x).items():
            np.testing.assert_allclose(taylor[key], value, rtol=1e-13)
    # By hand: a^3 around a0 to the given order, likewise the others.
    a, b, da, db = 0.7, -1.2, 0.4, 1.6
    cubic = [a**3, 3 * a**2 * da, 3 * a * da**2, da**3]
    mixed = [a * b, a * db + b * da, da * db, 0.0]
    np.testing.assert_allclose(taylor["y"], x * sum(cubic[: order + 1]) + sum(mixed[: order + 1]), rtol=1e-13)


def test_linearize_is_the_tangent(x64):
    net = NETS["deep_erf"][0]
    params = net.init(jax.random.key(0), (5,))
    direction = net.init(jax.random.key(1), (5,))
    x = jax.random.normal(jax.random.key(2), (3, 5))
    linear = wl.linearize(net.apply, params)
    np.testing.assert_allclose(linear(params, x), net.apply(params, x), rtol=1e-13)

    def gap(scale):
        moved = jax.tree.map(lambda p, d: p + scale * d, params, direction)
        return float(jnp.abs(linear(moved, x) - net.apply(moved, x)).max())

    # The gap is of second order: ten times closer, a hundred times smaller.
    assert gap(1e-3) / gap(1e-4) == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: wl.taylor_expand(lambda p, x: p * x, 1.0, -1), "order is -1"),
        (lambda: wl.taylor_expand(lambda p, x: p * x, 1.0, 1.5), "order is 1.5"),
        (lambda: wl.linearize(lambda p, x: p[0] * x, [1.0])([1.0, 2.0], 1.0), "expected that of params0"),
        (lambda: wl.linearize(lambda p, x: p * x, jnp.ones(2))(jnp.ones(3), 1.0), "expected those of params0"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
