"""Normalisation and attention."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .._typing import Array, Callable

Sizes = tuple[int, ...]


def layer_norm(x: Array, shape: Sizes, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, ...]:
    """Return x normalised over its last axes, with mean and inverse deviation."""
    out, mean, inverse = _normalised(x, tuple(range(x.ndim - len(shape), x.ndim)), eps)
    return _affine(out, weight, bias), mean, inverse


def group_norm(x: Array, weight: Array | None, bias: Array | None, *settings: Any) -> tuple[Array, ...]:
    r"""Return (n, c, \*space) normalised over groups of channels and space; settings are n, c, size, groups, eps."""
    n, c, size, groups, eps = settings
    out, mean, inverse = _normalised(jnp.reshape(x, (n, groups, c // groups * size)), (2,), eps)
    channel = (c, *(1,) * (x.ndim - 2))
    weight, bias = (None if a is None else jnp.reshape(a, channel) for a in (weight, bias))
    return _affine(jnp.reshape(out, x.shape), weight, bias), mean[..., 0], inverse[..., 0]


def fixed_batch_norm(
    x: Array, weight: Array | None, bias: Array | None, mean: Array, variance: Array, *settings: float
) -> tuple[Array, ...]:
    r"""Return (n, c, \*space) less the running mean over the running deviation; the settings are momentum and eps."""
    _, eps = settings
    channel = (-1, *(1,) * (x.ndim - 2))
    weight, bias = (None if a is None else jnp.reshape(a, channel) for a in (weight, bias))
    out = (x - jnp.reshape(mean, channel)) * lax.rsqrt(jnp.reshape(variance, channel) + eps)
    return _affine(out, weight, bias), mean, variance


def own_batch_norm(x: Array, weight: Array | None, bias: Array | None, *settings: float) -> tuple[Array, ...]:
    r"""Return (n, c, \*space) normalised over all axes but the channels, as instance normalisation does it.

    The settings are whether it is training, momentum and eps.
    """
    _, _, eps = settings
    out, mean, inverse = _normalised(x, (0, *range(2, x.ndim)), eps)
    channel = (-1, *(1,) * (x.ndim - 2))
    weight, bias = (None if a is None else jnp.reshape(a, channel) for a in (weight, bias))
    return _affine(out, weight, bias), jnp.ravel(mean), jnp.ravel(inverse)


def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    dropout: float = 0.0,
    causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Array:
    """Return softmax(scale q kᵀ + mask) v; a row that sees nothing is zero."""
    if dropout != 0:
        raise ValueError(f"attention has dropout {dropout}, which draws random numbers; call module.eval().")
    if enable_gqa:
        k, v = (jnp.repeat(a, q.shape[-3] // a.shape[-3], axis=-3) for a in (k, v))
    scores = jnp.matmul(q, jnp.swapaxes(k, -1, -2)) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if causal:
        mask = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    if mask is not None:
        scores = jnp.where(mask, scores, -jnp.inf) if mask.dtype == bool else scores + mask
        sees = jnp.any(scores > -jnp.inf, -1, keepdims=True)
        return jnp.matmul(jnp.where(sees, jax.nn.softmax(jnp.where(sees, scores, 0), -1), 0), v)
    return jnp.matmul(jax.nn.softmax(scores, -1), v)


def _normalised(x: Array, axes: Sizes, eps: float) -> tuple[Array, Array, Array]:
    mean = jnp.mean(x, axes, keepdims=True)
    inverse = lax.rsqrt(jnp.mean((x - mean) ** 2, axes, keepdims=True) + eps)
    return (x - mean) * inverse, mean, inverse


def _affine(x: Array, weight: Array | None, bias: Array | None) -> Array:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


RULES: dict[str, Callable] = {
    "_native_batch_norm_legit": own_batch_norm,
    "_native_batch_norm_legit_no_training": fixed_batch_norm,
    "native_group_norm": group_norm,
    "native_layer_norm": layer_norm,
    "scaled_dot_product_attention": attention,
}
