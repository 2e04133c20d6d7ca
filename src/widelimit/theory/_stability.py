r"""Is a parameterization stable, and does its limit learn features? The theorem of Yang & Hu, condition by condition.

In an MLP with L hidden layers, trained by SGD for finitely many steps, features move by :math:`\Theta(n^{-r})` with

.. math:: r = \min(a_{L+1}+b_{L+1},\ 2a_{L+1}+c) + c - 1 + \min_{l \le L}(2a_l + [l = 1]).

The limit is unstable, trivial, a kernel machine (r > 0) or learns features (r = 0); nothing else is possible
(arXiv 2011.14522, section 3: definition of r, stability theorem, nontriviality, dynamical dichotomy).
"""

import dataclasses
import enum
from collections.abc import Sequence
from typing import Any

from .. import _check
from ..arch import AbstractParameterization, Exponents, feature_exponent
from ..arch._exponents import TOLERANCE, is_exponent

SOURCE = "Yang & Hu 2021, arXiv 2011.14522, section 3"


class Verdict(enum.Enum):
    """What becomes of training as the width grows."""

    UNSTABLE = "unstable"
    TRIVIAL = "trivial"
    KERNEL = "kernel regime"
    FEATURES = "feature learning"


@dataclasses.dataclass(frozen=True)
class Condition:
    """One condition of the theorem.

    Attributes
    ----------
    statement
        As a formula, such as ``a_1 + b_1 = 0``.
    value
        Of its left side.
    holds
        Whether it holds.
    meaning
        What goes wrong without it.
    """

    statement: str
    value: float
    holds: bool
    meaning: str


@dataclasses.dataclass(frozen=True, repr=False)
class Stability:
    """What the theorem says of a parameterization.

    Attributes
    ----------
    exponents
        Of each layer, as given.
    equivalent
        The member of the same equivalence class with c = 0 in every layer: equal for equivalent parameterizations.
    r
        Features move as n^(-r).
    conditions
        All needed for stability.
    nontrivial_conditions
        Of which one is needed for the function to move at all.
    verdict
        Of the limit.
    """

    exponents: Exponents
    equivalent: Exponents
    r: float
    conditions: tuple[Condition, ...]
    nontrivial_conditions: tuple[Condition, ...]
    verdict: Verdict

    @property
    def stable(self) -> bool:
        """Whether every condition holds."""
        return all(condition.holds for condition in self.conditions)

    @property
    def nontrivial(self) -> bool:
        """Whether one of the conditions of nontriviality holds."""
        return any(condition.holds for condition in self.nontrivial_conditions)

    def __repr__(self) -> str:
        """Return the verdict and every condition with its value."""
        lines = [
            f"{self.verdict.value}: {_SENTENCES[self.verdict]}",
            f"r = {self.r:g}: features move as n^{0.0 - self.r:g}",
        ]
        lines += ["stable if all of"] + [_line(c) for c in self.conditions]
        lines += ["nontrivial if one of"] + [_line(c) for c in self.nontrivial_conditions]
        rows = zip("abc", self.equivalent, strict=True)
        lines.append("same training: " + "  ".join(f"{n} = ({', '.join(f'{v:g}' for v in row)})" for n, row in rows))
        return "\n".join([*lines, f"({SOURCE})"])


_SENTENCES = {
    Verdict.UNSTABLE: "the function or its features vanish or blow up as the width grows.",
    Verdict.TRIVIAL: "the function does not move from where it started as the width grows.",
    Verdict.KERNEL: "the limit is a kernel machine; features do not move.",
    Verdict.FEATURES: "the limit learns features, and is not a kernel machine.",
}


def stability(parameterization: AbstractParameterization | Sequence[Any], depth: int | None = None) -> Stability:
    r"""Say whether training in a parameterization is stable, and whether its limit is a kernel or learns features.

    Parameters
    ----------
    parameterization
        Any parameterization, or a sequence of one triple (a, b, c) per layer, the readout last.
    depth
        Number L of hidden layers; may be left out for a sequence, which has L + 1 entries.

    Returns
    -------
    Stability
        r, every condition of the theorem with its value, and the verdict. Learning rates per layer are absorbed by
        the symmetry :math:`a+\theta,\ b-\theta,\ c-2\theta` of each layer, so conditions are shown at c = 0.

    Raises
    ------
    ValueError
        If ``depth`` is not a positive integer, or the sequence does not fit.
    """
    given = _layers(parameterization, depth)
    equivalent, r = given.without_rates(), feature_exponent(given)
    conditions, nontrivial = _conditions(equivalent, r)
    if not all(condition.holds for condition in conditions):
        verdict = Verdict.UNSTABLE
    elif not any(condition.holds for condition in nontrivial):
        verdict = Verdict.TRIVIAL
    else:
        verdict = Verdict.KERNEL if r > TOLERANCE else Verdict.FEATURES
    return Stability(given, equivalent, r, conditions, nontrivial, verdict)


def _conditions(layers: Exponents, r: float) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    a, b, _ = layers
    sums = [x + y for x, y in zip(a, b, strict=True)]
    last = len(a)
    init = "initial features vanish or blow up"
    conditions = [_equal("a_1 + b_1", sums[0], 0.0, init)]
    conditions += [_equal(f"a_{i + 1} + b_{i + 1}", sums[i], 0.5, init) for i in range(1, last - 1)]
    conditions += [
        _at_least(f"a_{last} + b_{last}", sums[-1], 0.5, "initial outputs blow up"),
        _at_least("r", r, 0.0, "features blow up in training"),
        _at_least(f"2a_{last} + c", 2 * a[-1], 1.0, "outputs blow up by the readout's learning"),
        _at_least(f"a_{last} + b_{last} + r", sums[-1] + r, 1.0, "outputs blow up by the features' learning"),
    ]
    nontrivial = (
        _equal(f"2a_{last} + c", 2 * a[-1], 1.0, "the readout's learning does not move the outputs"),
        _equal(f"a_{last} + b_{last} + r", sums[-1] + r, 1.0, "the features' learning does not move the outputs"),
    )
    return tuple(conditions), nontrivial


def _equal(name: str, value: float, wanted: float, meaning: str) -> Condition:
    return Condition(f"{name} = {wanted:g}", value, abs(value - wanted) < TOLERANCE, meaning)


def _at_least(name: str, value: float, wanted: float, meaning: str) -> Condition:
    return Condition(f"{name} >= {wanted:g}", value, value > wanted - TOLERANCE, meaning)


def _line(condition: Condition) -> str:
    mark, note = ("yes", "") if condition.holds else ("NO ", f"   {condition.meaning}")
    return f"  {mark} {condition.statement:<22} {condition.value:g}{note}"


def _layers(parameterization: Any, depth: int | None) -> Exponents:
    if isinstance(parameterization, AbstractParameterization):
        if depth is None:
            raise ValueError("depth is None; expected the number of hidden layers.")
        _check.positive_int(depth, "depth")
        return parameterization.exponents().layers(depth)
    rows = parameterization if isinstance(parameterization, Sequence) and not isinstance(parameterization, str) else ()
    fits = all(isinstance(r, Sequence) and len(r) == 3 and all(is_exponent(v) for v in r) for r in rows)
    if len(rows) < 2 or not fits:
        raise ValueError(
            f"parameterization is {parameterization!r}; expected one such as MuP(), or a triple (a, b, c) of finite "
            "numbers for each of at least two layers."
        )
    if depth is not None and depth != len(rows) - 1:
        raise ValueError(f"depth is {depth}, but there are {len(rows)} layers; expected depth + 1 layers.")
    a, b, c = (tuple(float(v) for v in column) for column in zip(*rows, strict=True))
    return Exponents(a, b, c)
