"""One sentence on what a run shows, by the rules of the verdict."""

from ...regime import Regime, Rules
from ...regime._numbers import Numbers
from ...regime._verdict import classify
from ._config import LiveConfig

RULES = Rules()


def sentence(config: LiveConfig, numbers: dict[str, float | None], has_limit: bool) -> str:
    """Return which regime this is so far, and why, with the numbers that say so."""
    if numbers["step"] == 0:
        return "Not trained yet: the network and its linearisation are the same function."
    kernel, gap = _share(numbers["kernel_change"]), _share(numbers["gap"])
    if config.freeze and not numbers["diverged"]:
        return (
            "Frozen features: only the readout trains, the network is linear in it, and so it equals its linearisation "
            f"(the kernel moved by {kernel}, the curves part by {gap} of what was learnt)."
        )
    start = {
        Regime.DIVERGED: "Diverged, because the step is too large",
        Regime.UNDETERMINED: "Too early to tell",
        Regime.CATAPULT: "Catapult, since the loss first rose and training then found a smaller kernel",
        Regime.FEATURE_LEARNING: "Feature learning",
        Regime.KERNEL: "Kernel machine",
        Regime.INTERMEDIATE: "In between",
    }[_regime(numbers)]
    apart = f"the network is {gap} of what it learnt away from its linearisation"
    if numbers["linear_diverged"]:
        apart = "its linearisation diverges at this step"
    words = f"{start}: the kernel moved by {kernel}, and {apart}."
    if not has_limit and not config.freeze:
        words += " This parameterization has no kernel limit; the infinite curve is that of the NTK parameterization."
    return words


def _regime(numbers: dict[str, float | None]) -> Regime:
    start, sharp, sharp_now = numbers["loss_start"] or 1.0, numbers["sharpness_start"], numbers["sharpness"]
    seen = Numbers(
        finite=True,
        remaining=RULES.diverged * 2 if numbers["diverged"] else (numbers["loss"] or 0.0) / start,
        spike=(numbers["loss_highest"] or 0.0) / start,
        step=None if sharp is None else 2 * sharp,
        step_after=None if sharp_now is None else 2 * sharp_now,
        drift=numbers["kernel_change"] or 0.0,
        rotation=numbers["kernel_rotation"] or 0.0,
        gap=numbers["gap"],
        tangent_gap=numbers["gap"] or 0.0,
        seen_all=True,
        kappa=None,
        kappa_unit=None,
    )
    return classify(seen, RULES)


def _share(value: float | None) -> str:
    if value is None:
        return "nothing"
    if value < 1e-4:
        return "less than 0.01 %"
    return f"{100 * value:.2g} %" if value < 0.995 else f"{100 * value:.0f} %"
