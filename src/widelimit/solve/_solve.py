"""The user's door to the solvers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._precision import ARRAYS, evaluate, result_dtype
from .._result import Result
from .._typing import AnyArray, Scalar, Tracer
from ..gram import AbstractGram, Dense
from ._base import AbstractSolver, Solution
from ._cholesky import Cholesky, in_numpy
from ._noise import checked_noise


def solve(
    gram: AbstractGram | AnyArray,
    y: AnyArray,
    *,
    noise: Scalar | AnyArray = 0.0,
    solver: AbstractSolver = Cholesky(),
    throw: bool = True,
) -> Solution:
    r"""Solve :math:`(K + N)\,\alpha = Y` in float64.

    Parameters
    ----------
    gram
        A matrix (n, n), or any `gram.AbstractGram`.
    y
        Right-hand sides, (n,) or (n, k).
    noise
        Variances on the diagonal, one number or (n,).
    solver
        How: `Cholesky`, `Eigen`, `CG` or `Auto`.
    throw
        Whether a failure is raised. Otherwise look at ``result`` of what is returned.

    Returns
    -------
    Solution
        With ``value`` in the dtype of ``y``, and statistics.

    Raises
    ------
    ValueError
        If shapes do not match or numbers are not finite; if the solve fails, with what happened and what to do.
    """
    gram = gram if isinstance(gram, AbstractGram) else Dense(_check.real(gram, "gram"))
    _check.instance(solver, AbstractSolver, "solver", "Cholesky()")
    y = _check.real(y, "y")
    n, _ = gram.shape
    if y.ndim not in (1, 2) or y.shape[0] != n or 0 in y.shape:
        raise ValueError(f"y has shape {y.shape}; expected ({n},) or ({n}, k), one row per row of the matrix.")
    noise = checked_noise(noise, n)
    dtype = result_dtype(y)
    if _concrete((gram, noise, y)) and in_numpy(gram):
        solution = _in_numpy(solver, gram, noise, y)
    else:
        solution = evaluate(_run, solver, gram, noise, y, compute=np.dtype(np.float64), result=None)
    if throw and not isinstance(solution.value, Tracer) and not bool(solution.result == Result.successful):
        worst = float(np.max(solution.stats["residual"]))
        raise ValueError(f"{type(solver).__name__}: {Result[solution.result]} The relative residual is {worst:.1e}.")
    return Solution(_rounded(solution.value, dtype), solution.result, solution.stats, solution.state)


def _run(solver: AbstractSolver, gram: AbstractGram, noise: Any, y: AnyArray) -> Solution:
    return solver.compute(solver.init(gram, noise), y)


def _in_numpy(solver: AbstractSolver, gram: AbstractGram, noise: Any, y: AnyArray) -> Solution:
    if isinstance(gram, Dense):
        matrix: AnyArray = np.asarray(gram.matrix, np.float64)
        gram = Dense(matrix)
    # Products with a matrix that JAX makes tile by tile are to be in float64, too.
    with jax.enable_x64(True):
        return _run(solver, gram, np.asarray(noise, np.float64), np.asarray(y, np.float64))


def _rounded(value: AnyArray, dtype: np.dtype) -> AnyArray:
    if isinstance(value, Tracer):
        return jnp.asarray(value, jax.dtypes.canonicalize_dtype(dtype))
    if dtype == np.float64 or isinstance(value, np.ndarray):
        return np.asarray(value, dtype) if dtype == np.float64 else jnp.asarray(value, dtype)
    return jnp.asarray(value, dtype)


def _concrete(tree: Any) -> bool:
    leaves = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, ARRAYS)]
    return not any(isinstance(leaf, Tracer) for leaf in [*leaves, jnp.zeros(())])
