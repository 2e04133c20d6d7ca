"""Attention: the limit against golden arrays and finite networks, masks, causality, positions, and what is refused."""

import ast
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit import arch, dual, kernels

ORACLES = pathlib.Path(__file__).parent / "oracles"
ARRAYS = np.load(ORACLES / "infinite.npz")
CASES = [c for c in json.loads((ORACLES / "infinite.json").read_text()) if c["kind"].startswith("attn")]
MECHANISMS = {
    "SOFTMAX": arch.Softmax(),
    "IDENTITY": arch.IdentityMechanism(),
    "RELU": arch.ReluMechanism(),
    "ABS": arch.AbsMechanism(),
}
PARTS = {
    "serial": wl.serial,
    "Dense": wl.Dense,
    "Flatten": wl.Flatten,
    "GlobalAvgPool": arch.GlobalAvgPool,
    "ABRelu": wl.ABRelu,
    "LeakyRelu": wl.LeakyRelu,
    "Cos": wl.Cos,
    "Sin": wl.Sin,
    "Gaussian": wl.Gaussian,
    "Sigmoid_like": lambda: wl.Erf(0.5, 1 / 2.4020563531719796, 0.5),
    "Gelu": lambda: arch.Activation(dual.Gelu()),
    "Monomial": lambda degree: arch.Activation(dual.Monomial(degree)),
}
RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4, 2))
MASK = np.array([[1, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 0]], bool)


def decay(distance):
    return jnp.exp(-distance / 4)


def layer(**options):
    """Return attention of small sizes with scales that are all different."""
    stds = {"query_std": 1.5, "key_std": 1.2, "value_std": 0.9, "out_std": 1.3, "bias_std": 0.2}
    return arch.SelfAttention(16, 2, 4, 4, **stds, **options)


def network(attention, head=arch.GlobalAvgPool, **options):
    return wl.serial(
        wl.Dense(16, 1.3, 0.2, **options), wl.Erf(), attention, wl.Erf(), head(), wl.Dense(1, 1.2, 0.1, **options)
    )


STANDARD = {"parameterization": wl.StandardParameterization()}
IDENTITY = {"scaling": arch.SqrtScaling()}
NETS = {
    "softmax": network(layer(positions=arch.SumPositions(0.7, arch.Decay(decay), values=True))),
    "relu_causal_standard": network(
        layer(scaling=arch.LinearScaling(arch.ReluMechanism()), causal=True, **STANDARD), **STANDARD
    ),
    "sqrt_concatenated_causal": network(layer(positions=arch.ConcatPositions(0.8), causal=True, **IDENTITY)),
    "sqrt_sum_standard": network(
        layer(positions=arch.SumPositions(0.8, values=True), **IDENTITY, **STANDARD), **STANDARD
    ),
}


def attention(width, options):
    """Return our layer for the peer's options."""
    mechanism = MECHANISMS[options["attention_mechanism"]]
    return arch.SelfAttention(
        width,
        options["n_heads"],
        options["n_chan_key"],
        options["n_chan_val"],
        query_std=options["W_query_std"],
        key_std=options["W_key_std"],
        value_std=options["W_value_std"],
        out_std=options["W_out_std"],
        bias_std=options["b_std"],
        scaling=arch.LinearScaling(mechanism) if options["linear_scaling"] else arch.SqrtScaling(mechanism),
        positions=arch.SumPositions(options["W_pos_emb_std"]) if "pos_emb_type" in options else None,
    )


def build(node):
    """Build our network from the peer's expression."""
    name = node.func.attr
    if name == "GlobalSelfAttention":
        return attention(ast.literal_eval(node.args[0]), {k.arg: ast.literal_eval(k.value) for k in node.keywords})
    return PARTS[name](*[build(a) if isinstance(a, ast.Call) else ast.literal_eval(a) for a in node.args])


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_networks_agree_with_the_golden_arrays(case):
    net = build(ast.parse(case["net"]).body[0].value)
    x1, x2 = ARRAYS[f"{case['name']}/x1"], ARRAYS[f"{case['name']}/x2"]
    kinked = "ABRelu" in case["net"] or "LeakyRelu" in case["net"]
    for kind, kernel in (("nngp", wl.NNGP(net)), ("ntk", wl.NTK(net))):
        for block, measured in (("12", kernel(x1, x2)), ("11", kernel(x1))):
            expected = ARRAYS[f"{case['name']}/{kind}{block}"]
            error = np.abs(measured - expected).max() / np.abs(expected).max()
            assert error < (1e-6 if kinked else 1e-9), (kind, block)


def sampled(net, x, shape, seeds=128):
    """Return mean and standard error of NNGP and NTK over random networks, each (2, n, n)."""

    def one(key):
        params = net.init(key, shape)
        out = net.apply(params, x)
        return jnp.stack([out @ out.T, wl.EmpiricalNTK(net.apply, params).block(x)])

    keys = jax.random.split(jax.random.key(1), seeds)
    found = np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=16))(keys), np.float64)
    return found.mean(0), found.std(0, ddof=1) / np.sqrt(seeds)


def assert_limit(net, x, shape, width):
    single = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32) if a.dtype == np.float64 else a, x)
    mean, error = sampled(net.at_width(width), single, shape)
    exact = np.stack([wl.NNGP(net)(x), wl.NTK(net)(x)])
    bias = 8 / width * np.abs(exact).max((1, 2), keepdims=True)
    assert (np.abs(mean - exact) < 4 * error + bias).all(), (mean, exact, error)


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("softmax", 32),
        ("softmax", 128),
        ("sqrt_concatenated_causal", 32),
        ("sqrt_concatenated_causal", 128),
        ("relu_causal_standard", 128),
        ("sqrt_sum_standard", 128),
    ],
)
def test_finite_networks_approach_the_limit(name, width):
    assert_limit(NETS[name], arch.Sample(X, MASK), X.shape[1:], width)


CROSS = {
    "sqrt": arch.CrossAttention(16, 2, 4, 4, query_std=1.5, bias_std=0.2),
    "linear": arch.CrossAttention(16, 2, 4, 4, value_std=1.3, scaling=arch.LinearScaling()),
}


@pytest.mark.parametrize("name", CROSS)
def test_cross_attention_of_two_inputs(name):
    streams = arch.parallel(wl.serial(wl.Dense(16), wl.Erf(), wl.Dense(16)), wl.Dense(16, 1.2, 0.3))
    net = wl.serial(streams, CROSS[name], wl.Erf(), arch.GlobalAvgPool(), wl.Dense(1))
    x = (RNG.standard_normal((3, 2, 3)), arch.Sample(X, MASK))
    assert_limit(net, x, ((2, 3), (4, 2)), 64)


def test_later_positions_do_not_change_earlier_ones():
    net = wl.serial(wl.Dense(16), wl.Erf(), layer(causal=True), wl.Erf(), wl.Dense(1))
    changed = X[0].copy()
    changed[3] += 1.0
    whole, other = kernels.node_kernels(net, X[0]), kernels.node_kernels(net, changed)
    for a, b in zip(whole, other, strict=True):
        np.testing.assert_allclose(a[:3, :3], b[:3, :3], rtol=1e-13)
        assert abs(a[3, 0] - b[3, 0]) > 1e-3
    params = net.init(jax.random.key(0), (4, 2))
    np.testing.assert_allclose(net(params, X[0])[:3], net(params, changed)[:3], rtol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "sqrt_sum_standard"])
def test_missing_positions_do_not_count(name):
    mask = np.array([[1, 1, 1, 0]] * 3, bool)
    masked = arch.Sample(np.where(mask[..., None], X, np.nan), mask)
    np.testing.assert_allclose(wl.NTK(NETS[name])(masked), wl.NTK(NETS[name])(X[:, :3]), rtol=1e-10)


def test_single_precision_with_close_inputs():
    """In float32 against float64: a mix of positions rounds each gap, and ReLU sees the root of it at equal inputs."""
    block = wl.residual(layer(positions=arch.SumPositions(0.7)), wl.Relu(), wl.Dense(16))
    net = wl.serial(wl.Dense(16, 1.3), arch.repeat(block, 4), wl.Relu(), arch.GlobalAvgPool(), wl.Dense(1))
    x = np.stack([X[0], X[0] + 1e-3 * X[1], X[0] + 1e-5 * X[2]]).astype(np.float32)
    for kernel in (wl.NNGP(net), wl.NTK(net)):
        np.testing.assert_allclose(kernel(x), kernel(x.astype(float)), rtol=1e-4)


def test_frozen_attention_learns_nothing():
    net = wl.serial(arch.frozen(layer(positions=arch.SumPositions(0.7, values=True))), arch.GlobalAvgPool())
    params = net.init(jax.random.key(0), (4, 2))
    assert {float(r) for r in jax.tree.leaves(net.learning_rates(params))} == {0.0}
    assert (wl.NTK(net)(X) == 0).all()


def test_every_mechanism_gives_no_weight_to_what_is_hidden():
    logits, allowed = jnp.asarray([[1.0, -2.0, 3.0], [1.0, 2.0, 3.0]]), jnp.asarray([[1, 1, 0], [0, 0, 0]], bool)
    for mechanism in MECHANISMS.values():
        weights = mechanism.weights(logits, allowed)
        assert (weights[~allowed] == 0).all()
        np.testing.assert_allclose(weights[0, :2], mechanism.weights(logits[0, :2], None), rtol=1e-6)
        slope = jax.grad(lambda s, m=mechanism: jnp.sum(m.weights(s, allowed) ** 2))(logits)
        assert jnp.isfinite(slope).all()


def test_embeddings_have_the_covariance_of_their_decay():
    covariance = arch.Decay(decay, norm=1.0)
    drawn = covariance.draw(jnp.eye(6), (2, 3))
    np.testing.assert_allclose(drawn @ drawn.T, covariance.matrix((2, 3)), atol=1e-6)
    assert covariance.matrix((2, 3))[0, 5] == pytest.approx(np.exp(-3 / 4))
    assert (arch.Independent().matrix((2, 3)) == jnp.eye(6)).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: arch.SelfAttention(16, 0), "heads is 0"),
        (lambda: arch.SelfAttention(16, out_std=-1.0), "out_std is -1"),
        (lambda: arch.SelfAttention(16, scaling="sqrt"), "scaling is 'sqrt'"),
        (lambda: arch.LinearScaling("softmax"), "mechanism is 'softmax'"),
        (lambda: arch.SelfAttention(16, positions="sum"), "positions is 'sum'"),
        (lambda: arch.SelfAttention(16).out_shape((3,)), "expected .*space, channels"),
        (lambda: arch.CrossAttention(16).out_shape((3, 4)), "got one signal"),
        (lambda: arch.CrossAttention(16, scaling=arch.LinearScaling()).out_shape(((3, 4), (3, 5))), "4 channels and"),
        (
            lambda: wl.serial(
                wl.Dense(4), arch.FanOut(2), arch.CrossAttention(16, scaling=arch.LinearScaling()), wl.Dense(1)
            ),
            "same random weights",
        ),
        (
            lambda: wl.serial(
                arch.parallel(wl.serial(wl.Dense(4), wl.Relu()), wl.Dense(4)),
                arch.CrossAttention(16, scaling=arch.LinearScaling()),
            ),
            "straight out of weights",
        ),
        (lambda: arch.Decay(jnp.negative).matrix((3,)), "positive semi-definite"),
        (lambda: arch.ConcatPositions(width=3).resized(0.5), "expected a whole number"),
        (
            lambda: wl.NTK(wl.serial(arch.SelfAttention(16, scaling=arch.SqrtScaling(arch.Softmax())), wl.Flatten()))(
                X
            ),
            "MonteCarloNTK",
        ),
    ],
)
def test_what_has_no_limit_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_json_keeps_attention():
    concat = layer(positions=arch.ConcatPositions(0.8, width=3), causal=True, **IDENTITY)
    for net in (wl.serial(concat, wl.Erf()), wl.serial(arch.parallel(wl.Dense(4), wl.Dense(4)), CROSS["linear"])):
        assert arch.from_json(arch.to_json(net)) == net
