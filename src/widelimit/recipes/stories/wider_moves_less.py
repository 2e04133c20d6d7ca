r"""Wide networks move less to learn the same: :math:`\|\theta_t-\theta_0\|/\|\theta_0\|`."""

from __future__ import annotations

import dataclasses

import numpy as np

from ..._slope import fit_slope
from .._descent import distance, largest_step
from .._exhibit import Axis, Curves, Number, Series
from ._setting import INPUT, Setting, span
from ._story import Story


@dataclasses.dataclass(frozen=True)
class Config:
    """Widths, networks of each, and for how long they train."""

    widths: tuple[int, ...] = (16, 64, 256, 1024, 4096)
    seeds: int = 5
    steps: int = 300
    step: float = 0.5


def run(config: Config) -> Story:
    """Train networks of each width equally long, and see how far the parameters have gone."""
    setting = Setting()
    moved: dict[int, list[float]] = {width: [] for width in config.widths}
    shown: dict[int, np.ndarray] = {}
    for width in config.widths:
        for seed in range(config.seeds):
            net = setting.network(width, seed)
            (end,) = net.at(config.step * largest_step(net.kernel()(net.x)), [config.steps])
            moved[width].append(distance(end, net.start))
            shown.setdefault(width, net.outputs(end, setting.inputs))
    widths = [float(width) for width in config.widths]
    slope = fit_slope(list(config.widths), [np.asarray(moved[width]) for width in config.widths])
    ends, most = span(*shown.values(), setting.y), max(map(max, moved.values()))
    least = min(map(min, moved.values()))
    steps, captions = [], []
    for i, width in enumerate(config.widths):
        done = config.widths[: i + 1]
        means = [float(np.mean(moved[w])) for w in done]
        cloud = [(float(w), value) for w in done for value in moved[w]]
        distances = Curves(
            "How far the parameters moved",
            f"Distance moved against width, both axes logarithmic, {config.seeds} networks of each width.",
            Axis("width", "log", low=widths[0] / 1.3, high=widths[-1] * 1.3),
            Axis("distance moved, share of the length of all parameters", "log", low=least / 1.3, high=most * 1.3),
            [
                Series("networks", "finite", [a for a, _ in cloud], [b for _, b in cloud], mark="points"),
                Series("mean", "finite", widths[: i + 1], means),
                Series(
                    "1/√width", "theory", widths, [means[0] * (widths[0] / w) ** 0.5 for w in widths], mark="dashed"
                ),
            ],
        )
        function = Curves(
            "What was learnt",
            f"A network of width {width} after training, and the training points.",
            INPUT,
            Axis("output f(x)", low=ends[0], high=ends[1]),
            [setting.curve(f"width {width}", "finite", shown[width]), setting.data()],
        )
        steps.append([function, distances])
        captions.append(f"Networks of width {width} have moved by {means[-1]:.2%} of the length of their parameters.")
    numbers = [
        Number(f"moved_{width}", f"distance moved at width {width}", float(np.mean(moved[width]))) for width in moved
    ]
    numbers.append(Number("slope", "power of the width", slope.exponent, slope.standard_error, -0.5, 0.1))
    return Story("Wider moves less", steps, captions, numbers)
