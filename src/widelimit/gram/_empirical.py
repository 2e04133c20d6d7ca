"""The Gram matrix of a finite model, never formed."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._typing import Array, PyTree
from ..empirical import Diagonal, Full, NTKOperator, Trace
from ..kernels import EmpiricalNTK
from ._dense import AbstractGram


class EmpiricalNTKGram(AbstractGram):
    r"""The empirical NTK of n inputs as a matrix that is applied without being formed.

    .. math:: \Theta v = J\,(\eta\,J^\top v)

    by one backward and one forward derivative of the whole batch. With ``outputs=Full()`` the matrix is (n·o, n·o), its
    entry :math:`i\,o + a` being output a of input i, as in `widelimit.network_flow`; with `Trace` it is (n, n).

    Parameters
    ----------
    kernel
        An `EmpiricalNTK` with ``outputs`` `Full()` or `Trace()`.
    x
        n inputs, an array or a pytree of arrays.
    memory
        Budget in bytes for what a product holds beside parameters, inputs and the result.

    Raises
    ------
    ValueError
        If ``kernel`` is of another kind, or ``x`` is no batch.
    """

    kernel: EmpiricalNTK
    x: PyTree
    memory: int = eqx.field(default=2**30, static=True)

    def __check_init__(self) -> None:
        """Check the kernel and the inputs."""
        if not isinstance(self.kernel, EmpiricalNTK) or not isinstance(self.kernel.outputs, Full | Trace):
            raise ValueError(f"kernel is {self.kernel}; expected an EmpiricalNTK with outputs Full() or Trace().")
        _check.batch(self.x, "x")

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (n·o, n·o), or (n, n) for `Trace`."""
        return self._operator().shape

    def matmat(self, v: Array) -> Array:
        """Return the product with a matrix of shape (shape[0], k)."""
        return self._operator().matmat(v)

    def tile(self, rows: slice, columns: slice) -> Array:
        """Return a rectangular part, from the kernel of the examples it touches."""
        size, _ = self.shape
        outputs = size // len(jax.tree.leaves(self.x)[0])
        first, second = range(size)[rows], range(size)[columns]
        (x1, start1), (x2, start2) = (_touched(self.x, entries, outputs) for entries in (first, second))
        kernel = self.kernel
        block = kernel.method.block(kernel.problem(), x1, None if first == second else x2, kernel.outputs)
        if block.ndim == 4:
            n1, n2, o, _ = block.shape
            block = jnp.reshape(jnp.swapaxes(block, 1, 2), (n1 * o, n2 * o))
        return block[jnp.asarray(first, int) - start1][:, jnp.asarray(second, int) - start2]

    def diagonal(self) -> Array:
        """Return the diagonal, (n·o,) or (n,)."""
        kernel = self.kernel
        outputs = Diagonal() if isinstance(kernel.outputs, Full) else Trace()
        return jnp.ravel(kernel.method.diagonal(kernel.problem(), self.x, outputs))

    def _operator(self) -> NTKOperator:
        return NTKOperator(self.kernel.problem(), self.x, self.x, self.kernel.outputs, self.memory)


def _touched(x: PyTree, entries: range, outputs: int) -> tuple[Any, int]:
    """Return the examples that entries of the matrix belong to, and the entry with which they start."""
    lowest, highest = min(entries, default=0), max(entries, default=0)
    start = lowest // outputs
    return jax.tree.map(lambda a: a[start : highest // outputs + 1], x), start * outputs
