"""Learning rates per layer: slower, faster, or frozen."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax

from .. import _check
from .._typing import Array, Scalar
from ._base import AbstractLayer
from ._exponents import Exponents
from ._parameterization import AbstractParameterization, Limit, Role


class RateMultiplier(AbstractParameterization):
    r"""Another parameterization whose weights and biases learn at a multiple of its rate.

    The shares :math:`s_W, s_b` of the layer in the NTK are multiplied by the factor; its function is the same.

    Parameters
    ----------
    inner
        The parameterization.
    factor
        :math:`\eta_l/\eta`; zero for weights that stay as they are.
    """

    inner: AbstractParameterization
    factor: Scalar

    def __check_init__(self) -> None:
        """Check the factor."""
        _check.nonnegative(self.factor, "factor")

    def weight(self, weight_std: Scalar, fan_in: int, fan_out: int) -> tuple[Array, Array]:
        """Return (multiplier, standard deviation) of the weights."""
        return self.inner.weight(weight_std, fan_in, fan_out)

    def bias(self, bias_std: Scalar, fan_out: int) -> tuple[Array, Array]:
        """Return (multiplier, standard deviation) of the biases."""
        return self.inner.bias(bias_std, fan_out)

    def rates(self, fan_in: int, fan_out: int) -> tuple[Scalar, Scalar]:
        """Return the factors of the learning rate of (weights, biases)."""
        weight, bias = self.inner.rates(fan_in, fan_out)
        return weight * self.factor, bias * self.factor

    def limit(self, weight_std: Scalar, bias_std: Scalar, fan_in: int) -> Limit:
        """Return what the layer does to kernels in the limit of infinite width."""
        limit = self.inner.limit(weight_std, bias_std, fan_in)
        return limit._replace(weight=limit.weight * self.factor, bias=limit.bias * self.factor)

    def exponents(self) -> Exponents:
        """Return those of the parameterization."""
        return self.inner.exponents()

    def at_role(self, role: Role) -> RateMultiplier:
        """Return the parameterization for a layer that stands at ``role``."""
        return RateMultiplier(self.inner.at_role(role), self.factor)

    def rescaled(self, factor: float) -> RateMultiplier:
        """Return the parameterization whose limit is the same when the fan-in grows by ``factor``."""
        return RateMultiplier(self.inner.rescaled(factor), self.factor)


class Gains(eqx.Module):
    """The parameterization of gains and offsets of channels; they have no role of their own and are scaled as biases.

    Parameters
    ----------
    parameterization
        Where the width goes.
    """

    parameterization: AbstractParameterization


def with_learning_rate(layer: AbstractLayer, factor: Scalar) -> AbstractLayer:
    r"""Return the layer or network with all its weights and biases learning at ``factor`` times the common rate.

    Its share of the NTK is multiplied by the factor; the function, its NNGP and the shares of other layers stay.

    Parameters
    ----------
    layer
        A layer or network.
    factor
        :math:`\eta_l/\eta \ge 0`, a leaf: kernels are differentiable in it.

    Raises
    ------
    ValueError
        If the factor is negative or not finite.
    """
    if not isinstance(layer, AbstractLayer):
        raise ValueError(f"layer is {layer!r}; expected a layer, such as Dense(64).")

    def slower(node: Any) -> Any:
        return RateMultiplier(node, factor) if _is_one(node) else node

    return jax.tree.map(slower, layer, is_leaf=_is_one)


def frozen(layer: AbstractLayer) -> AbstractLayer:
    """Return the layer or network with weights and biases that stay as they are drawn: no share in the NTK.

    Parameters
    ----------
    layer
        A layer or network.
    """
    return with_learning_rate(layer, 0.0)


def _is_one(node: object) -> bool:
    return isinstance(node, AbstractParameterization)
