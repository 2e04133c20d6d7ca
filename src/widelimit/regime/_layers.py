r"""A model layer by layer: how far parameters moved, and how much of the kernel is theirs.

A layer is what shares a path in the pytree of parameters but for its last key, such as a kernel and its bias; a leaf at
the top is a layer by itself. Where that leaves a single layer, every leaf is one.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import ApplyFn, Array, Params, PyTree
from ._run import Model, columns, spread

Key = tuple[str, ...]


def layer_names(params: Params) -> list[str]:
    """Return the name of the layer of each floating leaf, in the order of ``jax.tree.leaves``."""
    moving = eqx.filter(params, eqx.is_inexact_array)
    paths = [tuple(_text(k) for k in path) for path, _ in jax.tree_util.tree_leaves_with_path(moving)]
    groups = [path[:-1] or path for path in paths]
    if len(set(groups)) == 1:
        groups = paths
    shared = 0
    while all(len(g) > shared + 1 and g[shared] == groups[0][shared] for g in groups):
        shared += 1
    return [".".join(g[shared:]) or "parameters" for g in groups]


def movement(params: Params, initial: Params) -> tuple[float, dict[str, float]]:
    r"""Return :math:`\|\theta-\theta_0\|/\|\theta_0\|` of all parameters, and of each layer.

    A layer that starts at zero has no relative movement: infinity, or zero if it stays there.
    """
    squares: dict[str, np.ndarray] = {}
    pairs = zip(layer_names(initial), _leaves(params), _leaves(initial), strict=True)
    for name, end, start in pairs:
        both = np.array([np.sum((end - start) ** 2), np.sum(start**2)])
        squares[name] = squares.get(name, 0) + both
    total = np.sum(list(squares.values()), axis=0)
    return _ratio(total), {name: _ratio(both) for name, both in squares.items()}


def kernel_shares(model: Model, x: PyTree) -> dict[str, float]:
    r"""Return the share of each layer in the trace of the kernel, :math:`\mathrm{tr}\,\Theta_\ell/\mathrm{tr}\,\Theta`.

    :math:`\Theta = \sum_\ell\Theta_\ell` over the layers, so the shares sum to one. Learning rates count.
    """
    moving = eqx.filter(model.params, eqx.is_inexact_array)
    rates = jax.tree.map(lambda r, _: jnp.asarray(r), spread(model.learning_rates, moving), moving)
    traces = np.asarray([float(t) for t in jax.tree.leaves(_traces(model.f, model.params, rates, x))])
    shares: dict[str, float] = {}
    total = traces.sum()
    for name, trace in zip(layer_names(model.params), traces, strict=True):
        shares[name] = shares.get(name, 0.0) + float(trace / total if total > 0 else 0.0)
    return shares


@eqx.filter_jit
def _traces(f: ApplyFn, params: Params, rates: PyTree, x: PyTree) -> PyTree:
    moving, still = eqx.partition(params, eqx.is_inexact_array)

    def one(x: PyTree) -> PyTree:
        def out(moving: Params) -> Array:
            return columns(f(eqx.combine(moving, still), jax.tree.map(lambda a: a[None], x)))[0]

        value, pull = jax.vjp(out, moving)

        def of_output(cotangent: Array) -> PyTree:
            (gradient,) = pull(cotangent)
            return jax.tree.map(lambda r, g: jnp.sum(r * g**2), rates, gradient)

        return jax.tree.map(lambda t: t.sum(0), jax.lax.map(of_output, jnp.eye(value.size, dtype=value.dtype)))

    return jax.tree.map(lambda t: t.sum(0), jax.lax.map(one, x))


def _leaves(params: Params) -> list[np.ndarray]:
    return [np.asarray(a, np.float64) for a in jax.tree.leaves(eqx.filter(params, eqx.is_inexact_array))]


def _ratio(both: np.ndarray) -> float:
    moved, size = np.sqrt(both)
    if size == 0:
        return 0.0 if moved == 0 else float("inf")
    return float(moved / size)


def _text(key: Any) -> str:
    for name in ("key", "idx", "name"):
        value = getattr(key, name, None)
        if value is not None:
            return str(value)
    return str(key)
