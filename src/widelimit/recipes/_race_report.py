"""What a race found: every number, the fitted slopes and one sentence of verdict."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from .._plain import plain
from .._slope import Slope, fit_slope
from ._environment import environment
from ._statistics import Coverage

if TYPE_CHECKING:
    from ._data import Dataset
    from ._race import RaceConfig

SCHEMA = "widelimit/race/1"


@dataclasses.dataclass(frozen=True)
class DataSummary:
    """What was learnt: name, task and shapes, and the test inputs and targets."""

    name: str
    task: str
    train_examples: int
    test_examples: int
    features: int
    outputs: int
    notes: tuple[str, ...]
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    error_name: str

    @staticmethod
    def of(data: Dataset) -> DataSummary:
        """Summarise a data set; inputs are kept only where a function of one variable can be drawn."""
        one = data.x_train.shape[1] == 1
        return DataSummary(
            name=data.name,
            task=data.task.value,
            train_examples=len(data.x_train),
            test_examples=len(data.x_test),
            features=data.x_train.shape[1],
            outputs=data.y_train.shape[1],
            notes=data.notes,
            x_train=data.x_train if one else np.zeros((0, 1)),
            y_train=data.y_train if one else np.zeros((0, 1)),
            x_test=data.x_test if one else np.zeros((0, 1)),
            y_test=data.y_test,
            error_name=data.error_name,
        )


@dataclasses.dataclass(frozen=True)
class LimitSummary:
    r"""The infinite ensemble: its step size, spectrum and final distribution on the test inputs.

    ``train_loss`` is the expected loss over initialisations at the recorded steps; ``mean`` (m, o), ``std`` (m,) and
    ``covariance`` (m, m) belong to the last step.
    """

    learning_rate: float
    max_learning_rate: float
    steps: int
    recorded_steps: tuple[int, ...]
    largest_eigenvalue: float
    smallest_eigenvalue: float
    train_loss: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    covariance: np.ndarray
    test_error: float


@dataclasses.dataclass(frozen=True)
class WidthRow:
    r"""The networks of one width; arrays have one entry per seed.

    Attributes
    ----------
    width, parameters, diverged
        Width, number of parameters, and how many seeds overflowed.
    beyond_stability
        How many of the others start with a kernel whose 2/λmax is below the step size, so that their linearisation
        diverges; they have no gap to it.
    gap_linearisation
        Largest over the recorded steps of the root mean square over test outputs of network − linearisation.
    gap_limit
        The same against the infinite network from the same initial function.
    function_change
        Root mean square over test outputs of :math:`f_T - f_0`.
    kernel_drift, parameter_movement
        :math:`\|\Theta_T-\Theta_0\|_F/\|\Theta_0\|_F` and :math:`\|\theta_T-\theta_0\|/\|\theta_0\|`.
    gap_mean, gap_mean_expected
        Root mean square of ensemble mean − limit mean, and what so few seeds would give for an infinite network.
    coverage
        How often the limit's ±2σ band covers the networks.
    train_loss
        Losses at the recorded steps, (recorded, seeds).
    test_error
        Error of each network on the test targets.
    outputs
        Final outputs on the test inputs, (seeds, m, o).
    """

    width: int
    parameters: int
    diverged: int
    beyond_stability: int
    gap_linearisation: np.ndarray
    gap_limit: np.ndarray
    function_change: np.ndarray
    kernel_drift: np.ndarray
    parameter_movement: np.ndarray
    gap_mean: float
    gap_mean_expected: float
    coverage: Coverage | None
    train_loss: np.ndarray
    test_error: np.ndarray
    outputs: np.ndarray

    @property
    def relative_gap(self) -> float:
        """The gap to the linearisation as a share of what was learnt, mean over seeds."""
        return float(np.mean(self.gap_linearisation / self.function_change))


@dataclasses.dataclass(frozen=True)
class Trend:
    """A measured slope against width beside the theory's."""

    quantity: str
    slope: Slope
    theory: str
    bound: float
    leading: float


@dataclasses.dataclass(frozen=True)
class RaceReport:
    """The outcome of a race; `to_dict` gives every number under a versioned schema."""

    config: RaceConfig
    data: DataSummary
    limit: LimitSummary
    rows: tuple[WidthRow, ...]
    trends: tuple[Trend, ...]
    verdict: str
    environment: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python objects, ready for `json.dumps`; numbers that are not finite become None."""
        document = plain(self)
        return {"schema": SCHEMA, **document}


def conclude(
    config: RaceConfig, data: DataSummary, limit: LimitSummary, rows: tuple[WidthRow, ...], *, seconds: float
) -> RaceReport:
    """Fit the slopes, find the verdict, and return the report."""
    trends = fit_trends(rows, config.architecture.depth)
    return RaceReport(config, data, limit, rows, trends, _verdict(rows, trends, config.seeds), environment(seconds))


def fit_trends(rows: tuple[WidthRow, ...], depth: int) -> tuple[Trend, ...]:
    """Fit the power laws in width that the theory speaks of."""
    widths = [row.width for row in rows]

    def trend(name: str, theory: str, bound: float, leading: float) -> Trend:
        return Trend(name, fit_slope(widths, [getattr(row, name) for row in rows]), theory, bound, leading)

    proven = "at most n^-1/2 (Lee et al. 2019); n^-1 to leading order (Huang & Yau 2019)"
    moves = (
        "n^-1/2: the distance stays O(1)" if depth == 1 else "n^-1: the distance stays O(1) while |theta_0| grows as n"
    )
    return (
        trend("gap_linearisation", proven, -0.5, -1.0),
        trend("gap_limit", "n^-1/2: fluctuation of the kernel at initialisation", -0.5, -0.5),
        trend("kernel_drift", proven, -0.5, -1.0),
        trend("parameter_movement", moves, -0.5 if depth == 1 else -1.0, -0.5 if depth == 1 else -1.0),
    )


def _verdict(rows: tuple[WidthRow, ...], trends: tuple[Trend, ...], seeds: int) -> str:
    diverged = sum(row.diverged for row in rows)
    if diverged:
        return (
            f"{diverged} of {seeds * len(rows)} networks diverged at this step size, so no statement about their "
            "limit is made; use a smaller learning rate."
        )
    last, slope = rows[-1], trends[0].slope
    if last.beyond_stability:
        return (
            f"At width {last.width} the step size is beyond 2/λmax of the kernel of {last.beyond_stability} of {seeds} "
            "networks, where the linearisation diverges; use a smaller learning rate to compare with it."
        )
    gap = last.relative_gap
    if slope.poor:
        number = f" (slope {slope.exponent:.2f})" if np.isfinite(slope.exponent) else ""
        trend = f"; the trend with width{number} is not to be relied on: {slope.poor}"
    elif slope.exponent + 2 * slope.standard_error < 0:
        trend = f" and falls as width^({slope.exponent:.2f} ± {slope.standard_error:.2f})"
    else:
        trend = f" and does not fall with width (slope {slope.exponent:.2f} ± {slope.standard_error:.2f})"
    if gap < 0.05:
        kind = "trains as its kernel predicts"
    elif gap < 0.3:
        kind = "is close to a kernel machine but visibly not one"
    else:
        kind = "is not a kernel machine at these widths"
    return (
        f"At width {last.width} the network {kind}: its gap to the linearisation is {gap:.1%} of what it learnt{trend}."
    )
