"""Does a network's parameterization have a kernel limit? Asked before any kernel is computed."""

import math

from ._abc import ABC
from ._base import AbstractLayer
from ._exponents import TOLERANCE, Exponents, feature_exponent
from ._parameterization import AbstractParameterization
from ._rates import RateMultiplier
from ._roles import gains, parameterizations


def check_start(net: AbstractLayer) -> None:
    """Refuse a network whose initial outputs blow up with width in its parameterization.

    Raises
    ------
    ValueError
        Naming the exponents.
    """
    for node in parameterizations(net):
        limit = node.limit(1.0, 1.0, 1)
        if not (math.isfinite(limit.gain) and math.isfinite(limit.offset)):
            raise ValueError(
                f"initial outputs blow up with width: a + b is too small in {node!r}. Make a + b zero for the input "
                "layer and its biases, and 1/2 for hidden layers and readout."
            )


def check_kernel_limit(net: AbstractLayer) -> None:
    r"""Refuse a network whose training has no kernel limit in its parameterization.

    It has one if it is stable, its function moves and :math:`r > 0` (Yang & Hu 2021, arXiv 2011.14522, section 3).

    Raises
    ------
    ValueError
        Saying why there is none, and what to do.
    """
    check_start(net)
    nodes, others = ([_plain(node) for node in find(net)] for find in (parameterizations, gains))
    if len(nodes) < 2 or not any(isinstance(node, ABC) for node in (*nodes, *others)):
        return
    every = {node.exponents() for node in (*nodes, *others)}
    if len(every) > 1:
        raise ValueError(
            "the layers of the network are in different abc parameterizations, for which no limit is known. Give all "
            "the same, as parameterize(net, NTKParameterization()) does."
        )
    reason = _obstacle(every.pop().layers(len(nodes) - 1))
    if reason:
        raise ValueError(
            f"{reason}, so the infinite network has no NTK that describes its training. Use "
            "parameterize(net, NTKParameterization()) for a kernel limit, or EmpiricalNTK for the kernel of a finite "
            "network."
        )


def _plain(node: AbstractParameterization) -> AbstractParameterization:
    # Multiples of learning rates that do not depend on the width leave the limit as it is.
    return _plain(node.inner) if isinstance(node, RateMultiplier) else node


def _obstacle(layers: Exponents) -> str:
    r, (a, b, _) = feature_exponent(layers), layers.without_rates()
    sums = [x + y for x, y in zip(a, b, strict=True)]
    moved = min(2 * a[-1], sums[-1] + r)
    start = abs(sums[0]) < TOLERANCE and all(abs(s - 0.5) < TOLERANCE for s in sums[1:-1])
    if not start:
        return "the features of this parameterization vanish or blow up with width (a + b)"
    if r < -TOLERANCE or moved < 1 - TOLERANCE:
        return f"training in this parameterization blows up with width (r = {r:g}): the learning rate is too large"
    if r < TOLERANCE:
        return "the limit of this parameterization learns features (r = 0) and is no kernel machine"
    if moved > 1 + TOLERANCE:
        return "the function does not move in the limit of this parameterization: the learning rate is too small"
    return ""
