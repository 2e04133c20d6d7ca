"""Locally connected layer: a convolution whose weights are not shared over space."""

from __future__ import annotations

import dataclasses
import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Key, Params, Scalar, Shape
from . import _convolving, _plainly, _weights
from ._base import AbstractLayer
from ._pair import Pair
from ._parameterization import AbstractParameterization, NTKParameterization
from ._sample import Sample
from ._space import Space
from ._window import AbstractPadding, Valid, Window, average_moments, sizes


class LocallyConnected(AbstractLayer):
    r"""Filters and biases of their own at every place, channels last (Novak et al. 2019, arXiv 1810.05148, section 5).

    In the NTK parameterization, with filter positions F and fan-in :math:`n = |F| C/\mathrm{groups}`,

    .. math:: z_P = \frac{\sigma_W}{\sqrt n}\sum_{f\in F} W_{P,f}\, u_{sP+f} + \sigma_b b_P,\qquad
              K'(P,P') = \delta_{PP'}\Big(\frac{\sigma_W^2}{|F|}\sum_{f\in F} K(sP+f, sP+f) + \sigma_b^2\Big)

    and :math:`\Theta' = K' + \sigma_W^2\,\delta_{PP'} A(\Theta)` with the same mean A over the filter: as `Conv` at
    each place, and nothing between places.

    Parameters
    ----------
    width
        Number of output channels.
    window
        Size of the filter along each axis of space, such as ``(3, 3)``; an integer for one axis.
    weight_std, bias_std
        :math:`\sigma_W` and :math:`\sigma_b`; ``bias_std=None`` for no bias.
    strides, dilation
        Step of the filter and distance of its positions along each axis; None for ones.
    padding
        `Valid`, `Zeros` or `Circular`.
    groups
        Number of groups of channels that do not see each other; divides input channels and width.
    parameterization
        Where the width goes.

    Raises
    ------
    ValueError
        If an argument is out of range, or the input does not match.
    """

    width: int = eqx.field(static=True)
    window: Shape = eqx.field(static=True, converter=lambda value: sizes(value, "window"))
    weight_std: Scalar = 1.0
    bias_std: Scalar | None = None
    strides: Shape | None = eqx.field(static=True, default=None, kw_only=True)
    padding: AbstractPadding = eqx.field(default=Valid(), kw_only=True)
    dilation: Shape | None = eqx.field(static=True, default=None, kw_only=True)
    groups: int = eqx.field(static=True, default=1, kw_only=True)
    parameterization: AbstractParameterization = eqx.field(default=NTKParameterization(), kw_only=True)

    spatial_needed = _plainly.same_space
    __check_init__ = _convolving.check
    over = _convolving.over
    out_shape = _convolving.out_shape
    learning_rates = _convolving.learning_rates
    transmit = _convolving.transmit
    resized = _convolving.resized

    def init(self, key: Key, shape: Shape) -> Params:
        r"""Return ``{"weight": (\*places, \*window, channels / groups, width), "bias": (\*places, width)}``."""
        biases = self.out_shape(shape)
        weight = (*biases[:-1], *self.window, shape[-1] // self.groups, self.width)
        return _weights.draw(self, key, weight, _convolving.fans(self, shape[-1]), biases)

    def forward(self, params: Params, x: Sample) -> Sample:
        """Return the output for one example."""
        over = self.over()
        places, channels = over.out_shape(x.values.shape[:-1]), x.values.shape[-1]
        number, inner = math.prod(places), (channels // self.groups, self.groups, self.width // self.groups)
        patches = _patches(over.extend(x.values), over, places).reshape(number, over.size, *inner[1::-1])
        weight = params["weight"].reshape(number, over.size, *inner)
        z = jnp.einsum("pfgi,pfigo->pgo", patches, weight).reshape(*places, self.width)
        return x.with_places(_weights.scale(self, params, z, _convolving.fans(self, channels)), over.present(x.mask))

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        fan_in = _convolving.fans(self, pair.channels)[0]
        each = _weights.weigh(self, average_moments(pair.diagonal(), self.over()), fan_in, self.width)
        return each if pair.space is Space.DIAGONAL else _apart(each)


def _patches(a: Array, over: Window, places: Shape) -> Array:
    # What the window sees at each place: (*places, *window, channels).
    depth, index = len(places), []
    for axis, (count, w, s, d) in enumerate(zip(places, over.shape, over.strides, over.dilation, strict=True)):
        at = np.arange(count)[:, None] * s + np.arange(w) * d
        shape = [1] * (2 * depth)
        shape[axis], shape[depth + axis] = at.shape
        index.append(at.reshape(shape))
    return a[tuple(index)] if depth else a


def _apart(pair: Pair) -> Pair:
    # A pair in the diagonal of space, as one in full space with independent positions.
    same = jnp.eye(pair.xx.size, dtype=bool).reshape(*pair.xx.shape, *pair.xx.shape)

    def first(a: Array) -> Array:
        return a.reshape(*a.shape, *(1,) * a.ndim)

    def gap(q1: Array, q2: Array, own: Array) -> Array:
        return jnp.where(same, first(own), (first(q1) + q2) / 2)

    nothing = jnp.zeros_like(pair.xx)
    return dataclasses.replace(
        pair,
        gap=gap(pair.xx, pair.yy, pair.gap),
        ntk=jnp.where(same, first(pair.ntk), 0),
        gap_x=gap(pair.xx, pair.xx, nothing),
        gap_y=gap(pair.yy, pair.yy, nothing),
    )
