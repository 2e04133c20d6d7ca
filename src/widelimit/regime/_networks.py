"""What is known of a network of this library beyond its outputs: its learning rates, and its exponent r."""

from __future__ import annotations

from typing import Any

import jax

from .._typing import ApplyFn, Params, PyTree
from ..arch import AbstractLayer, Serial, feature_exponent, parameterizations
from ._sweep import Theory


def network_of(f: Any) -> AbstractLayer | None:
    """Return the network of this library whose outputs ``f`` gives, as itself or as its ``apply``; else None."""
    owner = f if isinstance(f, AbstractLayer) else getattr(f, "__self__", None)
    return owner if isinstance(owner, AbstractLayer) else None


def outputs_of(f: ApplyFn | AbstractLayer) -> ApplyFn:
    """Return the function that gives the outputs of a model or of a network of this library."""
    return f.apply if isinstance(f, AbstractLayer) else f


def network_rates(net: AbstractLayer, params: Params) -> PyTree:
    """Return the factors of the step size that belong to the parameterization of a network; None where all are one."""
    rates = net.learning_rates(params)
    return None if all(isinstance(r, float) and r == 1 for r in jax.tree.leaves(rates)) else rates


def network_theory(net: AbstractLayer) -> Theory:
    r"""Return the exponent r of a network's parameterization (Yang & Hu 2021, arXiv 2011.14522, section 3).

    Only a network in series whose layers with weights share one parameterization has one.
    """
    found = parameterizations(net)
    exponents = {p.exponents() for p in found}
    if len(found) < 2 or len(exponents) != 1:
        return Theory(None, "")
    r = feature_exponent(exponents.pop().layers(len(found) - 1))
    name = f"{type(found[0]).__name__.removesuffix('Parameterization')} parameterization"
    if r < 0:
        return Theory(None, f"{name} at r = {r:g}: unstable as the width grows, so no slopes are predicted")
    kind = "a kernel machine in the limit" if r > 0 else "features at any width"
    return Theory(r, f"{name} with r = {r:g}: {kind}")


def layer_title(net: AbstractLayer | None, name: str) -> str:
    """Return the name of a layer of the parameters with its kind, such as ``2 Dense`` for ``2``."""
    first, _, rest = name.partition(".")
    if not isinstance(net, Serial) or not first.isdigit():
        return name
    return f"{first} {type(net.layers[int(first)]).__name__}" + (f".{rest}" if rest else "")
