"""Second moments of one pair of inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array
from ._graph import Graph
from ._sample import Sample
from ._space import Space


class Pair(eqx.Module):
    r"""Second moments of a signal on one pair of inputs (x, y), per channel, in gap form.

    With p a position of x and p' one of y, ``gap`` and ``ntk`` are kept for p = p' (`Space.DIAGONAL`, shape (\*S,))
    or for all p, p' (`Space.FULL`, shape (\*S, \*S)); in vectors both are numbers of shape ().

    Attributes
    ----------
    xx, yy
        :math:`E\,u(x)^2` and :math:`E\,u(y)^2`, of shape (\*S,).
    gap
        :math:`\tfrac12 E(u(x)_p - u(y)_{p'})^2`. The covariance `xy` follows from it; see DESIGN.md for why the gap
        is the one that is carried.
    ntk
        :math:`\Theta(x, y)` of the layers so far, of the shape of ``gap``.
    channels
        Number of channels of the signal in the finite network (static).
    gap_x, gap_y
        The gap between positions of the same input, (\*S, \*S); None in `Space.DIAGONAL`.
    mean_x, mean_y
        Mean over channels :math:`E\,u(x)`, (\*S,); None for zero, as behind fresh weights.
    mask_x, mask_y
        True where a position is present, (\*S,); None if all are. Moments are zero at missing positions.
    graph_x, graph_y
        Adjacency matrices of the inputs, or their `Edges`, if they have any.
    same
        Whether x and y are one and the same input, so that they share what is random per input, such as the mask of
        a `Dropout`; None counts as no.
    """

    xx: Array
    yy: Array
    gap: Array
    ntk: Array
    channels: int = eqx.field(static=True)
    gap_x: Array | None = None
    gap_y: Array | None = None
    mean_x: Array | None = None
    mean_y: Array | None = None
    mask_x: Array | None = None
    mask_y: Array | None = None
    graph_x: Graph | None = None
    graph_y: Graph | None = None
    same: Array | None = None

    @property
    def space(self) -> Space:
        """Which pairs of positions are kept."""
        return Space.DIAGONAL if self.gap_x is None else Space.FULL

    @property
    def xy(self) -> Array:
        r"""The covariance :math:`E\,u(x)u(y)`, of the shape of ``gap``."""
        return (self.first(self.xx) + self.yy) / 2 - self.gap

    def first(self, a: Array) -> Array:
        """Return an array over positions of x, shaped to meet one over positions of y in the shape of ``gap``."""
        return a if self.gap_x is None else a.reshape(*a.shape, *(1,) * a.ndim)

    def map_gaps(self, fn: Callable[[Array, Array, Array], Array]) -> dict[str, Array]:
        """Return ``fn(q1, q2, gap)`` for each gap that is kept, by the name of its field."""
        found = {"gap": fn(self.first(self.xx), self.yy, self.gap)}
        if self.gap_x is not None and self.gap_y is not None:
            found["gap_x"] = fn(self.first(self.xx), self.xx, self.gap_x)
            found["gap_y"] = fn(self.first(self.yy), self.yy, self.gap_y)
        return found

    def diagonal(self) -> Pair:
        """Return the pair with each position against itself alone."""
        if self.gap_x is None:
            return self
        shape = self.xx.shape

        def diagonal(a: Array) -> Array:
            return jnp.diagonal(a.reshape(self.xx.size, self.xx.size)).reshape(shape)

        return dataclasses.replace(self, gap=diagonal(self.gap), ntk=diagonal(self.ntk), gap_x=None, gap_y=None)

    def cleared(self) -> Pair:
        """Return the pair with a signal of zero at missing positions."""
        if self.mask_x is None or self.mask_y is None:
            return self
        x, y = self.mask_x, self.mask_y

        def clear(a: Array, b: Array, q1: Array, q2: Array, gap: Array) -> Array:
            a = self.first(a)
            return jnp.where(a & b, gap, jnp.where(a, q1, jnp.where(b, q2, 0)) / 2)

        gaps = {"gap": clear(x, y, self.first(self.xx), self.yy, self.gap)}
        if self.gap_x is not None and self.gap_y is not None:
            gaps["gap_x"] = clear(x, x, self.first(self.xx), self.xx, self.gap_x)
            gaps["gap_y"] = clear(y, y, self.first(self.yy), self.yy, self.gap_y)
        return dataclasses.replace(
            self,
            xx=jnp.where(x, self.xx, 0),
            yy=jnp.where(y, self.yy, 0),
            ntk=jnp.where(self.first(x) & y, self.ntk, 0),
            mean_x=None if self.mean_x is None else jnp.where(x, self.mean_x, 0),
            mean_y=None if self.mean_y is None else jnp.where(y, self.mean_y, 0),
            **gaps,
        )


@jax.jit(static_argnames="space")
def input_pair(x: Sample | Array, y: Sample | Array, space: Space = Space.DIAGONAL) -> Pair:
    r"""Return the moments of two inputs of shape (\*space, channels): inner products divided by ``channels``.

    Token numbers of shape (\*space,), which are integers, count as their one-hot codes, whose inner products are
    not divided.
    """
    x, y = (s if isinstance(s, Sample) else Sample(s) for s in (x, y))
    u, v = x.cleared().values, y.cleared().values
    tokens = jnp.issubdtype(u.dtype, jnp.integer)
    depth = u.ndim if tokens else u.ndim - 1

    def apart(a: Array, b: Array, full: bool) -> Array:
        if full:
            a = a.reshape(*a.shape[:depth], *(1,) * depth, *a.shape[depth:])
        return (a != b).astype(float) if tokens else jnp.sum((a - b) ** 2, -1) / (2 * a.shape[-1])

    full = space is Space.FULL and depth > 0
    gap = apart(u, v, full)
    mask_x, mask_y = _mask(x, y, depth), _mask(y, x, depth)
    return Pair(
        xx=jnp.ones(u.shape) if tokens else jnp.mean(u * u, -1),
        yy=jnp.ones(v.shape) if tokens else jnp.mean(v * v, -1),
        gap=gap,
        ntk=jnp.zeros_like(gap),
        channels=1 if tokens else u.shape[-1],
        gap_x=apart(u, u, full) if full else None,
        gap_y=apart(v, v, full) if full else None,
        mean_x=None if tokens else jnp.mean(u, -1),
        mean_y=None if tokens else jnp.mean(v, -1),
        mask_x=mask_x,
        mask_y=mask_y,
        graph_x=x.graph,
        graph_y=y.graph,
        same=jnp.all(u == v) & (True if mask_x is None else jnp.all(mask_x == mask_y)) & _one_key(x, y),
    ).cleared()


def _one_key(x: Sample, y: Sample) -> Array | bool:
    if x.key is None or y.key is None:
        return True
    return jnp.all(jax.random.key_data(x.key) == jax.random.key_data(y.key))


def _mask(one: Sample, other: Sample, depth: int) -> Array | None:
    # Both inputs have a mask, or none has.
    if one.mask is None and other.mask is not None:
        return jnp.ones(one.values.shape[:depth], bool)
    return one.mask
