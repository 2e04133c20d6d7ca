"""One sentence on what a run shows, by the rules of the verdict."""

from ...regime import Regime, Rules
from ...regime._numbers import Numbers
from ...regime._verdict import classify
from ._config import LiveConfig
from ._frame import LivePhase

RULES = Rules()


NAMES = {"mean_field": "mean-field", "mup": "µP"}


def sentence(config: LiveConfig, numbers: dict[str, float | None], phase: LivePhase, rank: int) -> str:
    """Return which regime this is so far, and why, with the numbers that say so.

    Parameters
    ----------
    config, numbers, phase
        The state and what is seen.
    rank
        Of the infinite kernel on the training inputs.
    """
    if numbers["step"] == 0:
        return f"Not trained yet: the network and its linearisation are the same function. {_ahead(config)}"
    if config.freeze and not numbers["diverged"]:
        return (
            "Frozen features: only the readout trains, the network is linear in it, and so it equals its linearisation "
            f"(the kernel moved by {_share(numbers['kernel_change'])}, {_apart(numbers)})."
        ) + _stopped(config, numbers, phase, rank)
    found = _regime(numbers)
    still = found is Regime.UNDETERMINED and phase is LivePhase.CONVERGED
    start = "Nothing left to learn" if still else WORDS[found]
    words = f"{start}: the kernel moved by {_share(numbers['kernel_change'])}, and {_apart(numbers)}"
    words += _why(config, found, numbers) + "." + _stopped(config, numbers, phase, rank)
    if config.parameterization in NAMES:
        words += " This parameterization has no kernel limit; the infinite curve is that of the NTK parameterization."
    return words


WORDS = {
    Regime.DIVERGED: "Diverged, because the step is too large",
    Regime.UNDETERMINED: "Too early to tell",
    Regime.CATAPULT: "Catapult, since the loss first rose and training then found a smaller kernel",
    Regime.FEATURE_LEARNING: "Feature learning",
    Regime.KERNEL: "Kernel machine",
    Regime.INTERMEDIATE: "In between",
}


def _ahead(config: LiveConfig) -> str:
    if config.step < 1:
        return "At this step the linearisation is stable."
    if config.step < 2:
        return "At this step the linearisation diverges, and a wide network may catapult to a smaller kernel."
    return "At this step even a wide network is expected to diverge."


def _why(config: LiveConfig, found: Regime, numbers: dict[str, float | None]) -> str:
    if found is Regime.CATAPULT:
        rose = (numbers["loss_highest"] or 0.0) / (numbers["loss_start"] or 1.0)
        now = f"the step is now {numbers['sharpness']:.2f} of the largest stable one"
        return f"; the loss rose to {rose:.3g} times its start, and {now}"
    if found is Regime.KERNEL:
        return f", because at width {config.width} parameters had to move by just {_share(numbers['parameter_change'])}"
    if found not in (Regime.FEATURE_LEARNING, Regime.INTERMEDIATE):
        return ""
    if config.parameterization in NAMES:
        name = NAMES[config.parameterization]
        return f", because in the {name} parameterization features move at every width, {config.width} included"
    if (numbers["sharpness_start"] or 0.0) > 1:
        return ", because the step is beyond what the linearisation bears"
    moved = _share(numbers["parameter_change"])
    return f", because at width {config.width} each unit has to move far: parameters by {moved}"


def _apart(numbers: dict[str, float | None]) -> str:
    gap = numbers["gap"]
    if gap is None or (gap > 10 and (numbers["sharpness_start"] or 0.0) > 1):
        return "its linearisation diverges at this step"
    return f"the network is {_share(gap)} of what it learnt away from its linearisation"


def _stopped(config: LiveConfig, numbers: dict[str, float | None], phase: LivePhase, rank: int) -> str:
    mse = numbers["mse"] or 0.0
    if phase is not LivePhase.CONVERGED or mse < 1e-4 or config.ridge > 0:
        return ""
    return f" It stops at a mean squared error of {mse:.3g}; the infinite kernel has rank {rank} on these points."


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
