"""Graphs: sums over neighbours."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Shape, Tracer


class Edges(eqx.Module):
    r"""A sparse graph: its edges in a list, in place of an adjacency matrix.

    .. math:: (Au)_p = \sum_{e:\ \mathrm{ends}_e = (p, q)} w_e\, u_q

    Parameters
    ----------
    ends
        Integers (n, edges, 2): the position that receives and the position that sends, counted along flattened
        space. An edge with a negative number is padding. An edge in both directions is listed twice.
    weights
        (n, edges); None for ones.
    """

    ends: Array
    weights: Array | None = None

    def spread(self, a: Array) -> Array:
        """Return the sums over the edges of one example, on the first axis of an array."""
        receive, send = self.ends[..., 0], self.ends[..., 1]
        present = (receive >= 0) & (send >= 0)
        weights = present if self.weights is None else jnp.where(present, self.weights, 0)
        sent = a[jnp.where(present, send, 0)] * weights.astype(a.dtype).reshape(-1, *(1,) * (a.ndim - 1))
        return jax.ops.segment_sum(sent, jnp.where(present, receive, 0), a.shape[0])


Graph = Array | Edges
"""An adjacency matrix (*space, *space) or a list of edges."""


def spread(graph: Graph, space: Shape, a: Array) -> Array:
    r"""Return :math:`\sum_q A(p, q)\,a_q` on the leading axes (\*space) of an array."""
    flat = a.reshape(math.prod(space), *a.shape[len(space) :])
    if isinstance(graph, Edges):
        return graph.spread(flat).reshape(a.shape)
    matrix = jnp.asarray(graph).reshape(math.prod(space), -1).astype(a.dtype)
    return jnp.tensordot(matrix, flat, 1).reshape(a.shape)


def kept(graph: Graph | None, old: Shape, new: Shape) -> Graph | None:
    """Return the graph of an example behind a layer that makes places of positions.

    It goes if it is one of the positions and there are other places now; one of later places passes.
    """
    if graph is None or old == new:
        return graph
    return None if isinstance(graph, Edges) or tuple(graph.shape) == (*old, *old) else graph


def check_graph(graph: Any, batch: Shape, name: str) -> None:
    r"""Refuse a graph that does not fit a batch of positions (n, \*space)."""
    if graph is None:
        return
    n, *space = batch
    if not isinstance(graph, Edges):
        if tuple(graph.shape) != (n, *space, *space):
            raise ValueError(
                f"the graph of {name} has shape {tuple(graph.shape)}; expected adjacency matrices "
                f"{(n, *space, *space)}, or Edges."
            )
        return
    ends, weights = graph.ends, graph.weights
    if ends.ndim != 3 or ends.shape[0] != n or ends.shape[2] != 2 or not jnp.issubdtype(ends.dtype, jnp.integer):
        raise ValueError(f"the edges of {name} are {ends.dtype}{list(ends.shape)}; expected integers ({n}, edges, 2).")
    if weights is not None and tuple(weights.shape) != tuple(ends.shape[:2]):
        raise ValueError(
            f"the edges of {name} have weights of shape {tuple(weights.shape)}; expected {tuple(ends.shape[:2])}."
        )
    if not isinstance(ends, Tracer) and ends.size and int(np.max(ends)) >= math.prod(space):
        raise ValueError(
            f"an edge of {name} ends at position {int(np.max(ends))}; expected less than {math.prod(space)}, the "
            "number of positions."
        )
