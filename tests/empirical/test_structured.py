"""Structured derivatives against the explicit Jacobian, on every way in which a parameter meets data."""

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
