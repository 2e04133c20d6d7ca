"""Noise on the diagonal, and what is left of the right-hand side."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._typing import Array, Scalar, Tracer


def checked_noise(noise: Any, n: int) -> Any:
    """Return variances of noise as a number or an array (n,).

    Raises
    ------
    ValueError
        If there are not one or n of them, or one is negative or not finite.
    """
    if jnp.ndim(noise) == 0:
        _check.nonnegative(noise, "noise")
        return noise
    values = _check.real(noise, "noise")
    if values.shape != (n,):
        raise ValueError(f"noise has shape {values.shape}; expected one number, or ({n},), one per row of the matrix.")
    if not isinstance(values, Tracer) and float(np.min(np.asarray(values))) < 0:
        where = int(np.argmin(np.asarray(values)))
        raise ValueError(f"noise[{where}] is {values[where]}; expected variances that are zero or more.")
    return values


def with_noise(matrix: Array, noise: Scalar | Array) -> Array:
    """Return the matrix plus noise on its diagonal."""
    n = matrix.shape[0]
    return matrix + jnp.diag(jnp.broadcast_to(jnp.asarray(noise, matrix.dtype), (n,)))


def relative(rest: Any, y: Any) -> Any:
    """Return the norm of each column of ``rest`` divided by that of ``y``; zero where both vanish."""
    xp = jnp if isinstance(rest, jax.Array) else np
    left, whole = xp.linalg.norm(rest, axis=0), xp.linalg.norm(y, axis=0)
    return xp.where(whole > 0, left / xp.where(whole > 0, whole, 1), left)
