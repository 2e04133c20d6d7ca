"""The dtype a result has, and how float64 is had without touching the user's JAX configuration.

Two rules, kept by every public entry:

1. *dtype follows the input.* float32 in, float32 out; float64 NumPy arrays are evaluated in float64 even while
   JAX's x64 mode is off. Such a result comes back as a NumPy array, because the next JAX operation on a float64
   array would round it. Integers count as JAX's default floating dtype.
2. *Regression runs in float64.* Solves, spectra and closed-form training lose digits in float32 for reasons of
   conditioning: they are evaluated in float64, and their result is rounded to the dtype of rule 1.

Both rest on ``jax.enable_x64`` used as a context, which is local to the thread and restores the configuration on
exit. Under ``jax.grad`` or ``jax.jit`` with x64 off, a float64 region becomes a unit with its own reverse rule
(`jax.custom_vjp`), because its transpose must be traced inside the context as well. Forward-mode and second
derivatives of such a region need ``jax_enable_x64``.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ._typing import Callable, PyTree, Tracer

ARRAYS = (jax.Array, np.ndarray, np.generic)


def result_dtype(*arrays: Any) -> np.dtype:
    """Return the floating dtype of a result computed from ``arrays`` (rule 1 above)."""
    kinds = {a.dtype if isinstance(a, ARRAYS) else np.asarray(a).dtype for a in arrays}
    floating = [np.dtype(k) for k in kinds if jnp.issubdtype(k, jnp.floating)]
    if not floating:
        return np.dtype(jax.dtypes.canonicalize_dtype(np.float64))
    dtype = floating[0]
    for other in floating[1:]:
        dtype = np.promote_types(dtype, other)
    return dtype


def evaluate(fn: Callable, *args: PyTree, compute: np.dtype, result: np.dtype | None) -> PyTree:
    """Return ``fn(*args)`` with floating arrays cast to ``compute`` before and to ``result`` after.

    Parameters
    ----------
    fn
        A function of pytrees, differentiable by JAX.
    *args
        Its arguments. Leaves that are not floating arrays pass unchanged.
    compute
        The dtype of the computation. float64 is available whatever the JAX configuration.
    result
        The dtype of floating arrays in the result. float64 with x64 off: NumPy arrays, or, under a JAX
        transformation, arrays of JAX's default dtype. None leaves the result as computed, for use by the next
        `evaluate` only.
    """
    if jax.dtypes.canonicalize_dtype(compute) == compute:
        return _run(fn, args, compute, result)
    leaves, treedef = jax.tree.flatten(args)
    where = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tracer)]
    # While a function around is traced, results are traced too, even those of concrete inputs.
    if not where and not isinstance(jnp.zeros(()), Tracer):
        with jax.enable_x64(True):
            return jax.tree.map(_to_numpy, _run(fn, args, compute, result))
    if result is not None:
        result = np.dtype(jax.dtypes.canonicalize_dtype(result))

    def of_tracers(tracers: list) -> PyTree:
        full = list(leaves)
        for i, tracer in zip(where, tracers, strict=True):
            full[i] = tracer
        return _run(fn, jax.tree.unflatten(treedef, full), compute, result)

    return _x64_region(of_tracers, [leaves[i] for i in where])


def _run(fn: Callable, args: PyTree, compute: np.dtype, result: np.dtype | None) -> PyTree:
    # A check inside compiled code (a series that does not converge) surfaces as a ValueError of one sentence.
    try:
        # The library relies on NumPy's broadcasting, which a user may have forbidden in code of their own.
        with jax.numpy_rank_promotion("allow"):
            return jax.block_until_ready(_cast(fn(*_cast(args, compute)), result))
    except (eqx.EquinoxRuntimeError, jax.errors.JaxRuntimeError) as error:
        sentence = str(error).partition("EquinoxRuntimeError: ")[2].partition("\n")[0]
        if not sentence:
            raise
        raise ValueError(sentence) from None


def _x64_region(fn: Callable, primals: list) -> PyTree:
    @jax.custom_vjp
    def region(primals: list) -> PyTree:
        with jax.enable_x64(True):
            return fn(primals)

    def forward(primals: list) -> tuple[PyTree, list]:
        return region(primals), primals

    def backward(primals: list, cotangents: PyTree) -> tuple[list]:
        with jax.enable_x64(True):
            _, pull = jax.vjp(fn, primals)
            return pull(cotangents)

    region.defvjp(forward, backward)
    return region(primals)


def _to_numpy(leaf: Any) -> Any:
    return np.asarray(leaf) if isinstance(leaf, jax.Array) and leaf.dtype == np.float64 else leaf


def _cast(tree: PyTree, dtype: np.dtype | None) -> PyTree:
    if dtype is None:
        return tree

    def cast(leaf: Any) -> Any:
        if isinstance(leaf, ARRAYS) and jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.asarray(leaf, dtype)
        return leaf

    return jax.tree.map(cast, tree)
