"""The race: how close a real finite network is to its infinite-width limit."""

from __future__ import annotations

import dataclasses
import time

import jax
import jax.numpy as jnp
import numpy as np

from .. import _check, arch
from .._typing import Array, Callable, Params
from ..arch import AbstractLayer
from ..dynamics import (
    AbstractSquaredLoss,
    EnsembleFlow,
    GradientDescent,
    NetworkFlow,
    SumOfSquares,
    infinite_ensemble,
    network_flow,
)
from ..empirical import Full
from ..kernels import NTK, AbstractKernel, EmpiricalNTK
from ..regime import snapshot_steps
from ._architecture import Architecture
from ._data import Dataset
from ._race_report import DataSummary, LimitSummary, RaceReport, WidthRow, conclude
from ._statistics import band_coverage
from ._training import Trainer, relative_distance

Progress = Callable[[float, float, str], None]
"""Called with (work done, total work, what is being done); the unit is a multiply-add."""

LOSS: AbstractSquaredLoss = SumOfSquares()


@dataclasses.dataclass(frozen=True)
class RaceConfig:
    r"""What to race.

    Attributes
    ----------
    architecture
        The network.
    widths
        Widths of the hidden layers, at least two different ones.
    seeds
        Number of networks per width.
    steps
        Steps of full-batch gradient descent; None for as many as the limit's mean needs to fit 99 % of the
        targets' square, between 64 and 1024.
    learning_rate
        Step size under the loss :math:`\tfrac12\sum(f-y)^2`; None for half of the largest stable one,
        :math:`1/\lambda_{\max}(\Theta)`.
    seed
        Of all random numbers.
    """

    architecture: Architecture = dataclasses.field(default_factory=Architecture)
    widths: tuple[int, ...] = (32, 128, 512, 2048)
    seeds: int = 5
    steps: int | None = None
    learning_rate: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers, and that there is a limit to race against."""
        try:
            arch.check_kernel_limit(self.architecture.build(1, 1))
        except ValueError as error:
            raise ValueError(
                f"parameterization is {self.architecture.parameterization!r}, which leaves no kernel limit to race "
                f"against: {error}"
            ) from None
        for width in self.widths:
            _check.positive_int(width, "widths")
        if len(set(self.widths)) < 2:
            raise ValueError(f"widths is {self.widths}; expected at least two different widths to compare.")
        _check.positive_int(self.seeds, "seeds")
        if self.steps is not None:
            _check.positive_int(self.steps, "steps")
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; expected a positive number.")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed is {self.seed!r}; expected a whole number of zero or more.")


def race(data: Dataset, config: RaceConfig, progress: Progress | None = None) -> RaceReport:
    r"""Race finite networks of several widths against their infinite-width limit.

    All train by full-batch gradient descent on :math:`\tfrac12\sum(f-y)^2` with one step size, and are compared at
    the same steps on the test inputs:

    - the *network*, trained;
    - its *linearisation* at initialisation, exactly, :math:`f_0 + \Theta_0\,\phi_k(\Theta_0)(y - f_0)` with its own
      empirical NTK :math:`\Theta_0`;
    - the *infinite network from the same initial function*, the same with the infinite NTK;
    - the *infinite ensemble*: mean and covariance over initialisations (Lee et al. 2019, arXiv 1902.06720,
      eqs. 14-16), with the discrete step :math:`\phi_k(\lambda) = (1-(1-\eta\lambda)^k)/\lambda`.

    Parameters
    ----------
    data
        Inputs and targets, see `load`.
    config
        Architecture, widths, seeds, step size.
    progress
        Called as work goes on; None for silence.

    Returns
    -------
    RaceReport
        Every number, with a verdict in one sentence.
    """
    started, progress = time.perf_counter(), progress or _silent
    widths = tuple(sorted(set(config.widths)))
    base = config.architecture.build(widths[0], data.y_train.shape[1])
    progress(0, 1, "computing the infinite limit")
    flow, steps = _limit_flow(base, data, config)
    recorded = snapshot_steps(steps)
    limit = _summarise_limit(flow, data, recorded)
    work = [_work(base.at_width(w), data, steps, config.seeds) for w in widths]
    rows = []
    for i, width in enumerate(widths):
        done = sum(work[:i])

        def report(share: float, what: str, *, done: float = done, this: float = work[i]) -> None:
            progress(done + share * this, sum(work), what)

        rows.append(_race_width(_Lane(base.at_width(width), width, data, config, flow, limit), report))
    progress(1, 1, "done")
    summary = DataSummary.of(data)
    return conclude(config, summary, limit, tuple(rows), seconds=time.perf_counter() - started)


def _silent(done: float, total: float, what: str) -> None:
    del done, total, what


def _limit_flow(net: AbstractLayer, data: Dataset, config: RaceConfig) -> tuple[EnsembleFlow, int]:
    rate = config.learning_rate
    if rate is None:
        theta = NTK(net)(np.asarray(data.x_train, np.float64))
        rate = 1 / float(np.linalg.eigvalsh(np.asarray(theta))[-1])
    optimizer = GradientDescent(float(rate))
    flow = infinite_ensemble(net, data.x_train, data.y_train, optimizer=optimizer, loss=LOSS)
    return flow, config.steps or _enough_steps(flow, data)


def _enough_steps(flow: EnsembleFlow, data: Dataset) -> int:
    candidates = 2 ** np.arange(6, 11)
    residual = np.sum((np.asarray(flow.at(candidates).mean) - data.y_train) ** 2, axis=(1, 2))
    fitted = residual <= 0.01 * np.sum(data.y_train**2)
    return int(candidates[np.argmax(fitted)] if fitted.any() else candidates[-1])


def _summarise_limit(flow: EnsembleFlow, data: Dataset, recorded: tuple[int, ...]) -> LimitSummary:
    train, test = flow.at(np.asarray(recorded)), flow.at(np.asarray(recorded), data.x_test)
    spread = np.asarray(train.std) ** 2
    loss = 0.5 * np.sum((np.asarray(train.mean) - data.y_train) ** 2 + spread, axis=(1, 2))
    assert isinstance(flow.optimizer, GradientDescent)
    return LimitSummary(
        learning_rate=float(flow.optimizer.learning_rate),
        max_learning_rate=float(flow.max_learning_rate),
        steps=recorded[-1],
        recorded_steps=recorded,
        largest_eigenvalue=float(flow.state.values[-1]),
        smallest_eigenvalue=float(flow.state.values[0]),
        train_loss=loss,
        mean=np.asarray(test.mean[-1]),
        std=np.asarray(test.std[-1][:, 0]),
        covariance=np.asarray(test.covariance[-1]),
        test_error=data.error(np.asarray(test.mean[-1])),
    )


@dataclasses.dataclass(frozen=True)
class _Lane:
    # One width of the race.
    net: AbstractLayer
    width: int
    data: Dataset
    config: RaceConfig
    flow: EnsembleFlow
    limit: LimitSummary


def _race_width(lane: _Lane, report: Callable[[float, str], None]) -> WidthRow:
    config = lane.config
    key = jax.random.fold_in(jax.random.key(config.seed), lane.width)
    trainer = Trainer(lane.net, LOSS, lane.limit.learning_rate, _single(lane.data.x_train), _single(lane.data.y_train))
    initial = trainer.init(jax.random.split(key, config.seeds))
    trained, outputs, losses = _train(trainer, initial, lane, report)
    comparisons = []
    for s in range(config.seeds):
        report(0.6 + 0.4 * s / config.seeds, f"width {lane.width}: linearising network {s + 1} of {config.seeds}")
        start, end = (jax.tree.map(lambda leaf, s=s: leaf[s], tree) for tree in (initial, trained))
        comparisons.append(_compare(lane, start, end, outputs[:, s]))
    gap_linear, gap_limit, change, drift = (np.array(column) for column in zip(*comparisons, strict=True))
    final, limit = outputs[-1], lane.limit
    alive = np.isfinite(final).all((1, 2))
    mean = final[alive].mean(0) if alive.any() else np.full(final.shape[1:], np.nan)
    return WidthRow(
        width=lane.width,
        parameters=sum(leaf.size for leaf in jax.tree.leaves(initial)) // config.seeds,
        diverged=int((~alive).sum()),
        beyond_stability=int(np.isnan(gap_linear[alive]).sum()),
        gap_linearisation=gap_linear,
        gap_limit=gap_limit,
        function_change=change,
        kernel_drift=drift,
        parameter_movement=np.asarray(relative_distance(trained, initial), np.float64),
        gap_mean=float(_rms(mean - limit.mean)),
        gap_mean_expected=float(np.sqrt(np.mean(limit.std**2) / max(alive.sum(), 1))),
        coverage=band_coverage(final[alive], limit.mean, limit.covariance) if alive.any() else None,
        train_loss=losses,
        test_error=np.array([lane.data.error(f) for f in final]),
        outputs=final,
    )


def _train(
    trainer: Trainer, params: Params, lane: _Lane, report: Callable[[float, str], None]
) -> tuple[Params, np.ndarray, np.ndarray]:
    # Outputs on the test inputs at the recorded steps (recorded, seeds, m, o), and losses there (recorded, seeds).
    x, recorded = _single(lane.data.x_test), lane.limit.recorded_steps
    steps, kept = recorded[-1], np.isin(np.arange(recorded[-1]), recorded)
    chunk = -(-steps // 16)
    outputs, losses = [], []
    for k in range(0, steps, chunk):
        report(0.6 * k / steps, f"width {lane.width}: training {lane.config.seeds} networks")
        mask = kept[k : k + chunk]
        params, loss, functions = trainer.advance(params, x, jnp.asarray(mask))
        losses.append(np.asarray(loss)[mask])
        outputs.append(np.asarray(functions)[mask])
    outputs.append(np.asarray(trainer.outputs(params, x))[None])
    last = jax.vmap(lambda f: LOSS.value(f, trainer.y))(trainer.outputs(params, trainer.x))
    losses.append(np.asarray(last)[None])
    return params, np.concatenate(outputs).astype(np.float64), np.concatenate(losses).astype(np.float64)


def _compare(lane: _Lane, start: Params, end: Params, outputs: np.ndarray) -> tuple[float, float, float, float]:
    # One network against its linearisation and against the infinite network from the same initial function.
    data, net = lane.data, lane.net
    steps = np.asarray(lane.limit.recorded_steps)
    x = np.asarray(data.x_train, np.float64)

    def run(kernel: AbstractKernel) -> NetworkFlow:
        initial = jax.tree_util.Partial(net.apply, start)
        return network_flow(kernel, x, data.y_train, initial, optimizer=lane.flow.optimizer, loss=LOSS)

    linear, infinite = run(EmpiricalNTK(net.apply, start, Full())), run(NTK(net))
    gaps = [_rms(outputs - np.asarray(flow.at(steps, data.x_test)), (1, 2)).max() for flow in (linear, infinite)]
    if lane.limit.learning_rate > float(linear.max_learning_rate):
        gaps[0] = np.nan  # the linearisation diverges at this step, whatever the network does
    theta = np.asarray(linear.state.matrix)
    drift = np.nan
    if np.isfinite(outputs).all():
        after = np.swapaxes(np.asarray(EmpiricalNTK(net.apply, end, Full())(x)), 1, 2).reshape(theta.shape)
        drift = float(np.linalg.norm(after - theta) / np.linalg.norm(theta))
    return gaps[0], gaps[1], float(_rms(outputs[-1] - outputs[0])), drift


def _work(net: AbstractLayer, data: Dataset, steps: int, seeds: int) -> float:
    # Multiply-adds: three passes per step, and the contraction of Jacobians for the kernels before and after.
    shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), data.x_train.shape[1:]))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    n, m, o = len(data.x_train), len(data.x_test), data.y_train.shape[1]
    return seeds * parameters * (3.0 * n * steps + 2.0 * n * (n + m) * o**2) + 1e9


def _rms(difference: np.ndarray, axis: tuple[int, ...] | None = None) -> np.ndarray:
    return np.sqrt(np.mean(difference**2, axis=axis))


def _single(x: np.ndarray) -> Array:
    return jnp.asarray(x, float)
