r"""Two moons: the infinite ensemble as a classifier, with its decision surface and where it is unsure.

Targets are ±1; mean m and deviation s of the ensemble trained for ever give the probability :math:`\Phi(m/s)`
of the class +1 over initialisations.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.special

from ...dynamics import infinite_ensemble
from .._architecture import Architecture
from .._exhibit import Axis, Exhibit, Number, Point, Surface
from ._common import Progress, plain, tell, within


@dataclasses.dataclass(frozen=True)
class Config:
    """Points of each moon, their noise, the network, the ridge, and how fine the surface is."""

    points: int = 30
    noise: float = 0.12
    depth: int = 3
    ridge: float = 0.01
    cells: int = 41
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        within("points", self.points, 3, 100)
        within("noise", self.noise, 0, 1)
        within("depth", self.depth, 1, 6)
        within("ridge", self.ridge, 0, 10)
        within("cells", self.cells, 5, 61)


def moons(points: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two interleaved half circles, (2·points, 2), with Gaussian noise, and their classes ±1."""
    rng = np.random.default_rng(seed)
    angle = np.pi * rng.random((2, points))
    upper = np.stack([np.cos(angle[0]), np.sin(angle[0])], 1)
    lower = np.stack([1 - np.cos(angle[1]), 0.5 - np.sin(angle[1])], 1)
    x = np.concatenate([upper, lower]) - [0.5, 0.25]
    return x + noise * rng.normal(size=x.shape), np.repeat([1.0, -1.0], points)


def run(config: Config, progress: Progress | None = None) -> Exhibit:
    """Train the infinite ensemble on two moons and look at it on a grid."""
    x, y = moons(config.points, config.noise, config.seed)
    test, labels = moons(300, config.noise, config.seed + 1)
    across, up = np.linspace(-2.2, 2.2, config.cells), np.linspace(-1.6, 1.6, config.cells)
    grid = np.stack(np.meshgrid(across, up), -1).reshape(-1, 2)
    net = Architecture(config.depth, "relu", 1.4, 0.3).build(64, 1)
    tell(progress, 0, 2, "the ensemble")
    flow = infinite_ensemble(net, x, y[:, None], ridge=config.ridge)
    tell(progress, 1, 2, "the surfaces")
    both = flow.at(np.inf, np.concatenate([grid, test]))
    mean, std = np.asarray(both.mean)[:, 0], np.asarray(both.std)[:, 0]
    cells = len(grid)
    right = float(np.mean(np.sign(mean[cells:]) == labels))
    probability = scipy.special.ndtr(mean[:cells] / np.maximum(std[:cells], 1e-12))
    points = [
        Point(float(a), float(b), "upper moon" if c > 0 else "lower moon") for (a, b), c in zip(x, y, strict=True)
    ]

    def surface(title: str, text: str, value: str, values: np.ndarray) -> Surface:
        table = values.reshape(config.cells, config.cells).tolist()
        return Surface(title, text, Axis("x₁"), Axis("x₂"), value, across.tolist(), up.tolist(), table, points)

    panels = [
        surface(
            "Probability of the upper moon",
            f"Where trained networks see the upper moon; {right:.1%} of 600 new points are classified right.",
            "probability",
            probability,
        ),
        surface(
            "Standard deviation over initialisations",
            "Where trained networks disagree: far from the data and along the border.",
            "standard deviation",
            std[:cells],
        ),
    ]
    near = float(np.mean(std[cells:]))
    far = float(np.mean(std[:cells][np.linalg.norm(grid, axis=1) > 2]))
    numbers = [
        Number("right", "share of new points classified right", right),
        Number("near", "mean deviation at new points of the moons", near),
        Number("far", "mean deviation far from them", far),
    ]
    tell(progress, 2, 2, "done")
    sentence = (
        f"The infinite ensemble classifies {right:.1%} of new points right, and is {far / near:.1f} "
        "times less sure far from the data."
    )
    notes = [
        "Regression to ±1 with a ridge, in closed form; the probability is over initialisations, not calibrated "
        "on data."
    ]
    return Exhibit("two_moons", "Two moons", sentence, plain(config), panels, numbers, notes)
