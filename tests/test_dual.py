"""Duals: golden values, agreement with the definition, Price's theorem, and what happens at the edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

import widelimit as wl
from tables import DUALS, exp_kernel
from widelimit import arch, dual

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
        dual.Series(jax.nn.sigmoid, tolerance=1e-13),
        0.293379035858,
        0.271428325632,
        0.044836241350,
        0.043190020462,
    ),
    "swish": (
        dual.Series(jax.nn.silu, tolerance=1e-13),
        0.355775519817,
        0.183169663088,
        0.379482351633,
        0.312279615294,
    ),
    "softplus": (
        dual.Series(jax.nn.softplus, tolerance=1e-13),
        0.921245908859,
        0.780078165207,
        0.293379035858,
        0.271428325632,
    ),
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

# The quick suite has one of each kind.
QUICK = {
    "relu",
    "abrelu",
    "erf",
    "sin_scaled",
    "gaussian",
    "gelu_exact",
    "polynomial",
    "relu_squared",
    "tanh",
}
each_dual = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.thorough) for name in DUALS]
)


@each_dual
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
    # At a kink the sum itself has an error of the order of its squared step, 1e-4 / 12.
    assert float(measured) == pytest.approx(float(expected), rel=1e-12, abs=1e-11 if smooth else 1e-5)


@each_dual
@pytest.mark.parametrize("q", [0.0, 1e-12, 0.3, 4.0])
def test_mean_agrees_with_the_definition(name, q):
    phi, smooth = DUALS[name]
    z, step = np.linspace(-10, 10, 4001, retstep=True)
    weights = np.exp(-(z**2) / 2) * step / np.sqrt(2 * np.pi)
    expected = weights @ np.asarray(phi.value(jnp.asarray(np.sqrt(q) * z)))
    # At a kink the sum has an error of the order of its squared step, 2.5e-5 / 12, times the density 0.4.
    assert float(phi.mean(jnp.asarray(q))) == pytest.approx(float(expected), abs=1e-12 if smooth else 4e-6, rel=1e-12)
    assert np.isfinite(jax.grad(phi.mean)(jnp.asarray(q)))


@each_dual
@pytest.mark.parametrize(("q1", "q2", "correlation"), VARIANCES)
def test_slope_is_the_derivative_of_the_gap(name, q1, q2, correlation):
    phi, _ = DUALS[name]
    g = jnp.asarray((q1 + q2) / 2 - correlation * np.sqrt(q1 * q2))
    q1, q2 = jnp.asarray(q1), jnp.asarray(q2)
    np.testing.assert_allclose(jax.grad(phi.gap, 2)(q1, q2, g), phi.slope(q1, q2, g), rtol=1e-12)


@each_dual
def test_derivatives_agree_with_finite_differences(name):
    phi, _ = DUALS[name]
    point = np.array([0.8, 1.4, 0.5])
    for fn in (phi.gap, phi.slope):
        exact = jax.grad(lambda q, fn=fn: fn(q[0], q[1], q[2]))(jnp.asarray(point))
        step = 1e-5 * np.eye(3)
        central = [(fn(*(point + e)) - fn(*(point - e))) / 2e-5 for e in step]
        np.testing.assert_allclose(exact, np.array(central), atol=1e-9)


@each_dual
@pytest.mark.parametrize("q", [0.0, 1e-12, 1.0])
def test_finite_with_finite_derivatives_at_coincidence_and_zero(name, q):
    phi, _ = DUALS[name]
    args = jnp.asarray(q), jnp.asarray(q), jnp.asarray(0.0)
    assert float(phi.gap(*args)) == pytest.approx(0.0, abs=1e-15)
    for fn in (phi.gap, phi.slope):
        assert np.isfinite(fn(*args))
        assert np.isfinite(jax.grad(fn, (0, 1, 2))(*args)).all()
    assert np.isfinite(jax.grad(phi.moment)(jnp.asarray(q)))


@each_dual
def test_coincident_slope_is_the_second_moment_of_the_derivative(name):
    phi, smooth = DUALS[name]
    q = jnp.asarray(0.7)
    z, step = np.linspace(-12, 12, 200000, retstep=True)
    w = np.exp(-(z**2) / 2) * step / np.sqrt(2 * np.pi)
    derivative = jax.vmap(jax.grad(lambda u: phi.value(u)))(jnp.sqrt(q) * z)
    by_definition = np.sum(w * derivative**2)
    # At a jump of the derivative the sum has an error of the order of its step, 1e-4.
    assert float(phi.slope(q, q, 0 * q)) == pytest.approx(float(by_definition), rel=1e-9 if smooth else 3e-4)


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


@pytest.mark.parametrize("fn", [jnp.tanh, jax.nn.gelu, jax.nn.mish])
@pytest.mark.parametrize(("q1", "q2"), [(0.01, 0.01), (10.0, 10.0), (10.0, 0.5)])
def test_series_agrees_with_the_two_dimensional_sum(fn, q1, q2):
    """At small and large variances and at every angle, on a grid symmetric in the two inputs."""
    phi = dual.Series(fn)
    z, step = np.linspace(-10, 10, 601, retstep=True)
    weights = np.exp(-(z**2) / 2) * step / np.sqrt(2 * np.pi)

    def derivative(x):
        return jax.jvp(fn, (x,), (jnp.ones_like(x),))[1]

    @jax.jit
    def by_definition(c):
        together, apart = jnp.sqrt((1 + c) / 2) * z[:, None], jnp.sqrt((1 - c) / 2) * z
        u, v = np.sqrt(q1) * (together + apart), np.sqrt(q2) * (together - apart)
        return weights @ (fn(u) - fn(v)) ** 2 @ weights / 2, weights @ (derivative(u) * derivative(v)) @ weights

    correlations = jnp.asarray([-1.0, -0.99, 0.0, 0.5, 0.999999, 1.0])
    gaps, slopes = jax.lax.map(by_definition, correlations)
    g = (np.sqrt(q1) - np.sqrt(q2)) ** 2 / 2 + np.sqrt(q1 * q2) * (1 - correlations)
    q1, q2 = jnp.asarray(q1), jnp.asarray(q2)
    np.testing.assert_allclose(phi.gap(q1, q2, g), gaps, rtol=0, atol=2e-10 * float(phi.moment(q1)))
    np.testing.assert_allclose(phi.slope(q1, q2, g), slopes, rtol=0, atol=2e-10 * float(phi.slope(q1, q1, 0 * q1)))


def test_series_at_a_large_variance_is_close_to_the_sign():
    # E tanh(u) tanh(v) for s u with s -> infinity is E sign(u) sign(v) + O(1/s^2) off the diagonal.
    phi, q = dual.Series(jnp.tanh), jnp.asarray(100.0)
    assert float(dual.covariance(phi, q, q / 2, q)) == pytest.approx(1 / 3, abs=2e-2)


def test_a_kink_is_refused_by_the_series_with_the_remedy():
    net = wl.serial(wl.Dense(8), wl.Elementwise(jax.nn.relu, terms=256), wl.Dense(1))
    with pytest.raises(ValueError, match=r"series of the activation relu .* PiecewiseLinear .*TwoSided") as caught:
        wl.NTK(net)(np.eye(3))
    assert "\n" not in str(caught.value)


def test_parameters_of_a_series_are_differentiated_through_the_kernel():
    x = np.array([[1.0, 0.5], [1.0, 0.5], [0.0, 0.0], [-0.3, 1.0]])

    def kernel(beta):
        return wl.NTK(wl.serial(wl.Dense(8), arch.Swish(beta), wl.Dense(8), arch.Swish(beta), wl.Dense(1)))(x)

    beta = jnp.asarray(0.7)
    forward = jax.jvp(kernel, (beta,), (jnp.ones(()),))[1]
    central = (kernel(beta + 1e-5) - kernel(beta - 1e-5)) / 2e-5
    np.testing.assert_allclose(forward, central, atol=1e-8)
    reverse = jax.grad(lambda b: jnp.sum(kernel(b)))(beta)
    assert float(reverse) == pytest.approx(float(jnp.sum(forward)), rel=1e-9)


def test_vmap_over_a_parameter_is_the_loop():
    q, g = jnp.asarray([0.5, 1.0]), jnp.asarray([0.1, 0.2])
    betas = jnp.asarray([0.5, 1.0, 2.0])

    def gap(beta):
        return dual.Series(dual.functions.swish, (beta,)).gap(q, q, g)

    np.testing.assert_allclose(jax.vmap(gap)(betas), jnp.stack([gap(b) for b in betas]), rtol=1e-14)


@pytest.mark.parametrize("phi", [dual.Sign(), dual.RectifiedMonomial(0)])
def test_jumps(phi):
    # E of a product of two steps is known from the angle; a zero input gives zero; no NTK passes.
    unit = 2.0 if isinstance(phi, dual.Sign) else 0.5
    q = jnp.asarray(1.7)
    for theta in (0.0, 1e-4, 1.0, 3.0, np.pi):
        g = q * (1 - np.cos(theta))
        assert float(phi.gap(q, q, g)) == pytest.approx(unit * theta / np.pi, abs=1e-9)
        assert float(phi.slope(q, q, g)) == 0
        assert np.isfinite(jax.grad(phi.gap, (0, 1, 2))(q, q, g)).all()
    zero = 0 * q
    assert float(phi.moment(zero)) == float(phi.gap(zero, zero, zero)) == float(phi.mean(zero)) == 0
    assert float(phi.gap(zero, q, q / 2)) == pytest.approx(float(phi.moment(q)) / 2)
    assert float(phi.mean(q)) == (0 if isinstance(phi, dual.Sign) else 0.5)


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 5])
def test_rectified_monomials_have_the_kernels_of_cho_and_saul(degree):
    # J_0 = pi - t, J_1 = sin t + (pi - t) cos t, J_2 = 3 sin t cos t + (pi - t)(1 + 2 cos^2 t) on the arc-cosine scale
    phi, q = dual.RectifiedMonomial(degree), jnp.asarray(1.0)
    theta = np.array([0.0, 1e-3, 0.5, 2.0, np.pi])
    c, s = np.cos(theta), np.sin(theta)
    known = {
        0: np.pi - theta,
        1: s + (np.pi - theta) * c,
        2: 3 * s * c + (np.pi - theta) * (1 + 2 * c**2),
    }
    measured = phi.moment(q) - jax.vmap(lambda g: phi.gap(q, q, g))(jnp.asarray(1 - c))
    if degree in known:
        np.testing.assert_allclose(measured, known[degree] / (2 * np.pi), atol=1e-14)
    assert float(measured[-1]) == pytest.approx(0, abs=1e-12 * float(phi.moment(q)))


def by_definition_of_elu(alpha, q1, q2, c):
    """Return E phi(u) phi(v) and E phi'(u) phi'(v) of ELU: the inner mean in closed form, the outer one by panels."""
    x, w = np.polynomial.legendre.leggauss(300)
    spread = np.sqrt(q2 * (1 - c**2))
    layer = max(3 * np.sqrt(1 - c**2), 1e-3)
    panels = [(-11, -layer), (-layer, 0), (0, layer), (layer, 11)]
    z = np.concatenate([(b - a) / 2 * x + (a + b) / 2 for a, b in panels])
    w = np.concatenate([(b - a) / 2 * w for a, b in panels]) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    u, mu = np.sqrt(q1) * z, c * np.sqrt(q2) * z
    positive = scipy.special.ndtr(mu / spread)
    log = mu + spread**2 / 2 + scipy.special.log_ndtr(-(mu + spread**2) / spread)
    value = mu * positive + spread * np.exp(-((mu / spread) ** 2) / 2) / np.sqrt(2 * np.pi)
    value += alpha * (np.exp(log) - (1 - positive))
    below = np.exp(np.minimum(u, 0))
    phi, first = np.where(u > 0, u, alpha * (below - 1)), np.where(u > 0, 1, alpha * below)
    return np.sum(w * phi * value), np.sum(w * first * (positive + alpha * np.exp(log)))


@pytest.mark.parametrize(("alpha", "error"), [(1.0, 2e-8), (1.6733, 5e-6), (0.3, 1e-6)])
def test_elu_agrees_with_the_definition(alpha, error):
    phi = arch.Elu(alpha).dual
    gap, slope = jax.jit(phi.gap), jax.jit(phi.slope)
    for q1, q2, c in [(1, 1, 0.3), (0.3, 1.7, -0.2), (2, 0.5, 0.99), (1, 1.2, -0.999), (1, 1, 0.9999), (9, 10, 0.99)]:
        covariance, product = by_definition_of_elu(alpha, q1, q2, c)
        at = [jnp.asarray(float(v)) for v in (q1, q2, (q1 + q2) / 2 - c * np.sqrt(q1 * q2))]
        measured = (phi.moment(at[0]) + phi.moment(at[1])) / 2 - gap(*at)
        assert float(measured) == pytest.approx(covariance, abs=1e-7)
        assert float(slope(*at)) == pytest.approx(product, abs=error)
        assert float(jax.grad(gap, 2)(*at)) == pytest.approx(product, abs=error)


def test_elu_at_equal_zero_and_opposite_inputs():
    phi = arch.Selu().dual
    one, zero = jnp.asarray(1.0), jnp.asarray(0.0)
    # The fixed point of self-normalising networks: mean 0 and second moment 1 under unit variance.
    assert float(phi.mean(one)) == pytest.approx(0, abs=1e-7)
    assert float(phi.moment(one)) == pytest.approx(1, abs=1e-6)
    z, w = np.polynomial.legendre.leggauss(200)
    z, w = 6 * (z + 1), 6 * w * np.exp(-((6 * (z + 1)) ** 2) / 2) / np.sqrt(2 * np.pi)
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    assert float(phi.slope(one, one, zero)) == pytest.approx(
        scale**2 * (0.5 + alpha**2 * w @ np.exp(-2 * z)), rel=1e-12
    )
    for at in ((zero, zero, zero), (zero, one, one / 2), (one, one, zero), (one, one, 2 * one)):
        for fn in (phi.gap, phi.slope):
            assert np.isfinite(fn(*at))
            assert np.isfinite(jax.grad(fn, (0, 1, 2))(*at)).all()
    assert float(phi.gap(one, one, zero)) == 0


def test_alpha_is_differentiated_through_the_kernel():
    x = np.array([[1.0, 0.5], [-0.3, 1.0]])

    def kernel(alpha):
        return jnp.sum(wl.NTK(wl.serial(wl.Dense(8), arch.Elu(alpha), wl.Dense(1)))(x))

    central = (kernel(jnp.asarray(0.7 + 1e-5)) - kernel(jnp.asarray(0.7 - 1e-5))) / 2e-5
    assert float(jax.grad(kernel)(jnp.asarray(0.7))) == pytest.approx(float(central), rel=1e-7)


CONSTRUCTORS = [
    arch.Tanh, arch.Sigmoid, arch.Silu, arch.Swish, arch.Softplus, arch.Mish, arch.Gelu, lambda: arch.Gelu(True),
    arch.Snake, arch.Elu, arch.Selu, arch.HardTanh, arch.Relu6, arch.HardSigmoid, arch.Exp, arch.Sign, arch.Rbf,
    arch.Gabor, arch.SigmoidLike, lambda: arch.Hermite(3), lambda: arch.Monomial(2), lambda: arch.RectifiedMonomial(2),
    lambda: arch.Polynomial(1.0, -0.5, 0.25), arch.ExpNormalized, lambda: arch.PiecewiseLinear((0.0,), (0.1, 1.0)),
]  # fmt: skip


@pytest.mark.parametrize("make", CONSTRUCTORS)
def test_every_layer_comes_back_from_json(make):
    net = wl.serial(wl.Dense(4), make(), wl.Dense(1))
    assert wl.from_json(wl.to_json(net)) == net


def deep(phi, weight, bias, x, depth=50):
    """Return the NNGP and NTK of a deep network, by the recursion itself."""
    q = weight * jnp.sum(x * x, -1) / x.shape[1] + bias
    g = weight * jnp.sum((x[:, None] - x) ** 2, -1) / (2 * x.shape[1])

    def layer(state, _):
        q, g, ntk = state
        at = q[:, None], q[None], g
        after, gap = weight * phi.moment(q) + bias, weight * phi.gap(*at)
        return (after, gap, weight * phi.slope(*at) * ntk + (after[:, None] + after) / 2 - gap), None

    (q, g, ntk), _ = jax.lax.scan(layer, (q, g, (q[:, None] + q) / 2 - g), None, depth)
    return (q[:, None] + q) / 2 - g, ntk


@pytest.mark.parametrize(
    ("phi", "weight"), [(dual.PiecewiseLinear(0.0, 1.0), 2.0), (dual.Erf(), 2.25), (dual.Gelu(), 2.0)]
)
def test_single_precision_at_depth_fifty(phi, weight):
    """Close, equal, opposite and zero inputs: within 1e-5 of float64."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 5))
    x[1], x[2], x[3], x[4] = x[0] + 1e-4 * rng.normal(size=5), x[0], 0, -x[0]
    x[5], x[7] = 1.001 * x[6], x[8] + 1e-6 * rng.normal(size=5)
    x = x.astype(np.float32)
    run = jax.jit(lambda x: deep(phi, weight, 0.1, x))
    for single, exact in zip(run(jnp.asarray(x)), run(jnp.asarray(x, jnp.float64)), strict=True):
        assert single.dtype == jnp.float32
        assert float(jnp.max(abs(single / exact - 1))) < 1e-5


@pytest.mark.parametrize("phi", [dual.Kinked((-1.0, 1.0), (0.0, 1.0, 0.0)), dual.Kinked((0.0, 6.0), (0.0, 1.0, 0.0))])
def test_kinks_keep_their_digits_in_single_precision(phi):
    # Relative to sqrt(g q): what a gap of that size is known to, given variances to one rounding.
    rng = np.random.default_rng(0)
    q1 = rng.uniform(0, 3, 200)
    q2 = np.where(np.arange(200) < 100, rng.uniform(0, 3, 200), q1 * (1 + 10 ** rng.uniform(-8, -1, 200)))
    g = (np.sqrt(q1) - np.sqrt(q2)) ** 2 / 2 + np.sqrt(q1 * q2) * 10 ** rng.uniform(-14, 0, 200)
    single = [jnp.asarray(a, jnp.float32) for a in (q1, q2, g)]
    double = [jnp.asarray(a, jnp.float64) for a in single]
    error = abs(jax.jit(phi.gap)(*single) - jax.jit(phi.gap)(*double))
    assert float(jnp.max(error / jnp.sqrt(double[2] * (double[0] + double[1])))) < 1e-6


def test_one_kink_agrees_with_the_arc_cosine_form():
    rng = np.random.default_rng(0)
    q1, q2 = jnp.asarray(rng.uniform(0, 3, (2, 60))).at[:, :2].set(0.0)
    c = jnp.asarray(1 - 10 ** rng.uniform(-12, 0.3, 60)).at[2:4].set(-1.0)
    g = (jnp.sqrt(q1) - jnp.sqrt(q2)) ** 2 / 2 + jnp.sqrt(q1 * q2) * (1 - c)
    one, other = dual.PiecewiseLinear(0.0, 1.0), dual.Kinked((0.0,), (0.0, 1.0))
    np.testing.assert_allclose(other.gap(q1, q2, g), one.gap(q1, q2, g), atol=1e-14)
    np.testing.assert_allclose(other.slope(q1, q2, g), one.slope(q1, q2, g), atol=1e-12)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: dual.Series(3.0), "expected a function"),
        (lambda: dual.Series(lambda u: jnp.stack([u, u])), "expected a function to real numbers"),
        (lambda: dual.Series(jnp.tanh, terms=0), "terms is 0; expected a positive integer"),
        (lambda: dual.Series(jnp.tanh, tolerance=0.0), "tolerance is 0.0; expected a positive number"),
        (lambda: dual.Kinked((1.0, -1.0), (0.0, 1.0, 0.0)), "expected increasing numbers"),
        (lambda: dual.Kinked((1.0,), (0.0, 1.0, 0.0)), "3 slopes for 1 kinks; expected one more"),
        (lambda: dual.Hermite(-1), "degree is -1; expected a whole number"),
        (lambda: dual.RectifiedMonomial(2.0), "degree is 2.0"),
        (lambda: dual.Polynomial(()), "coefficients is"),
        (lambda: dual.KernelFunction(3.0), "nngp_fn is 3.0"),
        (lambda: dual.KernelFunction(exp_kernel).value(jnp.ones(())), "Give fn="),
        (lambda: dual.ExpNormalized().value(jnp.ones(())), "a kernel but no activation"),
    ],
)
def test_bad_duals_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
