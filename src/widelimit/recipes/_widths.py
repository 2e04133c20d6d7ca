r"""One network at growing width in several parameterizations: what converges, and what stops moving.

Every network trains as :math:`g(x) = f(x;\theta) - f(x;\theta_0)`, so that a width that is large enough gives one
deterministic learning curve in function space, in a kernel limit and in one that learns features alike; without the
difference, the random initial function of the NTK parameterization would hide the convergence. Then

- *distance*: root mean square over steps and test inputs of :math:`g_n - \bar g_N`, where :math:`\bar g_N` is the mean
  over seeds at the largest width; it falls as :math:`n^{-1/2}` where function-space dynamics converge. The error of a
  reference from S seeds adds a share of about :math:`n/(NS)` to the squared distance at width n, 1/128 at half the
  largest width with 64 seeds. The largest width itself has no distance to fit, only the spread of its seeds;
- *kernel movement* :math:`\|\Theta_T - \Theta_0\|/\|\Theta_0\|`, learning rates of the layers included;
- *feature movement* :math:`\|h_T - h_0\|/\|h_0\|` of the last hidden layer, and the same after one step:
  :math:`n^{-r}` in theory (Yang & Hu 2021, arXiv 2011.14522, section 3).

Seeds differ by tens of percent in distance and in kernel movement, so a power of the width needs many: its standard
error falls with the square root of their number, and seeds of a width train together in one compiled function.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
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
from ..empirical import StructuredDerivatives, Trace
from ..kernels import EmpiricalNTK
from ._architecture import Architecture
from ._data import Dataset

LOSS: AbstractSquaredLoss = SumOfSquares()

# Of all seeds that train at the same time; training holds about five copies.
PARAMETERS_AT_ONCE = 2**24

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
        Networks per width. Five tell feature movement from none; a slope of the distance with a standard error of
        0.05 takes about 50.
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
    seeds: int = 16
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
    x, y, x_test = (jnp.asarray(a, float) for a in (data.x_train, data.y_train, data.x_test))
    widths = sorted(set(config.widths))
    total = len(config.parameterizations) * len(widths)
    for i, name in enumerate(config.parameterizations):
        base = dataclasses.replace(config.architecture, parameterization=name).build(widths[0], data.y_train.shape[1])
        rate, reference, found = 0.0, np.zeros(()), []
        for j, width in enumerate(reversed(widths)):
            if progress is not None:
                progress(i * len(widths) + j, total, f"{name}, width {width}")
            net: Any = base.at_width(width)
            lane = _Lane(net, x, y, x_test, config.steps)
            keys = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), width), config.seeds)
            rate = rate or config.step / lane.largest_eigenvalue(keys)
            run = lane.run(keys, rate)
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
        distance=np.sqrt(np.mean((run.functions - reference)[:, 1:] ** 2, axis=(1, 2, 3))),
        kernel_movement=_relative(run.kernels[:, 1], run.kernels[:, 0]),
        feature_movement=_relative(run.features[:, 2], run.features[:, 0]),
        first_step=_relative(run.features[:, 1], run.features[:, 0]),
        train_loss=run.losses[:, -1] / run.losses[:, 0],
    )


def _relative(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    axes = tuple(range(1, before.ndim))
    return np.sqrt(np.sum((after - before) ** 2, axis=axes) / np.sum(before**2, axis=axes))


@dataclasses.dataclass(frozen=True)
class _Run:
    # Of every seed s: functions on the test inputs after 0, 1, ... steps (s, t, m, o), losses (s, t), the last hidden
    # layer before, after one step and at the end (s, 3, n, width), kernels before and after (s, 2, n, n).
    functions: np.ndarray
    losses: np.ndarray
    features: np.ndarray
    kernels: np.ndarray


class _Lane(eqx.Module):
    # One network and its data.
    net: Serial
    x: Array
    y: Array
    x_test: Array
    steps: int

    def init(self, keys: Key) -> Iterator[Params]:
        # Batches of seeds that fit into memory, all of one length. Seed by seed and outside of jit: compiling random
        # numbers takes longer than compiling the training, and is so shared by all parameterizations of one width.
        shape = self.x.shape[1:]
        one = jax.eval_shape(lambda key: self.net.init(key, shape), keys[0])
        size = sum(leaf.size for leaf in jax.tree.leaves(one))
        least = min(-(-len(keys) * size // PARAMETERS_AT_ONCE), len(keys))
        batches = next(b for b in range(least, len(keys) + 1) if len(keys) % b == 0)
        for part in np.split(np.arange(len(keys)), batches):
            yield jax.tree.map(lambda *leaves: jnp.stack(leaves), *(self.net.init(keys[i], shape) for i in part))

    def largest_eigenvalue(self, keys: Key) -> float:
        kernels = np.concatenate([np.asarray(_kernels(self, params), np.float64) for params in self.init(keys)])
        return float(np.linalg.eigvalsh(kernels.mean(0))[-1])

    def run(self, keys: Key, rate: float) -> _Run:
        parts = [[np.asarray(a, np.float64) for a in _train(self, params, rate)] for params in self.init(keys)]
        return _Run(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def kernel(self, params: Params) -> Array:
        rates = self.net.learning_rates(params)
        return EmpiricalNTK(self.net.apply, params, Trace(), StructuredDerivatives(), rates).block(self.x)

    def outputs(self, params: Params, x: Array) -> tuple[Array, Array]:
        # And what the readout sees. Layers keep the roles they have in the whole network.
        def one(x: Array) -> tuple[Array, Array]:
            for layer, p in zip(self.net.layers[:-1], params[:-1], strict=True):
                x = layer(p, x)
            return self.net.layers[-1](params[-1], x), x

        return jax.vmap(one)(x)

    def train(self, start: Params, rate: Any) -> tuple[Array, Array, Array, Array]:
        n, both, rates = len(self.x), jnp.concatenate([self.x, self.x_test]), self.net.learning_rates(start)
        f0, h0 = self.outputs(start, both)

        def loss(params: Params) -> tuple[Array, tuple[Array, Array]]:
            f, h = self.outputs(params, both)
            return LOSS.value(f[:n] - f0[:n], self.y), (f[n:] - f0[n:], h[:n])

        def step(carry: tuple[Params, Array], i: Array) -> tuple[tuple[Params, Array], tuple[Array, Array]]:
            params, kept = carry
            (value, (f, h)), gradient = jax.value_and_grad(loss, has_aux=True)(params)
            # The last round only looks at where training has ended.
            now = jnp.where(i < self.steps, rate, 0.0)
            moved = jax.tree.map(lambda p, factor, g: p - now * factor * g, params, rates, gradient)
            return (moved, kept.at[jnp.minimum(i, 2)].set(h).at[2].set(h)), (f, value)

        carry = start, jnp.broadcast_to(h0[:n], (3, n, *h0.shape[1:]))
        (end, kept), (functions, losses) = jax.lax.scan(step, carry, jnp.arange(self.steps + 1))
        ends = jax.tree.map(lambda *leaves: jnp.stack(leaves), start, end)
        return functions, losses, kept, jax.vmap(self.kernel)(ends)


@eqx.filter_jit
def _kernels(lane: _Lane, params: Params) -> Array:
    return jax.vmap(lane.kernel)(params)


@eqx.filter_jit
def _train(lane: _Lane, params: Params, rate: Any) -> tuple[Array, Array, Array, Array]:
    return jax.vmap(lambda start: lane.train(start, rate))(params)
