r"""With a constant kernel every mode of the residual decays exponentially, :math:`r_i(t) = e^{-\lambda_i t} r_i(0)`."""

from __future__ import annotations

import dataclasses

import numpy as np

from ...kernels import NTK
from .._descent import largest_step
from .._exhibit import Axis, Curves, Number, Series
from ._setting import INPUT, Setting, percent, span
from ._story import Story


@dataclasses.dataclass(frozen=True)
class Config:
    """Width and seed of the network, modes shown, and the numbers of steps at which one looks."""

    width: int = 4096
    seed: int = 0
    modes: int = 4
    step: float = 0.2
    steps: tuple[int, ...] = (0, 3, 10, 30, 100, 300)


def run(config: Config) -> Story:
    """Train a wide network and follow its residual along the eigenvectors of the limiting kernel."""
    setting = Setting()
    net = setting.network(config.width, config.seed)
    limit = np.asarray(NTK(net.net)(net.x), np.float64)
    values, vectors = np.linalg.eigh((limit + limit.T) / 2)
    values, vectors = values[::-1][: config.modes], vectors[:, ::-1][:, : config.modes]
    rate = config.step * largest_step(limit)
    every = sorted({*config.steps, *np.unique(np.geomspace(1, config.steps[-1], 40).astype(int)).tolist()})
    path = dict(zip(every, net.at(rate, every), strict=True))
    size = {k: np.abs(vectors.T @ (net.outputs(p, net.x) - setting.y)) for k, p in path.items()}
    functions = {k: net.outputs(path[k], setting.inputs) for k in config.steps}
    ends = span(*functions.values(), setting.y)
    low = 0.5 * min(float(np.min(size[k])) for k in every)
    high = 2 * max(float(np.max(size[k])) for k in every)
    steps, captions, numbers = [], [], []
    for step in config.steps:
        seen = [k for k in every if k <= step]
        modes = [
            series
            for i in range(config.modes)
            for series in (
                Series(f"mode {i + 1}", "finite", [float(k) for k in seen], [float(size[k][i]) for k in seen]),
                Series(
                    f"limit {i + 1}",
                    "infinite",
                    [float(k) for k in every],
                    [_above(float(size[0][i] * (1 - rate * values[i]) ** k), low) for k in every],
                    mark="dashed",
                ),
            )
        ]
        decay = Curves(
            "Residual along each mode",
            "Residuals along eigenvectors of the kernel against steps, on a logarithmic axis; dashed, what the "
            "limit says.",
            Axis("gradient steps", low=0.0, high=float(config.steps[-1])),
            Axis("size of the residual", "log", low=low, high=high),
            modes,
        )
        function = Curves(
            "The function",
            f"The network after {step} steps, and the training points.",
            INPUT,
            Axis("output f(x)", low=ends[0], high=ends[1]),
            [setting.curve("network", "finite", functions[step]), setting.data()],
        )
        steps.append([function, decay])
        left = ", ".join(f"{_left(size[step][i] / size[0][i])} of mode {i + 1}" for i in range(config.modes))
        captions.append(f"After {step} steps there is left: {left}.")
        numbers += [
            Number(
                f"left_{i + 1}_{step}",
                f"share of mode {i + 1} left after {step} steps",
                float(size[step][i] / size[0][i]),
            )
            for i in range(config.modes)
        ]
    return Story("Modes decay exponentially", steps, captions, numbers)


def _left(share: float) -> str:
    return "all" if share > 0.995 else percent(share)


def _above(value: float, low: float) -> float | None:
    return value if value >= low else None
