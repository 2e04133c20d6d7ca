"""Layers of neural-tangents' ``stax`` over graphs and between positions: aggregation and attention."""

from __future__ import annotations

import enum
import math
from typing import Any

import jax.numpy as jnp

from ... import arch
from ..._typing import Array, Callable, Shape
from ._axes import Axes, axes
from ._functions import layer
from ._layer import Layer, Record, no_parameters, nothing
from ._stax_linear import fixed


class AggregateImplementation(enum.Enum):
    """How a graph is given: as matrices, or as lists of edges."""

    DENSE = "DENSE"
    SPARSE = "SPARSE"


class AttentionMechanism(enum.Enum):
    """What becomes of the products of queries and keys."""

    SOFTMAX = "SOFTMAX"
    IDENTITY = "IDENTITY"
    ABS = "ABS"
    RELU = "RELU"


class PositionalEmbedding(enum.Enum):
    """How positions are told to attention."""

    NONE = "NONE"
    SUM = "SUM"
    CONCAT = "CONCAT"


MECHANISMS = {
    AttentionMechanism.SOFTMAX: arch.Softmax(),
    AttentionMechanism.IDENTITY: arch.IdentityMechanism(),
    AttentionMechanism.ABS: arch.AbsMechanism(),
    AttentionMechanism.RELU: arch.ReluMechanism(),
}


def Aggregate(
    aggregate_axis: Any = None,
    batch_axis: int = 0,
    channel_axis: int = -1,
    to_dense: Callable[[Array], Array] | None = lambda p: p,
    implementation: str = "DENSE",
) -> Layer:
    """Return sums over the neighbours in a graph, the ``pattern`` of a call: ``pattern.T @ x``.

    All layers of a network read one pattern, in the form that the first of them asks for.

    Parameters
    ----------
    aggregate_axis
        Axes of space that are nodes; None for all.
    batch_axis, channel_axis
        Axes of examples and channels.
    to_dense
        From a pattern to matrices (n, *nodes, *nodes), for ``'DENSE'``.
    implementation
        ``'DENSE'``, or ``'SPARSE'`` for edges (n, edges, axes, 2) of sender and receiver, negative for padding.
    """
    kind = AggregateImplementation(implementation)

    def first(ndim: int) -> Axes:
        return axes(batch_axis, channel_axis, ndim)

    def graph(pattern: Any, where: Axes, shape: Shape) -> Any:
        n, *space = shape[:-1]
        chosen = tuple(range(len(space)))
        if aggregate_axis is not None:
            given = (aggregate_axis,) if isinstance(aggregate_axis, int) else tuple(aggregate_axis)
            chosen = tuple(where.spatial(a % where.ndim) for a in given)
        nodes = tuple(space[a] for a in chosen)
        if pattern is None:
            dense = jnp.broadcast_to(jnp.eye(math.prod(nodes)), (n, math.prod(nodes), math.prod(nodes)))
        elif kind is AggregateImplementation.SPARSE:
            dense = _from_edges(pattern, n, nodes)
        else:
            pattern = to_dense(pattern) if to_dense is not None else pattern
            dense = jnp.asarray(pattern).reshape(n, math.prod(nodes), math.prod(nodes))
        return _over_space(jnp.swapaxes(dense, 1, 2), tuple(space), chosen)

    check = fixed("Aggregate", first)
    return layer(Record("Aggregate", lambda _: arch.Aggregate(), first, check, nothing, no_parameters, graph))


def GlobalSelfAttention(
    n_chan_out: int,
    n_chan_key: int,
    n_chan_val: int,
    n_heads: int,
    linear_scaling: bool = True,
    W_key_std: float = 1.0,
    W_value_std: float = 1.0,
    W_query_std: float = 1.0,
    W_out_std: float = 1.0,
    b_std: float | None = None,
    attention_mechanism: str = "SOFTMAX",
    pos_emb_type: str = "NONE",
    pos_emb_p_norm: float = 2,
    pos_emb_decay_fn: Callable[[Array], Array] | None = None,
    n_chan_pos_emb: int | None = None,
    W_pos_emb_std: float = 1.0,
    val_pos_emb: bool = False,
    batch_axis: int = 0,
    channel_axis: int = -1,
) -> Layer:
    """Return multi-headed self-attention between all positions (Hron et al. 2020, arXiv 2006.10540).

    Parameters
    ----------
    n_chan_out, n_chan_key, n_chan_val, n_heads
        Widths of outputs, keys and values, and number of heads.
    linear_scaling
        Products divided by the width of the keys, with queries equal to keys; otherwise by its root.
    W_key_std, W_value_std, W_query_std, W_out_std, b_std
        Scales of the weights and biases.
    attention_mechanism
        ``'SOFTMAX'``, ``'IDENTITY'``, ``'ABS'`` or ``'RELU'``.
    pos_emb_type
        ``'NONE'``, ``'SUM'`` or ``'CONCAT'``.
    pos_emb_p_norm, pos_emb_decay_fn
        Covariance of embeddings, a function of the distance of positions; None for independent ones.
    n_chan_pos_emb
        Width of embeddings that are concatenated; None for that of the inputs.
    W_pos_emb_std, val_pos_emb
        Scale of embeddings, and whether values see them.
    batch_axis, channel_axis
        Axes of examples and channels.
    """
    if n_chan_out % n_heads and not n_heads:
        raise ValueError(f"n_heads is {n_heads}; expected at least one.")
    mechanism = MECHANISMS[AttentionMechanism(attention_mechanism)]
    covariance = arch.Independent() if pos_emb_decay_fn is None else arch.Decay(pos_emb_decay_fn, pos_emb_p_norm)
    kind = PositionalEmbedding(pos_emb_type)
    positions = None
    if kind is PositionalEmbedding.SUM:
        positions = arch.SumPositions(W_pos_emb_std, covariance, val_pos_emb)
    elif kind is PositionalEmbedding.CONCAT:
        positions = arch.ConcatPositions(W_pos_emb_std, covariance, val_pos_emb, n_chan_pos_emb)
    net = arch.SelfAttention(
        n_chan_out,
        n_heads,
        n_chan_key,
        n_chan_val,
        query_std=W_query_std,
        key_std=W_key_std,
        value_std=W_value_std,
        out_std=W_out_std,
        bias_std=b_std,
        scaling=arch.LinearScaling(mechanism) if linear_scaling else arch.SqrtScaling(mechanism),
        positions=positions,
    )

    def first(ndim: int) -> Axes:
        return axes(batch_axis, channel_axis, ndim)

    def same(params: Any) -> Any:
        return params

    check = fixed("GlobalSelfAttention", first)
    return layer(Record("GlobalSelfAttention", lambda _: net, first, check, same, same))


def _from_edges(pattern: Array, n: int, nodes: Shape) -> Array:
    # Adjacency (n, sender, receiver) of edges (n, edges, axes, 2); negative numbers are padding.
    pattern = jnp.asarray(pattern)
    pattern = pattern[:, :, None] if pattern.ndim == 3 else pattern
    size = math.prod(nodes)
    present = jnp.all(pattern >= 0, (2, 3))
    ends = jnp.zeros((*pattern.shape[:2], 2), pattern.dtype)
    for axis, length in enumerate(nodes):
        ends = ends * length + pattern[:, :, axis]
    ends = jnp.where(present[..., None], ends, size)
    at = (jnp.arange(n)[:, None], ends[..., 0], ends[..., 1])
    return jnp.zeros((n, size, size)).at[at].add(1.0, mode="drop")


def _over_space(matrix: Array, space: Shape, chosen: Shape) -> Array:
    # (n, nodes, nodes) as (n, *space, *space), the identity on the axes that are no nodes.
    rest = tuple(a for a in range(len(space)) if a not in chosen)
    others = math.prod(space[a] for a in rest)
    n = len(matrix)
    full = matrix[:, :, None, :, None] * jnp.eye(others, dtype=matrix.dtype)[None, None, :, None, :]
    order = (*chosen, *rest)
    sizes = tuple(space[a] for a in order)
    back = [order.index(a) for a in range(len(space))]
    full = full.reshape(n, *sizes, *sizes)
    return jnp.transpose(full, (0, *[1 + b for b in back], *[1 + len(space) + b for b in back]))
