"""Findings: each is provoked by data that have the fault and nothing else, and healthy data have none."""

import numpy as np
import pytest

import widelimit as wl
from widelimit import gp

RNG = np.random.default_rng(0)
N = 80
X = RNG.standard_normal((N, 3))
Y = np.sin(2 * X[:, 0]) + X[:, 1] + 0.1 * RNG.standard_normal(N)


def kernel(bias=0.3, depth=1, activation=None, weight=1.4):
    return wl.NTK(gp.dense_network(depth, activation or wl.Relu(), weight, bias))


def with_column(column):
    return np.concatenate([X, np.broadcast_to(column, (N,))[:, None]], 1)


LINE = np.linspace(-2, 2, N)[:, None]
CASES = {
    "healthy": (set(), kernel(), X, Y),
    "healthy, many targets": (set(), kernel(), X, np.stack([Y, X[:, 2] * X[:, 1]], 1)),
    "healthy, another kernel": (set(), kernel(activation=wl.Erf(), depth=2), X, Y),
    "healthy line": (set(), kernel(), LINE, np.sin(3 * LINE[:, 0]) + 0.1 * RNG.standard_normal(N)),
    "copied rows": ({"ridge_at_border"}, kernel(), np.tile(X[:40], (2, 1)), np.tile(Y[:40], 2)),
    "few rows": ({"few_rows"}, kernel(), X[:12], Y[:12]),
    "constant columns": ({"constant_columns"}, kernel(), with_column(1.0), Y),
    "unscaled": ({"unscaled_inputs"}, kernel(), X * [1, 1, 1000], Y + 2 * X[:, 2]),
    "far from zero": ({"far_from_zero"}, kernel(), X + 100, Y),
    "conflicts": (
        {"conflicting_duplicates"},
        kernel(),
        np.tile(X[:40], (2, 1)),
        np.concatenate([Y[:40], Y[:40] + 0.5]),
    ),
    "no bias": ({"degenerate_kernel"}, kernel(bias=0.0), LINE, np.abs(LINE[:, 0]) + 0.05 * RNG.standard_normal(N)),
    "linear": (
        {"degenerate_kernel"},
        kernel(activation=wl.Identity()),
        X,
        X @ [1, 2, 3] + 0.1 * RNG.standard_normal(N),
    ),
    "too deep": ({"inputs_alike"}, kernel(depth=40, bias=1.0, weight=0.8), X, Y),
    "noise": ({"out_of_reach"}, kernel(), X, RNG.standard_normal(N)),
    "parity": ({"out_of_reach"}, kernel(), RNG.choice([-1.0, 1.0], (N, 20)), RNG.choice([-1.0, 1.0], N)),
}


@pytest.mark.parametrize("case", CASES)
def test_each_fault_is_found_and_nothing_else(case):
    expected, given, x, y = CASES[case]
    found = gp.diagnose(given, x, y)
    # Where the inputs or the kernel leave nothing to learn, the ridge goes to its border and left-out values say so.
    follow = {"ridge_at_border", "out_of_reach"} if expected else {"ridge_at_border"} & expected
    names = {finding.name for finding in found}
    assert expected <= names, found
    assert names <= expected | follow, found
    for finding in found:
        assert any(character.isdigit() for character in finding.sentence)
        assert finding.remedy.endswith(".")
        assert str(finding) == f"{finding.sentence} {finding.remedy}"


def test_numbers_in_the_sentences_are_right():
    _, given, x, y = CASES["no bias"]
    (degenerate, *_) = [f for f in gp.diagnose(given, x, y) if f.name == "degenerate_kernel"]
    assert "rank 2:" in degenerate.sentence
    _, given, x, y = CASES["conflicts"]
    (conflict,) = [f for f in gp.diagnose(given, x, y) if f.name == "conflicting_duplicates"]
    assert "80 of 80 rows" in conflict.sentence
    assert "below 0.25" in conflict.sentence
    _, given, x, y = CASES["unscaled"]
    (scale,) = [f for f in gp.diagnose(given, x, y) if f.name == "unscaled_inputs"]
    assert "Column 2 holds 100.00%" in scale.sentence


def test_a_ridge_at_the_border_is_found():
    (found,) = gp.diagnose(kernel(), X, Y, ridge=0.1, border="largest")
    assert found.name == "ridge_at_border"
    assert "0.1, the largest that was tried" in found.sentence
    # The smallest is no fault where the evidence is flat.
    assert gp.diagnose(kernel(), X, Y, ridge=1e-6, border="smallest") == ()


def test_what_cannot_be_is_a_sentence():
    for arguments, message in (((X[:, 0], Y), "x has shape"), ((X, Y[:3]), "y has shape"), ((X, Y * np.nan), "is nan")):
        with pytest.raises(ValueError, match=message):
            gp.diagnose(kernel(), *arguments)
