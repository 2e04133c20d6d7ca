r"""Low frequencies first: how long gradient descent takes for each Fourier mode, beside the eigenvalue of the kernel.

On equally spaced points of the circle the NTK is a circulant matrix: its eigenvectors are Fourier modes, and mode k
is learnt in about :math:`1/(\eta\lambda_k)` steps (for networks beyond the limit
see Rahaman et al. 2019, arXiv 1806.08734).
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from ...kernels import NTK
from .._architecture import Architecture
from .._descent import descent, largest_step
from .._exhibit import Axis, Curves, Exhibit, Number, Series
from ._common import Progress, plain, tell, within


@dataclasses.dataclass(frozen=True)
class Config:
    """Width and depth of the network, points on the circle, frequencies, and steps."""

    width: int = 1024
    depth: int = 2
    points: int = 32
    frequencies: tuple[int, ...] = (1, 2, 3, 5)
    steps: int = 3000
    step: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        within("width", self.width, 8, 1024)
        within("depth", self.depth, 1, 4)
        within("points", self.points, 8, 64)
        within("steps", self.steps, 10, 10000)
        within("highest frequency", max(self.frequencies), 1, self.points // 2 - 1)


def run(config: Config, progress: Progress | None = None) -> Exhibit:
    """Train a network on a sum of frequencies on the circle and follow each of them."""
    angle = 2 * np.pi * np.arange(config.points) / config.points
    x = np.stack([np.cos(angle), np.sin(angle)], 1) * np.sqrt(2)
    modes = {k: np.sqrt(2 / config.points) * np.cos(k * angle) for k in config.frequencies}
    y = sum(modes.values())
    net = Architecture(config.depth, "relu", 1.5, 0.3).build(config.width, 1)
    tell(progress, 0, 2, "the kernel of the limit")
    theta = np.asarray(NTK(net)(x), np.float64)
    rate = config.step * largest_step(theta)
    values = {k: float(v @ theta @ v) for k, v in modes.items()}
    off = max(float(np.linalg.norm(theta @ v - values[k] * v) / values[k]) for k, v in modes.items())
    tell(progress, 1, 2, "training")
    every = [0, *np.unique(np.geomspace(1, config.steps, 60).astype(int)).tolist()]
    with jax.enable_x64(False):
        model = descent(net, jax.random.key(config.seed), jnp.asarray(x, jnp.float32), y)
        path = [model.outputs(params, model.x) for params in model.at(rate, every)]
    series, numbers, times = [], [], []
    start = {k: float(v @ (path[0] - y)) for k, v in modes.items()}
    for k, v in modes.items():
        left = [abs(float(v @ (f - y))) / abs(start[k]) for f in path]
        expected = [float(abs(1 - rate * values[k]) ** step) for step in every]
        half = next((step for step, share in zip(every, left, strict=True) if share < 0.5), None)
        numbers.append(Number(f"eigenvalue_{k}", f"eigenvalue of frequency {k}", values[k]))
        numbers.append(
            Number(f"half_{k}", f"steps until half of frequency {k} is learnt", None if half is None else float(half))
        )
        # Named where each stands at a half: all of them end at zero.
        place = float(half or 1)
        time = [float(s) + 1 for s in every]
        label = "" if series else "limit"
        series.append(Series(f"limit, {k}", "infinite", time, expected, mark="dashed", thin=True, label=label))
        series.append(Series(f"frequency {k}", "finite", time, left, label_at=place))
        times.append(f"{k} after {half} steps" if half is not None else f"{k} not within {config.steps} steps")
    numbers.append(Number("fourier", "how far Fourier modes are from eigenvectors, relative", off, None, 0.0, 1e-3))
    panel = Curves(
        "Share of each frequency that is left",
        f"Half of frequency {'; '.join(times)}. Dashed: what the kernel of the limit says.",
        Axis("gradient steps + 1", "log"),
        Axis("share left"),
        series,
    )
    tell(progress, 2, 2, "done")
    sentence = f"Low frequencies are learnt first: half of frequency {'; '.join(times)}."
    notes = ["Points on the circle, ReLU with biases; the largest width here is 1024, so that it takes seconds."]
    return Exhibit("spectral_bias", "Spectral bias", sentence, plain(config), [panel], numbers, notes)
