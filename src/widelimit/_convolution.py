r"""Convolutions in the one layout for which XLA has fast CPU code everywhere, in both directions of differentiation.

XLA brings a convolution into channels-last form, with weights (\*window, in, out), only where it stands outside all
loops; inside, any other form runs many times slower. The derivative rule of JAX swaps the last two axes of the
weights, so the backward pass of a fast convolution in a loop would be slow. Here the tangent map is written with
swapped weights to begin with: its transpose, which is what a backward pass runs, then has the fast form.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from ._typing import Array, Shape


def convolve(x: Array, w: Array, params: dict[str, Any]) -> Array:
    """Return ``lax.conv_general_dilated`` of data and weights for the parameters of its equation."""
    if params["batch_group_count"] != 1:
        return _plain(x, w, params, params["dimension_numbers"])
    numbers = params["dimension_numbers"]
    space = tuple(range(2, x.ndim))
    last = lax.ConvDimensionNumbers(
        (0, x.ndim - 1, *(a - 1 for a in space)),
        (x.ndim - 1, x.ndim - 2, *(a - 2 for a in space)),
        (0, x.ndim - 1, *(a - 1 for a in space)),
    )
    swapped = last._replace(rhs_spec=(x.ndim - 2, x.ndim - 1, *(a - 2 for a in space)))

    @jax.custom_jvp
    def canonical(x: Array, w: Array) -> Array:
        return _plain(x, w, params, last)

    def tangent(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
        (x, w), (dx, dw) = primals, tangents
        terms = [] if isinstance(dx, SymbolicZero) else [_plain(dx, jnp.swapaxes(w, -1, -2), params, swapped)]
        terms += [] if isinstance(dw, SymbolicZero) else [_plain(x, dw, params, last)]
        return canonical(x, w), sum(terms[1:], terms[0])

    canonical.defjvp(tangent, symbolic_zeros=True)
    weight = jnp.transpose(w, (*numbers.rhs_spec[2:], numbers.rhs_spec[1], numbers.rhs_spec[0]))
    y = canonical(jnp.transpose(x, _channels_last(numbers.lhs_spec)), weight)
    return jnp.transpose(y, _inverse(_channels_last(numbers.out_spec)))


def _plain(x: Array, w: Array, params: dict[str, Any], numbers: lax.ConvDimensionNumbers) -> Array:
    return lax.conv_general_dilated(
        x,
        w,
        params["window_strides"],
        params["padding"],
        lhs_dilation=params["lhs_dilation"],
        rhs_dilation=params["rhs_dilation"],
        dimension_numbers=numbers,
        feature_group_count=params["feature_group_count"],
        batch_group_count=params["batch_group_count"],
        precision=params["precision"],
        preferred_element_type=params["preferred_element_type"],
    )


def _channels_last(spec: Shape) -> tuple[int, ...]:
    return (spec[0], *spec[2:], spec[1])


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(order.index(a) for a in range(len(order)))
