"""Jacobian contraction and vector products against Jacobians by hand: functions, blocks, rates, bad problems."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit import empirical
from widelimit.empirical import Diagonal, Full, JacobianContraction, NTKVectorProducts, Problem, Trace
from widelimit.kernels import EmpiricalNTK

METHODS = {"jacobian": JacobianContraction, "vector_products": NTKVectorProducts}


def arrays(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.standard_normal(shape)) for shape in shapes]


def explicit(f, params, x1, x2, rates=None):
    """Return the full NTK (n1, n2, o, o) from whole Jacobians; rates is a tree like params or None."""
    rates = jax.tree.map(jnp.ones_like, params) if rates is None else rates

    def jacobian(x):
        whole = jax.jacobian(lambda p: f(p, x).reshape(len(jax.tree.leaves(x)[0]), -1))(params)
        return [j.reshape(*j.shape[:2], -1) for j in jax.tree.leaves(whole)]

    scale = [
        jnp.ravel(jnp.broadcast_to(r, p.shape)) for r, p in zip(*map(jax.tree.leaves, (rates, params)), strict=True)
    ]
    triples = zip(jacobian(x1), scale, jacobian(x2), strict=True)
    return sum(jnp.einsum("nap,p,mbp->nmab", a, r, b) for a, r, b in triples)


def reduced(full, outputs):
    if isinstance(outputs, Full):
        return full
    diagonal = np.einsum("nmaa->nma", full)
    return diagonal if isinstance(outputs, Diagonal) else diagonal.mean(-1)


def mlp(p, x):
    return jnp.tanh(x @ p["w"] + p["b"]) @ p["out"]


def mlp_params():
    w, b, out = arrays((5, 4), (4,), (4, 3))
    return {"w": w, "b": b, "out": out}


def conv(p, x):
    image = x[:, :4].reshape(-1, 2, 2, 1)
    hidden = jax.lax.conv_general_dilated(image, p[0], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return jax.nn.gelu(hidden).mean((1, 2)) @ p[1]


def attention(p, x):
    h = x[:, :4].reshape(-1, 2, 2)
    q, k, v = (h @ w for w in p[:3])
    return (jax.nn.softmax(q @ k.swapaxes(1, 2)) @ v).reshape(-1, 4) @ p[3]


def recurrent(p, x):
    def step(h, u):
        return jnp.tanh(h @ p[0] + u[:, None] * p[1]), None

    return jax.lax.scan(step, jnp.zeros((len(x), 3)), x.T)[0]


# name -> (f, parameters, inputs). "few_parameters" has more outputs than parameters: forward mode.
TOKENS = np.array([[0, 2, 1], [3, 3, 0], [1, 2, 3]])
X = np.random.default_rng(1).standard_normal((3, 5))
FUNCTIONS = {
    "linear": (lambda p, x: x @ p, lambda: arrays((5, 3))[0], X),
    "mlp": (mlp, mlp_params, X),
    "conv": (conv, lambda: arrays((3, 3, 1, 3), (3, 2)), X),
    "attention": (attention, lambda: arrays((2, 2), (2, 2), (2, 2), (4, 2)), X),
    "recurrent": (recurrent, lambda: arrays((3, 3), (3,)), X),
    "tied": (lambda p, x: jnp.sin(x @ p) @ p.T, lambda: arrays((5, 4))[0], X),
    "layer_norm": (
        lambda p, x: jax.nn.standardize(x @ p[0], axis=-1) * p[1] + p[2],
        lambda: arrays((5, 3), (3,), (3,)),
        X,
    ),
    "few_parameters": (lambda p, x: jnp.cos(x * p[0]) + p[1], lambda: arrays((), ()), X),
    "gate": (lambda p, x: (x @ p[0]) * jax.nn.sigmoid(x @ p[1]), lambda: arrays((5, 2), (5, 2)), X),
    "embedding": (lambda p, x: p[0][x].sum(1) @ p[1], lambda: arrays((4, 3), (3, 2)), TOKENS),
    "unused_parameter": (lambda p, x: x @ p[0], lambda: arrays((5, 2), (7,)), X),
    "while_of_fixed_length": (
        lambda p, x: jax.lax.fori_loop(0, 2, lambda _, h: jnp.sin(h @ p), x),
        lambda: arrays((5, 5))[0],
        X,
    ),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_methods_are_the_contraction_of_jacobians(name, method, x64):
    f, params, x = FUNCTIONS[name]
    params = params()
    expected = explicit(f, params, x, x[:2])
    found = METHODS[method]().block(Problem(f, params), x, x[:2], Full())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


# One example at a time, a few with a ragged end, and several with rows and columns of different sizes.
BUDGETS = [1, 6000, 25000]


@pytest.mark.parametrize("outputs", [Trace(), Diagonal(), Full()], ids=["trace", "diagonal", "full"])
@pytest.mark.parametrize("method", METHODS)
def test_blocks_of_any_size_give_the_same_numbers(method, outputs, x64):
    """Also when nothing divides, and when only half of a symmetric kernel is computed."""
    x1, x2 = arrays((7, 5), (5, 5), seed=2)
    params = mlp_params()
    problem = Problem(mlp, params)
    expected = {None: explicit(mlp, params, x1, x1), 5: explicit(mlp, params, x1, x2)}
    for memory in BUDGETS if isinstance(outputs, Full) else BUDGETS[1:2]:
        engine = METHODS[method](memory)
        for second in (None, x2):
            want = reduced(expected[None if second is None else 5], outputs)
            found = engine.block(problem, x1, second, outputs)
            np.testing.assert_allclose(found, want, rtol=0, atol=1e-12 * np.abs(want).max())
        want = np.stack([reduced(expected[None], outputs)[i, i] for i in range(7)])
        found = engine.diagonal(problem, x1, outputs)
        np.testing.assert_allclose(found, want, rtol=0, atol=1e-12 * np.abs(want).max())


@pytest.mark.parametrize("method", METHODS)
def test_learning_rates_weigh_parameters(method, x64):
    x = jnp.asarray(X)
    params = mlp_params()
    rate = np.arange(4) / 2
    given = {"w": 0.5, "b": rate, "out": False}
    whole = {"w": 0.5 * jnp.ones((5, 4)), "b": rate, "out": jnp.zeros((4, 3))}
    expected = explicit(mlp, params, x, x, whole)
    found = METHODS[method]().block(Problem(mlp, params, given), x, None, Full())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("f", "params", "rates", "words"),
    [
        (mlp, {"w": np.ones((5, 3))}, -1.0, r"learning_rates of params\['w'\] is -1.0"),
        (mlp, {"w": np.ones((5, 3))}, {"w": np.nan}, "is nan; expected finite"),
        (mlp, {"w": np.ones((5, 3))}, {"w": np.array([1.0, -2.0, 3.0])}, "zero or more"),
        (mlp, {"w": np.ones((5, 3))}, {"w": np.ones((4, 1))}, r"has shape \(4, 1\); expected one that broadcasts"),
        (mlp, {"w": np.ones((5, 3))}, {"v": 1.0}, "expected a prefix of that of params"),
        (mlp, {"w": np.ones((5, 3))}, {"w": "fast"}, "'fast'; expected a number"),
        (mlp, {"w": np.ones(3) * 1j}, None, r"params\['w'\] has dtype complex128"),
        ("mlp", {"w": np.ones(3)}, None, "expected a function"),
    ],
)
def test_bad_problems_are_refused(f, params, rates, words):
    with pytest.raises(ValueError, match=words):
        Problem(f, params, rates)


@pytest.mark.parametrize(("params", "rates"), [(np.ones((5, 3)), False), (np.arange(3), None), ({}, None)])
def test_nothing_to_train_is_refused(params, rates):
    f = lambda p, x: x  # noqa: E731
    with pytest.raises(ValueError, match="no parameter is trainable: params has"):
        EmpiricalNTK(f, params, learning_rates=rates)
    with pytest.raises(ValueError, match="no parameter is trainable: params has"):
        empirical.ntk_operator(f, params, np.ones((2, 3)), learning_rates=rates)
    for method in (*METHODS.values(), empirical.Sketch):
        with pytest.raises(ValueError, match="no parameter is trainable: params has"):
            method().block(Problem(f, params, rates), jnp.ones((2, 3)), None, Full())


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda p, x: (x @ p).sum(), r"the output of f has shape \(\) for a batch of 3"),
        (lambda p, x: {"y": (x @ p).T}, r"the output\['y'\] of f has shape \(2, 3\) for a batch of 3"),
        (lambda p, x: (x @ p) > 0, "has dtype bool; expected a floating"),
        (lambda p, x: (x @ p).astype(complex), "expected a floating dtype"),
        (lambda p, x: (), "returned no outputs"),
        (lambda p, x: (x @ p, 1.0), "is a float; expected an array"),
        (lambda p, x: (x @ p)[:, :0], "expected at least one entry"),
    ],
)
def test_bad_outputs_are_refused(f, words):
    problem = Problem(f, jnp.ones((5, 2)))
    with pytest.raises(ValueError, match=words):
        empirical.output_shapes(problem, jnp.ones((3, 5)))


def test_an_output_that_drops_the_batch_axis_of_one_example_is_refused():
    problem = Problem(lambda p, x: (x @ p).squeeze(), jnp.ones((5, 1)))
    with pytest.raises(ValueError, match="for a batch of 1; expected the batch axis first"):
        JacobianContraction().block(problem, jnp.ones((3, 5)), None, Full())


def test_nan_in_a_parameter_comes_out_as_nan():
    params = jnp.ones((5, 2)).at[0, 0].set(jnp.nan)
    for method in METHODS.values():
        kernel = method().block(Problem(lambda p, x: jnp.sin(x @ p), params), jnp.ones((2, 5)), None, Diagonal())
        assert np.isnan(kernel[..., 0]).all()
