"""Structured derivatives against the explicit Jacobian, on every way in which a parameter meets data."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from models import MODELS, batch, draw

from widelimit.empirical import (
    Diagonal,
    Full,
    Problem,
    StructuredDerivatives,
    Trace,
    describe,
    structured_cost,
    structured_parts,
)

TOLERANCE = 1e-12
FEW = ["dense_batched_positions", "conv2_groups", "embedding", "tied_transposed", "scan_stacked", "layer_norm"]
OUTPUTS = {
    "full": (Full(), "nmab->nmab", 1),
    "diagonal": (Diagonal(), "nmaa->nma", 1),
    "trace": (Trace(), "nmaa->nm", 0),
}


def jacobians(f, params, x):
    """Return the Jacobian (n, o, p) in each leaf."""

    def one(params, x):
        out = f(params, jax.tree.map(lambda a: a[None], x))
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(out)])

    leaves = jax.tree.leaves(jax.jit(jax.vmap(jax.jacrev(one), (None, 0)))(params, x))
    return [np.asarray(leaf).reshape(*leaf.shape[:2], -1) for leaf in leaves]


def products(first, second):
    """Return the inner products of Jacobians, leaf by leaf."""
    return [np.einsum("nap,mbp->nmab", a, b) for a, b in zip(first, second, strict=True)]


def close(found, expected, scale=None):
    scale = np.abs(expected).max() if scale is None else scale
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * scale)


@pytest.mark.parametrize("name", MODELS)
def test_every_rule_agrees_with_the_explicit_jacobian(name, x64):
    """Leaf by leaf for two batches, and for one with itself by blocks of one example."""
    model = MODELS[name]
    params, x = draw(model), batch(model, 6, 1)
    x1, x2 = (jax.tree.map(lambda a, part=part: a[part], x) for part in (slice(4), slice(3, 6)))
    problem = Problem(model.f, params)
    every = jacobians(model.f, params, x)
    expected = products([j[:4] for j in every], [j[3:] for j in every])
    scale = np.abs(sum(expected)).max()
    for found, part in zip(structured_parts(problem, x1, x2, Full()), expected, strict=True):
        close(found, part, scale)
    same = sum(products([j[:4] for j in every], [j[:4] for j in every]))
    close(StructuredDerivatives(1).block(problem, x1, None, Full()), same)


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("name", FEW)
def test_outputs_symmetry_blocks_and_diagonal(name, kind, x64):
    """Every output structure, for one batch and two, at once and in blocks, and on the diagonal."""
    model = MODELS[name]
    params, x1, x2 = draw(model), batch(model, 5, 1), batch(model, 3, 2)
    problem = Problem(model.f, params)
    outputs, letters, plain = OUTPUTS[kind]
    first, second = jacobians(model.f, params, x1), jacobians(model.f, params, x2)
    o = first[0].shape[1]
    same, other = (np.einsum(letters, sum(products(first, j))) * (1 if plain else 1 / o) for j in (first, second))
    for memory in (1, 2**30):
        method = StructuredDerivatives(memory)
        close(method.block(problem, x1, x2, outputs), other)
        close(method.diagonal(problem, x1, outputs), np.einsum("nn...->n...", same))
    close(StructuredDerivatives().block(problem, x1, None, outputs), same)


@pytest.mark.parametrize("name", MODELS)
def test_the_route_of_the_first_parameter(name, x64):
    """Products are found where the table says so: such a weight is never differentiated in directly."""
    model = MODELS[name]
    found = describe(Problem(model.f, draw(model)), batch(model, 4, 1), outputs=Full())
    if model.route is not None:
        first = {c.strategy for c in found if c.parameter == found[0].parameter}
        assert first <= {"factored", "summed"} if model.route == "product" else first == {model.route}


def mlp(sizes=(5, 6, 4, 3), dtype="float64"):
    """Return a network, its parameters and an input."""
    rng = np.random.default_rng(0)
    shapes = list(itertools.pairwise(sizes))
    params = [
        {"w": jnp.asarray(rng.standard_normal(s), dtype), "b": jnp.asarray(rng.standard_normal(s[1]), dtype)}
        for s in shapes
    ]

    def f(params, x):
        for layer in params[:-1]:
            x = jnp.tanh(x @ layer["w"] + layer["b"])
        return x @ params[-1]["w"] + params[-1]["b"]

    return f, params, jnp.asarray(rng.standard_normal((7, sizes[0])), dtype)


def test_learning_rates_weigh_leaves_and_entries(x64):
    """Numbers, arrays, masks within a leaf, and frozen leaves, which leave no trace in the parts."""
    f, params, x = mlp()
    mask = jnp.asarray(np.random.default_rng(3).integers(0, 3, (6, 4)), jnp.float64)
    rates = [{"w": 0.5, "b": False}, {"w": mask, "b": jnp.asarray(2.0)}, True]
    every = dict(enumerate(jacobians(f, params, x)))
    # Leaves come in the order b, w in each layer.
    scaled = {0: None, 1: 0.5, 2: 2.0, 3: np.ravel(mask), 4: 1.0, 5: 1.0}
    expected = [np.einsum("nap,mbp->nmab", j * scaled[i], j) for i, j in every.items() if scaled[i] is not None]
    problem = Problem(f, params, rates)
    found = structured_parts(problem, x, None, Full())
    assert len(found) == 5
    for part, one in zip(found, expected, strict=True):
        close(part, one)
    close(StructuredDerivatives(1).block(problem, x, None, Full()), sum(expected))
    close(StructuredDerivatives().diagonal(problem, x, Trace()), np.einsum("nnaa->n", sum(expected)) / 3)


def test_nothing_to_train_is_a_kernel_of_zeros(x64):
    f, params, x = mlp()
    problem = Problem(f, params, False)
    for memory in (1, 2**30):
        close(StructuredDerivatives(memory).block(problem, x, x[:2], Full()), np.zeros((7, 2, 3, 3)))
    close(StructuredDerivatives().diagonal(problem, x, Diagonal()), np.zeros((7, 3)))
    assert structured_parts(problem, x, None, Trace()) == []


def test_integer_parameters_are_constants(x64):
    def f(p, x):
        return jnp.tanh(x @ p["w"]) * p["count"]

    params = {"w": jnp.ones((5, 3)), "count": jnp.asarray(2)}
    x = batch(MODELS["dense"], 4, 1)
    expected = jacobians(lambda w, x: f({"w": w, "count": 2}, x), params["w"], x)
    close(StructuredDerivatives().block(Problem(f, params), x, None, Full()), products(expected, expected)[0])


@pytest.mark.parametrize("memory", [2**12, 2**30])
def test_it_can_be_compiled_and_differentiated(memory, x64):
    """Under jit by the user, and its derivative in a parameter against central differences."""
    f, params, x = mlp()

    def value(shift):
        moved = [{**params[0], "w": params[0]["w"] + shift}, *params[1:]]
        return jnp.sum(StructuredDerivatives(memory).block(Problem(f, moved), x, x[:3], Trace()) ** 2)

    slope = jax.jit(jax.grad(value))(0.0)
    compiled = jax.jit(value)
    np.testing.assert_allclose(slope, (compiled(1e-5) - compiled(-1e-5)) / 2e-5, rtol=1e-8)


@pytest.mark.parametrize(
    ("weights", "inputs"), [("float32", "float32"), ("bfloat16", "float32"), ("float32", "bfloat16")]
)
def test_dtypes(weights, inputs):
    """The kernel has the dtype of the outputs; half-precision gradients are accumulated in single precision."""
    f, params, x = mlp(dtype="float32")
    mixed = jax.tree.map(lambda a: a.astype(weights), params)
    found = StructuredDerivatives().block(Problem(f, mixed), x.astype(inputs), None, Full())
    assert found.dtype == jnp.float32
    with jax.enable_x64(True):
        wide = jacobians(
            f,
            jax.tree.map(lambda a: jnp.asarray(np.asarray(a), jnp.float64), mixed),
            np.asarray(x.astype(inputs), np.float64),
        )
        expected = sum(products(wide, wide))
    tolerance = 1e-5 if "bfloat16" not in (weights, inputs) else 2e-2
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_wide_weights_stay_factored_and_the_choice_follows_the_cost():
    """A weight of ten million entries is never expanded; a convolution with many positions is summed over them."""
    wide = Problem(lambda p, x: jnp.tanh(x @ p[0]) @ p[1], [jnp.ones((3000, 3000)), jnp.ones((3000, 1))])
    x = jnp.ones((4, 3000))
    assert [(c.shape, c.strategy) for c in describe(wide, x)] == [
        ((1, 1, 3000, 3000), "factored"),
        ((1, 1, 3000, 1), "factored"),
    ]
    # Far less than one Jacobian of 36 MB is held.
    assert structured_cost(wide, x, None, Trace()).peak < 2**20
    text = jax.jit(lambda p, x: StructuredDerivatives().block(Problem(wide.f, p), x, None, Trace())).lower(
        wide.params, x
    )
    assert "3000x3000" in text.as_text()
    assert not any(f"{n}x3000x3000" in text.as_text() for n in (1, 4))

    def conv(p, x):
        return lax_conv(x, p[0]).mean((1, 2)) @ p[1]

    def lax_conv(x, w):
        return jnp.tanh(jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")))

    problem = Problem(conv, [jnp.ones((3, 3, 2, 4)), jnp.ones((4, 2))])
    found = describe(problem, jnp.ones((8, 12, 12, 2)), outputs=Full())
    assert [(c.shape, c.strategy) for c in found] == [((1, 144, 18, 4), "summed"), ((1, 1, 4, 2), "factored")]


@pytest.mark.parametrize("outputs", [Trace(), Full()], ids=["trace", "full"])
@pytest.mark.parametrize("memory", [2**20, 2**22])
def test_temporary_memory_stays_within_the_budget(memory, outputs):
    """Counted by the compiler; the result itself and one copy of it come on top."""
    f, params, _ = mlp((64, 128, 128, 3), "float32")
    x = jnp.asarray(np.random.default_rng(0).standard_normal((200, 64)), jnp.float32)
    kernel = jax.jit(lambda p, x: StructuredDerivatives(memory).block(Problem(f, p), x, x[:50], outputs))
    used = kernel.lower(params, x).compile().memory_analysis()
    assert used.temp_size_in_bytes <= memory + 2 * used.output_size_in_bytes
    whole = jax.jit(lambda p, x: StructuredDerivatives().block(Problem(f, p), x, x[:50], outputs))
    np.testing.assert_allclose(kernel(params, x), whole(params, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("memory", [0, -5, 1.5, True])
def test_a_budget_is_a_positive_number_of_bytes(memory):
    with pytest.raises(ValueError, match="memory is"):
        StructuredDerivatives(memory)
