"""Given linear maps: of space, and by a number per position."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Params, Shape, Tracer
from . import _plainly
from ._base import AbstractLayer
from ._linear import SpatialMap, mix, reached
from ._pair import Pair
from ._sample import Sample


class Scale(AbstractLayer):
    r"""Multiply by a given number, or by one for each position: :math:`u'_p = c_p u_p`.

    .. math:: K'(p, p') = c_p c_{p'} K(p, p'),\qquad \Theta'(p, p') = c_p c_{p'} \Theta(p, p')

    Parameters
    ----------
    constant
        A number, or an array (\*space,) that broadcasts to the space of the input; not learned, but a leaf.

    Raises
    ------
    ValueError
        If it is not finite, or has another shape than the space of the input.
    """

    constant: Any = eqx.field(converter=lambda value: _constant(value, "constant"))

    init = _plainly.no_params
    learning_rates = _plainly.no_rates
    resized = _plainly.same_width
    transmit = _plainly.same_signal
    spatial_needed = _plainly.same_space

    def out_shape(self, shape: Shape) -> Shape:
        """Return ``shape``, refusing space that the constant does not fit."""
        self._at(shape[:-1])
        return shape

    def forward(self, params: Params, x: Sample) -> Sample:  # noqa: ARG002
        """Return the output for one example."""
        return x.with_values(x.values * self._at(x.values.shape[:-1])[..., None].astype(x.values.dtype))

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        right = self._at(pair.xx.shape).astype(pair.xx.dtype)
        left = pair.first(right)
        return dataclasses.replace(
            pair,
            xx=right**2 * pair.xx,
            yy=right**2 * pair.yy,
            ntk=left * right * pair.ntk,
            mean_x=None if pair.mean_x is None else right * pair.mean_x,
            mean_y=None if pair.mean_y is None else right * pair.mean_y,
            **pair.map_gaps(lambda q1, q2, g: left * right * g + (left - right) * (left * q1 - right * q2) / 2),
        )

    def _at(self, space: Shape) -> Array:
        shape = jnp.shape(self.constant)
        try:
            fits = np.broadcast_shapes(shape, space) == tuple(space)
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"the constant has shape {shape} and the input the space {tuple(space)}; expected a number, or one per "
                "position. Channels cannot be told apart in an infinitely wide network."
            )
        return jnp.broadcast_to(jnp.asarray(self.constant), space)


class LinearMap(AbstractLayer):
    r"""Multiply space by a given matrix, the same for all channels: :math:`u'_P = \sum_p A_{Pp} u_p`.

    .. math:: K' = A K A^\top,\qquad \Theta' = A\,\Theta A^\top

    A mean over a part of space, a discrete Fourier or cosine transform, a blur, a permutation of positions, a
    contraction of several axes are of this kind. Missing positions count as zeros; a position is missing if all
    those are that have a weight in it.

    Parameters
    ----------
    matrix
        (\*new, \*old) where ``old`` are the sizes of the axes; new axes stand in place of the first of them. Not
        learned, but a leaf. With as many axes as ``axes``, these are summed up and disappear.
    axes
        The axis of space that is multiplied, or several.

    Raises
    ------
    ValueError
        If the matrix is not finite, or does not fit the input.
    """

    matrix: Any = eqx.field(converter=lambda value: _constant(value, "matrix"))
    axes: tuple[int, ...] = eqx.field(static=True, default=(0,), converter=lambda value: _axes(value))

    init = _plainly.no_params
    learning_rates = _plainly.no_rates
    resized = _plainly.same_width
    transmit = _plainly.same_signal
    spatial_needed = _plainly.full_space

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape with the axes replaced."""
        space = shape[:-1]
        if max(self.axes) >= len(space):
            raise ValueError(
                f"axes are {self.axes} and the input has {len(space)} axes of space; expected 0 to {len(space) - 1}. "
                "Channels cannot be mixed by a given matrix: use Dense."
            )
        sizes, matrix = tuple(space[axis] for axis in self.axes), jnp.shape(self.matrix)
        if matrix[len(matrix) - len(sizes) :] != sizes:
            raise ValueError(
                f"the matrix has shape {matrix} and the axes {self.axes} have sizes {sizes}; expected (*new, *{sizes})."
            )
        kept = [size for axis, size in enumerate(space) if axis not in self.axes]
        at = self._at()
        return (*kept[:at], *matrix[: len(matrix) - len(sizes)], *kept[at:], shape[-1])

    def forward(self, params: Params, x: Sample) -> Sample:  # noqa: ARG002
        """Return the output for one example."""
        return Sample(self._map()(x.values), reached(x.mask, self._map(weights=True)), None, x.key)

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        on, weights = self._map(), self._map(weights=True)
        masks = {name: reached(getattr(pair, name), weights) for name in ("mask_x", "mask_y")}
        return dataclasses.replace(mix(pair, on, on), **masks)

    def _at(self) -> int:
        # How many of the axes that are kept stand before the first that is not.
        return min(self.axes)

    def _map(self, weights: bool = False) -> SpatialMap:
        def on(a: Array) -> Array:
            matrix = jnp.asarray(self.matrix).astype(a.dtype)
            matrix = jnp.abs(matrix) if weights else matrix
            new = matrix.ndim - len(self.axes)
            a = jnp.tensordot(matrix, a, (tuple(range(new, matrix.ndim)), self.axes))
            return jnp.moveaxis(a, range(new), range(self._at(), self._at() + new))

        return on


def _constant(value: Any, name: str) -> Any:
    if isinstance(value, Tracer) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    if not isinstance(value, jax.Array):
        value = np.asarray(value)
    if not (jnp.issubdtype(value.dtype, jnp.number) and not jnp.iscomplexobj(value) and np.isfinite(value).all()):
        raise ValueError(f"{name} has dtype {value.dtype} or is not finite; expected finite real numbers.")
    return value if jnp.issubdtype(value.dtype, jnp.floating) else np.asarray(value, float)


def _axes(value: Any) -> tuple[int, ...]:
    found = (value,) if isinstance(value, int) else value
    known = isinstance(found, tuple | list) and all(isinstance(a, int) and not isinstance(a, bool) for a in found)
    if not known or not found or min(found) < 0 or len(set(found)) != len(found):
        raise ValueError(f"axes is {value!r}; expected an axis of space, 0, 1, ..., or several that differ.")
    return tuple(found)
