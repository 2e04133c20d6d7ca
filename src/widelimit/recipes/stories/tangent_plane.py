r"""A narrow network leaves its tangent plane when its parameters move far.

.. math:: f(x;\theta_0 + s\,\Delta)\quad\text{beside}\quad f(x;\theta_0) + s\,\nabla_\theta f(x;\theta_0)\cdot\Delta,
          \qquad \Delta = \theta_T - \theta_0

where :math:`\theta_T` is where training leads: the two touch at :math:`s = 0` and part like :math:`s^2`.
"""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from ..._typing import Params
from ...empirical import linearize
from .._descent import distance, largest_step
from .._exhibit import Axis, Curves, Number, Series
from ._setting import INPUT, Setting, rms, span
from ._story import Story


@dataclasses.dataclass(frozen=True)
class Config:
    """Width and seed of the network, how long it trains, and the shares of the way at which one looks."""

    width: int = 16
    seed: int = 1
    steps: int = 300
    step: float = 0.9
    shares: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)


def run(config: Config) -> Story:
    """Move the parameters along the way that training takes them, and look at function and tangent plane."""
    setting = Setting()
    net = setting.network(config.width, config.seed)
    rate = config.step * largest_step(net.kernel()(net.x))
    (end,) = net.at(rate, [config.steps])
    tangent = linearize(net.net.apply, net.start)
    fine = np.linspace(0, max(config.shares), 25)

    def both(share: float) -> tuple[Params, np.ndarray, np.ndarray]:
        params = jax.tree.map(lambda a, b: a + share * (b - a), net.start, end)
        flat = np.asarray(tangent(params, setting.inputs), np.float64)[:, 0]
        return params, net.outputs(params, setting.inputs), flat

    path = [both(share) for share in fine]
    true, flat = (np.stack([p[i] for p in path]) for i in (1, 2))
    place = int(np.argmax(np.abs(true[-1] - flat[-1]) * (np.abs(setting.grid) <= 1)))
    moved = np.array([distance(p[0], net.start) for p in path])
    ends = span(true, flat, setting.y)
    values = Axis("output f(x)", low=ends[0], high=ends[1])
    at = float(setting.grid[place])
    single = span(true[:, place], flat[:, place])

    steps, captions, numbers = [], [], []
    words = "Moved by {:.1%} of their length, the parameters have taken the network {:.3f} away from its tangent plane."
    for share in config.shares:
        params, here, plane = both(share)
        far, gap = distance(params, net.start), rms(here - plane)
        function = Curves(
            "The function",
            f"Over the input: the network after moving {far:.1%} of the length of its parameters, its tangent plane "
            f"at the start moved alike, and the initial function. Network and plane differ by {gap:.3f} (root "
            "mean square).",
            INPUT,
            values,
            [
                setting.curve("start", "neutral", true[0], "dashed"),
                setting.curve("network", "finite", here),
                setting.curve("tangent plane", "linear", plane),
                setting.data(),
            ],
        )
        line = Curves(
            f"The output at x = {at:.2f}",
            f"The output at x = {at:.2f} over the distance moved: the network bends away from the straight line.",
            Axis("distance moved, share of the length of all parameters"),
            Axis("output f(x)", low=single[0], high=single[1]),
            [
                Series("network", "finite", moved.tolist(), true[:, place].tolist()),
                Series("tangent plane", "linear", moved.tolist(), flat[:, place].tolist()),
                Series("here", "neutral", [far, far], [float(here[place]), float(plane[place])], mark="points"),
            ],
        )
        steps.append([function, line])
        captions.append(words.format(far, gap) if share else "At the start, network and tangent plane are the same.")
        numbers += [
            Number(f"moved_{share:g}", f"distance moved at {share:.0%} of the way", far),
            Number(f"gap_{share:g}", f"network minus tangent plane at {share:.0%} of the way", gap),
        ]
    return Story("A network and its tangent plane", steps, captions, numbers)
