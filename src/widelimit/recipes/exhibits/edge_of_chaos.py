r"""How far two inputs stay apart in a deep random network: order, chaos, and the edge between them.

Behind layer l two inputs have variance :math:`q_l` and correlation :math:`c_l`. Near its fixed point the correlation
behaves like :math:`|c_l - c^*| \propto e^{-l/\xi}` with the depth scale

.. math:: \xi = -1/\ln\chi,\qquad \chi = \sigma_w^2\,E\,\varphi'(u)\varphi'(v)\;\text{at}\;(q^*, c^*).

The edge of chaos is where :math:`\chi = 1` at :math:`c^* = 1`: there the depth scale diverges (Schoenholz et al. 2017,
arXiv 1611.01232).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from ..._typing import Array, Callable
from ...arch import Dense, Erf, Pair, Tanh, serial
from .._exhibit import Axis, Curves, Exhibit, Number, Series
from ._common import Progress, plain, tell, within

SETTLED = 300
LONGEST = SETTLED / 5
LOWEST, HIGHEST = 0.3, 3.0


@dataclasses.dataclass(frozen=True)
class Config:
    """Weight scales with a bias scale, the depth, and the angle between the two inputs, each of length √2."""

    weight_stds: tuple[float, ...] = (0.8, 1.0, 1.2, 1.5, 2.0)
    bias_std: float = 0.0
    depth: int = 30
    angle: float = 0.6
    activation: Literal["erf", "tanh"] = "erf"

    def __post_init__(self) -> None:
        """Check the numbers."""
        within("depth", self.depth, 2, 60)
        within("bias_std", self.bias_std, 0, 2)
        within("angle", self.angle, 0.01, 3.14)
        within("number of weight scales", len(self.weight_stds), 2, 6)
        for scale in self.weight_stds:
            within("weight_std", scale, 0.2, 4)


class _Layers:
    # One hidden layer after the other, by the kernels of the library.

    def __init__(self, config: Config) -> None:
        self.bias = config.bias_std
        activation = Erf() if config.activation == "erf" else Tanh()
        self.dual = activation.dual
        bias = config.bias_std

        def onward(weight: Array, pair: Pair) -> Pair:
            return serial(activation, Dense(1, weight, bias)).propagate(pair)

        def settle(weight: Array, pair: Pair) -> Pair:
            return jax.lax.fori_loop(0, SETTLED, lambda _, p: onward(weight, p), pair)

        self.onward: Callable[..., Pair] = jax.jit(onward)
        self.settle: Callable[..., Pair] = jax.jit(settle)

    def first(self, weight: float, angle: float) -> Pair:
        """Return the moments behind the first linear layer."""
        xx = weight**2 + self.bias**2
        gap = weight**2 * (1 - math.cos(angle))
        return Pair(*(jnp.asarray(v, jnp.float64) for v in (xx, xx, gap, 0.0)), channels=1)

    def slope(self, weight: float, pair: Pair) -> float:
        r"""Return :math:`\chi`, the derivative of one layer's map of the correlation at equal variances."""
        return float(weight**2 * self.dual.slope(pair.xx, pair.yy, pair.gap))

    def scale(self, weight: float, angle: float) -> float | None:
        r"""Return the depth scale :math:`\xi`, None where it is too long for the layers that are followed."""
        chi = self.slope(weight, self.settle(jnp.asarray(weight), self.first(weight, angle)))
        found = -1 / math.log(chi) if 0 < chi < 1 else math.inf
        return found if found <= LONGEST else None

    def critical(self) -> float:
        r"""Return the weight scale at which :math:`\chi` of equal inputs is one."""
        if self.bias == 0:
            # The variance goes to zero there, too slowly to wait for: the slope is that at zero.
            zero = jnp.zeros((), jnp.float64)
            return float(self.dual.slope(zero, zero, zero)) ** -0.5

        def excess(weight: float) -> float:
            return self.slope(weight, self.settle(jnp.asarray(weight), self.first(weight, 0.0))) - 1

        return float(scipy.optimize.root_scalar(excess, bracket=(LOWEST, HIGHEST), xtol=1e-9).root)


def run(config: Config, progress: Progress | None = None) -> Exhibit:
    """Follow the correlation of two inputs through a random network, and measure how deep it stays visible."""
    with jax.enable_x64(True):
        layers = _Layers(config)
        tell(progress, 0, 3, "the critical scale")
        critical = layers.critical()
        tell(progress, 1, 3, "correlations layer by layer")
        correlations = {scale: _correlations(layers, scale, config) for scale in config.weight_stds}
        tell(progress, 2, 3, "depth scales")
        swept = sorted({*np.linspace(0.5, 2.5, 31).round(4).tolist(), *config.weight_stds})
        scales = {weight: layers.scale(weight, config.angle) for weight in swept}
    tell(progress, 3, 3, "done")
    panels = [_against_depth(config, correlations, critical), _against_scale(scales, critical)]
    numbers = [
        Number(f"end_{scale:g}", f"correlation after {config.depth} layers, σw = {scale:g}", found[-1])
        for scale, found in correlations.items()
    ]
    numbers += [
        Number(f"scale_{scale:g}", f"depth scale in layers, σw = {scale:g}", scales[scale])
        for scale in config.weight_stds
    ]
    exact = _exact_critical(config)
    numbers.append(Number("critical", "critical weight scale", critical, None, exact, None if exact is None else 1e-6))
    ends = ", ".join(f"{found[-1]:.2f} at σw = {scale:g}" for scale, found in correlations.items())
    return Exhibit(
        "edge_of_chaos",
        "Depth at the edge of chaos",
        f"After {config.depth} layers the correlation is {ends}; the critical scale is {critical:.3f}.",
        plain(config),
        panels,
        numbers,
        [
            f"Exact recursion of the infinite network, no sampling; the activation is {config.activation}.",
            f"Correlations are followed for {SETTLED} layers; depth scales beyond {LONGEST:.0f} layers, next to the "
            "edge, are left out.",
        ],
    )


def _exact_critical(config: Config) -> float | None:
    # Without biases the variance goes to zero at the edge, where the network is linear: σw φ'(0) = 1.
    if config.bias_std > 0:
        return None
    return math.sqrt(math.pi) / 2 if config.activation == "erf" else 1.0


def _correlations(layers: _Layers, weight: float, config: Config) -> list[float]:
    pair, found = layers.first(weight, config.angle), []
    for _ in range(config.depth):
        pair = layers.onward(jnp.asarray(weight), pair)
        found.append(float(pair.xy / jnp.sqrt(pair.xx * pair.yy)))
    return found


def _against_depth(config: Config, correlations: dict[float, list[float]], critical: float) -> Curves:
    depth = [float(layer) for layer in range(1, config.depth + 1)]
    series = [
        Series(f"σw = {scale:g}", "infinite", depth, found, mark="dashed" if scale <= critical else "line")
        for scale, found in correlations.items()
    ]
    ends = ", ".join(f"{found[-1]:.2f} at σw = {scale:g}" for scale, found in correlations.items())
    below = "all inputs become alike" if config.bias_std > 0 else "the signal itself dies out, without biases"
    text = (
        f"After {config.depth} layers the correlation is {ends}. Below the critical scale "
        f"{critical:.3f} (dashed) {below}; "
        "above it even close inputs are driven apart."
    )
    return Curves(
        "Correlation of two inputs against depth", text, Axis("hidden layer"), Axis("correlation of two inputs"), series
    )


def _against_scale(scales: dict[float, Any], critical: float) -> Curves:
    known = {weight: scale for weight, scale in scales.items() if scale is not None}
    top = max(known.values())
    text = (
        f"For how many layers the difference of two inputs stays visible, against the weight scale: it grows beyond "
        f"{LONGEST:.0f} layers around the critical scale {critical:.3f} and falls to {known[max(known)]:.1f} layers at "
        f"σw = {max(known):g}."
    )
    return Curves(
        "Depth scale against weight scale",
        text,
        Axis("weight scale σw"),
        Axis("depth scale ξ in layers", "log"),
        [
            Series("depth scale", "infinite", list(scales), list(scales.values())),
            Series("critical", "theory", [critical, critical], [min(known.values()), top], mark="dashed"),
        ],
    )
