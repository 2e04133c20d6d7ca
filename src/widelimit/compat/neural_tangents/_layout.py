"""The axes of kernels: pairs next to each other, (n1, n2, h, h', w, w', ...), in which this interface returns them."""

import math

import jax.numpy as jnp
import numpy as np

from ..._typing import Array, Shape

AxisNumbers = int | tuple[int, ...] | list[int]


def axes_of(axes: AxisNumbers, ndim: int) -> Shape:
    """Return axes as sorted numbers from zero, each once.

    Raises
    ------
    ValueError
        If there is no such axis.
    """
    numbers = [axes] if isinstance(axes, int | np.integer) else list(axes)
    if not all(-ndim <= axis < ndim for axis in numbers):
        raise ValueError(f"axes are {axes}; expected numbers from {-ndim} to {ndim - 1} for {ndim} axes.")
    return tuple(sorted({int(axis) % ndim for axis in numbers}))


def as_matrix(k: Array) -> Array:
    """Return a kernel with axes in pairs, (n1, n2, h, h', ...), as a matrix (n1 h ..., n2 h' ...)."""
    rows, columns = k.shape[::2], k.shape[1::2]
    if len(rows) != len(columns):
        raise ValueError(f"a kernel has shape {k.shape}; expected axes in pairs: (n1, n2, h, h', ...).")
    ordered = jnp.transpose(k, (*range(0, k.ndim, 2), *range(1, k.ndim, 2)))
    return jnp.reshape(ordered, (math.prod(rows), math.prod(columns)))


def as_pairs(matrix: Array, rows: Shape, columns: Shape) -> Array:
    r"""Return a matrix, (\*lead, n1 h ..., n2 h' ...), with its axes in pairs: (\*lead, n1, n2, h, h', ...)."""
    lead, k = matrix.ndim - 2, len(rows)
    whole = jnp.reshape(matrix, (*matrix.shape[:lead], *rows, *columns))
    pairs = [axis for i in range(k) for axis in (lead + i, lead + k + i)]
    return jnp.transpose(whole, (*range(lead), *pairs))


def as_columns(y: Array, trace: Shape) -> Array:
    """Return outputs as a matrix: all other axes by those in ``trace``."""
    kept = [axis for axis in range(y.ndim) if axis not in trace]
    ordered = jnp.transpose(y, (*kept, *trace))
    return jnp.reshape(ordered, (math.prod(y.shape[axis] for axis in kept), -1))


def from_columns(columns: Array, shape: Shape, trace: Shape) -> Array:
    r"""Return outputs of a shape from a matrix of the form of `as_columns`, after any leading axes."""
    lead = columns.ndim - 2
    kept = [axis for axis in range(len(shape)) if axis not in trace]
    order = [*kept, *trace]
    whole = jnp.reshape(columns, (*columns.shape[:lead], *[shape[axis] for axis in order]))
    back = np.argsort(order)
    return jnp.transpose(whole, (*range(lead), *[lead + int(axis) for axis in back]))


def output_shape(kernel: Shape, y: Shape, trace: Shape) -> Shape:
    """Return the shape of the outputs whose kernel with outputs of shape ``y`` has shape ``kernel``."""
    rows = iter(kernel[::2])
    return tuple(y[axis] if axis in trace else next(rows) for axis in range(len(y)))
