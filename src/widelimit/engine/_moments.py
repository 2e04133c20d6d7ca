"""All second moments of two batches behind a network: what a reference evaluation passes from layer to layer."""

from typing import Any

import jax
import jax.numpy as jnp

from .._typing import PyTree
from ..arch import AbstractLayer, Pair, Space, as_samples, input_pair, is_sample

_OF_X = ("xx", "gap_x", "mean_x", "mask_x", "graph_x")
_OF_Y = ("yy", "gap_y", "mean_y", "mask_y", "graph_y")
_OF_BOTH = ("gap", "ntk", "same")


def start(x: PyTree, y: PyTree, space: Any) -> Any:
    """Return the pair of two inputs, or a tuple of pairs for a network of several inputs."""
    if is_sample(x):
        return input_pair(x, y, space)
    spaces = space if isinstance(space, tuple) else (space,) * len(x)
    return tuple(start(a, b, s) for a, b, s in zip(x, y, spaces, strict=True))


def moments(net: AbstractLayer, x1: PyTree, x2: PyTree, space: Space = Space.FULL) -> Any:
    r"""Return the pair behind a network for every two inputs of two batches of `Sample`.

    Fields of one input have its batch axis first, ``gap`` and ``ntk`` both: (n1, n2, \*S, ...).

    Parameters
    ----------
    net
        A layer or network, of one output or several.
    x1, x2
        Batches: arrays, samples, or tuples of them.
    space
        Which pairs of positions of the output are wanted.
    """
    needed = net.spatial_needed(space)
    return advance(net, _pairs(as_samples(x1), as_samples(x2), needed))


def advance(net: AbstractLayer, pairs: Any) -> Any:
    """Return the pairs behind a network from those in front of it, each in the form of `moments`."""
    net = jax.tree.map(jnp.asarray, net)
    inner, outer = _axes(pairs, 1), _axes(pairs, 0)

    def one(pair: Any) -> Any:
        return net.propagate(pair)

    shape = jax.eval_shape(one, _first(pairs))
    rows = jax.vmap(one, (inner,), _axes(shape, 1))
    return jax.vmap(rows, (outer,), _axes(shape, 0))(pairs)


def _pairs(x1: PyTree, x2: PyTree, space: Any) -> Any:
    shape = jax.eval_shape(lambda a, b: start(a, b, space), _one(x1), _one(x2))
    rows = jax.vmap(lambda x, y: start(x, y, space), (None, 0), _axes(shape, 1))
    return jax.vmap(rows, (0, None), _axes(shape, 0))(x1, x2)


def _one(x: PyTree) -> PyTree:
    # Its form alone: a batch may be empty.
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), x)


def _first(pairs: Any) -> Any:
    def first(pair: Pair) -> Pair:
        of = dict.fromkeys((*_OF_X, *_OF_Y), 1) | dict.fromkeys(_OF_BOTH, 2)
        return _each(pair, lambda name, a: jax.ShapeDtypeStruct(a.shape[of[name] :], a.dtype))

    return jax.tree.map(first, pairs, is_leaf=_is_pair)


def _axes(pairs: Any, level: int) -> Any:
    # Where the batch axis of x (level 0) or of y (level 1) stands in each field.
    def axes(pair: Pair) -> Pair:
        of_x, of_y = (0, None) if level == 0 else (None, 0)
        table = dict.fromkeys(_OF_X, of_x) | dict.fromkeys(_OF_Y, of_y) | dict.fromkeys(_OF_BOTH, 0)
        return _each(pair, lambda name, a: table[name])  # noqa: ARG005

    return jax.tree.map(axes, pairs, is_leaf=_is_pair)


def _each(pair: Pair, fn: Any) -> Pair:
    names = (*_OF_X, *_OF_Y, *_OF_BOTH)
    changes = {}
    for name in names:
        value = getattr(pair, name)
        changes[name] = None if value is None else jax.tree.map(lambda a, n=name: fn(n, a), value)
    return Pair(channels=pair.channels, **changes)


def _is_pair(node: Any) -> bool:
    return isinstance(node, Pair)
