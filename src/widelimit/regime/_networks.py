"""What is known of a network of this library beyond its outputs: its learning rates, and its exponent r."""

from __future__ import annotations

from typing import Any

from .._typing import Params, PyTree
from ..arch import AbstractLayer, Serial
from ._sweep import Theory


def network_of(f: Any) -> AbstractLayer | None:
    """Return the network of this library whose outputs ``f`` gives, as itself or as its ``apply``; else None."""
    owner = f if isinstance(f, AbstractLayer) else getattr(f, "__self__", None)
    return owner if isinstance(owner, AbstractLayer) else None


def network_rates(net: AbstractLayer, params: Params) -> PyTree:  # noqa: ARG001
    """Return the factors of the step size that belong to the parameterization of a network; None for one."""
    return None


def network_theory(net: AbstractLayer | None) -> Theory:  # noqa: ARG001
    """Return the exponent r of a network's parameterization."""
    return Theory(0.5, "NTK parameterization")


def layer_title(net: AbstractLayer | None, name: str) -> str:
    """Return the name of a layer of the parameters with its kind, such as ``2 Dense`` for ``2``."""
    first, _, rest = name.partition(".")
    if not isinstance(net, Serial) or not first.isdigit():
        return name
    return f"{first} {type(net.layers[int(first)]).__name__}" + (f".{rest}" if rest else "")
