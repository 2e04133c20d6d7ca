"""abc parameterizations on networks: roles, initial scales, equivalences, limits, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit._slope import fit_slope
from widelimit.arch import ABC, MeanField, MuP, Role, parameterizations, parameterize
from widelimit.dynamics import SumOfSquares
from widelimit.recipes._training import Trainer

X = np.random.default_rng(0).standard_normal((5, 3))
NTP = ABC((0.0, 0.5, 0.5), 0.0, 0.0)
SLOW_STANDARD = ABC(0.0, (0.0, 0.5, 0.5), 1.0)
ALL = {
    "ntp": NTP,
    "standard": SLOW_STANDARD,
    "mean_field": MeanField(),
    "mup": MuP(),
    "ntk": wl.NTKParameterization(),
    "standard_scaled": wl.StandardParameterization(),
}


def mlp(parameterization, width=16, weight_std=1.3, bias_std=0.2):
    def dense(w):
        return wl.Dense(w, weight_std, bias_std, parameterization)

    return wl.serial(dense(width), wl.Erf(), dense(width), wl.Erf(), dense(1))


def draw(net, count):
    """Return parameters for several seeds, stacked.

    Outside of jit, because the random numbers of one shape are then compiled once for all tests.
    """
    keys = jax.random.split(jax.random.key(0), count)
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *(net.init(key, (3,)) for key in keys))


def roles(net):
    return [node.role for node in parameterizations(net)]


def test_roles_follow_the_position():
    def d(w):
        return wl.Dense(w, parameterization=MuP())

    i, h, o = Role.INPUT, Role.HIDDEN, Role.OUTPUT
    assert roles(wl.serial(d(4))) == [Role.ALONE]
    assert roles(wl.serial(d(4), wl.Relu(), d(1))) == [i, o]
    body = wl.residual(d(4), wl.Relu(), d(4))
    assert roles(wl.serial(d(4), body, d(1))) == [i, h, h, o]
    assert roles(wl.serial(wl.serial(d(4), wl.Relu()), wl.serial(d(4), wl.Relu()), d(1))) == [i, h, o]
    assert roles(parameterize(mlp(wl.NTKParameterization()), MuP())) == [i, h, o]
    assert parameterize(mlp(MuP()), wl.NTKParameterization()) == mlp(wl.NTKParameterization())


@pytest.mark.parametrize("name", ALL)
def test_json_and_width(name):
    net = mlp(ALL[name])
    assert wl.from_json(wl.to_json(net)) == net
    wide = net.at_width(24)
    assert wide.at_width(16) == net
    params = jax.eval_shape(lambda key: wide.init(key, (3,)), jax.random.key(0))
    assert jax.tree.structure(wide.learning_rates(params)) == jax.tree.structure(params)
    assert jax.eval_shape(wide.apply, params, X).shape == (5, 1)


def test_one_layer_by_hand():
    """Multiplier, scale and learning rate of weights and biases, at each role of the mean-field table."""
    net = mlp(MeanField(), 32)
    params = net.init(jax.random.key(0), (3,))
    h = X @ params[0]["weight"] / np.sqrt(3) + params[0]["bias"]
    h = jax.scipy.special.erf(h) @ params[2]["weight"] / np.sqrt(32) + params[2]["bias"]
    f = jax.scipy.special.erf(h) @ params[4]["weight"] / 32 + params[4]["bias"]
    np.testing.assert_allclose(net.apply(params, X), f, rtol=1e-5)
    fast = {"weight": 32.0, "bias": 32.0}
    assert net.learning_rates(params) == (fast, {}, fast, {}, {"weight": 32.0, "bias": 1.0})
    rates = mlp(SLOW_STANDARD, 32).learning_rates(params)
    assert rates[0] == {"weight": 1 / 32, "bias": 1 / 32}
    assert rates[4] == {"weight": 1 / 32, "bias": 1.0}


@pytest.mark.parametrize("name", ["ntp", "mup"])
def test_initial_scale_of_every_layer_is_its_power_of_the_width(name):
    """E z^2 of each layer against sigma^2 n^(1 - 2a - 2b) E u^2 (input: no n), within four standard errors."""
    net, p = mlp(ALL[name], 64, bias_std=None), ALL[name]
    x = jnp.asarray(X[0], jnp.float32)

    def squares(all_params):
        out, u = [], x
        for layer, params in zip(net.layers, all_params, strict=True):
            z = layer(params, u)
            if params:
                out.append((jnp.mean(z**2), jnp.mean(u**2)))
            u = z
        return jnp.asarray(out)

    keys = jax.random.split(jax.random.key(0), 1000)
    found = np.asarray(jax.jit(jax.vmap(squares))(jax.vmap(lambda key: net.init(key, (3,)))(keys)), np.float64)
    for i in range(3):
        power = 2 * (p.a[i] + p.b[i]) - (i > 0)
        scaled = found[:, i, 0] - 1.3**2 * 64.0**-power * found[:, i, 1]
        assert abs(scaled.mean()) < 4 * scaled.std(ddof=1) / np.sqrt(len(scaled))


def train(net, params, rate, steps=5):
    x, y = jnp.asarray(X, jnp.float32), jnp.asarray(X[:, :1] * X[:, 1:2], jnp.float32)
    trainer = Trainer(net, SumOfSquares(), rate, x, y)
    batched = jax.tree.map(lambda leaf: leaf[None], params)
    return trainer.advance(batched, x, jnp.ones(steps, bool))[2][:, 0]


@pytest.mark.parametrize("shift", [0.5, -0.25])
def test_equivalent_exponents_train_the_same_function(shift):
    """The symmetry, by training: the same w times n^shift gives the same functions at every step."""
    p, width = MuP(), 32
    q = ABC(
        tuple(a + shift for a in p.a),
        tuple(b - shift for b in p.b),
        tuple(c - 2 * shift for c in p.c),
    )
    one, two = mlp(p, width), mlp(q, width)
    key = jax.random.key(1)
    first, second = one.init(key, (3,)), two.init(key, (3,))
    np.testing.assert_allclose(second[0]["weight"], first[0]["weight"] * width**shift, rtol=1e-5)
    a, b = train(one, first, 0.05), train(two, second, 0.05)
    assert np.abs(a[-1] - a[0]).max() > 0.05
    np.testing.assert_allclose(b, a, atol=2e-5)


def test_mean_field_trains_as_mup():
    one, two = mlp(MeanField(), 32), mlp(MuP(), 32)
    key = jax.random.key(1)
    np.testing.assert_allclose(train(one, one.init(key, (3,)), 0.05), train(two, two.init(key, (3,)), 0.05), atol=2e-5)


@pytest.mark.parametrize(
    ("name", "p"),
    [
        ("standard", SLOW_STANDARD),
        ("frozen input", ABC(NTP.a, NTP.b, (1.0, 0.0, 0.0))),
        ("vanishing readout, fast below", ABC((0, 0.5, 0.5), (0, 0, 0.25), (-0.5, -0.5, 0.0))),
    ],
)
def test_empirical_kernel_with_learning_rates_converges_to_the_limit(name, p):
    """The kernel of a wide network, its layers weighted by their rates, against NTK of the same network."""
    net = mlp(p, 64)
    exact = wl.NTK(net)(X)
    x = jnp.asarray(X, jnp.float32)

    def kernel(wide):
        @jax.jit
        @jax.vmap
        def one(params):
            jacobian = jax.jacrev(lambda q: wide.apply(q, x)[:, 0])(params)
            rates = wide.learning_rates(params)
            parts = jax.tree.map(lambda r, j: r * j.reshape(5, -1) @ j.reshape(5, -1).T, rates, jacobian)
            return sum(jax.tree.leaves(parts))

        return np.asarray(one(draw(wide, 8)), np.float64).mean(0)

    gaps = [np.abs(kernel(net.at_width(w)) - exact).max() / np.abs(exact).max() for w in (32, 512)]
    assert gaps[1] < 0.15
    assert gaps[1] < gaps[0] * 3 / 16**0.5


def test_ntp_in_abc_form_has_the_kernel_of_the_ntk_parameterization():
    """With weight_std = 1 the two forms have the same shares; biases differ in where their scale is."""
    x = np.random.default_rng(1).standard_normal((4, 3))
    one, two = (mlp(p, weight_std=1.0, bias_std=None) for p in (NTP, wl.NTKParameterization()))
    np.testing.assert_allclose(wl.NTK(one)(x), wl.NTK(two)(x), rtol=1e-12)
    np.testing.assert_allclose(wl.NNGP(one)(x), wl.NNGP(two)(x), rtol=1e-12)


@pytest.mark.parametrize(("name", "slope"), [("ntp", -0.5), ("mup", 0.0)])
def test_one_step_moves_features_by_the_power_r(name, slope):
    """Relative change of the last hidden layer in one step at a fixed rate, 8 seeds, widths 32 to 512."""
    widths, x = [32, 128, 512], jnp.asarray(X, jnp.float32)
    y = jnp.asarray(X[:, :1], jnp.float32)

    def moved(net):
        def features(params):
            def one(u):
                for layer, p in zip(net.layers[:-1], params[:-1], strict=True):
                    u = layer(p, u)
                return u

            return jax.vmap(one)(x)

        @jax.jit
        @jax.vmap
        def one(params):
            residual = net.apply(params, x)
            # The residual is that of a centred network, so its random initial function does not blur the slope.
            g = jax.grad(lambda p: 0.5 * jnp.sum((net.apply(p, x) - residual - y) ** 2))(params)
            new = jax.tree.map(lambda p, r, d: p - 0.1 * r * d, params, net.learning_rates(params), g)
            before = features(params)
            return jnp.linalg.norm(features(new) - before) / jnp.linalg.norm(before)

        return np.asarray(one(draw(net, 8)))

    fit = fit_slope(widths, [moved(mlp(ALL[name]).at_width(w)) for w in widths])
    assert fit.exponent == pytest.approx(slope, abs=0.08)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: wl.NTK(mlp(MuP())), "learns features.*NTKParameterization"),
        (lambda: wl.NTK(mlp(MeanField())), "learns features"),
        (lambda: wl.NTK(mlp(ABC(0.0, (0, 0.5, 0.5), 0.0))), "blows up with width"),
        (lambda: wl.NTK(mlp(ABC(0.0, (0, 0.5, 0.5), 2.0))), "does not move"),
        (lambda: wl.NTK(mlp(ABC(0.0, (0, 1.0, 0.5), 1.0))), "vanish or blow up"),
        (lambda: wl.NNGP(mlp(ABC(0.0, 0.0, 1.0))), "initial outputs blow up"),
        (
            lambda: wl.NTK(wl.serial(wl.Dense(4, parameterization=SLOW_STANDARD), wl.Relu(), wl.Dense(1))),
            "different abc",
        ),
        (lambda: wl.Dense(4, parameterization=MuP()).init(jax.random.key(0), (3,)), "Put it into serial"),
        (lambda: parameterize(mlp(MuP()), "mup"), "parameterization is 'mup'"),
        (lambda: parameterize(jnp.tanh, MuP()), "expected a network"),
    ],
)
def test_what_has_no_kernel_limit_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_gradients_through_the_kernel_of_an_abc_network():
    def trace(std):
        net = wl.serial(wl.Dense(4, std, 0.1, SLOW_STANDARD), wl.Erf(), wl.Dense(1, std, 0.1, SLOW_STANDARD))
        return jnp.trace(wl.NTK(net).block(jnp.asarray(X), jnp.asarray(X)))

    with jax.enable_x64(True):
        slope = jax.grad(trace)(1.3)
        assert float(slope) == pytest.approx(float((trace(1.3 + 1e-5) - trace(1.3 - 1e-5)) / 2e-5), rel=1e-6)
