"""Times that a user gives."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from .._typing import Array, Tracer
from ._optimizer import AbstractOptimizer


def times(t: Any, optimizer: AbstractOptimizer) -> Array:
    """Return ``t`` as an array of floats, refusing what is no time of the optimizer; tracers pass unchecked."""
    if isinstance(t, Tracer):
        return jnp.asarray(t, float)
    try:
        array: Any = np.asarray(t, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"t is {t!r}; expected a time or an array of times.") from None
    if optimizer.discrete and np.any(~(array >= 0) | (np.isfinite(array) & (array != np.round(array)))):
        raise ValueError(f"t is {t}; expected whole numbers of steps of zero or more (infinity allowed).")
    if np.any(~(array >= 0)):
        raise ValueError(f"t is {t}; expected times of zero or more (infinity allowed).")
    return array
