"""What all layers with weights share: drawing them, scaling them, and their share of the kernels."""

import dataclasses
from typing import Protocol

import jax

from .. import _check
from .._typing import Array, Key, Params, PyTree, Scalar, Shape
from ._pair import Pair
from ._parameterization import AbstractParameterization
from ._signal import Signal


class Weighted(Protocol):
    """A layer with weights and, unless ``bias_std`` is None, biases."""

    @property
    def weight_std(self) -> Scalar:
        """Scale of the weights."""
        ...

    @property
    def bias_std(self) -> Scalar | None:
        """Scale of the biases."""
        ...

    @property
    def parameterization(self) -> AbstractParameterization:
        """Where the width goes."""
        ...


def check_groups(groups: int, channels: int, name: str) -> None:
    """Refuse a number of groups that does not divide a number of channels."""
    _check.positive_int(groups, "groups")
    if channels % groups:
        raise ValueError(f"groups is {groups}; expected a divisor of the {name} {channels}.")


def check_alike(groups: int, signal: Signal) -> None:
    """Refuse groups of channels that do not stand for all: each group would have a kernel of its own."""
    if groups > 1 and not signal.alike:
        raise ValueError(
            f"{groups} groups split channels that differ (data, flattened space, branches beside each other), so that "
            "each group has a kernel of its own, with none for all. Put a Dense or a Conv without groups before it."
        )


def draw(layer: Weighted, key: Key, shape: Shape, fans: tuple[int, int], biases: Shape) -> Params:
    """Return random ``{"weight": shape, "bias": biases}``, the bias only if there is one; ``fans`` = (in, out)."""
    key_weight, key_bias = jax.random.split(key)
    _, std = layer.parameterization.weight(layer.weight_std, *fans)
    params = {"weight": std * jax.random.normal(key_weight, shape)}
    if layer.bias_std is not None:
        _, std = layer.parameterization.bias(layer.bias_std, fans[1])
        params["bias"] = std * jax.random.normal(key_bias, biases)
    return params


def scale(layer: Weighted, params: Params, z: Array, fans: tuple[int, int]) -> Array:
    """Return the output of a layer from the product ``z`` of its weights and its input."""
    factor, _ = layer.parameterization.weight(layer.weight_std, *fans)
    z = factor.astype(z.dtype) * z
    if layer.bias_std is None:
        return z
    factor, _ = layer.parameterization.bias(layer.bias_std, fans[1])
    return z + factor.astype(z.dtype) * params["bias"]


def rates(layer: Weighted, params: Params, fans: tuple[int, int]) -> PyTree:
    """Return the factors of the learning rate of weights and biases."""
    weight, bias = layer.parameterization.rates(*fans)
    return {"weight": weight, "bias": bias} if "bias" in params else {"weight": weight}


def weigh(layer: Weighted, pair: Pair, fan_in: int, width: int) -> Pair:
    r"""Return the moments behind weights, from those of what each output channel sums up.

    .. math:: K' = g K + o,\qquad \Theta' = s_W K + s_b + t\,\Theta

    with the numbers of `AbstractParameterization.limit`.
    """
    offset = 0.0 if layer.bias_std is None else layer.bias_std
    limit = layer.parameterization.limit(layer.weight_std, offset, fan_in)
    own = limit.weight * pair.xy
    if layer.bias_std is not None:
        own = own + limit.bias
    return dataclasses.replace(
        pair,
        xx=limit.gain * pair.xx + limit.offset,
        yy=limit.gain * pair.yy + limit.offset,
        ntk=own + limit.tangent * pair.ntk,
        channels=width,
        mean_x=None,
        mean_y=None,
        **pair.map_gaps(lambda q1, q2, gap: limit.gain * gap),  # noqa: ARG005
    )
