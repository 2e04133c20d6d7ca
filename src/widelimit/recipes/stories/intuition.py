r"""Little movement, so the tangent plane is enough: networks of growing width that have learnt equally much.

Each network trains until the residual :math:`\|f_t(X) - y\|` has fallen by the same share. Then

.. math:: \mathrm{moved} = \|\theta_t-\theta_0\|/\|\theta_0\|,\qquad
          \mathrm{gap} = \frac{\|f(\cdot;\theta_t) - f(\cdot;\theta_0) - \nabla_\theta f(\cdot;\theta_0)\cdot
          (\theta_t-\theta_0)\|}{\|f(\cdot;\theta_t) - f(\cdot;\theta_0)\|}

(norms of functions: root mean square over the inputs shown): the share of what was learnt that the tangent plane at the
start misses at the parameters reached. Both fall with the width, the first like :math:`n^{-1/2}` (Lee et al. 2019,
arXiv 1902.06720, theorem 2.1).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ...empirical import linearize
from .._descent import distance, largest_step
from .._exhibit import Axis, Curves, Number, Series
from ._setting import INPUT, Setting, percent, rms, span
from ._story import Story

TITLE = "Little movement, so the tangent plane is enough"


@dataclasses.dataclass(frozen=True)
class Config:
    """Widths, how many networks of each, the shares learnt at which one looks, and most gradient steps."""

    widths: tuple[int, ...] = (16, 64, 256, 1024, 4096)
    seeds: int = 5
    learnt: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    step: float = 0.1
    most_steps: int = 4000


@dataclasses.dataclass(frozen=True)
class _Look:
    # One network when it has learnt each share: functions (shares, m), and numbers (shares,).
    start: np.ndarray
    network: np.ndarray
    plane: np.ndarray
    moved: np.ndarray
    gap: np.ndarray


def run(config: Config) -> Story:
    """Train networks of each width and compare them with their tangent planes where they have learnt equally much."""
    setting = Setting()
    looks = {w: [_look(setting, w, seed, config) for seed in range(config.seeds)] for w in config.widths}
    moved = {w: np.mean([one.moved for one in looks[w]], 0) for w in config.widths}
    gap = {w: np.mean([one.gap for one in looks[w]], 0) for w in config.widths}
    shown = [looks[w][0] for w in (config.widths[0], config.widths[-1])]
    ends = span(*(a for one in shown for a in (one.network, one.plane, one.start)), setting.y)

    def function(width: int, i: int) -> Curves:
        one = looks[width][0]
        numbers = f"{config.learnt[i]:.0%} learnt: parameters moved {percent(one.moved[i])}, gap {percent(one.gap[i])}."
        return Curves(
            f"Width {width}",
            f"Width {width}, {numbers} Curves: the initial function, the trained network, its tangent plane, "
            "and the training points.",
            INPUT,
            Axis("output f(x)", low=ends[0], high=ends[1]),
            [
                setting.curve("start", "neutral", one.start, "dashed"),
                setting.curve("network", "finite", one.network[i]),
                setting.curve("tangent plane", "linear", one.plane[i]),
                setting.data(),
            ],
        )

    def distances(i: int) -> Curves:
        series = [
            Series(f"width {w}", "finite", moved[w][: i + 1].tolist(), gap[w][: i + 1].tolist()) for w in config.widths
        ]
        here = [(float(moved[w][i]), float(gap[w][i])) for w in config.widths]
        series.append(Series("now", "neutral", [a for a, _ in here], [b for _, b in here], mark="points"))
        listed = "; ".join(
            f"width {w}: moved {percent(a)}, gap {percent(b)}" for w, (a, b) in zip(config.widths, here, strict=True)
        )
        return Curves(
            "How far it moved, how far it left the plane",
            f"Mean of {config.seeds} networks, each with {config.learnt[i]:.0%} of its residual learnt. {listed}.",
            _spread("distance moved by the parameters, share of their length", moved),
            _spread("gap to the tangent plane, share of what was learnt", gap),
            series,
        )

    first, last = config.widths[0], config.widths[-1]
    steps = [[function(first, i), function(last, i), distances(i)] for i in range(len(config.learnt))]
    captions = [
        f"With {share:.0%} of the residual learnt, networks of width {first} have moved {percent(moved[first][i])} and "
        f"are {percent(gap[first][i])} off their tangent planes; networks of width {last} have moved "
        f"{percent(moved[last][i])} and are {percent(gap[last][i])} off."
        for i, share in enumerate(config.learnt)
    ]
    return Story(TITLE, steps, captions, _numbers(config, moved, gap))


def _spread(label: str, values: dict[int, np.ndarray]) -> Axis:
    found = np.concatenate(list(values.values()))
    return Axis(label, "log", low=0.75 * float(found.min()), high=1.3 * float(found.max()))


def _numbers(config: Config, moved: dict[int, np.ndarray], gap: dict[int, np.ndarray]) -> list[Number]:
    numbers = []
    for i, share in enumerate(config.learnt):
        for w in config.widths:
            where = f"width {w}, {share:.0%} learnt"
            numbers += [
                Number(f"moved_{w}_{share:g}", f"distance moved, {where}", float(moved[w][i])),
                Number(f"gap_{w}_{share:g}", f"gap to the tangent plane, {where}", float(gap[w][i])),
            ]
    return numbers


def _look(setting: Setting, width: int, seed: int, config: Config) -> _Look:
    net = setting.network(width, seed)
    rate = config.step * largest_step(net.kernel()(net.x))
    every = [0, *np.unique(np.geomspace(1, config.most_steps, 150).astype(int)).tolist()]
    path = net.at(rate, every)
    left = np.sqrt([net.loss(params) for params in path])
    chosen = [int(np.argmax(left <= (1 - share) * left[0])) for share in config.learnt]
    if min(chosen) == 0:
        raise ValueError(
            f"width {width}, seed {seed} has not learnt {max(config.learnt):.0%} in {config.most_steps} steps."
        )
    start = net.outputs(net.start, setting.inputs)
    network = np.stack([net.outputs(path[k], setting.inputs) for k in chosen])
    tangent = linearize(net.net.apply, net.start)
    plane = np.stack([np.asarray(tangent(path[k], setting.inputs), np.float64)[:, 0] for k in chosen])
    moved = np.array([distance(path[k], net.start) for k in chosen])
    gap = np.array([rms(a - b) / rms(a - start) for a, b in zip(network, plane, strict=True)])
    return _Look(start, network, plane, moved, gap)
