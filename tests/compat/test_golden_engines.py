"""Every engine against the golden arrays: what it takes agrees, and what it does not take is known by name."""

import json
import pathlib

import jax
import numpy as np
import pytest

from widelimit.compat.neural_tangents import stax
from widelimit.engine import Native, NoNativeForm, Planes

ORACLES = pathlib.Path(__file__).parents[1] / "oracles"
ARRAYS = np.load(ORACLES / "infinite.npz")
CASES = {case["name"]: case for case in json.loads((ORACLES / "infinite.json").read_text())}
ENGINES = {"native": Native(), "planes": Planes()}
# Concatenation, product, locally connected layers, attention; circular beside other padding between two poolings.
NEITHER = {name for name, case in CASES.items() if case["kind"] in ("concat", "prod", "local", "attn", "attn_pos")}
NEITHER |= {"068_cnn_gap"}
# Besides: three axes of space; Gaussian activations of variances beyond 100, whose series are too long.
NOT_NATIVE = {name for name, case in CASES.items() if case["kind"] in ("cnn3d", "wrn")}
NOT_NATIVE |= {"018_cnn_stride", "021_cnn1d", "034_fc_res", "040_cnn_flat", "047_cnn1d", "052_fc"}
REFUSED = {"native": NEITHER | NOT_NATIVE, "planes": NEITHER}
# Near coincident inputs the arrays themselves err by the root of the precision per kinked layer.
KINKED = ("Relu", "Abs", "LeakyRelu", "ABRelu")
QUICK = {("native", name) for name in CASES} | {("planes", "000_fc"), ("planes", "018_cnn_stride")}
FIRST = {case["kind"]: name for name, case in reversed(CASES.items())}.values()


def rows():
    """Loops are quick for all networks; of what XLA compiles the first of each kind is slow, the others thorough."""
    for engine in ENGINES:
        for name in CASES:
            known = (engine, name) in QUICK or name in REFUSED[engine]
            marks = () if known else pytest.mark.slow if name in FIRST else pytest.mark.thorough
            yield pytest.param(engine, name, id=f"{engine}-{name}", marks=marks)


@pytest.mark.parametrize(("engine", "name"), list(rows()))
def test_engines_agree_with_the_golden_arrays(engine, name, x64):
    case = CASES[name]
    # The expression comes from a file of this repository.
    record = eval(case["net"], {"__builtins__": {}, "stax": stax})[2].record
    x1, x2 = ARRAYS[f"{name}/x1"], ARRAYS[f"{name}/x2"]
    net = record.net(record.first(x1.ndim))
    if name in REFUSED[engine]:
        with pytest.raises(NoNativeForm):
            ENGINES[engine].block(net, x1, x2)
        return
    double = 1e-8 if any(word in case["net"] for word in KINKED) else 1e-9
    for kind, tolerance in ((np.float64, double), (np.float32, 1e-5)):
        found = ENGINES[engine].block(net, x1.astype(kind), x2.astype(kind))
        for kernel, values in zip(("nngp", "ntk"), found, strict=True):
            expected = ARRAYS[f"{name}/{kernel}12"]
            error = np.abs(np.asarray(values, np.float64) - expected).max() / np.abs(expected).max()
            assert error < tolerance, (kernel, kind)
    if engine == "planes":
        jax.clear_caches()  # Programs of hundreds of operations that nothing else runs.
