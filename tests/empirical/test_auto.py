"""Auto: what it chooses and shows, that it computes what it chose, and that budgets are kept."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit.empirical import (
    Auto,
    Diagonal,
    Full,
    JacobianContraction,
    NTKVectorProducts,
    Problem,
    Sketch,
    StructuredDerivatives,
    Trace,
    ntk_operator,
)

RNG = np.random.default_rng(5)


def normal(*shape):
    return jnp.asarray(RNG.standard_normal(shape), jnp.float32)


def dense(p, x):
    for w in p[:-1]:
        x = jnp.tanh(x @ w)
    return x @ p[-1]


WIDE = Problem(dense, [normal(64, 128), normal(128, 128), normal(128, 10)])
X = normal(24, 64)


def chosen(problem, x, outputs=Full(), auto=Auto()):
    return type(auto.select(problem, x, None, outputs).method)


def test_a_wide_network_takes_structured_derivatives():
    assert chosen(WIDE, X) is StructuredDerivatives
    assert chosen(WIDE, X, Trace()) is StructuredDerivatives


def test_among_the_others_contraction_grows_with_the_square_of_outputs():
    """Vector products win for all pairs of outputs of a wide network, contraction where weights are few."""
    auto = Auto(candidates=(JacobianContraction(), NTKVectorProducts()), balance=1.0)
    assert chosen(WIDE, X, Full(), auto) is NTKVectorProducts
    # One small filter at many positions: a forward pass costs much more than the parameters are many.
    shared = Problem(lambda p, x: jnp.tanh(x[:, :, None] @ p).sum(1), normal(1, 3))
    assert chosen(shared, X, Full(), auto) is JacobianContraction


def test_the_balance_weighs_bytes():
    """With free bytes the method of fewest operations wins, with free operations that of fewest bytes."""
    for balance, number in ((0.0, "flops"), (1e9, "bytes")):
        choice = Auto(balance=balance).select(WIDE, X, None, Full())
        least = min(choice.estimates, key=lambda e: getattr(e, number))
        assert choice.method == least.method


def test_what_does_not_fit_comes_last():
    memory = 200_000  # one Jacobian of 10 outputs takes 1 MB
    choice = Auto(memory).select(WIDE, X, None, Full())
    assert type(choice.method) is StructuredDerivatives
    jacobian = next(e for e in choice.estimates if isinstance(e.method, JacobianContraction))
    assert not jacobian.fits
    assert jacobian.peak > memory
    assert "JacobianContraction (exceeds its memory)" in repr(choice)
    few = Auto(candidates=(JacobianContraction(1), NTKVectorProducts(1))).select(WIDE, X, None, Full())
    assert [e.fits for e in few.estimates] == [False, False]
    assert few.estimates[0].peak <= few.estimates[1].peak


def test_the_choice_can_be_read(capsys):
    choice = Auto().select(WIDE, X, X[:3], Full())
    lines = repr(choice).splitlines()
    assert lines[0] == "StructuredDerivatives is chosen; estimates:"
    assert lines[1].split() == ["method", "time", "flops", "bytes", "peak"]
    assert [line.split()[0] for line in lines[2:]] == [type(e.method).__name__ for e in choice.estimates]
    assert lines[2].split()[1] == "1.00x"
    times = [e.time for e in choice.estimates]
    assert times == sorted(times)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("outputs", [Trace(), Diagonal(), Full()], ids=["trace", "diagonal", "full"])
def test_auto_is_what_it_chose(outputs, x64):
    problem = Problem(dense, [jnp.asarray(w, jnp.float64) for w in WIDE.params])
    x = jnp.asarray(X, jnp.float64)
    method = Auto().select(problem, x[:4], x[4:7], outputs).method
    expected = method.block(problem, x[:4], x[4:7], outputs)
    np.testing.assert_allclose(Auto().block(problem, x[:4], x[4:7], outputs), expected, rtol=1e-13)
    np.testing.assert_allclose(
        Auto().diagonal(problem, x[:3], outputs), method.diagonal(problem, x[:3], outputs), rtol=0, atol=1e-12
    )


def test_auto_is_the_default():
    assert wl.EmpiricalNTK(dense, WIDE.params).method == Auto()


@pytest.mark.parametrize(
    ("candidates", "words"), [((), "candidates is empty"), ((Sketch(),), "of unknown cost; expected Structured")]
)
def test_bad_candidates_are_refused(candidates, words):
    with pytest.raises(ValueError, match=words):
        Auto(candidates=candidates)


# Budgets below what all 24 examples would take at once (24 MB), above what one takes.
METHODS = [StructuredDerivatives, JacobianContraction, NTKVectorProducts, lambda m: Sketch(512, memory=m)]


@pytest.mark.parametrize("memory", [6_000_000, 30_000_000])
@pytest.mark.parametrize("index", range(4), ids=["structured", "jacobian", "vector_products", "sketch"])
def test_a_budget_is_kept(index, memory):
    """By what the compiler lays out: temporary memory is below the budget, beside the result and inputs."""
    method = METHODS[index](memory)
    compiled = eqx.filter_jit(lambda problem, x: method.block(problem, x, None, Full())).lower(WIDE, X).compile()
    sizes = compiled.compiled.memory_analysis()
    # Parts of the result may wait in place of it, and the sketches themselves are a result of their own.
    result = sizes.output_size_in_bytes + (2 * 24 * 10 * 512 * 4 if index == 3 else 0)
    assert sizes.temp_size_in_bytes <= memory + result
    # The measure measures: without a budget more is taken.
    if memory == 6_000_000 and index in (1, 2):
        method = METHODS[index](2**40)
        compiled = eqx.filter_jit(lambda problem, x: method.block(problem, x, None, Full())).lower(WIDE, X).compile()
        assert compiled.compiled.memory_analysis().temp_size_in_bytes > memory + result


@pytest.mark.parametrize("memory", [2_000_000, 10_000_000])
def test_the_operator_keeps_its_budget(memory):
    operator = ntk_operator(dense, WIDE.params, X, memory=memory)
    compiled = eqx.filter_jit(lambda o, v: o.matmat(v)).lower(operator, normal(240, 40)).compile()
    assert compiled.compiled.memory_analysis().temp_size_in_bytes <= memory + 2 * 240 * 40 * 4
