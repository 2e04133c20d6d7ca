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
    structured_parts,
)

TOLERANCE = 1e-12


def jacobians(f, params, x):
    """Return the Jacobian (n, o, p) in each leaf."""

    def one(params, x):
        out = f(params, jax.tree.map(lambda a: a[None], x))
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(out)])

    leaves = jax.tree.leaves(jax.jit(jax.vmap(jax.jacrev(one), (None, 0)))(params, x))
    return [np.asarray(leaf).reshape(*leaf.shape[:2], -1) for leaf in leaves]


def close(found, expected, scale):
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * scale)


@pytest.mark.parametrize("name", MODELS)
def test_every_rule_agrees_with_the_explicit_jacobian(name, x64):
    model = MODELS[name]
    params, x1, x2 = draw(model), batch(model, 5, 1), batch(model, 3, 2)
    problem = Problem(model.f, params)
    parts = [np.einsum("nap,mbp->nmab", a, b) for a, b in zip(jacobians(model.f, params, x1), jacobians(model.f, params, x2), strict=True)]
    mine = np.concatenate(jacobians(model.f, params, x1), 2)
    same, full = np.einsum("nap,mbp->nmab", mine, mine), sum(parts)
    scale = np.abs(same).max()
    o = full.shape[2]
    method, small = StructuredDerivatives(), StructuredDerivatives(1)
    close(method.block(problem, x1, x2, Full()), full, scale)
    close(method.block(problem, x1, None, Diagonal()), np.einsum("nmaa->nma", same), scale)
    close(method.block(problem, x1, None, Trace()), np.einsum("nmaa->nm", same) / o, scale)
    close(small.block(problem, x1, None, Full()), same, scale)
    close(method.diagonal(problem, x1, Full()), np.einsum("nnab->nab", same), scale)
    for found, expected in zip(structured_parts(problem, x1, x2, Full()), parts, strict=True):
        close(found, expected, scale)
