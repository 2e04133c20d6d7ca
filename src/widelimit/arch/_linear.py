"""Second moments under fixed linear maps of space: pooling, graphs, resizing."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp

from .._typing import Array
from ._pair import Pair

SpatialMap = Callable[[Array], Array]
"""A linear map on the leading axes of an array: (*S, ...) -> (*S', ...), whatever axes follow."""


def mix(pair: Pair, on_x: SpatialMap, on_y: SpatialMap) -> Pair:
    r"""Return the moments of :math:`u'_P = \sum_p A_{Pp} u_p`, from a pair in `Space.FULL` (or of vectors).

    With :math:`G = A\,\mathrm{gap}\,A^\top` between two inputs and :math:`G_x, G_y` within each, row sums
    :math:`r = A 1` and :math:`m = A q`,

    .. math:: \mathrm{gap}' = G - \tfrac12 G_x(P,P) - \tfrac12 G_y(P',P') + \tfrac12 (r_P - r_{P'})(m_P - m_{P'}),

    which keeps the digits of the gap. Masks and graphs are dropped: the caller knows those of the new space.

    Parameters
    ----------
    pair
        The pair in front of the map.
    on_x, on_y
        The map for each of the two inputs; on a graph they differ.
    """
    depth = pair.xx.ndim

    def both(a: Array, left: SpatialMap, right: SpatialMap) -> Array:
        a = left(a)
        rows = a.ndim - depth
        a = right(jnp.moveaxis(a, range(rows), range(-rows, 0))) if rows else right(a)
        columns = a.ndim - rows
        return jnp.moveaxis(a, range(columns, a.ndim), range(rows)) if rows else a

    if depth == 0:
        # The only position has no gap to itself.
        pair = dataclasses.replace(pair, gap_x=jnp.zeros_like(pair.xx), gap_y=jnp.zeros_like(pair.yy))
    if pair.gap_x is None or pair.gap_y is None:
        raise ValueError("positions are mixed, but only the diagonal of space was kept; expected Space.FULL.")
    one_x, one_y = on_x(jnp.ones_like(pair.xx)), on_y(jnp.ones_like(pair.yy))
    m_x, m_y = on_x(pair.xx), on_y(pair.yy)
    within_x, within_y = both(pair.gap_x, on_x, on_x), both(pair.gap_y, on_y, on_y)

    def first(a: Array) -> Array:
        return a.reshape(*a.shape, *(1,) * a.ndim)

    def gap(g: Array, own: tuple[Array, Array], r: tuple[Array, Array], m: tuple[Array, Array]) -> Array:
        apart = (first(r[0]) - r[1]) * (first(m[0]) - m[1])
        return g - (first(own[0]) + own[1]) / 2 + apart / 2

    own_x, own_y = _diagonal(within_x, one_x), _diagonal(within_y, one_y)
    new = gap(both(pair.gap, on_x, on_y), (own_x, own_y), (one_x, one_y), (m_x, m_y))
    vector = one_x.ndim == 0
    return dataclasses.replace(
        pair,
        xx=_variance(pair.xx, pair.gap_x, both, on_x),
        yy=_variance(pair.yy, pair.gap_y, both, on_y),
        gap=new,
        ntk=both(pair.ntk, on_x, on_y),
        gap_x=None if vector else gap(within_x, (own_x, own_x), (one_x, one_x), (m_x, m_x)),
        gap_y=None if vector else gap(within_y, (own_y, own_y), (one_y, one_y), (m_y, m_y)),
        mean_x=None if pair.mean_x is None else on_x(pair.mean_x),
        mean_y=None if pair.mean_y is None else on_y(pair.mean_y),
        mask_x=None,
        mask_y=None,
        graph_x=None,
        graph_y=None,
    )


def reached(mask: Array | None, on: SpatialMap) -> Array | None:
    """Return where a map with no negative entry gives a position that is present.

    It is one that depends on a position that is present, or on none at all.
    """
    if mask is None:
        return None
    here = mask.astype(float)
    return (on(here) > 0) | (on(jnp.ones_like(here)) == 0)


def _variance(q: Array, gap: Array, both: Callable, on: SpatialMap) -> Array:
    # From the covariances themselves: their mean may be far smaller than the mean of the variances.
    covariance = (q.reshape(*q.shape, *(1,) * q.ndim) + q) / 2 - gap
    mixed = both(covariance, on, on)
    return _diagonal(mixed, on(q))


def _diagonal(a: Array, like: Array) -> Array:
    return jnp.diagonal(a.reshape(like.size, like.size)).reshape(like.shape) if like.ndim else a
