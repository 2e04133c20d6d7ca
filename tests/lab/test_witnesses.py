"""Every witness of the page passes, and can fail."""

import dataclasses
import importlib

import numpy as np
import pytest

from widelimit.recipes import live, witnesses
from widelimit.recipes._architecture import Architecture
from widelimit.recipes.witnesses import _common


def witness(name):
    """Return the module of a witness."""
    return importlib.import_module(f"widelimit.recipes.witnesses.{name}")


@pytest.mark.parametrize("name", witnesses.names())
def test_a_witness_passes_and_says_how_closely(name):
    found = witnesses.run(name)
    assert found.key == name
    assert found.passed, found
    assert found.statement.endswith(".")
    assert np.isfinite([found.left[1], found.right[1], found.error]).all()
    assert (found.error > found.tolerance) is found.counter
    assert found.counter is name.startswith("counter_")


@pytest.mark.parametrize("name", ["eq_ntk", "eq_loss"])
def test_a_wrong_jacobian_fails(name, monkeypatch):
    module = witness(name)
    monkeypatch.setattr(module, "jacobian", lambda *a: 1.001 * _common.jacobian(*a))
    assert not module.run().passed


@pytest.mark.parametrize("name", ["eq_ode", "eq_ridge", "eq_solution"])
def test_a_wrong_kernel_fails(name, monkeypatch):
    module = witness(name)
    kernel = "NTK" if name == "eq_solution" else "EmpiricalNTK"
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
    module = witness("demo_frozen")
    monkeypatch.setattr(module, "LiveConfig", lambda freeze: live.LiveConfig())
    assert not module.run().passed


def test_ridge_regression_is_where_training_with_a_pull_ends_and_not_before(monkeypatch):
    module = witness("eq_ridge")
    monkeypatch.setattr(module, "STEPS", 20)
    assert not module.run().passed


def measured(monkeypatch, module, change):
    """Let a witness of the demo measure what ``change(config, numbers)`` makes of a run of no steps."""
    start = live.measure(live.LiveConfig(width=8), 0)

    def measure(config, steps):
        numbers = start.frame.numbers | change(config, steps)
        return dataclasses.replace(start, frame=dataclasses.replace(start.frame, numbers=numbers))

    monkeypatch.setattr(module, "measure", measure)


@pytest.mark.parametrize(
    ("wide", "narrow", "passed"),
    [
        ({"gap": 0.01, "gap_infinite": 0.02}, {"gap": 0.11}, True),
        ({"gap": 0.01, "gap_infinite": 0.02}, {"gap": 0.09}, False),
        ({"gap": 0.01, "gap_infinite": 0.02}, {"gap": None}, False),
        ({"gap": None, "gap_infinite": 0.02}, {"gap": 10.0}, False),
        ({"gap": 0.01, "gap_infinite": None}, {"gap": 10.0}, False),
        ({"gap": 0.04, "gap_infinite": 0.02}, {"gap": 1.0}, False),
    ],
)
def test_wide_and_narrow_are_both_judged_and_a_missing_gap_counts_against(wide, narrow, passed, monkeypatch):
    module = witness("demo_wide")
    measured(monkeypatch, module, lambda config, _: wide if config.width == 4096 else narrow)
    assert module.run().passed is passed


@pytest.mark.parametrize(
    ("moved", "end", "passed"),
    [(0.5, 0.1, True), (0.1, 0.1, False), (0.5, 1.1, False), (0.5, None, False), (0.5, float("inf"), False)],
)
def test_a_catapult_moves_the_kernel_and_survives(moved, end, passed, monkeypatch):
    module = witness("counter_large_step")
    measured(monkeypatch, module, lambda _, steps: {"kernel_change": moved, "loss": end if steps else 1.0})
    assert module.run().passed is passed


@pytest.mark.parametrize("fault", [(0.0, (0.16896, 3)), (0.0, (0.17, 2)), (1.0, (0.001, 2)), (1.0, (0.001, 40))])
def test_the_trap_is_judged_with_biases_and_without(fault, monkeypatch):
    module = witness("code_trap")
    real, (where, wrong) = module.cell, fault
    monkeypatch.setattr(module, "cell", lambda width, bias: wrong if bias == where else real(width, bias))
    assert not module.run().passed


def test_draws_from_the_limit_are_within_what_chance_and_width_grant_and_others_are_not():
    module, std = witness("band_trained"), np.linspace(0.02, 0.1, 9)
    draws = np.random.default_rng(0).normal(size=(module.NETWORKS, 9)) * std
    assert module.furthest(draws, np.zeros(9), std) <= 1
    assert module.furthest(2 * draws, np.zeros(9), std) > 1
    assert module.furthest(draws / 2, np.zeros(9), std) > 1
    assert module.furthest(draws + 0.05, np.zeros(9), std) > 1


def test_networks_that_are_too_narrow_do_not_have_the_band_of_the_limit(monkeypatch):
    module = witness("band_trained")
    real, narrow = module._trained, Architecture(1, "erf", 1.5, 0.3).build(32, 1)
    monkeypatch.setattr(module, "_trained", lambda net, *rest: real(narrow, *rest))
    assert not module.run().passed


def test_a_hash_belongs_to_its_source():
    hashes = {name: witnesses.witness_hash(name) for name in witnesses.names()}
    assert len(set(hashes.values())) == len(hashes)
    assert all(len(h) == 64 for h in hashes.values())


def test_an_unknown_witness_is_refused_with_the_list():
    with pytest.raises(ValueError, match="there is no witness 'eq_nothing'; there are band_lee"):
        witnesses.run("eq_nothing")
