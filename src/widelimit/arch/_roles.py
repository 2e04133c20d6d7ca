"""Which layer is the input, which the readout: roles by position, for parameterizations that need to know."""

from typing import Any, TypeVar

import jax

from ._base import AbstractLayer
from ._parameterization import AbstractParameterization, Role
from ._rates import Gains, RateMultiplier

T = TypeVar("T")


def parameterizations(net: Any) -> list[AbstractParameterization]:
    """Return the parameterization of each layer with weights, in the order in which data pass them."""
    return [node for node in jax.tree.leaves(net, is_leaf=_is_either) if _is_one(node)]


def gains(net: Any) -> list[AbstractParameterization]:
    """Return the parameterization of the gains and offsets of each layer that has some."""
    found = jax.tree.leaves(net, is_leaf=_is_either)
    return [node.parameterization for node in found if isinstance(node, Gains)]


def assign_roles(net: T) -> T:
    """Return the layers with roles by position: the first with weights is the input, the last the output.

    Layers that are composed again, as in a series of series, take the role of their new position.
    """
    count = len(parameterizations(net))
    roles = iter([Role.ALONE] if count == 1 else [Role.INPUT, *[Role.HIDDEN] * (count - 2), Role.OUTPUT])
    return jax.tree.map(lambda node: node.at_role(next(roles)) if _is_one(node) else node, net, is_leaf=_is_either)


def parameterize(net: AbstractLayer, parameterization: AbstractParameterization) -> AbstractLayer:
    """Return the same architecture in another parameterization.

    Parameters
    ----------
    net
        A network.
    parameterization
        For every layer with weights, and for gains of channels: `NTKParameterization`, `StandardParameterization`,
        `MuP`, `MeanField` or `ABC`.

    Raises
    ------
    ValueError
        If either is something else.
    """
    if not isinstance(net, AbstractLayer):
        raise ValueError(f"net is {net!r}; expected a network, such as serial(Dense(64), Relu(), Dense(1)).")
    if not _is_one(parameterization):
        raise ValueError(f"parameterization is {parameterization!r}; expected one such as MuP().")

    def change(node: Any) -> Any:
        if isinstance(node, Gains):
            return Gains(change(node.parameterization).at_role(Role.HIDDEN))
        if isinstance(node, RateMultiplier):
            return RateMultiplier(change(node.inner), node.factor)
        return parameterization if _is_one(node) else node

    return assign_roles(jax.tree.map(change, net, is_leaf=_is_either))


def _is_one(node: Any) -> bool:
    return isinstance(node, AbstractParameterization)


def _is_either(node: Any) -> bool:
    return isinstance(node, AbstractParameterization | Gains)
