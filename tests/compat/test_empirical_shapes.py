"""Empirical kernels of any axes, inputs and outputs, by every implementation, against explicit Jacobians."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import normal

from widelimit.compat import neural_tangents as nt

pytestmark = [pytest.mark.usefixtures("x64"), pytest.mark.thorough]
EVERY = list(nt.NtkImplementation)
# (trace_axes, diagonal_axes) of outputs with four axes, of which the first are the examples
AXES = [
    ((), ()),
    ((-1,), ()),
    ((0,), ()),
    ((), (0,)),
    ((1, 2, 3), ()),
    ((-1,), (1,)),
    ((3, 1), (0, 2)),
    ((0, -1), (1,)),
    ((), (3, 0, 2)),
    ((0, 1, 2, 3), ()),
]


def convolution(params, x):
    """A pointwise layer with weights and biases: (n, h, w, c) to (n, h, w, d)."""
    return jnp.tanh(jnp.einsum("nhwc,cd->nhwd", x, params[0]) + params[1])


def neighbours(params, x):
    """The same, and then every example meets the one before."""
    out = convolution(params, x)
    return out * jnp.roll(out, 1, 0)


def data():
    params = [normal(0, 2, 3), normal(1, 1, 1, 1, 3)]
    return params, normal(2, 3, 2, 1, 2), normal(3, 2, 2, 1, 2)


def contracted(one, two, ndim, trace, diagonal):
    """Contract arrays over the axes after the first ``ndim``, and those by what they become."""
    trace, diagonal = ({axis % ndim for axis in axes} for axes in (trace, diagonal))
    first, second = list(range(ndim)), [i if i in trace | diagonal else ndim + i for i in range(ndim)]
    kept = [j for i in range(ndim) if i not in trace for j in ([i] if i in diagonal else [i, ndim + i])]
    one, two = (jnp.reshape(a, (*a.shape[:ndim], math.prod(a.shape[ndim:]))) for a in (one, two))
    return jnp.einsum(one, [*first, 99], two, [*second, 99], kept) / math.prod(one.shape[i] for i in trace)


def by_jacobians(f, params, x1, x2, trace, diagonal):
    one, two = (jax.jacobian(f)(params, x) for x in (x1, x2))
    ndim = f(params, x1).ndim
    contract = functools.partial(contracted, ndim=ndim, trace=trace, diagonal=diagonal)
    return sum(map(contract, jax.tree.leaves(one), jax.tree.leaves(two)))


@pytest.mark.parametrize("f", [convolution, neighbours], ids=lambda f: f.__name__)
@pytest.mark.parametrize(("trace", "diagonal"), AXES, ids=str)
def test_every_implementation_for_any_axes(f, trace, diagonal):
    params, x1, x2 = data()
    shared = {axis % 4 for axis in (*trace, *diagonal)}
    for second in (None, x2):
        if second is not None and 0 in shared:
            continue
        other = x1 if second is None else second
        expected = by_jacobians(f, params, x1, other, trace, diagonal)
        nngp = nt.empirical_nngp_fn(f, trace, diagonal)(x1, second, params)
        products = contracted(f(params, x1)[..., None], f(params, other)[..., None], 4, trace, diagonal)
        np.testing.assert_allclose(nngp, products, atol=1e-12)
        for implementation in EVERY:
            for vmap_axes in (None, 0)[: 2 if f is convolution else 1]:
                ntk = nt.empirical_ntk_fn(f, trace, diagonal, vmap_axes, implementation)(x1, second, params)
                assert ntk.shape == expected.shape
                np.testing.assert_allclose(ntk, expected, atol=1e-11)


def test_nested_inputs_and_outputs_with_examples_along_any_axis():
    """Each output with itself, as a tree like the outputs; also keywords with an axis of examples."""

    def f(params, x, pattern):
        first = jnp.einsum("nc,cd,nde->ne", x["a"], params[0], pattern)
        second = jnp.einsum("hnc,cd->dhn", x["b"][0], params[1])
        return {"sum": first * jnp.sum(second, (0, 1))[:, None], "deep": [jnp.sin(second)]}

    params = [normal(0, 3, 2), normal(1, 4, 2)]
    x1, x2 = ({"a": normal(n, n, 3), "b": [normal(n, 5, n, 4)]} for n in (2, 3))
    patterns = tuple(normal(n, n, 2, 2) for n in (4, 6))
    patterns = patterns[0][:2], patterns[1][:3]
    axes = ({"a": 0, "b": [1]}, {"sum": 0, "deep": [-1]}, {"pattern": 0})
    for trace in ((), (-1,)):
        whole = nt.empirical_ntk_fn(f, trace)(
            x1, x2 if not trace else None, params, pattern=patterns if not trace else patterns[0]
        )
        assert whole["deep"][0].ndim == 2 * (3 - len(trace))
        for implementation in EVERY:
            fn = nt.empirical_ntk_fn(f, trace, (), axes, implementation)
            mapped = fn(x1, x2 if not trace else None, params, pattern=patterns if not trace else patterns[0])
            assert jax.tree.structure(mapped) == jax.tree.structure(whole)
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-11), mapped, whole)


def test_inputs_of_none_are_the_first_again():
    params, x1, _ = data()

    def f(params, x):
        return convolution(params, x[0]), x[1]

    fn = nt.empirical_ntk_fn(f, ())
    one, two = fn((x1, x1), None, params), fn((x1, x1), (None, None), params)
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], np.zeros_like(one[1]))


@pytest.mark.parametrize(
    "f",
    [
        lambda p, x: [jnp.sum(p), p[0] @ x, jnp.zeros((2, 0)), 3.0],
        lambda p, x: (x, (x, p)),
        lambda p, x: jnp.sum(p @ x),
        lambda p, x: jnp.ones((1, 2)),
    ],
    ids=["of many shapes", "what came in", "a number", "a constant"],
)
def test_functions_that_are_no_networks(f):
    p, x1, x2 = normal(0, 3, 3), normal(1, 3, 2), normal(2, 3, 4)
    results = []
    for implementation in EVERY:
        results.append(nt.empirical_ntk_fn(f, (), implementation=implementation)(x1, x2, p))
        for measured, one, two, j1, j2 in zip(
            *map(jax.tree.leaves, (results[-1], f(p, x1), f(p, x2), jax.jacobian(f)(p, x1), jax.jacobian(f)(p, x2))),
            strict=True,
        ):
            assert measured.shape == tuple(n for pair in zip(np.shape(one), np.shape(two), strict=True) for n in pair)
            expected = contracted(j1, j2, np.ndim(one), (), ())
            np.testing.assert_allclose(measured, expected, atol=1e-12)


def test_get_and_keywords():
    params, x1, x2 = data()
    kernel_fn = nt.empirical_kernel_fn(convolution, (-1,), (), 0, 3)
    both = kernel_fn(x1, x2, None, params)
    assert both._fields == ("nngp", "ntk")
    assert type(both).__name__ == "EmpiricalKernel"
    turned = kernel_fn(x1, x2, ("NTK", "nngp"), params)
    np.testing.assert_array_equal(turned.ntk, kernel_fn(x1, x2, "ntk", params))
    assert turned._fields == ("ntk", "nngp")
    compiled = jax.jit(kernel_fn, static_argnames="get")(x1, x2, "nngp", params)
    np.testing.assert_allclose(compiled, both.nngp, atol=1e-12)
    with pytest.raises(ValueError, match="there is no"):
        kernel_fn(x1, x2, "cov1", params)


def test_random_keys_are_equal_exactly_where_inputs_are():
    params, x1, x2 = data()

    def f(params, x, rng):
        return convolution(params, x) * jax.random.normal(rng, ())

    fn, key = nt.empirical_nngp_fn(f), jax.random.key(7)
    same = fn(x1, None, params, rng=key)
    np.testing.assert_allclose(fn(x1, x1 + 0.0, params, rng=key), same, rtol=1e-12)
    np.testing.assert_allclose(fn(x1, x1 + 0.0, params, rng=(key, jax.random.key(8))), same, rtol=1e-12)
    factor = jax.random.normal(jax.random.fold_in(key, 1), ())
    plain = nt.empirical_nngp_fn(convolution)(x1, x2, params)
    expected = plain * jax.random.normal(key, ()) * factor
    np.testing.assert_allclose(fn(x1, x2, params, rng=key), expected, rtol=1e-12)
    np.testing.assert_allclose(fn(x1, x2, params, rng=(key, key)), expected, rtol=1e-12)


def test_products_with_the_kernel():
    params, x1, x2 = data()
    for second in (None, x2):
        ntk = nt.empirical_ntk_fn(neighbours, ())(x1, second, params)
        v = normal(9, *neighbours(params, x1 if second is None else second).shape)
        expected = jnp.einsum("abcdefgh,bdfh->aceg", ntk, v)
        product = jax.jit(nt.empirical_ntk_vp_fn(neighbours, x1, second, params))(v)
        np.testing.assert_allclose(product, expected, atol=1e-10)


def test_wrong_axes_are_refused():
    params, x1, x2 = data()
    with pytest.raises(ValueError, match="expected numbers from -4 to 3"):
        nt.empirical_ntk_fn(convolution, (4,))(x1, x2, params)
    with pytest.raises(ValueError, match="each once"):
        nt.empirical_ntk_fn(convolution, (3,), (-1,))(x1, x2, params)
    with pytest.raises(ValueError, match="differ along an axis"):
        nt.empirical_ntk_fn(convolution, (0,), ())(x1, x2, params)
    with pytest.raises(ValueError, match="differ along an axis"):
        nt.empirical_ntk_fn(convolution, (0,), (), 0)(x1, x2, params)
    with pytest.raises(ValueError, match="vmap_axes"):
        nt.empirical_ntk_fn(convolution, (), (), (0, 1))(x1, x2, params)


def test_nothing_is_compiled_again():
    params, x1, x2 = data()
    traces = []

    def f(params, x):
        traces.append(1)
        return convolution(params, x)

    fn = nt.empirical_ntk_fn(f, (), (), 0)
    fn(x1, x2, params)
    count = len(traces)
    fn(2 * x1, x2, params)
    assert len(traces) == count


def test_expansions_pass_on_arguments_and_trees():
    def f(x, params, double, shift=True):
        w1, w2, b = params
        x = x * 2 + 1.0 if shift else x
        b = 2 * b if double else b
        return ({"list": [{"quadratic": x.T @ w1 @ x / 2 + w2 @ x + b, "linear": w1 @ x}, w2]},)

    w1 = normal(0, 3, 3)
    params, x0, x = (w1 + w1.T, normal(1, 3, 3), normal(2, 1, 3)), normal(3, 3, 1), normal(4, 3, 1)
    for shift in (True, False):
        # The function is quadratic: its second expansion is exact, its first lacks the quadratic term.
        second = nt.taylor_expand(f, x0, 2)(x, params, True, shift=shift)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), second, f(x, params, True, shift=shift))
        step = (x - x0) * (2 if shift else 1)
        first = nt.linearize(f, x0)(x, params, True, shift=shift)
        again = nt.taylor_expand(f, x0, 1)(x, params, True, shift=shift)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), first, again)
        missing = second[0]["list"][0]["quadratic"] - first[0]["list"][0]["quadratic"]
        expected = jnp.broadcast_to(step.T @ params[0] @ step / 2, missing.shape)
        np.testing.assert_allclose(missing, expected, atol=1e-10)
