"""What self-attention and cross-attention share: weights, the finite forward pass, and the limit behind the heads."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from .. import _check
from .._typing import Array, Key, Params, PyTree, Scalar, Shape
from . import _weights
from ._pair import Pair
from ._parameterization import AbstractParameterization
from ._scaling import AbstractScaling, Seen, Sizes, Weights

Two = tuple[AbstractParameterization, AbstractParameterization]
"""The parameterization of queries, keys and values, and that of the output."""


class Attention(Protocol):
    """An attention layer."""

    @property
    def width(self) -> int:
        """Number of output channels."""
        ...

    @property
    def heads(self) -> int:
        """Number of heads."""
        ...

    @property
    def key_width(self) -> int:
        """Channels of the keys of one head."""
        ...

    @property
    def value_width(self) -> int:
        """Channels of the values of one head."""
        ...

    @property
    def query_std(self) -> Scalar:
        """Scale of the weights of the queries."""
        ...

    @property
    def key_std(self) -> Scalar:
        """Scale of the weights of the keys."""
        ...

    @property
    def value_std(self) -> Scalar:
        """Scale of the weights of the values."""
        ...

    @property
    def out_std(self) -> Scalar:
        """Scale of the weights of the output."""
        ...

    @property
    def bias_std(self) -> Scalar | None:
        """Scale of the biases of the output."""
        ...

    @property
    def scaling(self) -> AbstractScaling:
        """How products of queries and keys are scaled."""
        ...

    @property
    def parameterization(self) -> Any:
        """Of the inner weights, and of the output."""
        ...


def both(value: Any) -> Any:
    """Return a parameterization as one for inner weights and one for the output."""
    return tuple(value) if isinstance(value, tuple | list) else (value, value)


def check(layer: Attention) -> None:
    """Refuse widths, scales and strategies that make no sense."""
    for name in ("width", "heads", "key_width", "value_width"):
        _check.positive_int(getattr(layer, name), name)
    for name in ("query_std", "key_std", "value_std", "out_std"):
        _check.nonnegative(getattr(layer, name), name)
    if layer.bias_std is not None:
        _check.nonnegative(layer.bias_std, "bias_std")
    _check.instance(layer.scaling, AbstractScaling, "scaling", "LinearScaling()")
    for one in layer.parameterization:
        _check.instance(one, AbstractParameterization, "parameterization", "NTKParameterization()")


def out_weights(layer: Attention) -> Weights:
    """Return the weights of the output."""
    return Weights(layer.out_std, layer.bias_std, layer.parameterization[1])


def inner_weights(layer: Attention, name: str) -> Weights:
    """Return the weights of ``"query"``, ``"key"`` or ``"value"``."""
    std = {"query": layer.query_std, "key": layer.key_std, "value": layer.value_std}[name]
    if layer.scaling.tied and name != "value":
        std = (layer.query_std * layer.key_std) ** 0.5
    return Weights(std, None, layer.parameterization[0])


def draw(layer: Attention, key: Key, channels: dict[str, int]) -> Params:
    """Return random weights by name; ``channels`` says how many each of query, key and value sees."""
    names = ("key", "value") if layer.scaling.tied else ("query", "key", "value")
    keys = dict(zip(("query", "key", "value", "out"), jax.random.split(key, 4), strict=True))
    params = {}
    for name in names:
        wide = layer.value_width if name == "value" else layer.key_width
        shape, fans = (layer.heads, channels[name], wide), (channels[name], layer.heads * wide)
        params[name] = _weights.draw(inner_weights(layer, name), keys[name], shape, fans, ())["weight"]
    total = layer.heads * layer.value_width
    out = _weights.draw(out_weights(layer), keys["out"], (total, layer.width), (total, layer.width), (layer.width,))
    return {**params, "out": out["weight"], **({"bias": out["bias"]} if "bias" in out else {})}


def rates(layer: Attention, params: Params) -> PyTree:
    """Return the factors of the learning rate of each of the weights."""
    inner, out = layer.parameterization
    found = {}
    for name in ("query", "key", "value"):
        if name in params:
            heads, fan_in, wide = params[name].shape
            found[name] = inner.rates(fan_in, heads * wide)[0]
    weight, bias = out.rates(*params["out"].shape)
    return {**found, "out": weight, **({"bias": bias} if "bias" in params else {})}


def attend(layer: Attention, params: Params, seen: tuple[Array, Array, Array], allowed: Array | None) -> Array:
    """Return the output (queries, width) from what queries, keys and values see, each (positions, channels)."""

    def heads(name: str, u: Array) -> Array:
        matrix = params[name]
        factor, _ = inner_weights(layer, name).parameterization.weight(
            inner_weights(layer, name).weight_std, matrix.shape[1], matrix.shape[0] * matrix.shape[2]
        )
        return factor.astype(u.dtype) * jnp.einsum("pc,hcd->hpd", u, matrix.astype(u.dtype))

    queries, keys, values = seen
    query = heads("key" if layer.scaling.tied else "query", queries)
    logits = layer.scaling.scale(layer.key_width) * jnp.einsum("hpd,hqd->hpq", query, heads("key", keys))
    weights = layer.scaling.mechanism.weights(logits, allowed)
    looked = jnp.einsum("hpq,hqd->phd", weights, heads("value", values)).reshape(queries.shape[0], -1)
    z = looked @ params["out"].astype(looked.dtype)
    return _weights.scale(out_weights(layer), params, z, tuple(params["out"].shape))


def limit(layer: Attention, seen: Seen) -> Pair:
    """Return the moments of the output at the positions of the queries, from those in front of all weights."""
    value = inner_weights(layer, "value")
    values = _weights.weigh(value, seen.values, seen.values.channels, layer.value_width)
    heads = layer.scaling.attend(seen._replace(values=values))
    out = _weights.weigh(out_weights(layer), heads, layer.heads * layer.value_width, layer.width)
    kept = ("mask_x", "mask_y", "graph_x", "graph_y")
    return dataclasses.replace(out, **{name: getattr(seen.queries, name) for name in kept})


def resized(layer: Attention, width: int, factor: float, readout: bool) -> tuple[dict[str, Any], float]:
    """Return the fields that change at another width, and the growth of the output."""
    sizes = Sizes(layer.heads, layer.key_width, layer.value_width)
    new = layer.scaling.grown(width, sizes)
    inner, out = layer.parameterization
    grown = new.heads * new.value_width / (sizes.heads * sizes.value_width)
    channels = layer.width if readout else width
    fields = {
        "width": channels,
        **new._asdict(),
        "parameterization": (inner.rescaled(factor), out.rescaled(grown)),
    }
    return fields, channels / layer.width


def flat(values: Array) -> Array:
    """Return (*space, channels) as (positions, channels)."""
    return values.reshape(math.prod(values.shape[:-1]), values.shape[-1])


def allowed(mask: Array | None, space: Shape, causal: bool) -> Array | None:
    """Return where a query may look, (queries, keys) or (1, keys): at positions that are present, and not behind it."""
    count = math.prod(space)
    present = None if mask is None else mask.reshape(1, count)
    if not causal:
        return present
    before = jnp.tril(jnp.ones((count, count), bool))
    return before if present is None else before & present
