"""Resizing of space by interpolation."""

from __future__ import annotations

import abc
import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._typing import Array, Params, Shape
from . import _plainly
from ._base import AbstractLayer
from ._linear import SpatialMap, mix, reached
from ._pair import Pair
from ._sample import Sample
from ._space import Space


class AbstractInterpolation(eqx.Module):
    """How values between positions are had; along each axis by itself."""

    @abc.abstractmethod
    def resize(self, a: Array, shape: Shape) -> Array:
        """Return an array of another shape."""


class Linear(AbstractInterpolation):
    """Linear between neighbours.

    Parameters
    ----------
    antialias
        Whether making space smaller averages over what lies between, by a triangle as wide as the step.
    """

    antialias: bool = eqx.field(static=True, default=True)

    def resize(self, a: Array, shape: Shape) -> Array:
        """Return an array of another shape."""
        return jax.image.resize(a, shape, "linear", self.antialias, precision=jax.lax.Precision.HIGHEST)


class Nearest(AbstractInterpolation):
    """The value of the nearest position."""

    def resize(self, a: Array, shape: Shape) -> Array:
        """Return an array of another shape."""
        return jax.image.resize(a, shape, "nearest")


class Resize(AbstractLayer):
    r"""Another number of positions along each axis of space, by interpolation as `jax.image.resize` does.

    .. math:: u'_P = \sum_p A_{Pp} u_p,\qquad K' = A K A^\top,\qquad \Theta' = A\,\Theta A^\top

    Missing positions count as zeros; a position is missing if all those are that it is made of.

    Parameters
    ----------
    shape
        Number of positions along each axis of space; -1 for as many as there are.
    method
        `Linear` or `Nearest`.
    """

    shape: Shape = eqx.field(static=True, converter=lambda value: _shape(value))
    method: AbstractInterpolation = Linear()

    init = _plainly.no_params
    learning_rates = _plainly.no_rates
    resized = _plainly.same_width
    transmit = _plainly.same_signal

    def __check_init__(self) -> None:
        """Check the method."""
        _check.instance(self.method, AbstractInterpolation, "method", "Linear()")

    def out_shape(self, shape: Shape) -> Shape:
        r"""Return (\*new space, channels)."""
        if len(shape) - 1 != len(self.shape):
            raise ValueError(
                f"shape is {self.shape} and the input has {len(shape) - 1} axes of space; expected one number per "
                "axis of space, none for the channels."
            )
        return (*(old if new == -1 else new for old, new in zip(shape[:-1], self.shape, strict=True)), shape[-1])

    def spatial_needed(self, space: Space) -> Space:
        """Return the full space, or ``space`` if nothing is resized."""
        return Space.FULL if self._changes() else space

    def forward(self, params: Params, x: Sample) -> Sample:  # noqa: ARG002
        """Return the output for one example."""
        if not self._changes():
            return x
        on = self._map(x.values.dtype)
        return Sample(on(x.values), reached(x.mask, on), None, x.key)

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        if not self._changes():
            return pair
        on = self._map(pair.xx.dtype)
        return dataclasses.replace(mix(pair, on, on), mask_x=reached(pair.mask_x, on), mask_y=reached(pair.mask_y, on))

    def _changes(self) -> bool:
        return any(size != -1 for size in self.shape)

    def _map(self, dtype: jnp.dtype) -> SpatialMap:
        def on_axis(a: Array, axis: int) -> Array:
            # Interpolation is linear: its matrix is what it makes of the unit vectors.
            n, m = a.shape[axis], self.shape[axis]
            matrix = self.method.resize(jnp.eye(n, dtype=dtype), (m, n))
            return jnp.moveaxis(jnp.tensordot(matrix, a, ((1,), (axis,))), 0, axis)

        axes = [axis for axis, size in enumerate(self.shape) if size != -1]
        return lambda a: functools.reduce(on_axis, axes, a)


def _shape(value: Any) -> Shape:
    found = (value,) if isinstance(value, int) else value
    known = isinstance(found, tuple | list) and all(isinstance(n, int) and not isinstance(n, bool) for n in found)
    if not known or any(n < 1 and n != -1 for n in found):
        raise ValueError(f"shape is {value!r}; expected positive integers, or -1 for an axis that stays as it is.")
    return tuple(found)
