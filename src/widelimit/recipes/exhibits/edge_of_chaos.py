r"""How far two inputs stay apart in a deep random network: order, chaos, and the edge between them.

The correlation of two inputs after l layers, :math:`c_l`, goes to a fixed point; near the critical weight scale it
gets there most slowly, and the depth scale :math:`\xi = -1/\ln\chi` diverges, with
:math:`\chi = \partial c_{l+1}/\partial c_l` at the fixed point (Schoenholz et al. 2017, arXiv 1611.01232).
"""

from __future__ import annotations

import dataclasses
import math

import jax
import numpy as np

from ...kernels import NNGP
from .._architecture import Architecture
from .._exhibit import Axis, Curves, Exhibit, Number, Series
from ._common import Progress, plain, tell, within


@dataclasses.dataclass(frozen=True)
class Config:
    """Weight scales with a bias scale, the depth, and the angle between the two inputs."""

    weight_stds: tuple[float, ...] = (0.8, 1.0, 1.2, 1.5, 2.0)
    bias_std: float = 0.0
    depth: int = 30
    angle: float = 0.6

    def __post_init__(self) -> None:
        """Check the numbers."""
        within("depth", self.depth, 2, 60)
        within("bias_std", self.bias_std, 0, 2)
        within("number of weight scales", len(self.weight_stds), 2, 6)
        for scale in self.weight_stds:
            within("weight_std", scale, 0.2, 4)


def run(config: Config, progress: Progress | None = None) -> Exhibit:
    """Follow the correlation of two inputs through an erf network, layer by layer."""
    x = np.array([[1.0, 0.0], [math.cos(config.angle), math.sin(config.angle)]]) * math.sqrt(2)
    layers = list(range(1, config.depth + 1))
    series, numbers, ends = [], [], []
    for i, scale in enumerate(config.weight_stds):
        tell(progress, i, len(config.weight_stds), f"weight scale {scale:g}")
        correlations = _correlations(x, scale, config)
        series.append(
            Series(f"σw = {scale:g}", "infinite" if scale <= critical() else "finite", _floats(layers), correlations)
        )
        numbers.append(
            Number(f"end_{scale:g}", f"correlation after {config.depth} layers, σw = {scale:g}", correlations[-1])
        )
        ends.append(f"{correlations[-1]:.2f} at σw = {scale:g}")
    numbers.append(Number("critical", "critical weight scale of erf without biases, √π/2", critical()))
    panel = Curves(
        "Correlation of two inputs against depth",
        f"After {config.depth} layers the correlation is {', '.join(ends)}. Below the critical scale all inputs "
        "become alike; "
        "above it even close ones are driven apart.",
        Axis("hidden layer"),
        Axis("correlation of two inputs"),
        series,
    )
    sentence = (
        f"After {config.depth} layers the correlation is {', '.join(ends)}; the critical scale is {critical():.3f}."
    )
    notes = ["Exact recursion of the infinite network, no sampling; the activation is erf."]
    return Exhibit("edge_of_chaos", "Depth at the edge of chaos", sentence, plain(config), [panel], numbers, notes)


def critical() -> float:
    r"""Return the scale with :math:`\sigma_w\,\varphi'(0) = 1`; the slope of erf at zero is :math:`2/\sqrt\pi`."""
    return math.sqrt(math.pi) / 2


def _correlations(x: np.ndarray, weight_std: float, config: Config) -> list[float]:
    found = []
    with jax.enable_x64(True):
        for depth in range(1, config.depth + 1):
            net = Architecture(depth, "erf", weight_std, config.bias_std).build(1, 1)
            # The covariance that the last hidden layer hands on is that of the output.
            k = np.asarray(NNGP(net)(x), np.float64)
            found.append(float(k[0, 1] / math.sqrt(k[0, 0] * k[1, 1])))
    return found


def _floats(values: list[int]) -> list[float]:
    return [float(value) for value in values]
