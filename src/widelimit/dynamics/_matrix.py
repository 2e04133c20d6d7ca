"""Kernels as square matrices over (example, output) entries."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from .. import _check
from .._typing import Array, Tracer


def checked(ntk: Any, name: str = "ntk") -> Array:
    """Return a kernel of the training inputs with itself, refusing what is not (n, n) or (n, n, o, o) and symmetric."""
    ntk = _check.real(ntk, name)
    if ntk.ndim not in (2, 4) or ntk.shape[0] != ntk.shape[1] or (ntk.ndim == 4 and ntk.shape[2] != ntk.shape[3]):
        raise ValueError(f"{name} has shape {ntk.shape}; expected (n, n) or (n, n, o, o).")
    if not isinstance(ntk, Tracer):
        matrix = np.asarray(as_matrix(ntk), np.float64)
        size, off = np.abs(matrix).max(), np.abs(matrix - matrix.T).max()
        if off > 1e-3 * size:
            raise ValueError(
                f"{name} is not symmetric: an entry and its mirror differ by {off:.2g}, where the largest entry is "
                f"{size:.2g}; expected the kernel of the training inputs with themselves."
            )
    return ntk


def as_matrix(block: Array) -> Array:
    """Return a kernel block (n1, n2) or (n1, n2, o, o) as a matrix over (example, output) entries."""
    if block.ndim == 2:
        return block
    n1, n2, o, _ = block.shape
    return jnp.reshape(jnp.swapaxes(block, 1, 2), (n1 * o, n2 * o))
