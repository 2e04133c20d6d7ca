r"""Lanczos: an orthonormal basis of a Krylov space, in which a symmetric matrix is tridiagonal.

.. math:: A\,Q_m = Q_m T_m + \beta_m q_{m+1} e_m^\top,\qquad q_1 = v/\|v\|

for many starting vectors at once, so that one pass over the matrix serves them all. Every new vector is made
orthogonal to all earlier ones, twice. A space that stops growing is invariant: from there on vectors are zero.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._result import Result
from .._typing import Array, Scalar, Tracer
from ..gram import AbstractGram


class KrylovBasis(NamedTuple):
    """Krylov spaces of k starting vectors, with room for c vectors each, of which ``size`` are made.

    Attributes
    ----------
    vectors
        Shape (k, c + 1, n), one basis vector a row; the row after the last one made is the next.
    diagonal, below
        The entries of the tridiagonal matrices, (k, c) each; zero beyond ``size`` and beyond an invariant space.
    norms
        Lengths of the starting vectors, (k,).
    size
        How many vectors each space has.
    """

    vectors: Array
    diagonal: Array
    below: Array
    norms: Array
    size: int


def krylov_basis(v: Array, room: int) -> KrylovBasis:
    """Return the empty spaces of starting vectors v, (n, k), with room for ``room`` vectors each."""
    n, k = v.shape
    norms = jnp.linalg.norm(v, axis=0)
    vectors = jnp.zeros((k, room + 1, n), v.dtype).at[:, 0].set((v / jnp.where(norms > 0, norms, 1)).T)
    return KrylovBasis(vectors, jnp.zeros((k, room), v.dtype), jnp.zeros((k, room), v.dtype), norms, 0)


def grow_basis(gram: AbstractGram, ridge: Scalar, basis: KrylovBasis, size: int) -> KrylovBasis:
    """Return the spaces of the matrix plus a ridge, grown to ``size`` vectors; room is doubled where it lacks."""
    vectors, diagonal, below = basis.vectors, basis.diagonal, basis.below
    room = diagonal.shape[1]
    if size > room:
        more = max(size, 2 * room) - room
        vectors = jnp.pad(vectors, ((0, 0), (0, more), (0, 0)))
        diagonal, below = (jnp.pad(a, ((0, 0), (0, more))) for a in (diagonal, below))
    # As arrays, the sizes compile once.
    first, last = jnp.asarray(basis.size), jnp.asarray(size)
    vectors, diagonal, below = _extend(gram, ridge, (vectors, diagonal, below), first, last)
    return KrylovBasis(vectors, diagonal, below, basis.norms, size)


@eqx.filter_jit
def _extend(gram: AbstractGram, ridge: Scalar, carry: tuple, first: Array, last: Array) -> tuple:
    n = carry[0].shape[-1]

    def grow(j: Array, carry: tuple) -> tuple:
        vectors, diagonal, below = carry
        q = vectors[:, j]
        w = gram.matmat(q.T).T + ridge * q
        a = jnp.sum(q * w, -1)
        for _ in range(2):
            overlap = jnp.einsum("kcn,kn->kc", vectors, w)
            w = w - jnp.einsum("kc,kcn->kn", overlap, vectors)
        diagonal = diagonal.at[:, j].set(a)
        b = jnp.linalg.norm(w, axis=-1)
        size = jnp.max(jnp.abs(diagonal) + below, -1)
        b = jnp.where(b > n * jnp.finfo(b.dtype).eps * size, b, 0)
        following = w / jnp.where(b > 0, b, 1)[:, None]
        following = jnp.where(b[:, None] > 0, following, 0)
        return vectors.at[:, j + 1].set(following), diagonal, below.at[:, j].set(b)

    return jax.lax.fori_loop(first, last, grow, carry)


def tridiagonal_eigh(basis: KrylovBasis, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues (k, size) and eigenvectors (k, size, size), as columns, of the leading tridiagonal parts."""
    import scipy.linalg  # Here, because it takes a tenth of the time that importing the library takes.

    diagonal, below = np.asarray(basis.diagonal)[:, :size], np.asarray(basis.below)[:, : size - 1]
    if not (np.isfinite(diagonal).all() and np.isfinite(below).all()):
        raise ValueError("the products with the matrix are not finite; expected a matrix of finite numbers.")
    pairs = [scipy.linalg.eigh_tridiagonal(d, e) for d, e in zip(diagonal, below, strict=True)]
    return np.stack([values for values, _ in pairs]), np.stack([vectors for _, vectors in pairs])


def largest_eigenvalue(gram: AbstractGram, *, tolerance: float = 1e-10, max_iterations: int = 500) -> Array:
    r"""Return the largest eigenvalue of a symmetric positive semi-definite matrix from products with it alone.

    The Ritz value :math:`\theta` of Lanczos from a fixed random vector is taken when its residual
    :math:`\|Aq - \theta q\|` gives an error below ``tolerance`` times :math:`\theta`, by the bound
    residual²/gap to the next Ritz value or by the residual itself.

    Raises
    ------
    ValueError
        If it does not converge, or the matrix is being traced: the number of iterations depends on its values.
    """
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(gram)):
        raise ValueError("the matrix is being traced; Lanczos decides by values. Use jnp.linalg.eigvalsh instead.")
    n, _ = gram.shape
    dtype = gram.diagonal().dtype
    basis = krylov_basis(jax.random.normal(jax.random.key(0), (n, 1), dtype), min(n, 32))
    last, top, error = min(n, max_iterations), 0.0, float("inf")
    for size in basis_sizes(last):
        basis = grow_basis(gram, jnp.zeros((), dtype), basis, size)
        values, vectors = tridiagonal_eigh(basis, size)
        residual = float(basis.below[0, size - 1]) * abs(vectors[0, -1, -1])
        top = float(values[0, -1])
        gap = top - float(values[0, -2]) if size > 1 else top
        error = min(residual, residual**2 / gap if gap > 0 else residual)
        if error <= tolerance * top or size == n:
            return jnp.asarray(top, dtype)
    raise ValueError(
        f"the largest eigenvalue is known to {error / top:.1e} after {last} iterations, not to {tolerance:.1e}. "
        f"{Result[Result.not_converged]}"
    )


def basis_sizes(last: int) -> list[int]:
    """Return the sizes at which convergence is looked at: about a quarter apart, up to ``last``."""
    found, size = [], 8
    while size < last:
        found.append(size)
        size += max(4, size // 16 * 4)
    return [*found, last]
