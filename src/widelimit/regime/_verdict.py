r"""The verdict: one sentence that names the regime, from explicit rules on the measured numbers.

The first rule that applies decides:

1. *diverged*: a loss or a parameter is not finite, or the loss ends above ``diverged`` times its start;
2. *undetermined*: the loss has fallen by less than ``trained`` of its start, so nothing can be said about training;
3. *catapult*: the step is beyond :math:`2/\lambda_{\max}` at the start, where the linearised model diverges, the loss
   rose above ``spike`` times its start and came down again, and the sharpness fell (Lewkowycz et al. 2020, arXiv
   2003.02218);
4. *feature learning*: the kernel drifted by ``feature_drift`` or more, and not in scale alone (``rotation``);
5. *kernel*: kernel drift and gap to the linearisation are both at most ``kernel_drift`` and ``kernel_gap``;
6. *intermediate*: everything between.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

from ._numbers import Numbers, Regime, Rules
from ._words import ONE_SEED, cautions, change, sentence


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The verdict.

    Attributes
    ----------
    regime
        Its name.
    sentence
        One sentence with the regime and the evidence for it.
    change
        What would change it.
    cautions
        Why the sentence should not be taken for more than it says.
    clear
        Whether every number that decided is further than the margin from its threshold.
    """

    regime: Regime
    sentence: str
    change: tuple[str, ...]
    cautions: tuple[str, ...]
    clear: bool

    @staticmethod
    def of(document: dict[str, Any]) -> Verdict:
        """Return the verdict from its plain form."""
        return Verdict(
            Regime[document["regime"]],
            document["sentence"],
            tuple(document["change"]),
            tuple(document["cautions"]),
            document["clear"],
        )


@dataclasses.dataclass(frozen=True)
class Seeds:
    """How the verdicts of several initialisations agree.

    Attributes
    ----------
    chosen
        Index of the first verdict with the most frequent regime; ties go to the less extreme one.
    verdict
        Its verdict, with a caution on the agreement in place of that on a single initialisation.
    """

    chosen: int
    verdict: Verdict


def across_seeds(verdicts: Sequence[Verdict]) -> Seeds:
    """Return one verdict for several initialisations of the same network.

    Parameters
    ----------
    verdicts
        One per initialisation.
    """
    counts = collections.Counter(v.regime for v in verdicts)
    most = max(counts.values())
    regime = min((r for r, count in counts.items() if count == most), key=MODERATION.index)
    chosen = next(i for i, v in enumerate(verdicts) if v.regime is regime)
    first = verdicts[chosen]
    cautions = tuple(c for c in first.cautions if c != ONE_SEED)
    if len(verdicts) == 1:
        return Seeds(chosen, first)
    if len(counts) == 1:
        near = sum(not v.clear for v in verdicts)
        said = f"All {len(verdicts)} initialisations give this regime" + (
            f", {near} close to a boundary." if near else "."
        )
    else:
        said = f"The {len(verdicts)} initialisations disagree: " + ", ".join(
            f"{n} {r.value}" for r, n in counts.items()
        )
        said += "; the numbers are those of the first with this regime."
        sentence = f"{first.sentence[:-1]}; {most} of {len(verdicts)} initialisations say so."
        first = dataclasses.replace(first, sentence=sentence)
    agreed = len(counts) == 1 and all(v.clear for v in verdicts)
    return Seeds(chosen, dataclasses.replace(first, cautions=(said, *cautions), clear=agreed))


MODERATION = [
    Regime.INTERMEDIATE,
    Regime.UNDETERMINED,
    Regime.KERNEL,
    Regime.FEATURE_LEARNING,
    Regime.CATAPULT,
    Regime.DIVERGED,
]
"""Regimes from the least to the most committed, to break ties."""

UNDECIDED = Verdict(Regime.UNDETERMINED, "Not decided yet.", (), (), False)


def classify(numbers: Numbers, rules: Rules) -> Regime:
    """Return the regime of a run: the first rule that applies."""
    if not numbers.finite or not numbers.remaining <= rules.diverged:
        return Regime.DIVERGED
    if numbers.remaining > 1 - rules.trained:
        return Regime.UNDETERMINED
    if _catapulted(numbers, rules):
        return Regime.CATAPULT
    if numbers.drift >= rules.feature_drift and numbers.rotation >= rules.rotation:
        return Regime.FEATURE_LEARNING
    if numbers.drift <= rules.kernel_drift and _gap(numbers) <= rules.kernel_gap:
        return Regime.KERNEL
    return Regime.INTERMEDIATE


def decide(numbers: Numbers, rules: Rules) -> Verdict:
    """Return the verdict of a run."""
    regime = classify(numbers, rules)
    clear = _clear(numbers, rules, regime)
    words = sentence(numbers, rules, regime, clear)
    return Verdict(regime, words, change(numbers, rules, regime), cautions(numbers, rules, regime), clear)


def _catapulted(numbers: Numbers, rules: Rules) -> bool:
    if numbers.step is None or numbers.step <= 2:
        return False
    flatter = numbers.step_after is not None and numbers.step_after < numbers.step
    return numbers.spike >= rules.spike and flatter


def _gap(numbers: Numbers) -> float:
    return numbers.tangent_gap if numbers.gap is None else numbers.gap


def _clear(numbers: Numbers, rules: Rules, regime: Regime) -> bool:
    # Every threshold that separates the regime from its neighbours, moved towards the number by the margin.
    wide, narrow = rules.margin, 1 / rules.margin
    moved = [
        _moved(rules, kernel_drift=a * rules.kernel_drift, kernel_gap=a * rules.kernel_gap, feature_drift=b)
        for a in (narrow, wide)
        for b in (narrow * rules.feature_drift, wide * rules.feature_drift)
    ]
    moved += [_moved(rules, rotation=a * rules.rotation) for a in (narrow, wide)]
    moved += [_moved(rules, trained=a * rules.trained) for a in (narrow, wide)]
    moved += [_moved(rules, spike=1 + a * (rules.spike - 1)) for a in (narrow, wide)]
    moved += [_moved(rules, diverged=max(a * rules.diverged, 1.01)) for a in (narrow, wide)]
    return all(classify(numbers, other) is regime for other in moved)


def _moved(rules: Rules, **changes: float) -> Rules:
    changes.setdefault("feature_drift", rules.feature_drift)
    changes["feature_drift"] = max(changes["feature_drift"], changes.get("kernel_drift", rules.kernel_drift))
    return dataclasses.replace(rules, **changes)
