"""Output axes one by one agree with the full kernel, by every method."""

import jax.numpy as jnp
import numpy as np
import pytest

from widelimit.empirical import (
    Auto,
    Axes,
    Between,
    Full,
    JacobianContraction,
    NTKVectorProducts,
    Problem,
    StructuredDerivatives,
)

pytestmark = pytest.mark.usefixtures("x64")
METHODS = [JacobianContraction(), NTKVectorProducts(), StructuredDerivatives(), StructuredDerivatives(4000), Auto()]
KIND = Axes(((2, 3, 4), (4,)), trace=((2,), (0,)), diagonal=((0,), ()))
RNG = np.random.default_rng(0)
PARAMS = [RNG.normal(size=(3, 4)), RNG.normal(size=4)]
X1, X2 = (RNG.normal(size=(n, 2, 3, 3)) for n in (5, 4))


def f(params, x):
    h = jnp.tanh(jnp.einsum("nhwc,cd->nhwd", x, params[0]) + params[1])
    return h, jnp.sum(h, (1, 2))


def expected(full):
    """Take what is asked for from all pairs of the 24 + 4 outputs."""
    lead = full.shape[:-2]
    first = jnp.reshape(full[..., :24, :24], (*lead, 2, 3, 4, 2, 3, 4))
    parts = jnp.einsum("...abcadc->...abd", first) / 4, jnp.einsum("...aa->...", full[..., 24:, 24:]) / 4
    return jnp.concatenate([jnp.reshape(part, (*lead, -1)) for part in parts], -1)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_axes_of_all_outputs(method):
    problem = Problem(f, PARAMS)
    assert KIND.entries() == [(2, 3, 3), ()]
    full = JacobianContraction().block(problem, X1, X2, Full())
    np.testing.assert_allclose(method.block(problem, X1, X2, KIND), expected(full), atol=1e-12)
    own = method.block(problem, X1, None, KIND)
    np.testing.assert_allclose(own, expected(JacobianContraction().block(problem, X1, X1, Full())), atol=1e-12)
    np.testing.assert_allclose(method.diagonal(problem, X1, KIND), jnp.einsum("nne->ne", own), atol=1e-12)
    other = method.block(problem, X2, X1, KIND)
    np.testing.assert_allclose(KIND.mirror(other), expected(full), atol=1e-12)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_first_outputs_with_the_rest(method):
    """Two batches as one example, whose outputs are those of both."""

    def both(params, pair):
        return [jnp.reshape(f(params, x[0])[1], (1, -1)) for x in pair]

    kind = Between(20, Axes(((5, 4),), ((4, 4),), trace=((1,),)))
    block = method.block(Problem(both, PARAMS), [X1[None], X2[None]], None, kind)
    full = JacobianContraction().block(Problem(lambda p, x: f(p, x)[1], PARAMS), X1, X2, Full())
    np.testing.assert_allclose(jnp.reshape(block, (5, 4)), jnp.einsum("nmaa->nm", full) / 4, atol=1e-12)
    own = method.diagonal(Problem(both, PARAMS), [X1[None], X2[None]], kind)
    np.testing.assert_allclose(own, block[0], atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rows": ((2, 3),), "trace": ((2,),)}, "from 0 to 1"),
        ({"rows": ((2, 3),), "trace": ((1,),), "diagonal": ((1,),)}, "each once"),
        ({"rows": ((2, 3),), "trace": ((1,), ())}, "one for each"),
        ({"rows": ((2, 3),), "columns": ((2,),)}, "as many axes"),
        ({"rows": ((2, 3),), "columns": ((2, 4),), "trace": ((1,),)}, "differ along an axis"),
    ],
)
def test_axes_are_checked(arguments, words):
    with pytest.raises(ValueError, match=words):
        Axes(**arguments)
