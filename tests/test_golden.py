"""Golden arrays of whole networks, computed with the peer in float64 (../shared/reference, copied to oracles/)."""

import ast
import json
import pathlib

import numpy as np
import pytest

import widelimit as wl
from widelimit import arch

ORACLES = pathlib.Path(__file__).parent / "oracles"
ARRAYS = np.load(ORACLES / "infinite.npz")
# The dense ones, built from native layers; tests/compat has all of them, through the interface of the peer.
CASES = [c for c in json.loads((ORACLES / "infinite.json").read_text()) if c["kind"].startswith("fc")]

# Layers of the peer's vocabulary that exist here: name -> function of its arguments. Dense comes apart.
ACTIVATIONS = {
    "Relu": wl.Relu,
    "LeakyRelu": wl.LeakyRelu,
    "Abs": wl.Abs,
    "ABRelu": wl.ABRelu,
    "Erf": wl.Erf,
    "Sin": wl.Sin,
    "Cos": wl.Cos,
    "Gaussian": wl.Gaussian,
    "Identity": wl.Identity,
    "Rbf": arch.Rbf,
    "Sigmoid_like": arch.SigmoidLike,
    "Gelu": arch.Gelu,
    "Gabor": arch.Gabor,
    "Polynomial": lambda coef: arch.Polynomial(*coef),
    "Monomial": arch.Monomial,
    "Exp": arch.Exp,
    "Sign": arch.Sign,
    "Hermite": arch.Hermite,
    "RectifiedMonomial": arch.RectifiedMonomial,
    "ExpNormalized": arch.ExpNormalized,
}
KINKED = {"Relu", "LeakyRelu", "Abs", "ABRelu"}


def _value(node):
    """Return a literal, or a small expression of literals such as 2**0.5."""
    return eval(compile(ast.Expression(node), "oracle", "eval"), {"__builtins__": {}})


def build(node):
    """Build our network from the peer's expression, walking its syntax tree."""
    name = node.func.attr
    args = [a if isinstance(a, ast.Call) else _value(a) for a in node.args]
    keywords = {k.arg: _value(k.value) for k in node.keywords}
    if name == "serial":
        branch = [i for i, a in enumerate(args) if a.func.attr == "FanOut"]
        if branch:
            identity, body = args[branch[0] + 1].args
            assert identity.func.attr == "Identity"
            return wl.residual(build(body))
        return wl.serial(*map(build, args))
    if name == "repeat":
        return wl.serial(*[build(node.args[0]) for _ in range(args[1])])
    if name == "Dense":
        kind = (
            wl.StandardParameterization()
            if keywords.get("parameterization") == "standard"
            else wl.NTKParameterization()
        )
        return wl.Dense(*args, parameterization=kind)
    return ACTIVATIONS[name](*args)


def names_in(expression):
    return {n.func.attr for n in ast.walk(ast.parse(expression)) if isinstance(n, ast.Call)}


def tolerance(names):
    """1e-9 for smooth activations; 1e-6 for kinked ones, where the reference errs by sqrt(eps) at coincident inputs."""
    return 1e-6 if names & KINKED else 1e-9


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_networks_agree_with_the_golden_arrays(case):
    net = build(ast.parse(case["net"]).body[0].value)
    x1, x2 = ARRAYS[f"{case['name']}/x1"], ARRAYS[f"{case['name']}/x2"]
    for kind, kernel in (("nngp", wl.NNGP(net)), ("ntk", wl.NTK(net))):
        for block, measured in (("12", kernel(x1, x2)), ("11", kernel(x1))):
            expected = ARRAYS[f"{case['name']}/{kind}{block}"]
            error = np.abs(measured - expected).max() / np.abs(expected).max()
            assert error < tolerance(names_in(case["net"])), (kind, block)


def test_every_parameterization_and_residuals_are_among_the_cases():
    kinds = {case["kind"] for case in CASES}
    assert {"fc", "fc_standard", "fc_deep", "fc_res"} <= kinds
    assert len(CASES) >= 9
