r"""Functions of the kernel matrix from products with it alone, for large n.

In the Krylov space of v with basis Q and tridiagonal T, :math:`\phi(A)v \approx \|v\|\,Q\,\phi(T)e_1`; at infinite
time this is conjugate gradients, and its limit the pseudo-inverse. One basis serves all times.
"""

from __future__ import annotations

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._result import Result
from .._typing import Array, Scalar, Tracer
from ..gram import AbstractGram
from ..solve import (
    KrylovBasis,
    Solution,
    basis_sizes,
    grow_basis,
    krylov_basis,
    largest_eigenvalue,
    tridiagonal_eigh,
)
from ._anyloss import AbstractLoss
from ._loss import AbstractSquaredLoss
from ._method import AbstractFlowMethod, Task, refuse_other_losses, squared_weights
from ._ode import Ridged, ridged
from ._optimizer import AbstractOptimizer


class Krylov(AbstractFlowMethod):
    r"""By Lanczos: one product with the matrix per iteration for all columns and times together.

    With :math:`\delta` the difference between the results :math:`x` from m and from 3m/4 basis vectors, it stops when

    .. math:: \sqrt{\delta^\top A\,\delta} \le \mathrm{tolerance}\cdot\sqrt{x^\top A\,x}

    for every column and time. This is the norm of the function :math:`\Theta(\cdot, X)\,\delta` in the space of the
    kernel: its value at an input x is at most :math:`\sqrt{\Theta(x, x)}` times that. Ritz values below
    :math:`n\,\varepsilon\,\lambda_{\max}` count as zero.

    Parameters
    ----------
    tolerance
        Relative error at which to stop.
    max_iterations
        KrylovBasis vectors after which it gives up with a sentence.
    memory
        Bytes for the bases; columns are taken in groups that fit, one at least.
    """

    tolerance: float = 1e-8
    max_iterations: int = 1000
    memory: int = 2**30

    def __check_init__(self) -> None:
        """Check the numbers."""
        _check.nonnegative(self.tolerance, "tolerance")
        _check.positive_int(self.max_iterations, "max_iterations")
        _check.positive_int(self.memory, "memory")

    def init(self, gram: AbstractGram, ridge: Scalar) -> Ridged:
        """Return the matrix and the ridge."""
        return ridged(gram, ridge)

    def apply(self, state: Ridged, optimizer: AbstractOptimizer, scale: float, t: Array, v: Array) -> Array:
        """Return the filtered columns.

        Raises
        ------
        ValueError
            If the tolerance is not reached, or something is being traced.
        """
        solution = self.solve(state, optimizer, scale, t, v)
        if solution.result != Result.successful:
            stats = solution.stats
            raise ValueError(
                f"Krylov() has an estimated relative error of {stats['estimate']:.1e} after {stats['iterations']} "
                f"iterations, above its tolerance of {self.tolerance:.1e}. {Result[Result.not_converged]}"
            )
        return solution.value

    def solve(self, state: Ridged, optimizer: AbstractOptimizer, scale: float, t: Array, v: Array) -> Solution:
        """Return the filtered columns with ``iterations`` and ``estimate`` (relative error) in ``stats``."""
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((state, optimizer, t, v))):
            raise ValueError("something is being traced and Krylov() decides by values; use method=Spectral().")
        n, k = v.shape
        sizes = basis_sizes(min(n, self.max_iterations))
        room = min(32, sizes[-1])
        group = max(1, self.memory // (v.dtype.itemsize * n * room))
        run = functools.partial(self._run, state, _Filter(optimizer, scale, jnp.asarray(t, v.dtype)))
        parts = [p for i in range(0, k, group) for p in run(krylov_basis(v[:, i : i + group], room), sizes)]
        estimate = max(e for _, e, _ in parts)
        stats = {"iterations": max(m for _, _, m in parts), "estimate": estimate}
        result = Result.successful if estimate <= self.tolerance else Result.not_converged
        return Solution(jnp.concatenate([x for x, _, _ in parts], -1), result, stats, state)

    def weights(self, state: Ridged, task: Task, t: Array) -> Array:
        """Return the filtered residual."""
        return squared_weights(self, state, task, t, state.gram.shape[0])

    def largest(self, state: Ridged) -> Array:
        """Return the largest eigenvalue."""
        return largest_eigenvalue(state.gram) + state.ridge

    def check(self, optimizer: AbstractOptimizer, loss: AbstractSquaredLoss | AbstractLoss) -> None:
        """Refuse losses that are not squared."""
        refuse_other_losses("Krylov", optimizer, loss)

    def _run(self, state: Ridged, phi: _Filter, basis: KrylovBasis, sizes: list[int]) -> list[tuple[Array, float, int]]:
        """Return columns, error estimate and iterations, group by group; a group that outgrows the memory is halved."""
        y, estimate = np.zeros(0), np.inf
        for i, size in enumerate(sizes):
            k, room, n = basis.vectors.shape
            grown = k * 2 * room * n * basis.vectors.dtype.itemsize
            if size >= room and k > 1 and grown > self.memory:
                halves = _columns(basis, slice(k // 2)), _columns(basis, slice(k // 2, None))
                return [part for half in halves for part in self._run(state, phi, half, sizes[i:])]
            basis = grow_basis(state.gram, state.ridge, basis, size)
            y, estimate = _project(phi, basis)
            if estimate <= self.tolerance:
                break
        y = np.pad(y, [(0, 0)] * (y.ndim - 1) + [(0, basis.vectors.shape[1] - basis.size)])
        return [(_assemble(jnp.asarray(y), basis.vectors), estimate, basis.size)]


class _Filter(eqx.Module):
    """The function of the matrix: an optimizer's response at given times, times the factor of the loss."""

    optimizer: AbstractOptimizer
    scale: float
    t: Array


def _columns(basis: KrylovBasis, which: slice) -> KrylovBasis:
    vectors, diagonal, below, norms = (a[which] for a in basis[:4])
    return KrylovBasis(vectors, diagonal, below, norms, basis.size)


@jax.jit
def _assemble(y: Array, vectors: Array) -> Array:
    # Coefficients (k, *times, m) and vectors (k, m, n).
    return jnp.einsum("k...m,kmn->...nk", y, vectors)


def _project(phi: _Filter, basis: KrylovBasis) -> tuple[np.ndarray, float]:
    r"""Return coefficients (k, \*times, m) in the basis, and the estimate of their relative error."""
    size = basis.size
    values, vectors = tridiagonal_eigh(basis, size)
    y = _coefficients(phi, basis, values, vectors)
    if (np.asarray(basis.below)[:, size - 1] == 0).all() or not np.isfinite(y).all():
        # The spaces are invariant and the result exact; or training diverges, which the caller reports.
        return y, 0.0
    earlier = max(1, 3 * size // 4)
    before = np.zeros_like(y)
    before[..., :earlier] = _coefficients(phi, basis, *tridiagonal_eigh(basis, earlier))
    error, whole = (_energy(a, values, vectors) for a in (y - before, y))
    return y, float(np.max(np.where(whole > 0, error / np.where(whole > 0, whole, 1), 0)))


def _energy(y: np.ndarray, values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return the norm of coefficients under the tridiagonal matrix."""
    modes = np.einsum("k...m,kmj->k...j", y, vectors)
    weights = np.reshape(values.clip(0), (len(values), *[1] * (y.ndim - 2), -1))
    return np.sqrt(np.sum(weights * modes**2, -1))


def _coefficients(phi: _Filter, basis: KrylovBasis, values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    k, size = values.shape
    n, room = basis.vectors.shape[-1], basis.diagonal.shape[1]
    cut = n * np.finfo(values.dtype).eps * np.abs(values).max(1, keepdims=True)
    # Padded to the room of the basis, so that compiled code serves several sizes.
    padded = np.zeros((k, room))
    padded[:, :size] = np.where(values > cut, values, 0)
    weights = np.reshape(_response(phi, jnp.asarray(padded.ravel())), (*phi.t.shape, k, room))
    weights = np.moveaxis(weights[..., :size], -2, 0)
    first = np.asarray(basis.norms)[:, None] * vectors[:, 0, :]
    return np.einsum("kmj,k...j->k...m", vectors, weights * np.reshape(first, (k, *[1] * phi.t.ndim, size)))


@eqx.filter_jit
def _response(phi: _Filter, eigenvalues: Array) -> Array:
    return phi.scale * phi.optimizer.response(phi.scale * eigenvalues, phi.t[..., None])
