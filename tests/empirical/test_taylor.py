"""Taylor terms of every order against nested forward derivatives, whatever the operations of the model."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import widelimit as wl
from widelimit.empirical import second_order, taylor_terms

ORDER = 3
B = np.arange(3.0)


@jax.custom_jvp
def straight_through(x):
    """Return a step whose derivative is declared to be that of tanh."""
    return jnp.sign(x)


straight_through.defjvp(lambda p, t: (straight_through(p[0]), t[0] * (1 - jnp.tanh(p[0]) ** 2)))

# name -> a function of a number s near 0.3: every kind of operation.
FUNCTIONS = {
    "linear": lambda s: 2.0 * s - jnp.sum(s * B) + jnp.concatenate([s * B, B])[::-1][1:4],
    "products": lambda s: (s * B) @ jnp.outer(jnp.sin(s + B), s**2 * B) * s,
    "convolution": lambda s: jax.lax.conv(
        s * jnp.ones((1, 1, 4, 4)), jnp.exp(s) * jnp.ones((1, 1, 2, 2)), (1, 1), "SAME"
    ),
    "divisions": lambda s: jnp.stack([(s + B) / 3.0, 2.0 / (s + B), s / (s + jnp.cos(B))]),
    "powers": lambda s: jnp.stack([(s + B) ** 3, (s + B) ** -2, (s + B) ** 2.5, jnp.sqrt(s + B), jax.lax.rsqrt(s + B)]),
    "elementary": lambda s: jnp.stack([jnp.exp(s), jnp.log(s), jnp.sin(s), jnp.cos(s), jnp.tanh(s), jax.nn.sigmoid(s)]),
    "more_elementary": lambda s: jnp.stack([jnp.sinh(s), jnp.cosh(s), jax.lax.erf(s), jnp.tan(s), jnp.cbrt(s)]),
    "without_loss_of_digits": lambda s: jnp.stack([jnp.log1p(1e-9 * s), jnp.expm1(1e-9 * s), jax.lax.erfc(s + 5)]),
    "activations": lambda s: jnp.stack(
        [f(s + B - 1) for f in (jax.nn.relu, jax.nn.gelu, jax.nn.silu, jax.nn.softplus)]
    ),
    "softmax": lambda s: jax.nn.softmax(s * B) @ jax.nn.log_softmax(s**2 * B),
    "normalise": lambda s: jax.nn.standardize(jnp.sin(s * B)) + jnp.linalg.norm(s + B) + jnp.var(jnp.exp(s * B)),
    "pooling": lambda s: jax.lax.reduce_window((s + 1) ** 2 * B, -jnp.inf, jax.lax.max, (2,), (1,), "VALID"),
    "extrema": lambda s: jnp.stack([jnp.max(s * B), jnp.min(s**2 + B), jnp.maximum(s, 0.0), jnp.clip(s, 0, 1)]),
    "selection": lambda s: jnp.where(B > 1, s**2, jnp.exp(s)) + jnp.abs(s - B),
    "indexing": lambda s: (jnp.exp(s) * B)[jnp.asarray([2, 0])] + jnp.zeros(3).at[1].set(s**2)[:2],
    "sorting": lambda s: jnp.sort(jnp.sin(s + 3 * B)) + jnp.cumsum(s * B) + jnp.cumprod(s + B),
    "integers": lambda s: s**2 * (s * 7).astype(int) + jnp.round(s) + jnp.argmax(s * B),
    "stopped": lambda s: jax.lax.stop_gradient(s) * s**2,
    "under_jit": lambda s: jax.jit(jnp.sin)(jax.jit(lambda s: s * s)(s)),
    "checkpoint": lambda s: jax.checkpoint(lambda s: jnp.sin(s) * s)(s),
    "custom_rule": lambda s: straight_through(s) * s,
    "scan": lambda s: jax.lax.scan(lambda c, b: ((jnp.tanh(c[0] * s + b), c[1] + 1), c[0] * c[1]), (s, 0), B),
    "scan_over_moving": lambda s: jax.lax.scan(lambda c, b: (jnp.sin(c + b), None), 0.1, s * B, reverse=True)[0],
    "while": lambda s: jax.lax.while_loop(lambda c: c[1] < 3, lambda c: (jnp.sin(c[0]) + s, c[1] + 1), (s, 0))[0],
    "cond": lambda s: jax.lax.cond(s > 0, lambda s: (s**3, 1.0), lambda s: (s, 2.0), s),
    "switch": lambda s: jax.lax.switch(2, [jnp.sin, jnp.cos, lambda s: jnp.exp(s * s)], s),
    "solve": lambda s: jnp.linalg.solve(jnp.eye(2) + s * jnp.ones((2, 2)), jnp.asarray([1.0, s])),
    "not_used": lambda s: jnp.ones(2),
}


def nested(f, s, order):
    """Return the derivatives of f by nested forward passes."""
    out = [f(s)]
    for _ in range(order):
        f = _slope(f)
        out.append(f(s))
    return out


def _slope(f):
    return lambda s: jax.tree.map(
        lambda t, v: t if jnp.issubdtype(v.dtype, jnp.floating) else jnp.zeros(v.shape),
        jax.jvp(f, (s,), (jnp.ones_like(s),))[1],
        jax.tree.map(jnp.asarray, f(s)),
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_terms_are_the_nested_derivatives(name, x64):
    def f(p, x):
        return jax.tree.map(lambda a: a * 1.0, FUNCTIONS[name](p) if x is None else x)

    start, step = jnp.asarray(0.3), 0.7
    expected = jax.jit(lambda s: nested(lambda s: f(s, None), s, ORDER))(start)
    terms = jax.jit(lambda p: taylor_terms(f, start, ORDER)(p, None))(start + step)
    for j, (term, derivative) in enumerate(zip(terms, expected, strict=True)):
        for a, b in zip(jax.tree.leaves(term), jax.tree.leaves(derivative), strict=True):
            b = np.asarray(b) * step**j / math.factorial(j)
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12 * max(1e-9, np.abs(b).max()))


def test_parameters_that_are_no_numbers_stay(x64):
    def f(p, x):
        return p["w"] ** p["power"] * x

    terms = taylor_terms(f, {"w": jnp.asarray(2.0), "power": 3}, 3)({"w": jnp.asarray(2.5), "power": 3}, jnp.ones(2))
    np.testing.assert_allclose(np.asarray(terms)[:, 0], [8, 6, 1.5, 0.125], rtol=1e-13)


def test_second_order_is_the_quadratic_form_of_the_hessian(x64):
    net = wl.serial(wl.Dense(4), wl.Erf(), wl.Dense(2))
    params = net.init(jax.random.key(0), (3,))
    moved = jax.tree.map(lambda p, d: p + 0.1 * d, params, net.init(jax.random.key(1), (3,)))
    x = jax.random.normal(jax.random.key(2), (5, 3))
    flat, unflatten = ravel_pytree(params)
    step = ravel_pytree(moved)[0] - flat
    hessian = jax.jit(jax.hessian(lambda p: net.apply(unflatten(p), x)))(flat)
    jacobian = jax.jit(jax.jacobian(lambda p: net.apply(unflatten(p), x)))(flat)
    change = jax.jit(second_order(net.apply, params))(moved, x)
    np.testing.assert_allclose(change.first, jacobian @ step, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(change.second, step @ hessian @ step / 2, rtol=1e-12, atol=1e-14)
    ratio = np.linalg.norm(step @ hessian @ step / 2) / np.linalg.norm(jacobian @ step)
    assert float(change.ratio) == pytest.approx(ratio, rel=1e-12)


def test_the_number_of_products_grows_linearly_with_the_order():
    def f(p, x):
        for w in p:
            x = jnp.tanh(x @ w)
        return x

    params, x = [jnp.ones((3, 3))] * 4, jnp.ones((2, 3))

    def products(order):
        jaxpr = jax.make_jaxpr(taylor_terms(f, params, order))(params, x)
        return str(jaxpr).count("dot_general[")

    counts = [products(order) for order in (2, 3, 4, 5)]
    assert np.ptp(np.diff(counts)) == 0
    # One product for the value and two more per order in each layer; the first layer has one more in all.
    assert counts[0] <= 4 * 5
    assert counts[-1] <= 4 * 11


def test_a_step_of_zero_is_linear():
    params = {"w": jnp.ones((2, 3))}
    terms = second_order(lambda p, x: jnp.tanh(x @ p["w"]), params)(params, jnp.ones((4, 2)))
    assert float(terms.ratio) == 0.0
