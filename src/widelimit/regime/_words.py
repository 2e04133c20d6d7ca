"""The verdict in words: what the numbers say, what would change it, and what they do not say."""

from __future__ import annotations

import math

from ._numbers import Numbers, Regime, Rules

EXACT = 1e-5
"""Relative drift and gap below which a model is linear in its trained parameters, up to rounding in float32."""

ONE_SEED = "One initialisation: another seed may fall on another side of a threshold."


def sentence(n: Numbers, rules: Rules, regime: Regime, clear: bool) -> str:
    """Return one sentence with the regime and the evidence for it."""
    text = {
        Regime.DIVERGED: _diverged,
        Regime.UNDETERMINED: _undetermined,
        Regime.CATAPULT: _catapult,
        Regime.FEATURE_LEARNING: _feature,
        Regime.KERNEL: _kernel,
        Regime.INTERMEDIATE: _intermediate,
    }[regime](n, rules)
    return text if clear else f"{text[:-1]}; this is close to the boundary of the rule."


def change(n: Numbers, rules: Rules, regime: Regime) -> tuple[str, ...]:
    """Return what would change the regime."""
    if regime is Regime.DIVERGED:
        if n.step is None:
            return ("Step: a smaller one.",)
        if n.step < 2:
            return ("Step: a smaller one; it was below 2/λ at the start, so the curvature grew on the way.",)
        stable = (
            f"Step: below {_factor(2 / n.step)} the present one, which is 2/λ at the start, the kernel regime is open"
        )
        here = "" if n.step > 4 else ", which this one did not"
        return (f"{stable}; up to about {_factor(4 / n.step)} (4/λ) a wide network catapults{here}.",)
    if regime is Regime.UNDETERMINED:
        if n.step is None or n.step <= 0:
            return ("Training: more steps, or a larger step.",)
        return (f"Training: more steps, or a larger step; 2/λ is {_factor(2 / n.step)} the present one.",)
    if regime is Regime.CATAPULT:
        assert n.step is not None
        return (
            f"Step: below {_factor(2 / n.step)} the present one (2/λ) the linearisation is stable and there is no "
            f"catapult; beyond about {_factor(4 / n.step)} (4/λ) a wide network diverges.",
        )
    if _exact(n):
        return ("Nothing but training more of it: the model is linear in the parameters that are trained.",)
    lazier = regime is not Regime.KERNEL
    bolder = regime is not Regime.FEATURE_LEARNING
    return (*(_lazier(n, rules) if lazier else ()), *(_bolder(n) if bolder else ()))


def cautions(n: Numbers, rules: Rules, regime: Regime) -> tuple[str, ...]:
    """Return why the sentence should not be taken for more than it says."""
    found = []
    judged = regime not in (Regime.DIVERGED, Regime.UNDETERMINED)
    if regime is Regime.KERNEL and n.remaining > 1 - rules.fitted and not _exact(n):
        found.append(
            f"The loss is still at {n.remaining:.0%} of its start; kernels go on moving while the loss falls, so this "
            "holds so far."
        )
    if judged and n.gap is None:
        found.append(
            "The linearised model could not be trained in the same way, so the gap is taken at the parameters reached."
        )
    if judged and not n.seen_all:
        found.append("The loss is known at the snapshots alone: a spike between them would not be seen.")
    if judged and n.step is None:
        found.append("Without a step size nothing is said about 2/λ and 4/λ.")
    elif judged and n.step is not None and n.step > 2 and regime is not Regime.CATAPULT:
        found.append("The step is beyond 2/λ at the start, where the linearisation diverges, but no spike was seen.")
    elif judged and n.spike >= rules.spike and regime is not Regime.CATAPULT:
        found.append(f"The loss rose to {_times(n.spike)} its start on the way, though the step was below 2/λ there.")
    if judged:
        found.append(ONE_SEED)
    return tuple(found)


def _diverged(n: Numbers, rules: Rules) -> str:  # noqa: ARG001
    end = "overflowed" if not math.isfinite(n.remaining) else f"ends at {_times(n.remaining)} its start"
    if not n.finite and math.isfinite(n.remaining):
        end = "or a parameter is not finite at some step"
    if n.step is None:
        return f"Diverged: the loss {end}."
    side = "beyond 4/λ" if n.step > 4 else "between 2/λ and 4/λ" if n.step > 2 else "below 2/λ"
    return f"Diverged: the loss {end}, with a step of {_plain(n.step)}/λ, which is {side}."


def _undetermined(n: Numbers, rules: Rules) -> str:
    moved = f"fallen by {1 - n.remaining:.1%}" if n.remaining <= 1 else f"risen to {_times(n.remaining)} its start"
    return f"Undetermined: the network has not trained; the loss has {moved}, where {rules.trained:.0%} is asked for."


def _catapult(n: Numbers, rules: Rules) -> str:  # noqa: ARG001
    return (
        f"Catapult: with a step of {n.step:.2g}/λ, beyond the 2/λ up to which its linearisation is stable, the loss "
        f"rose to {_times(n.spike)} its start and came down to {_share(n.remaining)} of it, while step times sharpness "
        f"fell from {n.step:.2g} to {n.step_after:.2g}."
    )


def _feature(n: Numbers, rules: Rules) -> str:  # noqa: ARG001
    return (
        f"Feature learning: the kernel moved by {n.drift:.0%} of its norm and turned by {_degrees(n.rotation)}; the "
        f"network {_gap_words(n)}."
    )


def _kernel(n: Numbers, rules: Rules) -> str:
    if _exact(n):
        return "Kernel, exactly: neither the kernel moved nor the network left its linearisation, up to rounding."
    so_far = " so far" if n.remaining > 1 - rules.fitted else ""
    return f"Kernel{so_far}: the kernel moved by {_share(n.drift)} of its norm, and the network {_gap_words(n)}."


def _intermediate(n: Numbers, rules: Rules) -> str:
    turned = f"turned by {_degrees(n.rotation)}"
    if n.drift >= rules.feature_drift:
        turned += ", so it changed in scale more than in direction"
    return (
        f"Intermediate, neither a kernel machine nor clearly learning features: the kernel moved by {n.drift:.0%} of "
        f"its norm and {turned}; the network {_gap_words(n)}."
    )


def _gap_words(n: Numbers) -> str:
    if n.gap is None:
        return f"was up to {_share(n.tangent_gap)} of what it learnt away from its linearisation at the same parameters"
    if not n.gap < 1e3:
        return "left its linearisation, which diverges at this step"
    return f"was up to {_share(n.gap)} of what it learnt away from its linearisation"


def _lazier(n: Numbers, rules: Rules) -> tuple[str, ...]:
    ratio = max(n.drift / rules.kernel_drift, 1.0)
    found = []
    if n.slope is not None:
        measured = f"measured, the drift goes as width^({n.slope[0]:.2f} ± {n.slope[1]:.2f})"
        if n.slope[0] + 2 * n.slope[1] < 0:
            there = f"would be at {rules.kernel_drift:.0%} at about {_factor(ratio ** (-1 / n.slope[0]))} the width"
            found.append(f"Width, to be lazier: {measured}, and {there}.")
        else:
            found.append(f"Width, to be lazier: no clear fall; {measured}.")
    elif n.r == 0:
        found.append("Width, to be lazier: no; in this parameterization (r = 0) the kernel moves at any width.")
    elif ratio > 1:
        found.append(_width_by_theory(n.r, ratio))
    if n.kappa_unit:
        found.append(
            f"Output scale, to be lazier: α(f − f₀) with step η/α² has κ = {n.kappa_unit:.2g}/α, "
            f"so κ = 0.1 at α = {10 * n.kappa_unit:.2g}."
        )
    return tuple(found)


def _width_by_theory(r: float | None, ratio: float) -> str:
    power = 0.5 if r is None or r < 0 else r
    where = "in the NTK parameterization" if r is None else f"in this parameterization (r = {r:g})"
    return (
        f"Width, to be lazier: {where} the drift falls as n^-{2 * power:g} to n^-{power:g}, so "
        f"{_factor(ratio ** (0.5 / power))} to {_factor(ratio ** (1 / power))} the width"
        + ("; in mean field and µP width does not change it." if r is None else ".")
    )


def _bolder(n: Numbers) -> tuple[str, ...]:
    found = ["To learn more: a narrower network, or µP or mean field, where the kernel moves at any width."]
    if n.r == 0:
        found = ["To learn more: a larger step, more steps, or a smaller output scale; width does not matter (r = 0)."]
    if n.kappa_unit:
        found.append(f"Output scale, to learn more: α(f − f₀) with step η/α² has κ = 1 at α = {n.kappa_unit:.2g}.")
    if n.step is not None and 0 < n.step < 2:
        found.append(
            f"Step: from {_factor(2 / n.step)} the present one (2/λ) to about {_factor(4 / n.step)} (4/λ) "
            "a wide network catapults."
        )
    return tuple(found)


def _exact(n: Numbers) -> bool:
    gap = n.tangent_gap if n.gap is None else min(n.gap, n.tangent_gap)
    return n.drift < EXACT and gap < EXACT


def _degrees(rotation: float) -> str:
    angle = math.degrees(math.acos(min(max(1 - rotation, -1.0), 1.0)))
    return f"{angle:.0f}°" if angle >= 1 else f"{angle:.1f}°"


def _times(value: float) -> str:
    return f"{value:.3g} times"


def _factor(value: float) -> str:
    return f"{_plain(value)}×"


def _plain(value: float) -> str:
    # Two digits, without an exponent up to 9999.
    return f"{value:.2g}" if value < 100 else f"{float(f'{value:.2g}'):.0f}" if value < 1e4 else f"{value:.0e}"


def _share(value: float) -> str:
    return f"{value:.1%}" if value >= 0.0005 or value <= 0 else f"{100 * value:.1g}%"
