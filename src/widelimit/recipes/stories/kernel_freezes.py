r"""A wide network hardly changes its kernel: :math:`\Theta_t` beside :math:`\Theta_0` and :math:`\Theta_\infty`."""

from __future__ import annotations

import dataclasses

import numpy as np

from ...kernels import NTK
from .._descent import largest_step
from .._exhibit import Matrices, Matrix, Number
from ._setting import Setting
from ._story import Story


@dataclasses.dataclass(frozen=True)
class Config:
    """Widths, networks of each, and for how long they train."""

    widths: tuple[int, ...] = (16, 64, 256, 1024, 4096)
    seeds: int = 5
    steps: int = 300
    step: float = 0.5


def run(config: Config) -> Story:
    """Train networks of each width and compare the kernel before and after with the limit."""
    setting = Setting()
    labels = [f"{x:.2f}" for x in setting.x]
    steps, captions, numbers = [], [], []
    for width in config.widths:
        changes, off, first = [], [], None
        for seed in range(config.seeds):
            net = setting.network(width, seed)
            before = np.asarray(net.kernel()(net.x), np.float64)
            (end,) = net.at(config.step * largest_step(before), [config.steps])
            after = np.asarray(net.kernel(end)(net.x), np.float64)
            limit = np.asarray(NTK(net.net)(net.x), np.float64)
            changes.append(_relative(after, before))
            off.append(_relative(before, limit))
            first = (before, after, limit) if first is None else first
        assert first is not None
        names = ("Θ₀ at the start", "Θ after training", "Θ∞ of the limit")
        matrices = [
            Matrix(name, role, values.tolist())
            for name, role, values in zip(names, ("linear", "finite", "infinite"), first, strict=True)
        ]
        change, away = float(np.mean(changes)), float(np.mean(off))
        words = f"Width {width}: training moves the kernel by {change:.1%}; its start is {away:.1%} from the limit."
        steps.append([Matrices(f"Kernels at width {width}", words, labels, matrices)])
        captions.append(f"{words} (Means of {config.seeds} networks; the picture shows the first.)")
        numbers += [
            Number(f"change_{width}", f"movement of the kernel at width {width}", change),
            Number(f"off_{width}", f"distance of the kernel from its limit at width {width}", away),
        ]
    return Story("The kernel freezes", steps, captions, numbers)


def _relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))
