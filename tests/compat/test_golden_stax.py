"""Golden arrays of whole networks, computed with neural-tangents in float64, through its own interface."""

import json
import pathlib

import jax
import numpy as np
import pytest

from widelimit.compat.neural_tangents import stax

ORACLES = pathlib.Path(__file__).parents[1] / "oracles"
ARRAYS = np.load(ORACLES / "infinite.npz")
CASES = json.loads((ORACLES / "infinite.json").read_text())
# At coincident inputs the reference itself errs by the root of the precision per kinked layer.
KINKED = ("Relu", "Abs", "LeakyRelu", "ABRelu")
QUICK = {"layernorm", "concat", "prod", "cnn1d", "local", "attn"}


def parameters():
    """Every case; one of each quick kind in the quick suite, the rest in the slow one."""
    seen = set()
    for case in CASES:
        quick = case["kind"] in QUICK and case["kind"] not in seen
        seen.add(case["kind"])
        yield pytest.param(case, id=case["name"], marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize("case", list(parameters()))
def test_networks_agree_with_the_golden_arrays(case, x64):
    # The expression comes from a file of this repository.
    _, _, kernel_fn = eval(case["net"], {"__builtins__": {}, "stax": stax})
    name = case["name"]
    x1, x2 = ARRAYS[f"{name}/x1"], ARRAYS[f"{name}/x2"]
    tolerance = 1e-6 if any(word in case["net"] for word in KINKED) else 1e-9
    for block, found in (("12", kernel_fn(x1, x2, ("nngp", "ntk"))), ("11", kernel_fn(x1, None, ("nngp", "ntk")))):
        for kind in ("nngp", "ntk"):
            expected = ARRAYS[f"{name}/{kind}{block}"]
            error = np.abs(np.asarray(getattr(found, kind)) - expected).max() / np.abs(expected).max()
            assert error < tolerance, (kind, block)
    jax.clear_caches()


def test_all_cases_are_here():
    assert len(CASES) == 78
