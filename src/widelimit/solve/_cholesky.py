r"""Direct solution by Cholesky factorisation, in LAPACK in place, or in JAX.

Both keep one square array: the factor L in its lower triangle, and above the diagonal the matrix itself, which is
symmetric, so that its residual can be told, and the factorisation tried again with jitter, without a second matrix.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np

from .. import _check
from .._result import Result
from .._typing import AnyArray, Array, Scalar, Tracer
from ..gram import AbstractGram, Dense
from ._base import AbstractSolver, Solution
from ._jitter import AbstractJitter, GrowingJitter
from ._noise import relative, with_noise

BLOCK = 2048
"""Rows of a matrix that are copied at once."""


class Factor(eqx.Module):
    r"""A Cholesky factorisation :math:`LL^\top = K + N + \mathrm{jitter}\cdot I`.

    Attributes
    ----------
    packed
        L on and below the diagonal, the matrix above it, (n, n).
    diagonal
        The diagonal of :math:`K + N`, without jitter, (n,).
    jitter
        What was added to the diagonal.
    result
        How it went.
    """

    packed: AnyArray
    diagonal: AnyArray
    jitter: AnyArray
    result: Result

    @property
    def lower(self) -> AnyArray:
        """The factor L, (n, n), with zeros above the diagonal."""
        return np.tril(self.packed) if isinstance(self.packed, np.ndarray) else jnp.tril(self.packed)

    @property
    def log_determinant(self) -> AnyArray:
        r""":math:`\log\det(LL^\top)`."""
        xp = np if isinstance(self.packed, np.ndarray) else jnp
        return 2 * xp.sum(xp.log(xp.diagonal(self.packed)))


class Cholesky(AbstractSolver):
    r"""Factorise :math:`K + N = LL^\top`: :math:`n^3/3` operations, then :math:`2n^2` per right-hand side.

    A matrix in NumPy is factorised by LAPACK, in place in one array; everything else in JAX, differentiable in
    matrix and noise (jitter counts as a constant). Run it in float64. Statistics: ``jitter``, what was added to the
    diagonal (0 where nothing was needed), and ``condition_estimate``, :math:`(\max_i L_{ii}/\min_i L_{ii})^2`, a lower
    bound of the condition number.

    Parameters
    ----------
    jitter
        What is added to the diagonal if the factorisation fails.
    overwrite
        Whether the array of a `gram.Dense` in NumPy may be destroyed, so that no second one is needed.
    """

    jitter: AbstractJitter = GrowingJitter()
    overwrite: bool = eqx.field(default=False, static=True)

    def __check_init__(self) -> None:
        """Check the strategy."""
        _check.instance(self.jitter, AbstractJitter, "jitter", "GrowingJitter()")

    def init(self, gram: AbstractGram, noise: Scalar | AnyArray) -> Factor:
        """Return the factorisation."""
        if in_numpy(gram) and not isinstance(noise, Tracer):
            matrix = in_memory(gram, self.overwrite)
            np.fill_diagonal(matrix, matrix.diagonal() + np.asarray(noise, matrix.dtype))
            return _in_place(matrix, self.jitter.shares(matrix.dtype))
        matrix = with_noise(gram.tile(slice(None), slice(None)), noise)
        matrix = (matrix + matrix.T) / 2
        lower, jitter = _factorised(matrix, jnp.asarray(self.jitter.shares(matrix.dtype)))
        result = Result.where(jnp.all(jnp.isfinite(lower)), Result.successful, _why(jnp.all(jnp.isfinite(matrix))))
        return Factor(lower + jnp.triu(matrix, 1), jnp.diagonal(matrix), jitter, result)

    def compute(self, state: Factor, y: AnyArray) -> Solution:
        """Solve for right-hand sides of shape (n,) or (n, k)."""
        if isinstance(state.packed, np.ndarray) and isinstance(y, np.ndarray):
            value, rest, xp = *_solved(state, y), np
        else:
            lower, above = jnp.tril(state.packed), jnp.triu(state.packed, 1)
            value = jsl.cho_solve((lower, True), y)
            shape = (-1, *[1] * (y.ndim - 1))
            rest, xp = above @ value + above.T @ value + jnp.reshape(state.diagonal, shape) * value - y, jnp
        roots = xp.diagonal(state.packed)
        condition = (xp.max(roots) / xp.min(roots)) ** 2
        stats = {
            "residual": relative(rest, y),
            "iterations": 0,
            "condition_estimate": condition,
            "jitter": state.jitter,
        }
        return Solution(value, state.result, stats, state)


def in_numpy(gram: AbstractGram) -> bool:
    """Whether tiles of a matrix come as NumPy arrays."""
    return isinstance(gram.tile(slice(0, 1), slice(0, 1)), np.ndarray)


def in_memory(gram: AbstractGram, overwrite: bool = False) -> AnyArray:
    """Return the whole matrix as a new NumPy array in Fortran's order, or a view of it if it may be overwritten."""
    n, _ = gram.shape
    if isinstance(gram, Dense) and overwrite and isinstance(gram.matrix, np.ndarray) and gram.matrix.flags.writeable:
        # A symmetric matrix is its own transpose, which has the other order.
        return gram.matrix if gram.matrix.flags.f_contiguous else gram.matrix.T
    dtype = gram.tile(slice(0, 1), slice(0, 1)).dtype
    matrix = np.empty((n, n), dtype)
    for i in range(0, n, BLOCK):
        rows = slice(i, i + BLOCK)
        matrix[rows, : i + BLOCK] = gram.tile(rows, slice(0, min(n, i + BLOCK)))
        matrix[:i, rows] = matrix[rows, :i].T
    return matrix.T


def _in_place(matrix: np.ndarray, shares: np.ndarray) -> Factor:
    from ._blocked import factorise  # Here, because importing SciPy's linear algebra takes long.

    diagonal = matrix.diagonal().copy()
    good, jitter = False, np.zeros((), matrix.dtype)
    for share in shares if np.isfinite(diagonal).all() else []:
        jitter = np.asarray(share * diagonal.mean(), matrix.dtype)
        np.fill_diagonal(matrix, diagonal + jitter)
        good = factorise(matrix)
        if good:
            break
        _restore(matrix)
    if not good:
        finite = np.isfinite(diagonal).all() and all(np.isfinite(column[:i]).all() for i, column in enumerate(matrix.T))
        matrix[...] = np.nan
        return Factor(matrix, diagonal, np.zeros((), matrix.dtype), _why(finite))
    return Factor(matrix, diagonal, jitter, Result.successful)


def _restore(matrix: np.ndarray) -> None:
    for i in range(0, len(matrix), BLOCK):
        rows = slice(i, i + BLOCK)
        matrix[rows, :i] = matrix[:i, rows].T
        corner = matrix[rows, rows]
        above = np.triu(corner, 1)
        corner[...] = above + above.T


def _solved(state: Factor, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import scipy.linalg

    matrix = np.asfortranarray(state.packed)
    columns = np.asarray(y, matrix.dtype).reshape(len(y), -1)
    (potrs,) = scipy.linalg.get_lapack_funcs(("potrs",), (matrix,))
    (symm,) = scipy.linalg.get_blas_funcs(("symm",), (matrix,))
    value, _ = potrs(matrix, columns, lower=1)
    # The triangle above the diagonal is the matrix; on the diagonal stands that of the factor.
    own = state.diagonal - matrix.diagonal()
    rest = symm(1.0, matrix, value, lower=0) + np.asarray(own)[:, None] * value - columns
    return value.reshape(y.shape), rest.reshape(y.shape)


@jax.custom_jvp
def _factorised(matrix: Array, shares: Array) -> tuple[Array, Array]:
    n = matrix.shape[0]
    jitters = shares * jnp.mean(jnp.diagonal(matrix))

    def failed(carry: tuple) -> Array:
        tried, lower = carry
        return (tried < len(shares)) & ~jnp.all(jnp.isfinite(lower))

    def attempt(carry: tuple) -> tuple:
        tried, _ = carry
        return tried + 1, jnp.linalg.cholesky(matrix + jitters[tried] * jnp.eye(n, dtype=matrix.dtype))

    tried, lower = jax.lax.while_loop(failed, attempt, (0, jnp.full_like(matrix, jnp.nan)))
    return lower, jitters[tried - 1]


@_factorised.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[tuple, tuple]:
    # dL = L Φ(L⁻¹ dK L⁻ᵀ), where Φ takes the lower triangle and half of the diagonal.
    lower, jitter = _factorised(*primals)
    inner = jsl.solve_triangular(lower, tangents[0], lower=True)
    inner = jsl.solve_triangular(lower, inner.T, lower=True).T
    inner = jnp.tril(inner) - jnp.diag(jnp.diagonal(inner)) / 2
    return (lower, jitter), (lower @ inner, jnp.zeros_like(jitter))


def _why(finite: Any) -> Result:
    if isinstance(finite, bool | np.bool_):
        return Result.not_positive_definite if finite else Result.not_finite
    return Result.where(finite, Result.not_positive_definite, Result.not_finite)
