"""The regime of a network on data: kernel machine or feature learning, by how much, and what would change it."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import jax
import numpy as np

from .. import _check
from .._typing import Callable, Params
from ..arch import AbstractLayer
from ..dynamics import AbstractSquaredLoss, MeanSquares, SumOfSquares
from ..regime import GradientDescentTrainer, Report, Seeds, across_seeds, diagnose, sharpness
from ._architecture import Architecture
from ._data import Dataset
from ._environment import environment

LOSSES: dict[str, Callable[[], AbstractSquaredLoss]] = {"mean": MeanSquares, "sum": SumOfSquares}

Progress = Callable[[float, float, str], None]


@dataclasses.dataclass(frozen=True)
class RegimeConfig:
    r"""What to diagnose.

    Attributes
    ----------
    architecture
        The network.
    width
        Of its hidden layers.
    steps
        Steps of full-batch gradient descent.
    learning_rate
        Step size under ``loss``; None for :math:`1/\lambda`, half of the largest that is stable for the linearised
        network, with :math:`\lambda` of the first network at its start.
    loss
        ``mean``, :math:`\frac1{2no}\sum(f-y)^2`, or ``sum``, :math:`\frac12\sum(f-y)^2`.
    seeds
        Number of networks.
    widths
        Widths at which the training is repeated for slopes; none for no sweep.
    output_scale
        :math:`\alpha`, for training :math:`\alpha(f - f_0)` with step :math:`\eta/\alpha^2`; None for the network as it
        is.
    seed
        Of all random numbers.
    """

    architecture: Architecture = dataclasses.field(default_factory=Architecture)
    width: int = 512
    steps: int = 256
    learning_rate: float | None = None
    loss: str = "mean"
    seeds: int = 3
    widths: tuple[int, ...] = ()
    output_scale: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        for value, name in ((self.width, "width"), (self.steps, "steps"), (self.seeds, "seeds")):
            _check.positive_int(value, name)
        for width in self.widths:
            _check.positive_int(width, "widths")
        if len(set(self.widths)) == 1:
            raise ValueError(f"widths is {self.widths}; expected at least two different widths to compare, or none.")
        for value, name in ((self.learning_rate, "learning_rate"), (self.output_scale, "output_scale")):
            if value is not None and not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}; expected a positive number.")
        if self.loss not in LOSSES:
            raise ValueError(f"loss is {self.loss!r}; expected one of {', '.join(LOSSES)}.")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed is {self.seed!r}; expected a whole number of zero or more.")


@dataclasses.dataclass(frozen=True)
class RegimeResult:
    """The diagnosis of each network, and one verdict for all.

    Attributes
    ----------
    config
        What was asked.
    data
        Name, task, counts and notes of the data.
    reports
        One per network.
    seeds
        How they agree.
    environment
        Versions, device and time.
    """

    config: RegimeConfig
    data: dict[str, Any]
    reports: tuple[Report, ...]
    seeds: Seeds
    environment: dict[str, Any]

    @property
    def report(self) -> Report:
        """The report of the network that stands for all, with the verdict for all."""
        return dataclasses.replace(self.reports[self.seeds.chosen], verdict=self.seeds.verdict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python objects, ready for `json.dumps`: the report, and what it was made from."""
        document = self.report.to_dict()
        networks = [{"regime": r.regime.name, "sentence": r.verdict.sentence} for r in self.reports]
        config = dataclasses.asdict(self.config)
        config["widths"] = list(self.config.widths)
        return {**document, "config": config, "data": self.data, "networks": networks, "environment": self.environment}


def regime(data: Dataset, config: RegimeConfig, progress: Progress | None = None) -> RegimeResult:
    """Train networks on data, and say whether they are kernel machines or learn features.

    Parameters
    ----------
    data
        Inputs and targets, see `load`. Functions are compared on the test inputs.
    config
        Network and training.
    progress
        Called as work goes on; None for silence.

    Returns
    -------
    RegimeResult
        A report per network and one verdict.
    """
    started, progress = time.perf_counter(), progress or _silent
    net = config.architecture.build(config.width, data.y_train.shape[1])
    key = jax.random.key(config.seed)
    x = np.asarray(data.x_train, np.float32)
    starts = [net.init(k, x.shape[1:]) for k in jax.random.split(key, config.seeds)]
    trainer = _trainer(net, starts[0], data, config)
    parts, reports = config.seeds + bool(config.widths), []
    for i, params in enumerate(starts):
        progress(i, parts, f"network {i + 1} of {config.seeds}")
        reports.append(_diagnose(net, params, data, config, trainer))
    seeds = across_seeds([r.verdict for r in reports])
    if config.widths:
        progress(config.seeds, parts, "widths")
        reports[seeds.chosen] = _diagnose(net, starts[seeds.chosen], data, config, trainer, sweep=True)
        seeds = across_seeds([r.verdict for r in reports])
    progress(1, 1, "done")
    about = {
        "name": data.name,
        "task": data.task.value,
        "train_examples": len(data.x_train),
        "test_examples": len(data.x_test),
        "features": data.x_train.shape[1],
        "outputs": data.y_train.shape[1],
        "notes": list(data.notes),
    }
    return RegimeResult(config, about, tuple(reports), seeds, environment(time.perf_counter() - started))


def _silent(done: float, total: float, what: str) -> None:
    del done, total, what


def _trainer(net: AbstractLayer, params: Params, data: Dataset, config: RegimeConfig) -> GradientDescentTrainer:
    loss, rate = LOSSES[config.loss](), config.learning_rate
    if rate is None:
        rate = 1 / sharpness(net, params, data.x_train, data.y_train, loss=loss)
    scale = 1.0 if config.output_scale is None else config.output_scale
    return GradientDescentTrainer(rate / scale**2, config.steps, loss)


def _diagnose(
    net: AbstractLayer,
    params: Params,
    data: Dataset,
    config: RegimeConfig,
    trainer: GradientDescentTrainer,
    *,
    sweep: bool = False,
) -> Report:
    return diagnose(
        net,
        params,
        data.x_train,
        data.y_train,
        train=trainer,
        x_test=data.x_test,
        output_scale=config.output_scale,
        widths=config.widths if sweep else None,
        seeds=config.seeds,
        seed=config.seed,
    )
