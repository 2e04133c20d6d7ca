r"""Steps beyond 2/λ: the loss rises, the kernel falls, and training settles where it is flatter; or it does not.

The model of Lewkowycz et al. 2020 (arXiv 2003.02218, section 2): a linear network with one hidden layer,
:math:`f = v\cdot u\,x/\sqrt n`, one training point, target zero. With the kernel :math:`\lambda = (|u|^2+|v|^2)x^2/n`,
gradient descent is exactly

.. math:: f_{t+1} = f_t\,(1 - \eta\lambda_t + \eta^2 f_t^2 x^2/n),\qquad
          \lambda_{t+1} = \lambda_t + \frac{\eta f_t^2 x^2}{n}\,(\eta\lambda_t - 4).

For :math:`\eta\lambda_0 < 2` the loss falls and the kernel stays (up to 1/n); between 2 and 4 the loss first grows to
the order of the width, the kernel falls below :math:`2/\eta`, and the loss then falls; beyond 4 both grow for
ever.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import jax
import numpy as np

from ...arch import Dense, Identity, serial
from .._descent import Descent, descent
from .._exhibit import Axis, Curves, Exhibit, Number, Series
from ._common import Progress, plain, tell, within

LARGEST_LOSS = 1e9
SMALLEST_LOSS = 1e-12
HIGHEST = 8.0


@dataclasses.dataclass(frozen=True)
class Config:
    """Width, step sizes times the kernel at the start, and how many steps."""

    width: int = 1024
    steps_times_kernel: tuple[float, ...] = (1.5, 2.5, 3.5, 4.5)
    steps: int = 40
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        within("width", self.width, 8, 16384)
        within("steps", self.steps, 10, 300)
        within("number of step sizes", len(self.steps_times_kernel), 1, 5)
        for share in self.steps_times_kernel:
            within("step size times kernel", share, 0.1, 6)


@dataclasses.dataclass(frozen=True)
class _Path:
    # Losses, kernels over the one at the start, and step size times kernel, before each step that stays in bounds.
    loss: list[float]
    kernel: list[float]
    sharpness: list[float]
    diverged: bool


def run(config: Config, progress: Progress | None = None) -> Exhibit:
    """Train the same linear network with steps below, within and beyond the catapult's band."""
    net = serial(Dense(config.width, 1.0, None), Identity(), Dense(1, 1.0, None))
    model = descent(net, jax.random.key(config.seed), np.ones(1), np.zeros(1))
    paths = {}
    for i, share in enumerate(config.steps_times_kernel):
        tell(progress, i, len(config.steps_times_kernel), f"step size {share:g} over the kernel")
        paths[share] = _path(model, share, config.steps)
    tell(progress, 1, 1, "done")
    numbers = []
    for share, path in paths.items():
        name = f"step size times kernel {share:g}"
        # Below 2 the kernel moves by a few times 1/n.
        still, near = (1.0, 20 / config.width) if share < 2 else (None, None)
        numbers.append(
            Number(f"kernel_{share:g}", f"last kernel over the first, {name}", path.kernel[-1], None, still, near)
        )
        numbers.append(Number(f"peak_{share:g}", f"largest loss over the first, {name}", max(path.loss) / path.loss[0]))
    said = "; ".join(_said(share, path) for share, path in paths.items())
    panels = [_losses(paths), _sharpness(paths)]
    return Exhibit(
        "catapult",
        "The catapult",
        f"With step size times kernel {said}.",
        plain(config),
        panels,
        numbers,
        [
            "A linear network with one hidden layer on one point with target zero, where the band 2 to 4 is derived; "
            "for other networks its upper end differs.",
            f"A run ends before its loss exceeds {LARGEST_LOSS:.0e}, so that nothing overflows.",
        ],
    )


def _path(model: Descent, share: float, steps: int) -> _Path:
    first = _kernel(model, model.start)
    rate, params = share / first, model.start
    loss, kernel, diverged = [model.loss(params)], [first], False
    while len(loss) <= steps and not diverged:
        params = dataclasses.replace(model, start=params).at(rate, [1])[0]
        diverged = not model.loss(params) <= LARGEST_LOSS
        if not diverged:
            loss.append(model.loss(params))
            kernel.append(_kernel(model, params))
    return _Path(loss, [k / first for k in kernel], [rate * k for k in kernel], diverged)


def _kernel(model: Descent, params: object) -> float:
    return float(np.asarray(model.kernel(params)(model.x))[0, 0])


def _said(share: float, path: _Path) -> str:
    if path.diverged:
        return f"{share:g} the loss passes {LARGEST_LOSS:.0e} after {len(path.loss)} steps"
    if max(path.loss) > path.loss[0]:
        return (
            f"{share:g} the loss first grows {max(path.loss) / path.loss[0]:.3g}-fold, and the kernel ends at "
            f"{path.kernel[-1]:.2f} of its start"
        )
    return f"{share:g} the loss falls and the kernel ends at {path.kernel[-1]:.3f} of its start"


def _last(values: Sequence[float | None]) -> int:
    return max(step for step, value in enumerate(values) if value is not None)


def _named_at(values: Sequence[float | None]) -> float:
    # At the top of what is drawn, where the curves are apart; within one that does not rise.
    top = max((value, step) for step, value in enumerate(values) if value is not None)[1]
    return float(top or 0.6 * _last(values))


def _losses(paths: dict[float, _Path]) -> Curves:
    series = [_series(share, path.loss, SMALLEST_LOSS, LARGEST_LOSS) for share, path in paths.items()]
    drawn = [dataclasses.replace(one, label_at=_named_at(one.y)) for one in series]
    ends = "; ".join(f"ηλ₀ = {share:g}: {path.loss[0]:.2g} to {path.loss[-1]:.2g}" for share, path in paths.items())
    return Curves(
        "Loss",
        f"Loss over gradient steps, first to last. {ends}.",
        Axis("gradient steps", low=0.0, high=float(max(one.x[_last(one.y)] for one in drawn))),
        Axis("loss", "log"),
        drawn,
    )


def _sharpness(paths: dict[float, _Path]) -> Curves:
    ends = "; ".join(f"{share:g} to {path.sharpness[-1]:.3g}" for share, path in paths.items())
    last = float(max(len(path.loss) for path in paths.values()) - 1)
    limits = [
        Series(f"{name}, {limit:g}", "theory", [0.0, last], [limit, limit], mark="dashed")
        for name, limit in (("stable", 2.0), ("survives", 4.0))
    ]
    return Curves(
        "Step size times kernel",
        f"Step size times kernel over gradient steps, first to last: {ends}. Training settles once it is below 2; "
        f"values above {HIGHEST:g} are not drawn.",
        Axis("gradient steps"),
        Axis("ηλ"),
        [*(_series(share, path.sharpness, 0.0, HIGHEST) for share, path in paths.items()), *limits],
    )


def _series(share: float, values: list[float], low: float, high: float) -> Series:
    steps = [float(step) for step in range(len(values))]
    seen = [v if low <= v <= high else None for v in values]
    mark: Literal["line", "dashed"] = "dashed" if share > 4 else "line"
    return Series(f"ηλ₀ = {share:g}", "finite", steps, seen, mark=mark, label_at=0.0)
