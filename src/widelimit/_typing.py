"""Type names used across the house."""

from collections.abc import Callable as Callable
from typing import Any

import numpy as np
from jax import Array as Array
from jax.core import Tracer as Tracer
from jaxtyping import PyTree as PyTree

ArrayLike = Array | np.ndarray | float | int
"""What a public function accepts where it documents an array."""

AnyArray = Any
"""An array of NumPy or of JAX, whichever came in."""

Scalar = Array | float
"""A hyperparameter: a Python float, or a zero-dimensional array (a tracer under ``jax.grad``)."""

Key = Array
"""A JAX random key, as from ``jax.random.key(0)``."""

Params = Any
"""Parameters of a network: any pytree of arrays."""

Shape = tuple[int, ...]
ApplyFn = Callable[[Params, Array], Array]
"""A finite model ``f(params, batch) -> outputs``, with the batch axis first on both sides."""
