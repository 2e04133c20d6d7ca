"""Attention: the limit against golden arrays and finite networks, masks, causality, positions, and what is refused."""

import ast
import json
import pathlib

import jax
import numpy as np
import pytest

import widelimit as wl
from widelimit import arch, dual

ORACLES = pathlib.Path(__file__).parent / "oracles"
ARRAYS = np.load(ORACLES / "infinite_attention.npz")
CASES = json.loads((ORACLES / "infinite_attention.json").read_text())
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
DECAY = arch.Decay(jax.nn.softplus)


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
