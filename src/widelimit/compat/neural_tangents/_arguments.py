"""Arguments of kernel functions: nested inputs, and keywords that belong to one batch or to both."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._typing import Array, Callable, PyTree


def broadcasting(fn: Callable) -> Callable:
    """Return ``fn`` with NumPy's broadcasting inside, which a caller may have forbidden in code of their own."""

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with jax.numpy_rank_promotion("allow"):
            return fn(*args, **kwargs)

    return wrapped


def is_array(x: Any) -> bool:
    """Whether ``x`` is an array or a random key."""
    return isinstance(x, jax.Array | np.ndarray)


def is_node(x: Any) -> bool:
    """Whether ``x`` is an inner node of nested inputs: a list or tuple, but no namedtuple."""
    return type(x) in (list, tuple)


def is_missing(x: PyTree) -> bool:
    """Whether ``x`` is None, or nested lists, tuples and dictionaries of None."""
    return not jax.tree.leaves(x)


def map_nested(fn: Callable, *trees: Any) -> Any:
    """Return ``fn`` of the leaves of nested lists and tuples of one structure.

    Raises
    ------
    TypeError
        If one is a list or tuple where another is not.
    """
    first = trees[0]
    if not any(is_node(tree) for tree in trees):
        return fn(*trees)
    kinds = [type(tree).__name__ for tree in trees]
    if len(set(kinds)) > 1 or len({len(tree) for tree in trees}) > 1:
        raise TypeError(
            f"nested inputs differ: {', '.join(kinds)} of different lengths or kinds; expected one structure."
        )
    return type(first)(map_nested(fn, *parts) for parts in zip(*trees, strict=True))


def same_inputs(x1: PyTree, x2: PyTree) -> bool | Array:
    """Whether two inputs are equal: known at once if they are one object or differ in shape, else an array."""
    if is_missing(x2) or x1 is x2:
        return True
    one, two = jax.tree.leaves(x1), jax.tree.leaves(x2)
    if [jnp.shape(a) for a in one] != [jnp.shape(b) for b in two]:
        return False
    close = [_close(a, b) for a, b in zip(one, two, strict=True)]
    return jnp.all(jnp.stack(close))


def split(kwargs: dict[str, Any], x1: PyTree, x2: PyTree = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the keywords for the first and for the second batch.

    A tuple of two is one value for each; anything else is for both. Random keys ``rng`` are equal for both exactly if
    the inputs are.
    """
    first, second = {}, {}
    for name, value in kwargs.items():
        if name == "rng" and x2 is not None:
            first[name], second[name] = _keys(value, x1, x2)
        elif isinstance(value, tuple) and len(value) == 2:
            first[name], second[name] = value
        else:
            first[name] = second[name] = value
    return first, second


def _close(a: Array, b: Array) -> Array:
    if not jnp.issubdtype(a.dtype, jnp.number):
        return jnp.all(a == b)
    return jnp.all(jnp.abs(jnp.asarray(a) - b) < 1e-12)


def _keys(key: Any, x1: PyTree, x2: PyTree) -> tuple[Any, Any]:
    if key is None or is_missing(x2):
        return key, key
    if isinstance(key, tuple):
        one, two = key
        two = _where(same_inputs(one, two), jax.random.fold_in(two, 1), two)
    elif is_array(key):
        one, two = key, jax.random.fold_in(key, 1)
    else:
        raise TypeError(f"rng is of type {type(key).__name__}; expected a random key, a tuple of two, or None.")
    return one, _where(same_inputs(x1, x2), one, two)


def _where(condition: bool | Array, a: Array, b: Array) -> Array:
    if isinstance(condition, bool):
        return a if condition else b
    return jnp.where(condition, a, b)
