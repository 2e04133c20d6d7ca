"""Element-wise operations and reductions."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .._typing import Array, Callable


def add(x: Array, y: Array, alpha: float = 1) -> Array:
    """Return x + alpha y."""
    return x + (y if alpha == 1 else alpha * y)


def sub(x: Array, y: Array, alpha: float = 1) -> Array:
    """Return x - alpha y."""
    return x - (y if alpha == 1 else alpha * y)


def div(x: Array, y: Array, rounding_mode: str | None = None) -> Array:
    """Return x / y, rounded to an integer if asked."""
    ratio = jnp.true_divide(x, y)
    return ratio if rounding_mode is None else {"floor": jnp.floor, "trunc": jnp.trunc}[rounding_mode](ratio)


def power(x: Array, exponent: Array | float) -> Array:
    """Return x to a power; whole numbers are multiplied out, which is smooth at zero."""
    if isinstance(exponent, int | float) and float(exponent).is_integer():
        return x ** int(exponent)
    return jnp.power(x, exponent)


def clamp(x: Array, low: Array | float | None = None, high: Array | float | None = None) -> Array:
    """Return x between two bounds; the slope on a bound is one."""
    x = x if low is None else jnp.where(x < low, low, x)
    return x if high is None else jnp.where(x > high, high, x)


def hardtanh(x: Array, low: float = -1, high: float = 1) -> Array:
    """Return x between two bounds; the slope on a bound is zero."""
    return jnp.where(x <= low, low, jnp.where(x >= high, high, x))


def gelu(x: Array, approximate: str = "none") -> Array:
    """Return x Φ(x)."""
    return jax.nn.gelu(x, approximate=approximate == "tanh")


def elu(x: Array, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Array:
    """Return scale (x or alpha (exp(input_scale x) - 1))."""
    below = jnp.where(x > 0, 0, x)
    return jnp.where(x > 0, scale * x, scale * alpha * jnp.expm1(input_scale * below))


def celu(x: Array, alpha: float = 1) -> Array:
    """Return x, or alpha (exp(x / alpha) - 1) below zero."""
    return elu(x, alpha, 1, 1 / alpha)


def softplus(x: Array, beta: float = 1, threshold: float = 20) -> Array:
    """Return log(1 + exp(beta x)) / beta, or x above the threshold."""
    small = jnp.where(x * beta > threshold, 0, x)
    return jnp.where(x * beta > threshold, x, jax.nn.softplus(beta * small) / beta)


def mish(x: Array) -> Array:
    """Return x tanh(softplus(x))."""
    return x * jnp.tanh(jax.nn.softplus(x))


def leaky_relu(x: Array, slope: float = 0.01) -> Array:
    """Return x, or slope x up to zero."""
    return jnp.where(x > 0, x, slope * x)


def softmax(x: Array, axis: int, half: bool = False) -> Array:  # noqa: ARG001
    """Return exp(x) normalised along an axis."""
    return jax.nn.softmax(x, axis)


def log_softmax(x: Array, axis: int, half: bool = False) -> Array:  # noqa: ARG001
    """Return the logarithm of `softmax`."""
    return jax.nn.log_softmax(x, axis)


def axes_of(x: Array, dim: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """Return axes counted from the front; none at all stands for every axis."""
    axes = (dim,) if isinstance(dim, int) else dim or range(x.ndim)
    return tuple(a % max(x.ndim, 1) for a in axes)


def reduction(function: Callable) -> Callable:
    """Return a rule for a reduction of NumPy's kind."""

    def rule(x: Array, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Array:
        x = x if dtype is None else x.astype(dtype)
        return function(x, axis=axes_of(x, dim), keepdims=keepdim)

    return rule


def extreme(values: Callable, places: Callable) -> Callable:
    """Return a rule for the largest or smallest: of all, of two arrays, or along an axis with its place."""

    def rule(x: Array, dim: Any = None, keepdim: bool = False) -> Array | tuple[Array, Array]:
        if dim is None:
            return values(x)
        return values(x, axis=dim, keepdims=keepdim), places(x, axis=dim, keepdims=keepdim)

    return rule


def place(function: Callable) -> Callable:
    """Return a rule for the place of an extreme."""

    def rule(x: Array, dim: int | None = None, keepdim: bool = False) -> Array:
        return function(x, axis=dim, keepdims=keepdim)

    return rule


def variance(x: Array, dim: Any = None, correction: float | None = None, keepdim: bool = False) -> Array:
    """Return the variance with n - correction in the denominator (1 where not given)."""
    ddof: Any = 1 if correction is None else correction
    return jnp.var(x, axis=axes_of(x, dim), ddof=ddof, keepdims=keepdim)


def vector_norm(x: Array, order: float = 2, dim: Any = None, keepdim: bool = False) -> Array:
    """Return (Σ|x|^p)^(1/p); its derivative at the origin is zero."""
    axes, size = axes_of(x, dim), jnp.abs(x)
    if order == float("inf"):
        return jnp.max(size, axis=axes, keepdims=keepdim)
    if order == 1:
        return jnp.sum(size, axis=axes, keepdims=keepdim)
    total = jnp.sum(x * x if order == 2 else power(size, order), axis=axes, keepdims=keepdim)
    safe = jnp.where(total > 0, total, 1)
    return jnp.where(total > 0, jnp.sqrt(safe) if order == 2 else jnp.power(safe, 1 / order), 0)


def cumsum(x: Array, dim: int, dtype: Any = None) -> Array:
    """Return sums of all entries up to each."""
    return jnp.cumsum(x if dtype is None else x.astype(dtype), dim)


def to_copy(x: Array, dtype: Any = None) -> Array:
    """Return x in another dtype."""
    return x if dtype is None else x.astype(dtype)


RULES: dict[str, Callable] = {
    "_log_softmax": log_softmax, "_softmax": softmax, "_to_copy": to_copy, "abs": jnp.abs, "acos": jnp.arccos,
    "add": add, "all": reduction(jnp.all), "amax": reduction(jnp.max), "amin": reduction(jnp.min),
    "any": reduction(jnp.any), "argmax": place(jnp.argmax), "argmin": place(jnp.argmin), "asin": jnp.arcsin,
    "atan": jnp.arctan, "atan2": jnp.arctan2, "bitwise_and": jnp.bitwise_and, "bitwise_not": jnp.bitwise_not,
    "bitwise_or": jnp.bitwise_or, "ceil": jnp.ceil, "celu": celu, "clamp": clamp, "cos": jnp.cos, "cosh": jnp.cosh,
    "cumsum": cumsum, "div": div, "elu": elu, "eq": jnp.equal, "erf": lax.erf, "exp": jnp.exp, "expm1": jnp.expm1,
    "floor": jnp.floor, "fmod": jnp.fmod, "ge": jnp.greater_equal, "gelu": gelu, "gt": jnp.greater,
    "hardtanh": hardtanh, "isinf": jnp.isinf, "isnan": jnp.isnan, "le": jnp.less_equal, "leaky_relu": leaky_relu,
    "linalg_vector_norm": vector_norm, "log": jnp.log, "log10": jnp.log10, "log1p": jnp.log1p, "log2": jnp.log2,
    "log_sigmoid": jax.nn.log_sigmoid, "logical_and": jnp.logical_and, "logical_not": jnp.logical_not,
    "logical_or": jnp.logical_or, "logical_xor": jnp.logical_xor, "lt": jnp.less, "max": extreme(jnp.max, jnp.argmax),
    "maximum": jnp.maximum, "mean": reduction(jnp.mean), "min": extreme(jnp.min, jnp.argmin),
    "minimum": jnp.minimum, "mish": mish, "mul": jnp.multiply, "ne": jnp.not_equal, "neg": jnp.negative,
    "pow": power, "prod": reduction(jnp.prod), "reciprocal": jnp.reciprocal, "relu": jax.nn.relu,
    "remainder": jnp.remainder, "round": jnp.round, "rsqrt": lax.rsqrt, "rsub": lambda x, y, alpha=1: y - alpha * x,
    "sigmoid": jax.nn.sigmoid, "sign": jnp.sign, "silu": jax.nn.silu, "sin": jnp.sin, "sinh": jnp.sinh,
    "softplus": softplus, "sqrt": jnp.sqrt, "sub": sub, "sum": reduction(jnp.sum), "tan": jnp.tan, "tanh": jnp.tanh,
    "trunc": jnp.trunc, "var": variance, "where": jnp.where,
}  # fmt: skip
