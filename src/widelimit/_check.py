"""Checks of what comes in from outside: each failure is a sentence with the remedy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._typing import Array, PyTree, Tracer


def inputs(x: Any, name: str) -> Array:
    r"""Return ``x`` as an array of inputs of shape (n, \*input_shape), refusing what cannot be one.

    Raises
    ------
    ValueError
        If ``x`` has no batch axis and no feature axis, is empty, is not real, or holds NaN or infinity.
    """
    array = real(x, name)
    if array.ndim < 2:
        raise ValueError(
            f"{name} has shape {array.shape}; expected (n, *input_shape) with one row per example. "
            f"For n scalars use {name}[:, None], for one example {name}[None]."
        )
    if 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}; expected at least one example and one feature.")
    return array


def scales(weight_std: Any, bias_std: Any) -> None:
    """Refuse scales of weights and biases that are negative or not finite."""
    nonnegative(weight_std, "weight_std")
    if bias_std is not None:
        nonnegative(bias_std, "bias_std")


def batch(x: Any, name: str) -> PyTree:
    r"""Return ``x`` as a batch for any model: a pytree of arrays (n, \*s) with one number of examples n.

    Nested lists of numbers count as one array. Any numeric or boolean dtype will do.

    Raises
    ------
    ValueError
        If a leaf is no array of numbers, has no batch axis, is empty, holds NaN or infinity, or if leaves differ in
        their number of examples.
    """
    if not isinstance(x, jax.Array | np.ndarray) and all(
        isinstance(leaf, bool | int | float) for leaf in jax.tree.leaves(x)
    ):
        x = np.asarray(x)
    named = jax.tree_util.tree_leaves_with_path(x)
    sizes = {
        f"{name}{jax.tree_util.keystr(path)}": _batch_leaf(a, f"{name}{jax.tree_util.keystr(path)}")
        for path, a in named
    }
    if len(set(sizes.values())) != 1:
        found = ", ".join(f"{key} has {n}" for key, n in sizes.items())
        raise ValueError(f"the leaves of {name} differ in their number of examples: {found}; expected one number.")
    return x


def _batch_leaf(array: Any, name: str) -> int:
    if not isinstance(array, jax.Array | np.ndarray):
        raise ValueError(f"{name} is a {type(array).__name__}; expected an array with the batch axis first.")
    kind = array.dtype
    if not (
        jnp.issubdtype(kind, jnp.number) or jnp.issubdtype(kind, jnp.bool_) or jnp.issubdtype(kind, jax.dtypes.prng_key)
    ):
        raise ValueError(f"{name} has dtype {kind}; expected real numbers, integers or booleans.")
    if array.ndim == 0 or 0 in array.shape:
        raise ValueError(
            f"{name} has shape {array.shape}; expected (n, ...) with at least one example and no empty axis."
        )
    finite(array, name)
    return array.shape[0]


def same_batch(x1: PyTree, x2: PyTree, names: tuple[str, str] = ("x1", "x2")) -> None:
    """Refuse two batches whose examples differ in structure or shape."""
    one, two = jax.tree.structure(x1), jax.tree.structure(x2)
    if one != two:
        raise ValueError(f"{names[0]} has the structure {one}, {names[1]} has {two}; expected the same for both.")
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(x1), jax.tree.leaves(x2), strict=True):
        key = jax.tree_util.keystr(path)
        same_features(a, b, (f"{names[0]}{key}", f"{names[1]}{key}"))


def targets(y: Any, n: int, name: str) -> Array:
    """Return targets as an array of shape (n, outputs); a vector of shape (n,) counts as one output."""
    array = real(y, name)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[0] != n or array.shape[1] == 0:
        raise ValueError(f"{name} has shape {np.shape(y)}; expected ({n},) or ({n}, outputs), one row per input.")
    return array


def real(x: Any, name: str) -> Array:
    """Return ``x`` as an array of finite real numbers."""
    array: Any = x if isinstance(x, jax.Array | np.ndarray) else np.asarray(x)
    if array.dtype == bool or not (
        jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)
    ):
        raise ValueError(f"{name} has dtype {array.dtype}; expected real numbers (floating or integer).")
    finite(array, name)
    return array


def finite(array: np.ndarray | Array, name: str) -> None:
    """Refuse NaN and infinity in a concrete array, naming the first place; tracers pass."""
    if isinstance(array, Tracer) or not jnp.issubdtype(array.dtype, jnp.floating):
        return
    values = np.asarray(array)
    if not np.isfinite(values).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(
            f"{name}{list(where)} is {values[where]}; expected finite numbers. Remove or impute the row before calling."
        )


def nonnegative(value: Any, name: str) -> None:
    """Refuse a concrete hyperparameter that is negative, NaN or infinite; tracers pass."""
    if isinstance(value, Tracer):
        return
    if not (isinstance(value, int | float | np.generic | np.ndarray | jax.Array) and np.ndim(value) == 0):
        raise ValueError(f"{name} is {value!r}; expected one number that is zero or more.")
    if not (np.isfinite(value) and float(value) >= 0):
        raise ValueError(f"{name} is {value}; expected a finite number that is zero or more.")


def parameters(params: PyTree, name: str = "params") -> None:
    """Refuse parameters with NaN or infinity, naming the leaf; tracers and leaves of other kinds pass."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not isinstance(leaf, jax.Array | np.ndarray) or isinstance(leaf, Tracer):
            continue
        if jnp.issubdtype(leaf.dtype, jnp.floating) and not np.isfinite(leaf).all():
            raise ValueError(
                f"{name}{jax.tree_util.keystr(path)} holds NaN or infinity; expected finite parameters. Has training "
                "diverged? Give the last checkpoint that is finite."
            )


def instance(value: Any, kind: type, name: str, example: str) -> None:
    """Refuse what is no object of a kind of strategy, such as its name as a string."""
    if not isinstance(value, kind):
        found = repr(value) if isinstance(value, str) or value is None else f"of type {type(value).__name__}"
        raise ValueError(f"{name} is {found}; expected an object such as {example}.")


def positive_int(value: Any, name: str) -> None:
    """Refuse what is not a positive integer."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} is {value!r}; expected a positive integer.")


def same_features(x1: Any, x2: Any, names: tuple[str, str] = ("x1", "x2")) -> None:
    """Refuse two batches whose examples differ in shape."""
    if x1.shape[1:] != x2.shape[1:]:
        raise ValueError(
            f"{names[0]} holds examples of shape {x1.shape[1:]}, {names[1]} of shape {x2.shape[1:]}; "
            "expected the same shape for both."
        )


def overflow(out: Any, what: str) -> Any:
    """Refuse a concrete result that is not finite: the linear model has diverged; tracers pass."""
    if not isinstance(out, Tracer) and not np.isfinite(np.asarray(out)).all():
        raise ValueError(
            f"{what} overflowed: gradient descent on the linear model diverges. Use a learning rate below the "
            "flow's max_learning_rate."
        )
    return out
