r"""Without biases a ReLU network on numbers has a kernel of rank 2, however wide it is.

For :math:`f(x) = \sum_i v_i\,[w_i x + b_i]_+/\sqrt n` with all :math:`b_i = 0` every gradient is a combination of
:math:`[x]_+` and :math:`[-x]_+`, so that what can be learnt are two half-lines; with one bias for each neuron the rank
is full and the error falls. Both are kernel ridge regressions on :math:`\sin 3x`, with the kernel of the network and
with that of its limit.
"""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from ...arch import Dense, Relu, Serial, serial
from ...dynamics import network_flow
from ...kernels import NTK, AbstractKernel
from .._descent import Descent, descent
from .._exhibit import Axis, Curves, Exhibit, Number, Series
from ._common import Progress, plain, tell, within

ZERO = 1e-6


@dataclasses.dataclass(frozen=True)
class Config:
    """Widths, training points on [-1, 1], the ridge, and the scale of the biases where there are any."""

    widths: tuple[int, ...] = (64, 512, 4096)
    points: int = 40
    ridge: float = 1e-3
    bias_std: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        within("points", self.points, 4, 80)
        within("ridge", self.ridge, 1e-6, 10)
        within("bias_std", self.bias_std, 0.01, 4)
        within("number of widths", len(self.widths), 1, 5)
        for width in self.widths:
            within("width", width, 8, 16384)


@dataclasses.dataclass(frozen=True)
class _Fit:
    prediction: np.ndarray
    error: float
    eigenvalues: np.ndarray

    @property
    def rank(self) -> int:
        return int(np.sum(self.eigenvalues > ZERO * self.eigenvalues[0]))


def run(config: Config, progress: Progress | None = None) -> Exhibit:
    """Fit sin 3x with and without biases at every width, and in the limit."""
    x, grid = np.linspace(-1, 1, config.points)[:, None], np.linspace(-1, 1, 201)[:, None]
    fits: dict[bool, dict[str, _Fit]] = {False: {}, True: {}}
    with jax.enable_x64(True):
        for i, width in enumerate(config.widths):
            for biased in (False, True):
                tell(progress, 2 * i + biased, 2 * len(config.widths), f"width {width}")
                model = descent(_network(width, biased, config), jax.random.key(config.seed), x, _target(x))
                fits[biased][f"{width}"] = _fit(model.kernel(), model, config.ridge, grid)
        for biased in (False, True):
            model = descent(_network(8, biased, config), jax.random.key(config.seed), x, _target(x))
            still = dataclasses.replace(model, start=jax.tree.map(lambda leaf: 0 * leaf, model.start))
            fits[biased]["∞"] = _fit(NTK(model.net), still, config.ridge, grid)
    tell(progress, 1, 1, "done")
    best = half_lines(x[:, 0], grid[:, 0])
    trap, free = fits[False], fits[True]
    numbers = []
    for width, fit in trap.items():
        numbers.append(Number(f"trap_{width}", f"error without biases, width {width}", fit.error, None, best, 1e-3))
        numbers.append(Number(f"rank_{width}", f"rank without biases, width {width}", float(fit.rank), None, 2.0, 0.0))
    numbers += [Number(f"free_{width}", f"error with biases, width {width}", fit.error) for width, fit in free.items()]
    first, last = (str(config.widths[i]) for i in (0, -1))
    sentence = (
        f"Without biases the kernel has rank 2 and the error is {trap[first].error:.3f} at width {first} and "
        f"{trap[last].error:.3f} at width {last}; with one bias for each neuron it is {free[first].error:.2g} and "
        f"{free[last].error:.2g}."
    )
    return Exhibit(
        "rank_two_trap",
        "The rank-2 trap",
        sentence,
        plain(config),
        [_functions(grid[:, 0], x[:, 0], fits, last), _spectra(fits, last), _errors(fits, config, best)],
        numbers,
        [
            f"Kernel ridge regression with ridge {config.ridge:g} from the function at the start; the limit starts at "
            "zero.",
            f"The rank counts eigenvalues above {ZERO:g} of the largest.",
        ],
    )


def half_lines(x: np.ndarray, grid: np.ndarray) -> float:
    """Return the mean squared error on the grid of the best two half-lines through the points (x, sin 3x)."""
    columns = [np.stack([np.maximum(a, 0), np.maximum(-a, 0)], 1) for a in (x, grid)]
    weights = np.linalg.lstsq(columns[0], _target(x), rcond=None)[0]
    return float(np.mean((columns[1] @ weights - _target(grid)) ** 2))


def _target(x: np.ndarray) -> np.ndarray:
    return np.sin(3 * np.ravel(x))


def _network(width: int, biased: bool, config: Config) -> Serial:
    return serial(Dense(width, 1.0, config.bias_std if biased else None), Relu(), Dense(1, 1.0, None))


def _fit(kernel: AbstractKernel, model: Descent, ridge: float, grid: np.ndarray) -> _Fit:
    flow = network_flow(kernel, model.x, model.y, model.initial, ridge=ridge)
    prediction = np.asarray(flow.at(np.inf, grid))[:, 0]
    eigenvalues = np.linalg.eigvalsh(np.asarray(kernel(model.x), np.float64))[::-1]
    return _Fit(prediction, float(np.mean((prediction - _target(grid)) ** 2)), eigenvalues)


def _functions(grid: np.ndarray, x: np.ndarray, fits: dict[bool, dict[str, _Fit]], width: str) -> Curves:
    trap, free = fits[False][width], fits[True][width]
    text = (
        f"Fits of sin 3x at width {width}: without biases two straight half-lines with mean squared error "
        f"{trap.error:.3f}, with biases a curve with {free.error:.2g}."
    )
    return Curves(
        f"Fits at width {width}",
        text,
        Axis("input x"),
        Axis("output f(x)"),
        [
            Series("target", "target", grid.tolist(), _target(grid).tolist(), mark="dashed"),
            Series("without biases", "neutral", grid.tolist(), trap.prediction.tolist()),
            Series("with biases", "finite", grid.tolist(), free.prediction.tolist()),
            Series("data", "data", x.tolist(), _target(x).tolist(), mark="points"),
        ],
    )


def _spectra(fits: dict[bool, dict[str, _Fit]], width: str) -> Curves:
    shown = 12
    order = [float(i + 1) for i in range(shown)]
    shares = {biased: fits[biased][width].eigenvalues[:shown] / fits[biased][width].eigenvalues[0] for biased in fits}
    third = max(float(shares[False][2]), 0.0)
    below = f"{third:.0e}" if third > 0 else "zero"
    return Curves(
        f"Eigenvalues at width {width}",
        f"Eigenvalues of the kernel as shares of the largest. Without biases the third is {below}, with biases "
        f"{shares[True][2]:.2g}; what is below {ZERO:g} is rounding and not drawn.",
        Axis("order of the eigenvalue"),
        Axis("share of the largest eigenvalue", "log"),
        [
            Series(name, role, order, [float(v) if v > ZERO else None for v in shares[biased]], mark="points")
            for biased, name, role in ((False, "without biases", "neutral"), (True, "with biases", "finite"))
        ],
    )


def _errors(fits: dict[bool, dict[str, _Fit]], config: Config, best: float) -> Curves:
    widths = [float(width) for width in config.widths]
    ends = [widths[0], widths[-1]]
    limit = fits[True]["∞"].error
    return Curves(
        "Error against width",
        f"Mean squared error over [-1, 1]. Without biases it is that of the best two half-lines, {best:.3f}, at every "
        f"width; with biases it goes to that of the limit, {limit:.2g}.",
        Axis("width", "log"),
        Axis("mean squared error", "log"),
        [
            Series("without biases", "neutral", widths, [fits[False][str(w)].error for w in config.widths]),
            Series("with biases", "finite", widths, [fits[True][str(w)].error for w in config.widths]),
            Series("limit, with biases", "infinite", ends, [limit, limit], mark="dashed"),
        ],
    )
