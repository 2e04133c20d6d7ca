"""Convolution with weights shared over space."""

from __future__ import annotations

import equinox as eqx
import jax

from .._typing import Key, Params, Scalar, Shape
from . import _convolving, _plainly, _weights
from ._base import AbstractLayer
from ._pair import Pair
from ._parameterization import AbstractParameterization, NTKParameterization
from ._sample import Sample
from ._window import AbstractPadding, Valid, average_moments, sizes


class Conv(AbstractLayer):
    r"""Convolution over any number of spatial axes, channels last.

    In the NTK parameterization, with filter positions F, fan-in :math:`n = |F| C/\mathrm{groups}`,

    .. math:: z_P = \frac{\sigma_W}{\sqrt n}\sum_{f\in F} W_f u_{sP+f} + \sigma_b b,\qquad
              K'(P,P') = \frac{\sigma_W^2}{|F|}\sum_{f\in F} K(sP+f, sP'+f) + \sigma_b^2

    and :math:`\Theta' = K' + \sigma_W^2 A(\Theta)` with the same mean A over the filter (Novak et al. 2019,
    arXiv 1810.05148; Arora et al. 2019, arXiv 1904.11955). Groups do not change the limit.

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
        r"""Return ``{"weight": (\*window, channels / groups, width), "bias": (width,)}``."""
        self.out_shape(shape)
        weight = (*self.window, shape[-1] // self.groups, self.width)
        return _weights.draw(self, key, weight, _convolving.fans(self, shape[-1]), (self.width,))

    def forward(self, params: Params, x: Sample) -> Sample:
        """Return the output for one example."""
        over, depth = self.over(), len(self.window)
        space = tuple(range(depth))
        layout = jax.lax.ConvDimensionNumbers(
            (0, depth + 1, *range(1, depth + 1)), (depth + 1, depth, *space), (0, depth + 1, *range(1, depth + 1))
        )
        z = jax.lax.conv_general_dilated(
            over.extend(x.values)[None],
            params["weight"].astype(x.values.dtype),
            over.strides,
            "VALID",
            rhs_dilation=over.dilation,
            dimension_numbers=layout,
            feature_group_count=self.groups,
        )[0]
        values = _weights.scale(self, params, z, _convolving.fans(self, x.values.shape[-1]))
        return x.with_places(values, over.present(x.mask))

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        fan_in, _ = _convolving.fans(self, pair.channels)
        return _weights.weigh(self, average_moments(pair, self.over()), fan_in, self.width)
