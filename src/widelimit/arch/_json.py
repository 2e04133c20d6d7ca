"""Architectures as JSON: readable, versioned, and safe to load from someone else."""

import dataclasses
import enum
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import dual
from .._typing import Tracer
from ._abc import ABC
from ._activation import Activation
from ._aggregate import Aggregate
from ._attention import CrossAttention, SelfAttention
from ._base import AbstractLayer
from ._branches import Concatenate, FanOut, Parallel, Product, Sum
from ._compose import Residual, Serial
from ._conv import Conv
from ._conv_transpose import ConvTranspose
from ._dense import Dense
from ._dropout import Dropout
from ._embedding import Embedding
from ._flatten import Flatten
from ._index import Index
from ._local import LocallyConnected
from ._maps import LinearMap, Scale
from ._mechanism import AbsMechanism, IdentityMechanism, ReluMechanism, Softmax
from ._norm import LayerNorm
from ._parameterization import NTKParameterization, StandardParameterization
from ._pool import AvgPool, GlobalAvgPool, GlobalSumPool, SumPool
from ._positions import ConcatPositions, Decay, Independent, SumPositions
from ._rates import Gains, RateMultiplier
from ._repeat import Repeat
from ._resize import Linear, Nearest, Resize
from ._scaling import LinearScaling, SqrtScaling
from ._transpose import Transpose
from ._window import Circular, Valid, Zeros

VERSION = 1

TYPES = {
    cls.__name__: cls
    for cls in (
        Serial,
        Residual,
        Dense,
        Activation,
        Flatten,
        Conv,
        AvgPool,
        SumPool,
        GlobalAvgPool,
        GlobalSumPool,
        LocallyConnected,
        ConvTranspose,
        LayerNorm,
        Dropout,
        Index,
        Linear,
        Nearest,
        Resize,
        LinearMap,
        Scale,
        Embedding,
        Valid,
        Zeros,
        Circular,
        FanOut,
        Parallel,
        Sum,
        Product,
        Concatenate,
        Repeat,
        Transpose,
        Gains,
        Aggregate,
        SelfAttention,
        CrossAttention,
        LinearScaling,
        SqrtScaling,
        Softmax,
        IdentityMechanism,
        ReluMechanism,
        AbsMechanism,
        SumPositions,
        ConcatPositions,
        Independent,
        Decay,
        RateMultiplier,
        NTKParameterization,
        StandardParameterization,
        ABC,
        dual.PiecewiseLinear,
        dual.Erf,
        dual.Sin,
        dual.Gaussian,
        dual.Identity,
        dual.Series,
        dual.TwoSided,
        dual.Kinked,
        dual.Gelu,
        dual.Snake,
        dual.Exp,
        dual.Sign,
        dual.Gabor,
        dual.Hermite,
        dual.Polynomial,
        dual.RectifiedMonomial,
        dual.ExpNormalized,
        dual.KernelFunction,
    )
}

FUNCTIONS = {
    "jax.numpy": jnp,
    "jax.nn": jax.nn,
    "jax.scipy.special": jax.scipy.special,
    "widelimit.dual.functions": dual.functions,
}
"""Modules from which an activation may be named in JSON."""


def to_json(net: AbstractLayer) -> str:
    """Return the architecture as JSON text: ``{"widelimit": 1, "net": {"type": "Serial", ...}}``.

    Parameters
    ----------
    net
        Any layer or network. Hyperparameters must be concrete numbers.

    Raises
    ------
    ValueError
        If a hyperparameter is being traced, or an activation is a function that has no public name in JAX.
    """
    return json.dumps({"widelimit": VERSION, "net": _encode(net)}, indent=1)


def from_json(text: str) -> AbstractLayer:
    """Return the architecture that `to_json` wrote. Nothing but known types is ever built.

    Raises
    ------
    ValueError
        If the text is not such JSON, comes from a newer version, or names an unknown type or field.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"the architecture is not valid JSON: {error}.") from None
    if not isinstance(document, dict) or "net" not in document or not isinstance(document.get("widelimit"), int):
        raise ValueError('the JSON is no architecture; expected {"widelimit": 1, "net": {...}} as to_json writes it.')
    if document["widelimit"] > VERSION:
        raise ValueError(
            f"the architecture has format version {document['widelimit']}, this widelimit reads up to {VERSION}; "
            "update widelimit."
        )
    net = _decode(document["net"])
    if not isinstance(net, AbstractLayer):
        raise ValueError(f'"net" is a {type(net).__name__}; expected a layer.')
    return net


def _encode(value: Any) -> Any:
    if type(value).__name__ in TYPES and isinstance(value, tuple(TYPES.values())):
        fields = {f.name: _encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Tracer):
        raise ValueError("a hyperparameter is being traced by JAX; expected concrete numbers.")
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple):
        return [_encode(v) for v in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, np.ndarray | jax.Array) and value.ndim:
        return {"array": np.asarray(value, float).tolist()}
    if callable(value):
        return {"function": _function_name(value)}
    if jnp.ndim(value) == 0:
        return float(value)
    raise ValueError(f"{value!r} has no JSON form; expected layers, duals, parameterizations and numbers.")


def _function_name(fn: Any) -> str:
    name = getattr(fn, "__name__", "")
    for module, namespace in FUNCTIONS.items():
        if not name.startswith("_") and getattr(namespace, name, None) is fn:
            return f"{module}:{name}"
    raise ValueError(
        f"the activation {name or fn!r} has no public name in {', '.join(FUNCTIONS)}, so it cannot be written as "
        "JSON. Use a named function, or keep this architecture in code."
    )


def _array(value: Any) -> np.ndarray:
    try:
        return np.asarray(value, float)
    except (TypeError, ValueError):
        raise ValueError(
            "an array is no nested list of numbers of one shape; expected one as to_json writes it."
        ) from None


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(v) for v in value)
    if not isinstance(value, dict):
        return value
    if set(value) == {"array"}:
        return _array(value["array"])
    if set(value) == {"function"}:
        module, _, name = str(value["function"]).partition(":")
        fn = None if name.startswith("_") else getattr(FUNCTIONS.get(module), name, None)
        if not callable(fn):
            raise ValueError(f"unknown function {value['function']!r}; expected one of {', '.join(FUNCTIONS)}.")
        return fn
    cls = TYPES.get(value.get("type", ""))
    if cls is None:
        raise ValueError(f"unknown type {value.get('type')!r}; expected one of {', '.join(sorted(TYPES))}.")
    fields = {k: _decode(v) for k, v in value.items() if k != "type"}
    known = {f.name for f in dataclasses.fields(cls)}
    if set(fields) - known:
        raise ValueError(f"{value['type']} has no field {sorted(set(fields) - known)[0]!r}; it has {sorted(known)}.")
    try:
        return cls(**fields)
    except TypeError as error:
        raise ValueError(f"{value['type']} cannot be built: {error}.") from None
