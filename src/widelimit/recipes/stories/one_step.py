r"""One gradient step: every output moves by the kernel times the residuals, :math:`-\eta\,\Theta_0(x,X)(f_0(X)-y)`."""

from __future__ import annotations

import dataclasses

import numpy as np

from .._descent import largest_step
from .._exhibit import Axis, Curves, Number
from ._setting import INPUT, Setting, rms, span
from ._story import Story


@dataclasses.dataclass(frozen=True)
class Config:
    """Width and seed of the network, and steps as shares of the largest stable one."""

    width: int = 64
    seed: int = 1
    shares: tuple[float, ...] = (0.05, 0.2, 0.4, 0.7, 1.0)


def run(config: Config) -> Story:
    """Take one step of each size and compare the change of the outputs with what the kernel says."""
    setting = Setting()
    net = setting.network(config.width, config.seed)
    kernel = net.kernel()
    most = largest_step(kernel(net.x))
    start, residual = net.outputs(net.start, setting.inputs), net.outputs(net.start, net.x) - setting.y
    push = -np.asarray(kernel(setting.inputs, net.x), np.float64) @ residual
    after = [net.outputs(net.at(share * most, [1])[0], setting.inputs) for share in config.shares]
    ends = span(*[f - start for f in after], most * push)
    steps, captions, numbers = [], [], []
    for share, function in zip(config.shares, after, strict=True):
        expected, moved = share * most * push, function - start
        off = rms(moved - expected) / rms(moved)
        change = Curves(
            "Change of the output in one step",
            f"Change of the output over the input after one step of {share:.0%} of the largest stable size, as "
            "it is and "
            f"as the kernel says; they differ by {off:.1%}.",
            INPUT,
            Axis("change of f(x)", low=ends[0], high=ends[1]),
            [
                setting.curve("the network", "finite", moved),
                setting.curve("kernel times residuals", "linear", expected, "dashed"),
            ],
        )
        level = span(start, *after, setting.y)
        functions = Curves(
            "The function",
            "The network before and after the step, and the training points.",
            INPUT,
            Axis("output f(x)", low=level[0], high=level[1]),
            [
                setting.curve("before", "neutral", start, "dashed"),
                setting.curve("after", "finite", function),
                setting.data(),
            ],
        )
        steps.append([functions, change])
        captions.append(
            f"A step of {share:.0%} of the largest stable size: the kernel foretells the change up to {off:.1%}."
        )
        numbers.append(Number(f"off_{share:g}", f"share by which the kernel misses a step of {share:.0%}", off))
    return Story("One gradient step", steps, captions, numbers)
