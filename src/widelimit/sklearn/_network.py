"""The architecture that a few parameters of an estimator stand for."""

from typing import Any

from .. import _check
from ..arch import AbstractLayer, Dense, Relu, serial

WIDTH = 512
"""Of hidden layers; no kernel depends on it."""


def network(depth: int, activation: Any, weight_std: float, bias_std: float, net: Any) -> AbstractLayer:
    """Return ``net``, or the dense network that the other parameters stand for.

    Raises
    ------
    ValueError
        If ``net`` or ``activation`` is no layer, or a number is out of range.
    """
    if net is not None:
        _check.instance(net, AbstractLayer, "net", "wl.serial(wl.Dense(512), wl.Relu(), wl.Dense(1))")
        return net
    _check.positive_int(depth, "depth")
    activation = Relu() if activation is None else activation
    _check.instance(activation, AbstractLayer, "activation", "wl.Erf()")
    hidden = (Dense(WIDTH, weight_std, bias_std), activation)
    return serial(*hidden * int(depth), Dense(1, weight_std, bias_std))
