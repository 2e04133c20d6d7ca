"""Operations that move, pick, join or make entries."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .._typing import Array, Callable

Sizes = tuple[int, ...]


def permute(x: Array, order: Sizes) -> Array:
    """Return x with its axes in another order."""
    return jnp.transpose(x, order)


def squeeze(x: Array, dim: int | Sizes | None = None) -> Array:
    """Return x without axes of length one."""
    dims = range(x.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    return jnp.squeeze(x, tuple(a % x.ndim for a in dims if x.shape[a] == 1))


def expand(x: Array, sizes: Sizes, implicit: bool = False) -> Array:  # noqa: ARG001
    """Return x repeated along axes of length one; -1 keeps a length."""
    lead = len(sizes) - x.ndim
    return jnp.broadcast_to(x, [x.shape[i - lead] if n == -1 else n for i, n in enumerate(sizes)])


def take_slice(x: Array, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Array:
    """Return x[..., start:end:step, ...]."""
    return lax.slice_in_dim(x, *_bounds(x, dim, start, end), step, dim)


def slice_scatter(
    x: Array, part: Array, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Array:
    """Return x with a slice replaced."""
    low, high = _bounds(x, dim, start, end)
    return jnp.moveaxis(jnp.moveaxis(x, dim, 0).at[low:high:step].set(jnp.moveaxis(part, dim, 0)), 0, dim)


def select(x: Array, dim: int, index: int) -> Array:
    """Return one entry of an axis."""
    return lax.index_in_dim(x, index, dim, keepdims=False)


def select_scatter(x: Array, part: Array, dim: int, index: int) -> Array:
    """Return x with one entry of an axis replaced."""
    return jnp.moveaxis(jnp.moveaxis(x, dim, 0).at[index].set(part), 0, dim)


def index_select(x: Array, dim: int, places: Array) -> Array:
    """Return chosen entries of an axis."""
    return jnp.take(x, places, axis=dim)


def index(x: Array, places: tuple[Array | None, ...]) -> Array:
    """Return x at places along its first axes."""
    return x[_places(places)]


def index_put(x: Array, places: tuple[Array | None, ...], values: Array, accumulate: bool = False) -> Array:
    """Return x with values at places replaced or added."""
    at = x.at[_places(places)]
    return at.add(values) if accumulate else at.set(values)


def gather(x: Array, dim: int, places: Array, sparse_grad: bool = False) -> Array:  # noqa: ARG001
    """Return x at places along one axis, each row by its own."""
    x = x[tuple(slice(None) if a == dim % x.ndim else slice(n) for a, n in enumerate(places.shape))]
    return jnp.take_along_axis(x, places, dim)


def split_with_sizes(x: Array, sizes: Sizes, dim: int = 0) -> list[Array]:
    """Return x cut along an axis."""
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [lax.slice_in_dim(x, end - size, end, axis=dim) for end, size in zip(ends, sizes, strict=True)]


def cat(parts: tuple[Array, ...], dim: int = 0) -> Array:
    """Return arrays joined along an axis; an empty vector counts for nothing."""
    return jnp.concatenate([a for a in parts if a.shape != (0,)], dim)


def repeat(x: Array, times: Sizes) -> Array:
    """Return x laid side by side."""
    return jnp.tile(x, times)


def pad(x: Array, widths: Sizes, value: float = 0) -> Array:
    """Return x with a margin; widths come in pairs from the last axis on, and may be negative."""
    pairs = [(widths[i], widths[i + 1], 0) for i in range(0, len(widths), 2)]
    return lax.pad(x, jnp.asarray(value, x.dtype), [(0, 0, 0)] * (x.ndim - len(pairs)) + pairs[::-1])


def unfold(x: Array, dim: int, size: int, step: int) -> Array:
    """Return windows of an axis, with the window as the last axis."""
    starts = jnp.arange(0, x.shape[dim] - size + 1, step)
    windows = jnp.take(x, starts[:, None] + jnp.arange(size), axis=dim)
    return jnp.moveaxis(windows, dim % x.ndim + 1, -1)


def sort(x: Array, dim: int = -1, descending: bool = False, stable: bool = False) -> tuple[Array, Array]:  # noqa: ARG001
    """Return sorted entries and where they were."""
    order = jnp.argsort(x, axis=dim, descending=descending)
    return jnp.take_along_axis(x, order, dim), order


def topk(x: Array, k: int, dim: int = -1, largest: bool = True, ordered: bool = True) -> tuple[Array, Array]:  # noqa: ARG001
    """Return the k largest or smallest entries and where they were."""
    values, order = sort(x, dim, largest)
    return take_slice(values, dim, 0, k), take_slice(order, dim, 0, k)


def arange(*bounds: float, dtype: Any) -> Array:
    """Return numbers at equal distances."""
    return jnp.arange(*bounds, dtype=dtype)


def filled(value: float) -> Callable:
    """Return a rule that makes arrays of one value."""
    return lambda sizes, dtype: jnp.full(sizes, value, dtype)


def filled_like(value: float) -> Callable:
    """Return a rule that makes an array of one value in the shape of another."""
    return lambda x, dtype: jnp.full(x.shape, value, dtype)


def _bounds(x: Array, dim: int, start: int | None, end: int | None) -> tuple[int, int]:
    low, high, _ = slice(start, end).indices(x.shape[dim])
    return low, max(low, high)


def _places(places: tuple[Array | None, ...]) -> tuple:
    return tuple(slice(None) if p is None else p for p in places)


def _same(x: Array) -> Array:
    return x


RULES: dict[str, Callable] = {
    "_unsafe_view": jnp.reshape, "alias": _same, "arange": arange, "cat": cat, "clone": _same,
    "constant_pad_nd": pad, "contiguous": _same, "copy": lambda x, y: jnp.broadcast_to(y, x.shape).astype(x.dtype),
    "detach": jax.lax.stop_gradient, "empty": filled(0), "expand": expand, "flip": jnp.flip,
    "full": lambda sizes, value, dtype: jnp.full(sizes, value, dtype),
    "full_like": lambda x, value, dtype: jnp.full(x.shape, value, dtype), "gather": gather,
    "getitem": lambda values, place: values[place], "index": index, "index_put": index_put,
    "index_select": index_select, "lift_fresh_copy": _same, "ones": filled(1), "ones_like": filled_like(1),
    "permute": permute, "repeat": repeat, "reshape": jnp.reshape,
    "scalar_tensor": lambda value, dtype: jnp.asarray(value, dtype), "select": select,
    "select_scatter": select_scatter, "slice": take_slice, "slice_scatter": slice_scatter, "sort": sort,
    "split_with_sizes": split_with_sizes, "squeeze": squeeze, "topk": topk, "unfold": unfold,
    "unsqueeze": jnp.expand_dims, "view": jnp.reshape, "zeros": filled(0), "zeros_like": filled_like(0),
}  # fmt: skip
