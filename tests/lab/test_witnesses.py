"""Every witness of the page passes, and can fail."""

import importlib

import numpy as np
import pytest

from widelimit.recipes import witnesses
from widelimit.recipes.witnesses import _common


@pytest.mark.parametrize("name", witnesses.names())
def test_a_witness_passes_and_says_how_closely(name):
    found = witnesses.run(name)
    assert found.key == name
    assert found.passed, found
    assert found.statement.endswith(".")
    assert np.isfinite([found.left[1], found.right[1], found.error]).all()
    assert (found.error > found.tolerance) is found.counter
    assert found.counter is name.startswith("counter_")


@pytest.mark.parametrize("name", ["eq_ntk", "eq_loss", "eq_ridge"])
def test_a_wrong_jacobian_fails(name, monkeypatch):
    module = importlib.import_module(f"widelimit.recipes.witnesses.{name}")
    monkeypatch.setattr(module, "jacobian", lambda *a: 1.001 * _common.jacobian(*a))
    assert not module.run().passed


@pytest.mark.parametrize("name", ["eq_ode", "eq_solution"])
def test_a_wrong_kernel_fails(name, monkeypatch):
    module = importlib.import_module(f"widelimit.recipes.witnesses.{name}")
    kernel = "EmpiricalNTK" if name == "eq_ode" else "NTK"
    real = getattr(module, kernel)
    calls = []

    class Wrong:
        def __init__(self, *arguments):
            self.kernel = real(*arguments)

        def __call__(self, *x):
            calls.append(x)
            return 1.001 * np.asarray(self.kernel(*x))

    if name == "eq_solution":
        monkeypatch.setattr(module, "TIME", 3.0)
        monkeypatch.setattr(module, "network_flow", lambda kernel, *a: module_flow(kernel.kernel, *a))
        module_flow = importlib.import_module("widelimit.dynamics").network_flow
    monkeypatch.setattr(module, kernel, Wrong)
    assert not module.run().passed
    assert calls


def test_features_that_move_fail_the_frozen_witness(monkeypatch):
    module = importlib.import_module("widelimit.recipes.witnesses.demo_frozen")
    monkeypatch.setattr(
        module, "LiveConfig", lambda freeze: importlib.import_module("widelimit.recipes.live").LiveConfig()
    )
    assert not module.run().passed


def test_a_hash_belongs_to_its_source():
    hashes = {name: witnesses.witness_hash(name) for name in witnesses.names()}
    assert len(set(hashes.values())) == len(hashes)
    assert all(len(h) == 64 for h in hashes.values())


def test_an_unknown_witness_is_refused_with_the_list():
    with pytest.raises(ValueError, match="there is no witness 'eq_nothing'; there are band_lee"):
        witnesses.run("eq_nothing")
