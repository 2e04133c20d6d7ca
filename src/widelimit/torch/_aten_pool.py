r"""Pooling and resizing over the last axes of (n, c, \*space)."""

import functools
import itertools
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from .._typing import Array, Callable

Sizes = tuple[int, ...]


class MaxWindows(NamedTuple):
    """The settings of max pooling, as PyTorch lists them; no stride stands for that of the window."""

    window: Sizes
    stride: Sizes = ()
    padding: Sizes = (0,)
    dilation: Sizes = (1,)
    ceil: bool = False


class MeanWindows(NamedTuple):
    """The settings of average pooling, as PyTorch lists them; no stride stands for that of the window."""

    window: Sizes
    stride: Sizes = ()
    padding: Sizes = (0,)
    ceil: bool = False
    count_padding: bool = True
    divisor: int | None = None


def max_pool(rank: int, x: Array, *settings: Any) -> tuple[Array, None]:
    """Return the largest entry of each window; the settings are those of `MaxWindows`."""
    window, stride, padding, dilation, ceil = MaxWindows(*settings)
    window, stride, padding, dilation = _full(rank, window, stride or window, padding, dilation)
    edges = _edges(x, window, stride, padding, dilation, ceil)
    if dilation == (1,) * rank:
        sizes = (_lead(x, window, 1), _lead(x, stride, 1), _lead(x, edges, (0, 0)))
        return lax.reduce_window(x, -jnp.inf, lax.max, *sizes), None
    # JAX has no derivative of windows with gaps.
    x = jnp.pad(x, _lead(x, edges, (0, 0)), constant_values=-jnp.inf)
    for axis, k, s, d in zip(range(x.ndim - rank, x.ndim), window, stride, dilation, strict=True):
        span = x.shape[axis] - d * (k - 1)
        x = jnp.max(jnp.stack([lax.slice_in_dim(x, d * i, d * i + span, s, axis) for i in range(k)]), 0)
    return x, None


def avg_pool(rank: int, x: Array, *settings: Any) -> Array:
    """Return the mean of each window; the settings are those of `MeanWindows`."""
    window, stride, padding, ceil, count_padding, divisor = MeanWindows(*settings)
    window, stride, padding = _full(rank, window, stride or window, padding)
    edges = _edges(x, window, stride, padding, (1,) * rank, ceil)

    def sums(a: Array, edges: list) -> Array:
        return lax.reduce_window(a, 0.0, lax.add, _lead(a, window, 1), _lead(a, stride, 1), _lead(a, edges, (0, 0)))

    if divisor is not None:
        return sums(x, edges) / divisor
    space = x.shape[x.ndim - rank :]
    ones = jnp.ones((1, 1, *space), x.dtype)
    if count_padding:
        # The margin counts; what only rounding up adds beyond it does not.
        ones = jnp.pad(ones, _lead(ones, [(p, p) for p in padding], (0, 0)), constant_values=1)
        edges_of_ones = [(0, high - p) for (_, high), p in zip(edges, padding, strict=True)]
    else:
        edges_of_ones = edges
    counts = sums(ones, edges_of_ones)
    return sums(x, edges) / jnp.reshape(counts, counts.shape[2:])


def adaptive(function: Callable, x: Array, sizes: Sizes) -> Array:
    """Return x reduced to the sizes given, by windows as even as possible."""
    for axis, size in zip(range(x.ndim - len(sizes), x.ndim), sizes, strict=True):
        length = x.shape[axis]
        bounds = [(i * length // size, -(-(i + 1) * length // size)) for i in range(size)]
        x = jnp.stack([function(lax.slice_in_dim(x, a, b, axis=axis), axis=axis) for a, b in bounds], axis)
    return x


def nearest(x: Array, sizes: Sizes | None, scales: tuple[float, ...] | None = None) -> Array:
    """Return x resized by repeating entries."""
    for axis, size, scale in _resized(x, sizes, scales):
        x = jnp.take(x, np.minimum(np.floor(np.arange(size) * scale), x.shape[axis] - 1).astype(int), axis=axis)
    return x


def interpolated(x: Array, sizes: Sizes | None, align_corners: bool, scales: tuple[float, ...] | None = None) -> Array:
    """Return x resized by linear interpolation along each axis."""
    for axis, size, scale in _resized(x, sizes, scales):
        length = x.shape[axis]
        if align_corners:
            place = np.arange(size) * ((length - 1) / max(size - 1, 1))
        else:
            place = np.maximum((np.arange(size) + 0.5) * scale - 0.5, 0)
        low = np.minimum(np.floor(place).astype(int), length - 1)
        share = jnp.asarray(place - low, x.dtype).reshape((size,) + (1,) * (x.ndim - axis - 1))
        high = np.minimum(low + 1, length - 1)
        x = jnp.take(x, low, axis=axis) * (1 - share) + jnp.take(x, high, axis=axis) * share
    return x


def _resized(x: Array, sizes: Sizes | None, scales: tuple[float, ...] | None) -> list[tuple[int, int, float]]:
    rank = len(sizes or scales or ())
    space = range(x.ndim - rank, x.ndim)
    if scales is not None:
        return [(a, int(x.shape[a] * s), 1 / s) for a, s in zip(space, scales, strict=True)]
    return [(a, n, x.shape[a] / n) for a, n in zip(space, sizes or (), strict=True)]


def _full(rank: int, *settings: Sizes) -> list[Sizes]:
    return [s * rank if len(s) == 1 else s for s in ((s,) if isinstance(s, int) else s for s in settings)]


def _edges(
    x: Array, window: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, ceil: bool
) -> list[tuple[int, int]]:
    edges = []
    space = x.shape[x.ndim - len(window) :]
    for n, k, s, p, d in zip(space, window, stride, padding, dilation, strict=True):
        reach, more = d * (k - 1) + 1, 0
        if ceil:
            count = -(-(n + 2 * p - reach) // s) + 1
            # A window that would start in the far margin is left out.
            count -= (count - 1) * s >= n + p
            more = max(0, (count - 1) * s + reach - n - 2 * p)
        edges.append((p, p + more))
    return edges


def _lead(x: Array, values: Any, before: Any) -> list:
    return [*itertools.repeat(before, x.ndim - len(values)), *values]


RULES: dict[str, Callable] = {
    "_adaptive_avg_pool2d": functools.partial(adaptive, jnp.mean),
    "_adaptive_avg_pool3d": functools.partial(adaptive, jnp.mean),
    "adaptive_avg_pool1d": functools.partial(adaptive, jnp.mean),
    "adaptive_max_pool2d": lambda x, sizes: (adaptive(jnp.max, x, sizes), None),
    "adaptive_max_pool3d": lambda x, sizes: (adaptive(jnp.max, x, sizes), None),
    "avg_pool1d": functools.partial(avg_pool, 1),
    "avg_pool2d": functools.partial(avg_pool, 2),
    "avg_pool3d": functools.partial(avg_pool, 3),
    "max_pool2d_with_indices": functools.partial(max_pool, 2),
    "max_pool3d_with_indices": functools.partial(max_pool, 3),
    "upsample_bilinear2d": interpolated,
    "upsample_linear1d": interpolated,
    "upsample_nearest1d": nearest,
    "upsample_nearest2d": nearest,
}
