r"""The kernel on the unit circle at the start and after training, for a narrow and a wide network.

The experiment of Jacot et al. 2018 (arXiv 1806.07572, figure 1): :math:`\Theta(x_0, x(\gamma))` for several
initialisations, with :math:`x_0 = (1, 0)`, before and after training on a few points, beside :math:`\Theta_\infty`.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from ...kernels import NTK
from .._architecture import Architecture
from .._descent import descent, largest_step
from .._exhibit import Axis, Curves, Exhibit, Number, Role, Series
from ._common import Progress, plain, tell, within

ASKED = (500, 10000)


@dataclasses.dataclass(frozen=True)
class Config:
    """Widths of the two hidden layers, initialisations of each, training steps, and angles at which one looks."""

    widths: tuple[int, ...] = (500, 2000)
    seeds: int = 4
    steps: int = 200
    angles: int = 41

    def __post_init__(self) -> None:
        """Check the numbers."""
        within("seeds", self.seeds, 1, 8)
        within("steps", self.steps, 1, 1000)
        within("angles", self.angles, 5, 201)
        for width in self.widths:
            within("width", width, 8, 2000)


def run(config: Config, progress: Progress | None = None) -> Exhibit:
    """Compare kernels on the circle before and after training on f(x) = x₁ x₂ at four points."""
    gamma = np.linspace(-np.pi, np.pi, config.angles)
    circle = np.stack([np.cos(gamma), np.sin(gamma)], 1).astype(np.float32)
    at = np.array([-2.2, -0.9, 0.6, 1.9])
    x = np.stack([np.cos(at), np.sin(at)], 1).astype(np.float32)
    origin = np.array([[1.0, 0.0]], np.float32)
    panels, numbers, said = [], [], []
    for i, width in enumerate(config.widths):
        net = Architecture(2, "relu", float(np.sqrt(2)), 0.1).build(width, 1)
        limit = np.asarray(NTK(net)(origin, circle), np.float64)[0]
        before, after = [], []
        for seed in range(config.seeds):
            tell(
                progress,
                i * config.seeds + seed,
                len(config.widths) * config.seeds,
                f"width {width}, network {seed + 1}",
            )
            model = descent(net, jax.random.key(seed), jnp.asarray(x), x[:, 0] * x[:, 1])
            (end,) = model.at(0.9 * largest_step(model.kernel()(model.x)), [config.steps])
            before.append(np.asarray(model.kernel()(origin, circle), np.float64)[0])
            after.append(np.asarray(model.kernel(end)(origin, circle), np.float64)[0])
        moved = float(np.mean([np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in zip(before, after, strict=True)]))
        spread = float(np.mean(np.std(before, 0)) / np.mean(np.abs(limit)))
        panels.append(_panel(width, gamma, before, after, limit, moved))
        numbers.append(Number(f"moved_{width}", f"movement of the kernel in training, width {width}", moved))
        numbers.append(Number(f"spread_{width}", f"spread over initialisations, width {width}", spread))
        said.append(
            f"at width {width} training moves the kernel by {moved:.1%} and initialisations differ by {spread:.1%}"
        )
    tell(progress, 1, 1, "done")
    sentence = f"{'; '.join(said)}."
    notes = [
        f"The paper shows widths {ASKED[0]} and {ASKED[1]}; here the widest is {max(config.widths)}: two layers of "
        f"{ASKED[1]} units have a hundred million parameters, which takes minutes and gigabytes."
    ]
    return Exhibit(
        "unit_circle",
        "The kernel on the unit circle",
        sentence[0].upper() + sentence[1:],
        plain(config),
        panels,
        numbers,
        notes,
    )


def _panel(width: int, gamma: np.ndarray, before: list, after: list, limit: np.ndarray, moved: float) -> Curves:
    angles = gamma.tolist()
    # Thin lines of the trained networks on the lines of their starts: where they hardly move, both are seen.
    kinds: list[tuple[str, Role, list, bool]] = [("start", "linear", before, False), ("trained", "finite", after, True)]
    series = [
        Series(f"{name} {i + 1}", role, angles, kernel.tolist(), thin=thin, label="" if i else name)
        for name, role, kernels, thin in kinds
        for i, kernel in enumerate(kernels)
    ]
    series.append(Series("limit", "infinite", angles, limit.tolist(), mark="dashed"))
    text = (
        f"Kernel of (1, 0) with the point at angle γ: {len(before)} networks at the start and after "
        f"training, and the limit. It moved by {moved:.1%}."
    )
    return Curves(f"Width {width}", text, Axis("angle γ"), Axis("Θ(x₀, x(γ))"), series)
