"""Duals: golden values, agreement with the definition, Price's theorem, and what happens at the edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import widelimit as wl
from tables import DUALS
from widelimit import dual

pytestmark = pytest.mark.usefixtures("x64")

# Unit variances, covariance one half: E phi^2, E phi phi', E phi'^2, E phi' phi' (REFERENCE.md, table A).
GOLDEN = {
    "relu": (dual.PiecewiseLinear(0.0, 1.0), 0.5, 0.304498890522, 0.5, 1 / 3),
    "leaky_relu": (dual.PiecewiseLinear(0.2, 1.0), 0.52, 0.294879289934, 0.52, 0.413333333333),
    "abs": (dual.PiecewiseLinear(-1.0, 1.0), 1.0, 0.717995562088, 1.0, 1 / 3),
    "erf": (dual.Erf(), 0.464559054398, 0.216346895939, 0.569410034734, 0.450158158079),
    "sin": (dual.Sin(), 0.432332358382, 0.191700249782, 0.567667641618, 0.414830409931),
    "cos": (dual.Cos(), 0.567667641618, 0.414830409931, 0.432332358382, 0.191700249782),
    "gaussian": (dual.Gaussian(), 0.447213595500, 0.353553390593, 0.357770876400, 0.088388347648),
    "exp": (dual.Exp(), 7.389056098931, 4.481689070338, 7.389056098931, 4.481689070338),
    "hermite3": (dual.Hermite(3), 1.0, 0.125, 3.0, 0.75),
    "cube": (dual.Monomial(3), 15.0, 5.25, 27.0, 13.5),
    "relu_squared": (dual.RectifiedMonomial(2), 1.5, 0.706748335783, 2.0, 1.217995562088),
    "sigmoid_like": (
        dual.Erf(0.5, 1 / 2.4020563531719796, 0.5),
        0.291433623430,
        0.270540566882,
        0.042395761266,
        0.041310753494,
    ),
    "rbf": (dual.Sin(2**0.5, 2**0.5, np.pi / 4), 1.0, 0.367879441171, 2.0, 0.735758882343),
    "exp_normalized": (dual.ExpNormalized(), 1.0, 0.606530659713, 1.0, 0.606530659713),
    "sigmoid": (
        dual.Quadrature(jax.nn.sigmoid),
        0.293379035858,
        0.271428325632,
        0.044836241350,
        0.043190020462,
    ),
    "swish": (dual.Quadrature(jax.nn.silu), 0.355775519817, 0.183169663088, 0.379482351633, 0.312279615294),
    "softplus": (dual.Quadrature(jax.nn.softplus), 0.921245908859, 0.780078165207, 0.293379035858, 0.271428325632),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_table_a(name):
    phi, *expected = GOLDEN[name]
    one, half = jnp.asarray(1.0), jnp.asarray(0.5)
    zero = 0 * one
    measured = (
        phi.moment(one),
        dual.covariance(phi, one, half, one),
        phi.slope(one, one, zero),
        phi.slope(one, one, half),
    )
    # The table has twelve digits.
    np.testing.assert_allclose(measured, expected, rtol=0, atol=1e-12)


VARIANCES = [(1.0, 1.0, 0.3), (0.3, 1.7, -0.2), (2.0, 0.5, 0.99), (0.01, 0.02, 0.5)]


@pytest.mark.parametrize("name", DUALS)
@pytest.mark.parametrize(("q1", "q2", "correlation"), VARIANCES)
def test_agrees_with_the_definition(name, q1, q2, correlation):
    """Against a fine two-dimensional sum over u and v given u, a grid that has nothing to do with the dual's own."""
    phi, smooth = DUALS[name]
    q12 = correlation * np.sqrt(q1 * q2)
    z, step = np.linspace(-12, 12, 2401, retstep=True)
    weights = np.exp(-(z**2) / 2) * step / np.sqrt(2 * np.pi)
    u = np.sqrt(q1) * z
    v = q12 / q1 * u[:, None] + np.sqrt(q2 - q12**2 / q1) * z
    expected = weights * phi.value(jnp.asarray(u)) @ phi.value(jnp.asarray(v)) @ weights
    measured = dual.covariance(phi, jnp.asarray(q1), jnp.asarray(q12), jnp.asarray(q2))
    # At a kink the sum itself has an error of the order of its squared step, 1e-4 / 12; a quadrature dual has its own.
    own = 0.0 if not isinstance(phi, dual.Quadrature) else 2 * float(jnp.max(phi.error(jnp.asarray([q1, q2]))))
    assert float(measured) == pytest.approx(float(expected), rel=1e-12, abs=own + (1e-11 if smooth else 1e-5))


@pytest.mark.parametrize("name", DUALS)
@pytest.mark.parametrize("q", [0.0, 1e-12, 0.3, 4.0])
def test_mean_agrees_with_the_definition(name, q):
    phi, smooth = DUALS[name]
    z, step = np.linspace(-10, 10, 4001, retstep=True)
    weights = np.exp(-(z**2) / 2) * step / np.sqrt(2 * np.pi)
    expected = weights @ np.asarray(phi.value(jnp.asarray(np.sqrt(q) * z)))
    # At a kink the sum has an error of the order of its squared step, 2.5e-5 / 12, times the density 0.4.
    assert float(phi.mean(jnp.asarray(q))) == pytest.approx(float(expected), abs=1e-12 if smooth else 4e-6, rel=1e-12)
    assert np.isfinite(jax.grad(phi.mean)(jnp.asarray(q)))


@pytest.mark.parametrize("name", DUALS)
@pytest.mark.parametrize(("q1", "q2", "correlation"), VARIANCES)
def test_slope_is_the_derivative_of_the_gap(name, q1, q2, correlation):
    phi, _ = DUALS[name]
    g = jnp.asarray((q1 + q2) / 2 - correlation * np.sqrt(q1 * q2))
    q1, q2 = jnp.asarray(q1), jnp.asarray(q2)
    np.testing.assert_allclose(jax.grad(phi.gap, 2)(q1, q2, g), phi.slope(q1, q2, g), rtol=1e-12)


@pytest.mark.parametrize("name", DUALS)
def test_derivatives_agree_with_finite_differences(name):
    phi, _ = DUALS[name]
    point = np.array([0.8, 1.4, 0.5])
    for fn in (phi.gap, phi.slope):
        exact = jax.grad(lambda q, fn=fn: fn(q[0], q[1], q[2]))(jnp.asarray(point))
        step = 1e-5 * np.eye(3)
        central = [(fn(*(point + e)) - fn(*(point - e))) / 2e-5 for e in step]
        np.testing.assert_allclose(exact, np.array(central), atol=1e-9)


@pytest.mark.parametrize("name", DUALS)
@pytest.mark.parametrize("q", [0.0, 1e-12, 1.0])
def test_finite_with_finite_derivatives_at_coincidence_and_zero(name, q):
    phi, _ = DUALS[name]
    args = jnp.asarray(q), jnp.asarray(q), jnp.asarray(0.0)
    assert float(phi.gap(*args)) == pytest.approx(0.0, abs=1e-15)
    for fn in (phi.gap, phi.slope):
        assert np.isfinite(fn(*args))
        assert np.isfinite(jax.grad(fn, (0, 1, 2))(*args)).all()
    assert np.isfinite(jax.grad(phi.moment)(jnp.asarray(q)))


@pytest.mark.parametrize("name", DUALS)
def test_coincident_slope_is_the_second_moment_of_the_derivative(name):
    phi, smooth = DUALS[name]
    q = jnp.asarray(0.7)
    z, w = np.polynomial.hermite_e.hermegauss(200)
    derivative = jax.vmap(jax.grad(lambda u: phi.value(u)))(jnp.sqrt(q) * z)
    by_definition = np.sum(w * derivative**2) / w.sum()
    # At a kink the Gauss rule with nodes on both sides is exact by symmetry, so both kinds are held to the same bound.
    assert float(phi.slope(q, q, 0 * q)) == pytest.approx(float(by_definition), rel=1e-9 if smooth else 1e-6)


@settings(deadline=None, max_examples=60)
@given(
    q1=st.floats(1e-3, 20), q2=st.floats(1e-3, 20), c=st.floats(-1, 1), name=st.sampled_from([n for n in DUALS if n in
    ("relu", "leaky_relu", "abs", "abrelu", "erf", "erf_scaled", "sin", "sin_scaled", "cos", "gaussian")])
)  # fmt: skip
def test_gap_is_symmetric_and_bounded(q1, q2, c, name):
    with jax.enable_x64(True):
        phi, _ = DUALS[name]
        q1, q2 = jnp.asarray(q1), jnp.asarray(q2)
        g = (q1 + q2) / 2 - c * jnp.sqrt(q1 * q2)
        gap = phi.gap(q1, q2, g)
        np.testing.assert_allclose(gap, phi.gap(q2, q1, g), rtol=1e-9, atol=1e-12)
        # 0 <= E (phi(u) - phi(v))^2 <= (sqrt E phi(u)^2 + sqrt E phi(v)^2)^2
        most = (jnp.sqrt(phi.moment(q1)) + jnp.sqrt(phi.moment(q2))) ** 2 / 2
        assert -1e-12 <= gap <= most * (1 + 1e-9) + 1e-12
        assert abs(phi.slope(q1, q2, g)) <= jnp.sqrt(phi.slope(q1, q1, 0 * q1) * phi.slope(q2, q2, 0 * q2)) + 1e-9


@pytest.mark.parametrize("name", ["relu", "erf", "sin", "gaussian", "abrelu"])
def test_gap_keeps_its_digits_in_float32(name):
    """Where the plain form, moment minus covariance, loses all of them."""
    phi, _ = DUALS[name]
    for g in (1e-3, 1e-6, 1e-9):
        exact = float(phi.gap(jnp.asarray(1.0), jnp.asarray(1.0), jnp.asarray(g)))
        with jax.enable_x64(False):
            single = phi.gap(*(jnp.asarray(v, jnp.float32) for v in (1.0, 1.0, g)))
        assert float(single) == pytest.approx(exact, rel=2e-6)


@pytest.mark.parametrize("fn", [jnp.tanh, jax.nn.silu, jax.nn.gelu, jax.nn.softplus, jnp.sin])
@pytest.mark.parametrize("q", [0.1, 1.0, 3.0])
def test_quadrature_error_estimate_bounds_the_error(fn, q):
    rule, exact = dual.Quadrature(fn, nodes=24, tolerance=1.0), dual.Quadrature(fn, nodes=400)
    q = jnp.asarray(q)
    error = abs(rule.moment(q) - exact.moment(q)) / (1 + exact.moment(q) + exact.slope(q, q, 0 * q))
    assert float(error) <= 1.5 * float(rule.error(q)) + 1e-14


def test_an_inaccurate_quadrature_is_refused_with_the_remedy():
    net = wl.serial(wl.Dense(8), wl.Elementwise(jax.nn.relu), wl.Dense(1))
    with pytest.raises(ValueError, match=r"quadrature of the activation relu .* closed form") as caught:
        wl.NTK(net)(np.eye(3))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: dual.Gaussian(1.0, 0.5), "b is 0.5; expected a negative number"),
        (lambda: dual.Quadrature(3.0), "expected a function"),
        (lambda: dual.Quadrature(lambda u: jnp.stack([u, u])), "expected a function to real numbers"),
        (lambda: dual.Quadrature(jnp.tanh, nodes=2), "expected at least 4"),
    ],
)
def test_bad_duals_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
