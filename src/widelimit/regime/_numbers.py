"""The regimes, the thresholds between them, and the numbers that are held against them."""

from __future__ import annotations

import dataclasses
import enum

import equinox as eqx

from .. import _check


class Regime(enum.Enum):
    """How a network trained."""

    KERNEL = "kernel"
    INTERMEDIATE = "intermediate"
    FEATURE_LEARNING = "feature learning"
    CATAPULT = "catapult"
    DIVERGED = "diverged"
    UNDETERMINED = "undetermined"


class Rules(eqx.Module):
    r"""Thresholds of the verdict; ``docs/regime.md`` says where the defaults come from.

    Parameters
    ----------
    kernel_drift, kernel_gap
        Largest relative kernel drift, and largest gap to the linearisation as a share of what was learnt, of a kernel
        machine.
    feature_drift, rotation
        Smallest relative kernel drift of feature learning, and smallest :math:`1-\cos` between the kernels before and
        after.
    trained
        Smallest fall of the loss, as a share of its start, from which training is judged.
    fitted
        Fall of the loss below which a kernel verdict is "so far".
    spike
        Rise of the loss over its start that counts as a spike.
    diverged
        Final loss, as a multiple of the initial one, that counts as divergence.
    margin
        Factor to a threshold within which the verdict is called close to the boundary.
    """

    kernel_drift: float = 0.15
    kernel_gap: float = 0.15
    feature_drift: float = 0.5
    rotation: float = 0.02
    trained: float = 0.1
    fitted: float = 0.5
    spike: float = 1.1
    diverged: float = 10.0
    margin: float = 1.5

    def __check_init__(self) -> None:
        """Check that the thresholds are in order."""
        for name in ("kernel_drift", "kernel_gap", "feature_drift", "rotation", "trained", "fitted"):
            _check.nonnegative(getattr(self, name), name)
        if not self.kernel_drift <= self.feature_drift:
            raise ValueError(
                f"kernel_drift is {self.kernel_drift} and feature_drift {self.feature_drift}; expected them ascending."
            )
        if not (self.spike > 1 and self.diverged > 1 and self.margin >= 1):
            raise ValueError(
                f"spike, diverged, margin are {self.spike}, {self.diverged}, {self.margin}; expected factors above one."
            )


@dataclasses.dataclass(frozen=True)
class Numbers:
    r"""What the rules look at.

    Attributes
    ----------
    finite
        Whether losses and parameters are all finite.
    remaining, spike
        Final and highest loss as multiples of the initial one.
    step, step_after
        Step size times sharpness before and after training, or None.
    drift, rotation
        Largest along the run.
    gap
        Largest gap to the trained linearisation along the run; None if it was not trained.
    tangent_gap
        Largest gap to the linearisation at the same parameters.
    seen_all
        Whether the loss is known at every step.
    kappa, kappa_unit
        Chizat's number, and that of the centred model at output scale one, or None.
    slope
        Exponent of the drift against width and its standard error, where widths were measured.
    r
        Exponent of the network's parameterization, with which features move as :math:`n^{-r}`; None if unknown.
    """

    finite: bool
    remaining: float
    spike: float
    step: float | None
    step_after: float | None
    drift: float
    rotation: float
    gap: float | None
    tangent_gap: float
    seen_all: bool
    kappa: float | None
    kappa_unit: float | None
    slope: tuple[float, float] | None = None
    r: float | None = None
