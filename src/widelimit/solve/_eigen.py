"""Eigendecomposition of a Gram matrix: solves, and any function of the matrix."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._result import Result
from .._typing import AnyArray, Array, Callable, PyTree, Scalar, Tracer
from ..gram import AbstractGram
from ._base import AbstractSolver, Solution
from ._cholesky import in_memory, in_numpy
from ._noise import relative, with_noise


class Spectrum(NamedTuple):
    """A symmetric matrix with its eigendecomposition; eigenvalues ascend, (n,), and vectors are columns, (n, n)."""

    matrix: AnyArray
    values: AnyArray
    vectors: AnyArray


class Eigen(AbstractSolver):
    r"""Diagonalise :math:`K + N = V\Lambda V^\top`; about :math:`9n^3` operations.

    Eigenvalues that are zero to working precision (below :math:`n\,\varepsilon\,\lambda_{\max}`, and all negative
    ones) are set to zero; solves are least-squares solutions of minimal norm, so that a residual that is not small
    says that the right-hand side is out of reach. Statistics: ``rank``, ``largest`` (eigenvalue), and
    ``condition_estimate``, the ratio of the largest to the smallest eigenvalue that is not zero. Differentiable in
    JAX; a matrix in NumPy is decomposed by LAPACK.
    """

    def init(self, gram: AbstractGram, noise: Scalar | AnyArray) -> Spectrum:
        """Return the spectrum."""
        if in_numpy(gram) and not isinstance(noise, Tracer):
            return _in_numpy(in_memory(gram), noise)
        matrix = gram.tile(slice(None), slice(None))
        matrix = with_noise((matrix + matrix.T) / 2, noise)
        values, vectors = jnp.linalg.eigh(matrix)
        cut = values.shape[0] * jnp.finfo(values.dtype).eps * jnp.max(jnp.abs(values))
        return Spectrum(matrix, jnp.where(values > cut, values, 0), vectors)

    def compute(self, state: Spectrum, y: AnyArray) -> Solution:
        """Solve for right-hand sides of shape (n,) or (n, k)."""
        columns = y if y.ndim == 2 else y[:, None]
        numpy = all(isinstance(a, np.ndarray) for a in (state.vectors, y))
        xp: Any = np if numpy else jnp
        if numpy:
            value = state.vectors @ (_pseudo_inverse((), state.values, xp)[:, None] * (state.vectors.T @ columns))
        else:
            value = matrix_function(_pseudo_inverse, (), state, columns)
        values = state.values
        smallest = xp.min(xp.where(values > 0, values, xp.inf))
        good = xp.all(xp.isfinite(values))
        result = Result.where(good, Result.successful, Result.not_finite)
        stats = {
            "residual": xp.reshape(relative(state.matrix @ value - columns, columns), y.shape[1:]),
            "iterations": 0,
            "condition_estimate": values[-1] / smallest,
            "rank": xp.sum(values > 0),
            "largest": values[-1],
        }
        return Solution(xp.reshape(value, y.shape), result, stats, state)


def _in_numpy(matrix: np.ndarray, noise: Any) -> Spectrum:
    import scipy.linalg  # Here, because it takes a tenth of the time that importing the library takes.

    np.fill_diagonal(matrix, matrix.diagonal() + np.asarray(noise, matrix.dtype))
    if not np.isfinite(matrix).all():
        return Spectrum(matrix, np.full_like(matrix[0], np.nan), np.full_like(matrix, np.nan))
    values, vectors = scipy.linalg.eigh(matrix, driver="evd")
    cut = len(values) * np.finfo(values.dtype).eps * np.max(np.abs(values))
    return Spectrum(matrix, np.where(values > cut, values, np.zeros((), values.dtype)), vectors)


def matrix_function(fn: Callable[[PyTree, Array], Array], args: PyTree, spectrum: Spectrum, v: Array) -> Array:
    r"""Return :math:`\phi(M)\,v = V\,\phi(\Lambda)\,V^\top v` for a function :math:`\phi` of a symmetric matrix.

    Differentiable in the matrix also where eigenvalues coincide, by the divided differences of Daleckii and Krein:
    :math:`d\phi(M) = V\big(\Gamma\circ(V^\top dM\,V)\big)V^\top` with
    :math:`\Gamma_{ij} = (\phi(\lambda_i)-\phi(\lambda_j))/(\lambda_i-\lambda_j)`.

    Parameters
    ----------
    fn
        ``fn(args, eigenvalues)`` of shape (\*batch, n) for eigenvalues of shape (n,).
    args
        Arguments of ``fn``, differentiable.
    spectrum
        The matrix and its decomposition.
    v
        Columns, (n, k).

    Returns
    -------
    Array
        Shape (\*batch, n, k).
    """
    return _matrix_function(fn, args, *spectrum, v)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _matrix_function(fn: Callable, args: PyTree, matrix: Array, values: Array, vectors: Array, v: Array) -> Array:
    del matrix  # only its tangent matters
    return vectors @ (fn(args, values)[..., None] * (vectors.T @ v))


@_matrix_function.defjvp
def _(fn: Callable, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    args, _, values, vectors, v = primals
    dargs, dmatrix, _, _, dv = tangents
    weights, dweights = jax.jvp(lambda a: fn(a, values), (args,), (dargs,))
    projected = vectors.T @ v
    inner = vectors.T @ dmatrix @ vectors
    gamma = _divided_differences(lambda x: fn(args, x), values, weights)
    tangent = weights[..., None] * (vectors.T @ dv) + dweights[..., None] * projected
    tangent = tangent + (gamma * inner) @ projected
    return vectors @ (weights[..., None] * projected), vectors @ tangent


def _divided_differences(fn: Callable, x: Array, y: Array) -> Array:
    # (y_i - y_j)/(x_i - x_j), and the derivative at the middle where the points are too close to divide.
    gap = x[:, None] - x[None, :]
    scale = jnp.max(jnp.abs(x)) + jnp.finfo(x.dtype).tiny
    close = jnp.abs(gap) < 1e-5 * scale
    middle = jnp.ravel((x[:, None] + x[None, :]) / 2)
    _, slope = jax.jvp(fn, (middle,), (jnp.ones_like(middle),))
    quotient = (y[..., :, None] - y[..., None, :]) / jnp.where(close, 1, gap)
    return jnp.where(close, jnp.reshape(slope, (*y.shape[:-1], *gap.shape)), quotient)


def _pseudo_inverse(_: tuple, values: Array, xp: Any = jnp) -> Array:
    return xp.where(values > 0, 1 / xp.where(values > 0, values, 1), xp.zeros((), values.dtype))
