r"""One network at growing width in several parameterizations: what converges, and what stops moving.

Every network trains as :math:`g(x) = f(x;\theta) - f(x;\theta_0)`, so that a width that is large enough gives one
deterministic learning curve in function space, in a kernel limit and in one that learns features alike; without the
difference, the random initial function of the NTK parameterization would hide the convergence. Then

- *distance*: root mean square over steps and test inputs of :math:`g_n - \bar g_N`, where :math:`\bar g_N` is the mean
  over seeds at the largest width; it falls as :math:`n^{-1/2}` where function-space dynamics converge;
- *kernel movement* :math:`\|\Theta_T - \Theta_0\|/\|\Theta_0\|`, learning rates of the layers included;
- *feature movement* :math:`\|h_T - h_0\|/\|h_0\|` of the last hidden layer, and the same after one step:
  :math:`n^{-r}` in theory (Yang & Hu 2021, arXiv 2011.14522, section 3).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._slope import Slope, fit_slope
from .._typing import Array, Callable, Key, Params
from ..arch import Serial
from ..dynamics import AbstractSquaredLoss, SumOfSquares
from ..kernels import EmpiricalNTK
from ._architecture import Architecture
from ._data import Dataset

LOSS: AbstractSquaredLoss = SumOfSquares()

QUANTITIES = ("distance", "kernel_movement", "feature_movement", "first_step")
"""Fields of a row to which a power of the width is fitted."""


@dataclasses.dataclass(frozen=True)
class WidthsConfig:
    r"""What to sweep.

    Attributes
    ----------
    architecture
        The base network; its own parameterization is replaced.
    parameterizations
        Names of `PARAMETERIZATIONS`.
    widths
        At least three different ones; the largest stands in for the limit.
    seeds
        Networks per width.
    steps
        Full-batch gradient steps.
    step
        Learning rate in units of :math:`1/\lambda_{\max}` of the mean initial kernel at the largest width, the same
        at all widths; gradient descent on a kernel is stable below 2.
    seed
        Of all random numbers.
    """

    architecture: Architecture = dataclasses.field(default_factory=Architecture)
    parameterizations: tuple[str, ...] = ("ntk", "standard", "mean_field", "mup")
    widths: tuple[int, ...] = (64, 128, 256, 512)
    seeds: int = 5
    steps: int = 32
    step: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        for width in self.widths:
            _check.positive_int(width, "widths")
        if len(set(self.widths)) < 3:
            raise ValueError(f"widths is {self.widths}; expected at least three different widths.")
        _check.positive_int(self.seeds, "seeds")
        _check.positive_int(self.steps, "steps")
        if not 0 < self.step < 2:
            raise ValueError(f"step is {self.step}; expected a number between 0 and 2, in units of 1/lambda_max.")
        if not self.parameterizations:
            raise ValueError("parameterizations is empty; expected at least one name, such as 'ntk'.")
        for name in self.parameterizations:
            dataclasses.replace(self.architecture, parameterization=name)


@dataclasses.dataclass(frozen=True)
class SweepRow:
    """One parameterization at one width; every array has one entry per seed.

    Attributes
    ----------
    parameterization, width, learning_rate
        What was trained, and with which step size (before the factors of the layers).
    distance
        Of the learning curve in function space from the mean at the largest width.
    kernel_movement, feature_movement, first_step
        Relative movement of the kernel and of the last hidden layer in all steps, and of that layer in the first.
    train_loss
        At the end, as a share of the initial one.
    """

    parameterization: str
    width: int
    learning_rate: float
    distance: np.ndarray
    kernel_movement: np.ndarray
    feature_movement: np.ndarray
    first_step: np.ndarray
    train_loss: np.ndarray


@dataclasses.dataclass(frozen=True)
class WidthSweep:
    """All rows, and the power of the width that each quantity follows.

    Attributes
    ----------
    config
        What was swept.
    rows
        In the order of parameterizations, then widths.
    slopes
        ``slopes[parameterization][quantity]``, quantities as in `QUANTITIES`; the distance is fitted without the
        largest width, which is its reference.
    """

    config: WidthsConfig
    rows: tuple[SweepRow, ...]
    slopes: dict[str, dict[str, Slope]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, lists and texts, as for JSON."""
        rows = [{k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(row).items()} for row in self.rows]
        slopes = {n: {q: dataclasses.asdict(s) for q, s in one.items()} for n, one in self.slopes.items()}
        return {"config": dataclasses.asdict(self.config), "rows": rows, "slopes": slopes}

    def table(self) -> str:
        """Return the medians over seeds and the slopes with their standard errors as text."""
        head = f"{'':<12}{'width':>7}" + "".join(f"{q.replace('_', ' '):>18}" for q in QUANTITIES)
        lines = [head]
        for name in self.config.parameterizations:
            for row in (r for r in self.rows if r.parameterization == name):
                values = "".join(f"{np.median(getattr(row, q)):>18.4f}" for q in QUANTITIES)
                lines.append(f"{name:<12}{row.width:>7}{values}")
            slopes = (self.slopes[name][q] for q in QUANTITIES)
            lines.append(
                f"{name:<12}{'slope':>7}"
                + "".join(f"{f'{s.exponent:+.2f} ± {s.standard_error:.2f}':>18}" for s in slopes)
            )
        return "\n".join(lines)


def width_sweep(
    data: Dataset, config: WidthsConfig, progress: Callable[[float, float, str], None] | None = None
) -> WidthSweep:
    r"""Train the same network at growing width in each parameterization.

    Parameters
    ----------
    data
        Training inputs and targets, and test inputs on which functions are compared.
    config
        Network, widths, seeds, steps.
    progress
        Called with (done, total, what); None for silence.

    Returns
    -------
    WidthSweep
        Movements, distances and their slopes.
    """
    rows: list[SweepRow] = []
    widths = sorted(set(config.widths))
    total = len(config.parameterizations) * len(widths)
    for i, name in enumerate(config.parameterizations):
        base = dataclasses.replace(config.architecture, parameterization=name).build(widths[0], data.y_train.shape[1])
        rate, reference, found = 0.0, np.zeros(()), []
        for j, width in enumerate(reversed(widths)):
            if progress is not None:
                progress(i * len(widths) + j, total, f"{name}, width {width}")
            lane = _lane(base.at_width(width), data, config, width)
            rate = rate or config.step / lane.largest_eigenvalue()
            run = lane.train(rate)
            reference = run.functions.mean(0) if j == 0 else reference
            found.append(_row(name, width, rate, run, reference))
        rows += reversed(found)
    if progress is not None:
        progress(total, total, "done")
    return WidthSweep(config, tuple(rows), {name: _slopes(rows, name) for name in config.parameterizations})


def _slopes(rows: list[SweepRow], name: str) -> dict[str, Slope]:
    mine = [row for row in rows if row.parameterization == name]
    slopes = {}
    for quantity in QUANTITIES:
        used = mine[:-1] if quantity == "distance" else mine
        slopes[quantity] = fit_slope([row.width for row in used], [getattr(row, quantity) for row in used])
    return slopes


def _row(name: str, width: int, rate: float, run: _Run, reference: np.ndarray) -> SweepRow:
    return SweepRow(
        parameterization=name,
        width=width,
        learning_rate=rate,
        distance=np.sqrt(np.mean((run.functions - reference) ** 2, axis=(1, 2, 3))),
        kernel_movement=_relative(run.kernel_after, run.kernel),
        feature_movement=_relative(run.features[:, 2], run.features[:, 0]),
        first_step=_relative(run.features[:, 1], run.features[:, 0]),
        train_loss=run.losses[:, -1] / run.losses[:, 0],
    )


def _relative(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    axes = tuple(range(1, before.ndim))
    return np.sqrt(np.sum((after - before) ** 2, axis=axes) / np.sum(before**2, axis=axes))


@dataclasses.dataclass(frozen=True)
class _Run:
    # Of every seed: functions at all steps on the test inputs (s, t, m, o), kernels before and after (s, n, n), the
    # last hidden layer before, after one step and at the end (s, 3, n, width), losses (s, t).
    functions: np.ndarray
    kernel: np.ndarray
    kernel_after: np.ndarray
    features: np.ndarray
    losses: np.ndarray


@dataclasses.dataclass(frozen=True)
class _Lane:
    # One network, its data and its seeds.
    net: Serial
    x: Array
    y: Array
    x_test: Array
    keys: Key
    steps: int

    def largest_eigenvalue(self) -> float:
        kernels = [_kernel(self.net, self.net.init(key, self.x.shape[1:]), self.x) for key in self.keys]
        return float(np.linalg.eigvalsh(np.mean(kernels, 0))[-1])

    def train(self, rate: float) -> _Run:
        parts = []
        for key in self.keys:
            start = self.net.init(key, self.x.shape[1:])
            functions, losses, first, end = _train(self.net, start, (self.x, self.y, self.x_test), rate, self.steps)
            features = np.stack([np.asarray(_features(self.net, p, self.x)) for p in (start, first, end)])
            kernels = [_kernel(self.net, p, self.x) for p in (start, end)]
            parts.append([np.asarray(functions, np.float64), *kernels, features.astype(np.float64), np.asarray(losses)])
        return _Run(*(np.stack(column) for column in zip(*parts, strict=True)))


def _lane(net: Any, data: Dataset, config: WidthsConfig, width: int) -> _Lane:
    key = jax.random.fold_in(jax.random.key(config.seed), width)
    x, y, x_test = (jnp.asarray(a, float) for a in (data.x_train, data.y_train, data.x_test))
    return _Lane(net, x, y, x_test, jax.random.split(key, config.seeds), config.steps)


@eqx.filter_jit
def _train(
    net: Serial, start: Params, data: tuple[Array, Array, Array], rate: Any, steps: int
) -> tuple[Array, Array, Params, Params]:
    x, y, x_test = data
    rates, initial, initial_test = net.learning_rates(start), net.apply(start, x), net.apply(start, x_test)

    def loss(params: Params) -> Array:
        return LOSS.value(net.apply(params, x) - initial, y)

    def step(params: Params, _: None) -> tuple[Params, tuple[Array, Array]]:
        value, gradient = jax.value_and_grad(loss)(params)
        moved = jax.tree.map(lambda p, factor, g: p - rate * factor * g, params, rates, gradient)
        return moved, (net.apply(moved, x_test) - initial_test, value)

    first, (f1, l1) = step(start, None)
    end, (functions, losses) = jax.lax.scan(step, first, None, length=steps - 1)
    functions = jnp.concatenate([f1[None], functions])
    return functions, jnp.concatenate([l1[None], losses, loss(end)[None]]), first, end


@eqx.filter_jit
def _features(net: Serial, params: Params, x: Array) -> Array:
    # What the readout sees. Layers keep the roles they have in the whole network.
    def one(x: Array) -> Array:
        for layer, p in zip(net.layers[:-1], params[:-1], strict=True):
            x = layer.forward(p, x)
        return x

    return jax.vmap(one)(x)


def _kernel(net: Serial, params: Params, x: Array) -> np.ndarray:
    # The kernel of gradient descent with learning rates r is that of f(r^(1/2) u) in u = r^(-1/2) params.
    rates = net.learning_rates(params)
    if all(factor == 1 for factor in jax.tree.leaves(rates)):
        return np.asarray(EmpiricalNTK(net.apply, params)(x), np.float64)
    roots = jax.tree.map(lambda factor: factor**0.5, rates)

    def scaled(u: Params, x: Array) -> Array:
        return net.apply(jax.tree.map(lambda root, leaf: root * leaf, roots, u), x)

    u = jax.tree.map(lambda root, leaf: leaf / root, roots, params)
    return np.asarray(EmpiricalNTK(scaled, u)(x), np.float64)
