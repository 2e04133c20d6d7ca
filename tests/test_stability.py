"""The stability theorem of abc parameterizations: the published table, the symmetry, and bad input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import widelimit as wl
from widelimit.arch import ABC, MeanField, MuP
from widelimit.theory import stability
from widelimit.theory._stability import Verdict


def standard(c):
    return ABC(a=0.0, b=(0.0, 0.5, 0.5), c=c)


# name, parameterization, depth, r, verdict (Yang & Hu 2021, Table 1 and the dichotomy)
TABLE = [
    ("SP", standard(0), 3, -1.0, Verdict.UNSTABLE),
    ("SP, rate 1/n", standard(1), 3, 0.5, Verdict.KERNEL),
    ("NTP", wl.NTKParameterization(), 3, 0.5, Verdict.KERNEL),
    ("NTP, depth 1", wl.NTKParameterization(), 1, 0.5, Verdict.KERNEL),
    ("SP scaled with width", wl.StandardParameterization(), 3, 0.5, Verdict.KERNEL),
    ("MFP", MeanField(), 1, 0.0, Verdict.FEATURES),
    ("MFP deep, hidden 1/sqrt(n)", MeanField(), 4, 0.0, Verdict.FEATURES),
    ("MFP deep, hidden 1/n", ABC((0, 1, 1), 0.0, -1.0), 3, 0.0, Verdict.UNSTABLE),
    ("muP", MuP(), 3, 0.0, Verdict.FEATURES),
    ("muP, depth 1", MuP(), 1, 0.0, Verdict.FEATURES),
    ("muP, small rate", ABC(MuP().a, MuP().b, 0.5), 3, 0.5, Verdict.TRIVIAL),
    ("vanishing readout", ABC((0, 0.5, 0.5), (0, 0, 0.5), 0.0), 2, 1.0, Verdict.KERNEL),
]


@pytest.mark.parametrize(("name", "parameterization", "depth", "r", "verdict"), TABLE, ids=[row[0] for row in TABLE])
def test_the_published_table(name, parameterization, depth, r, verdict):
    report = stability(parameterization, depth)
    assert report.r == pytest.approx(r)
    assert report.verdict is verdict
    assert report.stable == (verdict is not Verdict.UNSTABLE)
    assert verdict.value in repr(report)
    assert len(report.conditions) == depth + 1 + 3
    for condition in report.conditions:
        assert (condition.meaning in repr(report)) or condition.holds


exponent = st.integers(-8, 8).map(lambda k: k / 4)
layers = st.lists(st.tuples(exponent, exponent, exponent), min_size=2, max_size=5)


@given(layers, st.data())
def test_the_symmetry_of_each_layer_changes_nothing(rows, data):
    shifts = [data.draw(exponent) for _ in rows]
    shifted = [(a + s, b - s, c - 2 * s) for (a, b, c), s in zip(rows, shifts, strict=True)]
    one, two = stability(rows), stability(shifted)
    assert (one.r, one.verdict, one.equivalent) == (two.r, two.verdict, two.equivalent)
    assert [c.value for c in one.conditions] == [c.value for c in two.conditions]


@given(st.lists(st.tuples(exponent, exponent), min_size=2, max_size=5), exponent)
def test_r_is_the_formula_of_the_paper_for_one_learning_rate(rows, c):
    (*below, (a, b)) = rows
    formula = min(a + b, 2 * a + c) + c - 1 + min(2 * x + (i == 0) for i, (x, _) in enumerate(below))
    assert stability([(x, y, c) for x, y in rows]).r == pytest.approx(formula, abs=1e-12)


def test_mean_field_is_the_twin_of_mup():
    assert stability(MeanField(), 3).equivalent == stability(MuP(), 3).equivalent
    assert stability(wl.NTKParameterization(), 2).equivalent != stability(MuP(), 2).equivalent


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: stability(MuP()), "depth is None"),
        (lambda: stability(MuP(), 0), "depth is 0"),
        (lambda: stability([(0, 0, 0)]), "at least two layers"),
        (lambda: stability([(0, 0), (0, 0)]), "triple"),
        (lambda: stability([(0, 0, 0), (0, float("nan"), 0)]), "finite"),
        (lambda: stability("mup", 2), "expected one such as MuP"),
        (lambda: stability([(0, 0, 0)] * 3, 3), "there are 3 layers"),
        (lambda: ABC((0, 1), 0.0), "a is"),
        (lambda: ABC(0.0, float("inf")), "b is inf"),
        (lambda: ABC(0.0, 0.0, "fast"), "c is 'fast'"),
    ],
)
def test_bad_input_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
