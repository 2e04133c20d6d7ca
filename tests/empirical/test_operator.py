"""The matrix-free kernel against the matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tables import NETS
from widelimit.empirical import Diagonal, Full, Trace, ntk_operator
from widelimit.gram import EmpiricalNTKGram
from widelimit.kernels import NTK, EmpiricalNTK

RNG = np.random.default_rng(3)
X1, X2 = RNG.standard_normal((7, 5)), RNG.standard_normal((4, 5))


def f(p, x):
    return {"a": jnp.tanh(x @ p["w"]) @ p["v"], "b": jnp.sin(x @ p["w"])[:, 0]}


PARAMS = {"w": RNG.standard_normal((5, 4)), "v": RNG.standard_normal((4, 2))}
RATES = {"w": 0.5, "v": RNG.uniform(size=(4, 2))}


def matrix(x1, x2, outputs):
    """Return the kernel as a matrix over (example, output), from the parts of its pytree."""
    block = EmpiricalNTK(f, PARAMS, outputs, learning_rates=RATES)(x1, x2)
    if isinstance(outputs, Trace):
        return block
    rows = [np.concatenate([np.asarray(block[i][j]) for j in "ab"], 3) for i in "ab"]
    full = np.concatenate(rows, 2)
    return full.swapaxes(1, 2).reshape(full.shape[0] * 3, full.shape[1] * 3)


# Everything at once, a few examples and columns with ragged ends, one example and one column at a time.
@pytest.mark.parametrize("memory", [2**30, 6000, 1])
@pytest.mark.parametrize("outputs", [Full(), Trace()], ids=["full", "trace"])
def test_operator_is_the_matrix(outputs, memory, x64):
    dense = matrix(X1, X2, outputs)
    operator = ntk_operator(f, PARAMS, X1, X2, RATES, outputs=outputs, memory=memory)
    assert operator.shape == dense.shape
    v = RNG.standard_normal((dense.shape[1], 5))
    np.testing.assert_allclose(operator.matmat(v), dense @ v, rtol=0, atol=1e-12)
    u = RNG.standard_normal(dense.shape[0])
    np.testing.assert_allclose(operator.transpose().matvec(u), dense.T @ u, rtol=0, atol=1e-12)


@pytest.mark.parametrize("outputs", [Full(), Trace()], ids=["full", "trace"])
def test_gram_has_the_parts_of_its_matrix(outputs, x64):
    dense = matrix(X1, X1, outputs)
    gram = EmpiricalNTKGram(EmpiricalNTK(f, PARAMS, outputs, learning_rates=RATES), X1, memory=20000)
    assert gram.shape == dense.shape
    v = RNG.standard_normal((len(dense), 2))
    np.testing.assert_allclose(gram.matmat(v), dense @ v, rtol=0, atol=1e-12)
    np.testing.assert_allclose(gram.diagonal(), np.diag(dense), rtol=0, atol=1e-12)
    every, some, other = slice(None), slice(2, 6), slice(5, 1, -2)
    for rows, columns in [(every, every), (some, other), (other, slice(0, 1))]:
        np.testing.assert_allclose(gram.tile(rows, columns), dense[rows, columns], rtol=0, atol=1e-12)


def test_operator_under_jit_and_of_a_network_with_one_output(x64):
    net = NETS["deep_erf"][0]
    kernel = EmpiricalNTK(net.apply, net.init(jax.random.key(0), (5,)))
    v = jnp.asarray(RNG.standard_normal((7, 2)))
    found = jax.jit(lambda x, v: kernel.operator(x).matmat(v))(jnp.asarray(X1), v)
    np.testing.assert_allclose(found, kernel(X1) @ v, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ntk_operator(f, PARAMS, X1, X2).matmat(np.ones((7, 2))), r"v has shape \(7, 2\); .* \(12, k\)"),
        (lambda: ntk_operator(f, PARAMS, X1).matvec(np.ones((21, 2))), r"v has shape \(21, 2\); .* \(21,\)"),
        (lambda: ntk_operator(f, PARAMS, X1, outputs=Diagonal()), r"expected Full\(\) or Trace\(\)"),
        (lambda: ntk_operator(f, PARAMS, X1 * np.nan), r"x1\[0, 0\] is nan"),
        (lambda: ntk_operator(f, PARAMS, X1, X2[:, :3]), r"x2 of shape \(3,\)"),
        (lambda: EmpiricalNTKGram(NTK(NETS["linear"][0]), X1), "expected an EmpiricalNTK"),
        (lambda: EmpiricalNTKGram(EmpiricalNTK(f, PARAMS, Diagonal()), X1), r"outputs Full\(\) or Trace\(\)"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_float64_input_gives_float64_while_x64_is_off():
    kernel = EmpiricalNTK(f, PARAMS, Trace(), learning_rates=RATES)
    v = RNG.standard_normal((len(X2), 2))
    product = kernel.operator(X1, X2).transpose().transpose().matmat(v)
    assert product.dtype == np.float64
    np.testing.assert_allclose(product, kernel(X1, X2) @ v, rtol=0, atol=1e-12)
    np.testing.assert_allclose(kernel.operator(X1, X2).matvec(v[:, 0]), product[:, 0], rtol=0, atol=1e-12)


def test_nan_is_refused_in_a_product():
    with pytest.raises(ValueError, match=r"v\[2, 0\] is nan"):
        EmpiricalNTK(f, PARAMS, Trace()).operator(X2).matvec(np.where(np.arange(len(X2)) == 2, np.nan, 0.0))
