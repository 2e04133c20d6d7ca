"""Axes, indices and masks of the arrays in a `Kernel`."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._typing import Array, Shape


def masked_pairs(one: Array | None, two: Array | None, *, each: bool, diagonal: bool) -> Array | None:
    """Return where one of two values is masked, for masks (n, h, w, ...).

    Parameters
    ----------
    one, two
        Masks; None for none.
    each
        Whether an example meets itself alone.
    diagonal
        Whether a position does.
    """
    masks = [mask for mask in (one, two) if mask is not None]
    if not masks:
        return None
    ndim = masks[0].ndim
    spread = []
    for mask, first in ((one, True), (two, False)):
        if mask is not None:
            single = [each, *[diagonal] * (ndim - 1)]
            shape = [
                n
                for size, alone in zip(mask.shape, single, strict=True)
                for n in ((size,) if alone else (size, 1) if first else (1, size))
            ]
            spread.append(jnp.reshape(mask, shape))
    return spread[0] if len(spread) == 1 else spread[0] | spread[1]


def full_index(idx: Any, ndim: int) -> tuple:
    """Return an index with one entry for each of ``ndim`` axes."""
    parts = idx if isinstance(idx, tuple) else (idx,)
    if Ellipsis in parts:
        place = parts.index(Ellipsis)
        parts = (*parts[:place], *[slice(None)] * (ndim - len(parts) + 1), *parts[place + 1 :])
    if len(parts) > ndim:
        raise ValueError(f"the index {idx} has {len(parts)} entries; expected at most {ndim}.")
    return (*parts, *[slice(None)] * (ndim - len(parts)))


def sliced_shape(shape: Shape, idx: tuple) -> Shape:
    """Return the shape of an indexed array; axes of unknown length (negative) may not be indexed.

    Raises
    ------
    ValueError
        If an axis of unknown length is indexed.
    """
    found = []
    for axis, (n, part) in enumerate(zip(shape, idx, strict=True)):
        if n < 0 and part != slice(None):
            raise ValueError(f"axis {axis} of shape {shape} has no known length and is indexed by {part}.")
        if not isinstance(part, int):
            found.append(n if n < 0 else len(np.empty(n)[part]))
    return tuple(found)


def common(equal: Any, shape: Shape) -> Array:
    """Return which entries are of one example with itself, (n1, n2), from whether two batches are equal."""
    if jnp.ndim(equal) == 2:
        return jnp.asarray(equal)
    return jnp.eye(*shape, dtype=bool) & equal


def common_part(equal: Any, shape: Shape, rows: slice, columns: slice) -> Any:
    """Return the same of parts of two batches: one value if they are equal or have nothing in common."""
    places = range(shape[0])[rows], range(shape[1])[columns]
    if jnp.ndim(equal) == 0 and (equal is False or places[0] == places[1]):
        return equal
    if jnp.ndim(equal) == 0 and not set(places[0]) & set(places[1]):
        return False
    return common(equal, shape)[rows, columns]


def interleaved(k: Array, lead: int, depth: int) -> Array:
    """Return (..., h, w, h', w') as (..., h, h', w, w'), behind ``lead`` axes, for ``depth`` axes of space."""
    return jnp.transpose(k, (*range(lead), *[lead + d + depth * side for d in range(depth) for side in (0, 1)]))


def blocks(k: Array, lead: int, depth: int) -> Array:
    """Return (..., h, h', w, w') as (..., h, w, h', w')."""
    return jnp.transpose(k, (*range(lead), *[lead + 2 * d + side for side in (0, 1) for d in range(depth)]))


def doubled(parts: tuple) -> tuple:
    """Return each entry twice, for both axes of a pair."""
    return tuple(part for part in parts for _ in (0, 1))
