r"""Many trained networks against the mean and the band of the infinite ensemble (Lee et al. 2019, arXiv 1902.06720).

The share of outputs within two standard deviations is compared with that of equally many draws from the limit, whose
outputs at neighbouring inputs go together as those of networks do.
"""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from ...dynamics import GradientDescent, infinite_ensemble
from ...kernels import NTK
from .._architecture import Architecture
from .._descent import descent, largest_step
from .._exhibit import Axis, Curves, Exhibit, Number, Series
from .._statistics import band_coverage
from ._common import Progress, plain, tell, within


@dataclasses.dataclass(frozen=True)
class Config:
    """Width of the networks, how many there are, training, and the scales of weights and biases."""

    width: int = 2048
    networks: int = 40
    points: int = 4
    steps: int = 100
    step: float = 0.5
    weight_std: float = 1.5
    bias_std: float = 0.3

    def __post_init__(self) -> None:
        """Check the numbers."""
        within("width", self.width, 8, 8192)
        within("networks", self.networks, 5, 100)
        within("points", self.points, 2, 20)
        within("steps", self.steps, 1, 3000)


def run(config: Config, progress: Progress | None = None) -> Exhibit:
    """Train networks from different starts and compare them with the closed form."""
    x, grid = np.linspace(-1, 1, config.points)[:, None], np.linspace(-1.5, 1.5, 61)[:, None]
    y = np.sin(3 * x[:, 0])
    net = Architecture(1, "erf", config.weight_std, config.bias_std).build(config.width, 1)
    rate = config.step * largest_step(NTK(net)(x))
    ensemble = infinite_ensemble(net, x, y[:, None], optimizer=GradientDescent(rate)).at(config.steps, grid)
    mean, std = np.asarray(ensemble.mean)[:, 0], np.asarray(ensemble.std)[:, 0]
    found = []
    for seed in range(config.networks):
        tell(progress, seed, config.networks, f"network {seed + 1} of {config.networks}")
        model = descent(net, jax.random.key(seed), jnp.asarray(x, jnp.float32), y)
        (end,) = model.at(rate, [config.steps])
        found.append(model.outputs(end, jnp.asarray(grid, jnp.float32)))
    outputs = np.array(found)
    covered = band_coverage(outputs[..., None], mean[:, None], ensemble.covariance)
    spread = float(np.sqrt(np.mean(outputs.std(0, ddof=1) ** 2) / np.mean(std**2)))
    tell(progress, 1, 1, "done")
    inputs = grid[:, 0].tolist()
    shown = [
        Series(f"network {i + 1}", "finite", inputs, f.tolist(), thin=True, label="" if i else "networks")
        for i, f in enumerate(outputs[:8])
    ]
    band = Series("mean ± 2σ", "infinite", inputs, mean.tolist(), (mean - 2 * std).tolist(), (mean + 2 * std).tolist())
    data = Series("data", "data", x[:, 0].tolist(), y.tolist(), mark="points")
    text = (
        f"Eight of {config.networks} trained networks of width {config.width}, and the mean and band of the "
        f"limit: {covered.observed:.1%} of all outputs lie within."
    )
    panel = Curves("Trained networks and the band", text, Axis("input x"), Axis("output f(x)"), [band, *shown, data])
    numbers = [
        Number(
            "inside",
            "share within two standard deviations",
            covered.observed,
            None,
            covered.expected,
            max(covered.expected - covered.low, covered.high - covered.expected),
        ),
        Number("low", "lower end of where the share of such an ensemble lies 95 times of 100", covered.low),
        Number("high", "upper end", covered.high),
        Number(
            "spread",
            "spread of the networks over that of the limit",
            spread,
            spread / math.sqrt(2 * config.networks),
            1.0,
            0.35,
        ),
    ]
    apart = "cannot" if covered.as_it_should else "can"
    sentence = (
        f"{covered.observed:.1%} of the outputs lie within the band. Were these {config.networks} networks drawn from "
        f"the limit itself, it would be {covered.low:.1%} to {covered.high:.1%} in 95 of 100 cases: at width "
        f"{config.width} the networks {apart} be told from the limit by this."
    )
    notes = [
        f"{config.networks} networks of width {config.width}, so that it takes seconds; the band is exact at "
        "infinite width."
    ]
    return Exhibit("ensemble_band", "An ensemble against the band", sentence, plain(config), [panel], numbers, notes)
