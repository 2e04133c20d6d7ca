r"""Gap to the linearisation and movement of the kernel against width, with the slopes that theory expects.

In the NTK parameterization both fall between :math:`n^{-1/2}` and :math:`n^{-1}` (Lee et al. 2019, arXiv 1902.06720,
theorem 2.1, bounds the gap by the first); where features are learnt they do not fall (Yang & Hu 2021, arXiv
2011.14522).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..._slope import Slope, fit_slope
from .._exhibit import Axis, Curves, Exhibit, Number, Role, Series
from ..live import Activation, LiveConfig, Parameterization, Target, measure
from ._common import Progress, plain, tell, within

WIDEST_DEEP = 256
QUANTITIES = (("gap", "gap to the linearisation"), ("kernel_change", "movement of the kernel"))


@dataclasses.dataclass(frozen=True)
class Config:
    """The network of every width, the widths, and how many networks of each train for how long."""

    depth: int = 1
    activation: Activation = "erf"
    parameterization: Parameterization = "ntk"
    weight_std: float = 0.8
    bias_std: float = 0.3
    target: Target = "sin3x"
    points: int = 8
    step: float = 0.9
    ridge: float = 0.0
    widths: tuple[int, ...] = (32, 64, 128, 256, 512, 1024)
    seeds: int = 4
    steps: int = 300

    def __post_init__(self) -> None:
        """Check the numbers."""
        within("seeds", self.seeds, 2, 8)
        within("depth", self.depth, 1, 3)
        within("steps", self.steps, 1, 2000)
        within("step", self.step, 0.01, 0.99)
        within("number of widths", len(self.widths), 3, 8)
        for width in self.widths:
            within("width", width, 8, 2048)
        if self.target == "own":
            raise ValueError("target is 'own'; the sweep takes one of the named functions.")


def run(config: Config, progress: Progress | None = None) -> Exhibit:
    """Train networks of every width and fit a power of the width to what is measured."""
    asked = config
    if config.depth > 1:
        config = dataclasses.replace(config, widths=tuple(width for width in config.widths if width <= WIDEST_DEEP))
    found: dict[str, list[list[float]]] = {key: [] for key, _ in QUANTITIES}
    for i, width in enumerate(config.widths):
        tell(progress, i, len(config.widths), f"width {width}")
        each = [measure(_state(config, width, seed), config.steps).frame.numbers for seed in range(config.seeds)]
        for key, _ in QUANTITIES:
            found[key].append([float(numbers[key] or np.nan) for numbers in each])
    tell(progress, 1, 1, "done")
    slopes = {key: fit_slope(config.widths, found[key]) for key, _ in QUANTITIES}
    panels = [_panel(config, key, name, found[key], slopes[key]) for key, name in QUANTITIES]
    numbers = [
        Number(
            key, f"power of the width, {name}", slopes[key].exponent, slopes[key].standard_error, _theory(config), 0.35
        )
        for key, name in QUANTITIES
    ]
    said = ", ".join(
        f"the {name} with power {slopes[key].exponent:+.2f} ± {slopes[key].standard_error:.2f}"
        for key, name in QUANTITIES
    )
    sentence = f"After {config.steps} steps, as powers of the width: {said}."
    notes = [
        f"Widths up to {max(config.widths)} and {config.seeds} seeds, so that it takes seconds; each point is "
        "one network.",
        "Theory gives an exponent between −1/2 and −1 for a kernel limit; the dashed line has −1/2."
        if _theory(config)
        else "This parameterization learns features: theory gives no fall with width.",
    ]
    return Exhibit(
        "width_sweep", "Width sweep", sentence[0].upper() + sentence[1:], plain(asked), panels, numbers, notes
    )


def _state(config: Config, width: int, seed: int) -> LiveConfig:
    return LiveConfig(
        width=width,
        depth=config.depth,
        activation=config.activation,
        parameterization=config.parameterization,
        weight_std=config.weight_std,
        bias_std=config.bias_std,
        target=config.target,
        points=config.points,
        step=config.step,
        ridge=config.ridge,
        seed=seed,
    )


def _theory(config: Config) -> float:
    return -0.75 if config.parameterization in ("ntk", "standard") else 0.0


def _panel(config: Config, key: str, name: str, values: list[list[float]], slope: Slope) -> Curves:
    widths = [float(width) for width in config.widths]
    means = [float(np.exp(np.mean(np.log(row)))) for row in values]
    cloud = [(width, value) for width, row in zip(widths, values, strict=True) for value in row]
    role: Role = "linear" if key == "gap" else "finite"
    series = [
        Series("one network each", role, [w for w, _ in cloud], [v for _, v in cloud], mark="points"),
        Series(f"mean, slope {slope.exponent:+.2f}", role, widths, means),
    ]
    power = -0.5 if _theory(config) else 0.0
    line = [means[0] * (width / widths[0]) ** power for width in widths]
    series.append(Series(f"theory, {power:+.1f}" if power else "theory, flat", "theory", widths, line, mark="dashed"))
    text = f"The {name} against width, both axes logarithmic: measured slope {slope.exponent:+.2f}."
    return Curves(name[0].upper() + name[1:], text, Axis("width", "log"), Axis(name, "log"), series)
