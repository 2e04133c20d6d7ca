"""What a diagnosis found, as numbers; text, figure and JSON are made of them."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .._plain import plain
from .._slope import Slope
from ._features import FeatureChange
from ._lazy import Laziness
from ._numbers import Numbers, Regime
from ._verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA = "widelimit/regime/1"


@dataclasses.dataclass(frozen=True)
class Training:
    r"""How training went.

    Attributes
    ----------
    steps
        Number of steps.
    learning_rate
        The step size :math:`\eta`, or None if there is no single one.
    loss
        Its name, which says the convention.
    losses, loss_steps
        Loss over all training examples, and the numbers of steps before it.
    finite
        Whether every loss and every kept parameter is finite.
    snapshots_only
        Whether the loss is known at the snapshots alone, so that a spike between them is not seen.
    """

    steps: int
    learning_rate: float | None
    loss: str
    losses: np.ndarray
    loss_steps: np.ndarray
    finite: bool
    snapshots_only: bool

    @property
    def remaining(self) -> float:
        """The final loss as a share of the initial one."""
        return _divide(float(self.losses[-1]), float(self.losses[0]))

    @property
    def spike(self) -> float:
        """The highest loss as a multiple of the initial one."""
        return _divide(float(np.max(self.losses)), float(self.losses[0]))


@dataclasses.dataclass(frozen=True)
class Along:
    r"""Quantities at the kept snapshots, each an array of their number; NaN where one is not known.

    Attributes
    ----------
    steps
        Numbers of steps.
    movement
        :math:`\|\theta_t-\theta_0\|/\|\theta_0\|`.
    drift, rotation
        :math:`\|\Theta_t-\Theta_0\|_F/\|\Theta_0\|_F`, and :math:`1-\cos` of the angle between the two kernels.
    velocity
        :math:`\|\Theta_t-\Theta_s\|_F/\|\Theta_0\|_F/(t-s)` from the snapshot s before, per step.
    alignment, centred_alignment
        Of the kernel with the targets.
    sharpness
        Largest eigenvalue of the loss's curvature :math:`J^\top HJ`; :math:`s\lambda_{\max}(\Theta_t)` for a squared
        loss of scale s.
    function_change
        Root mean square of :math:`f_t - f_0` over the inputs of comparison.
    gap
        Root mean square of :math:`f_t - f^{\mathrm{lin}}_t` there, relative to :math:`f_T - f_0`, with the linearised
        model trained in the same way.
    tangent_gap
        The same for the linearised model at the parameters that the network has reached.
    """

    steps: np.ndarray
    movement: np.ndarray
    drift: np.ndarray
    rotation: np.ndarray
    velocity: np.ndarray
    alignment: np.ndarray
    centred_alignment: np.ndarray
    sharpness: np.ndarray
    function_change: np.ndarray
    gap: np.ndarray
    tangent_gap: np.ndarray


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer: its relative movement, and its share of the trace of the kernel before and after training."""

    name: str
    movement: float
    share: float
    share_after: float


@dataclasses.dataclass(frozen=True)
class WidthRow:
    """Networks of one width; arrays have one entry per seed."""

    width: int
    drift: np.ndarray
    gap: np.ndarray
    movement: np.ndarray
    feature_change: np.ndarray
    kappa: np.ndarray
    remaining: np.ndarray


@dataclasses.dataclass(frozen=True)
class Trend:
    """A slope against width beside the theory's interval, which is None where there is no prediction."""

    quantity: str
    slope: Slope
    low: float | None
    high: float | None


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The same training at several widths."""

    rows: tuple[WidthRow, ...]
    trends: tuple[Trend, ...]
    theory: str


@dataclasses.dataclass(frozen=True)
class Report:
    r"""How far a model is from a kernel machine; see `diagnose`.

    Attributes
    ----------
    verdict
        Regime, sentence, evidence, and what would change it.
    training
        How training went.
    along
        Quantities at the snapshots.
    layers
        Movement and kernel share of each layer.
    features
        Change of each representation; empty where none are known.
    explained
        Share of the learnt function that the initial kernel explains on ``x_test``, or None.
    laziness
        Chizat's :math:`\kappa`; None for a loss that is not squared, or a model whose outputs cannot move.
    predicted_velocity
        Relative kernel velocity of the first step, to first order in the step size (neural tangent hierarchy); None
        where the steps are not plain gradient descent.
    sweep
        Several widths, or None.
    setting
        Counts of examples, outputs and parameters; where the comparison was made; how the linearisation was trained.
    """

    verdict: Verdict
    training: Training
    along: Along
    layers: tuple[Layer, ...]
    features: tuple[FeatureChange, ...]
    explained: float | None
    laziness: Laziness | None
    predicted_velocity: float | None
    sweep: Sweep | None
    setting: dict[str, Any]

    @property
    def regime(self) -> Regime:
        """The regime."""
        return self.verdict.regime

    @property
    def step_ratio(self) -> tuple[float | None, float | None]:
        r"""Step size times sharpness, :math:`\eta\lambda`, before and after training.

        Below 2 the linearised model is stable; between 2 and about 4 a wide network catapults; beyond, it diverges.
        """
        rate = self.training.learning_rate
        if rate is None:
            return None, None
        known = self.along.sharpness[np.isfinite(self.along.sharpness)]
        return rate * float(known[0]), (rate * float(known[-1]) if len(known) > 1 else None)

    def numbers(self) -> Numbers:
        """Return what the rules of the verdict look at."""
        before, after = self.step_ratio
        gaps = self.along.gap[~np.isnan(self.along.gap)]
        return Numbers(
            finite=self.training.finite,
            remaining=self.training.remaining,
            spike=self.training.spike,
            step=before,
            step_after=after,
            drift=_highest(self.along.drift),
            rotation=_highest(self.along.rotation),
            gap=float(gaps.max()) if len(gaps) else None,
            tangent_gap=_highest(self.along.tangent_gap),
            seen_all=not self.training.snapshots_only,
            kappa=None if self.laziness is None else self.laziness.kappa,
            kappa_unit=None if self.laziness is None else self.laziness.at_scale(1.0, centred=True),
            slope=None if self.sweep is None else _drift_slope(self.sweep),
            r=self.setting.get("r"),
        )

    def __str__(self) -> str:
        """Return the report as a page of text, at most 80 columns wide."""
        from ._text import report_text

        return report_text(self)

    def plot(self) -> Figure:
        """Return a figure of all that was measured; needs matplotlib."""
        from ._figure import regime_figure

        return regime_figure(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python objects, ready for `json.dumps`; numbers that are not finite become None."""
        document = plain(self)
        return {"schema": SCHEMA, **document}

    def to_json(self) -> str:
        """Return the report as JSON text, without NaN or infinity."""
        return json.dumps(self.to_dict(), allow_nan=False, indent=1)

    @staticmethod
    def from_json(text: str) -> Report:
        """Return the report that `to_json` wrote; numbers that were not finite come back as NaN or None.

        Raises
        ------
        ValueError
            If the text is no report of this version.
        """
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ValueError(f"the text is no report; expected JSON with the schema {SCHEMA!r}.")
        sweep = document["sweep"]
        return Report(
            verdict=Verdict.of(document["verdict"]),
            training=_restore(Training, document["training"]),
            along=_restore(Along, document["along"]),
            layers=tuple(_restore(Layer, d) for d in document["layers"]),
            features=tuple(FeatureChange(**d) for d in document["features"]),
            explained=document["explained"],
            laziness=None if document["laziness"] is None else Laziness(**document["laziness"]),
            predicted_velocity=document["predicted_velocity"],
            sweep=None if sweep is None else _sweep(sweep),
            setting=document["setting"],
        )


def _sweep(document: dict[str, Any]) -> Sweep:
    trends = tuple(Trend(d["quantity"], _restore(Slope, d["slope"]), d["low"], d["high"]) for d in document["trends"])
    return Sweep(tuple(_restore(WidthRow, d) for d in document["rows"]), trends, document["theory"])


def _restore(kind: Any, document: dict[str, Any]) -> Any:
    fields = {f.name: f.type for f in dataclasses.fields(kind)}
    values = {}
    for name, value in document.items():
        if fields[name] == "np.ndarray":
            value = np.array([np.nan if v is None else v for v in value])
        elif fields[name] == "float" or fields[name] is float:
            value = math.nan if value is None else value
        values[name] = value
    return kind(**values)


def _divide(a: float, b: float) -> float:
    if not (math.isfinite(a) and math.isfinite(b)):
        return math.inf
    return a / b if b > 0 else (1.0 if a == 0 else math.inf)


def _highest(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else math.nan


def _drift_slope(sweep: Sweep) -> tuple[float, float] | None:
    slope = next(t.slope for t in sweep.trends if t.quantity == "drift")
    known = math.isfinite(slope.exponent) and math.isfinite(slope.standard_error)
    return (slope.exponent, slope.standard_error) if known else None
