"""Fully connected layer."""

from __future__ import annotations

import equinox as eqx
import jax

from .. import _check
from .._typing import Array, Key, Params, PyTree, Scalar, Shape
from ._base import AbstractLayer
from ._pair import Gaussianity, Pair, Signal
from ._parameterization import AbstractParameterization, NTKParameterization


class Dense(AbstractLayer):
    r"""Fully connected layer on the channels, at every position of space alike.

    In the NTK parameterization, with :math:`W_{ij}, b_i \sim N(0, 1)` and fan-in :math:`n`,

    .. math:: z = \frac{\sigma_W}{\sqrt n} W u + \sigma_b b,\qquad
              K' = \sigma_W^2 K + \sigma_b^2,\qquad \Theta' = K' + \sigma_W^2\,\Theta

    (Jacot et al. 2018, arXiv 1806.07572; Lee et al. 2019, arXiv 1902.06720, eqs. S4 and S9). Other
    parameterizations put the width elsewhere: see `AbstractParameterization`.

    Parameters
    ----------
    width
        Number of output channels.
    weight_std, bias_std
        :math:`\sigma_W` and :math:`\sigma_b`; ``bias_std=None`` for no bias. Leaves of the pytree: kernels and
        predictions are differentiable in them.
    parameterization
        Where the width goes.

    Raises
    ------
    ValueError
        If ``width`` is not a positive integer, or a scale is negative or not finite.
    """

    width: int = eqx.field(static=True)
    weight_std: Scalar = 1.0
    bias_std: Scalar | None = None
    parameterization: AbstractParameterization = NTKParameterization()

    def __check_init__(self) -> None:
        """Check the arguments."""
        _check.positive_int(self.width, "width")
        _check.nonnegative(self.weight_std, "weight_std")
        if self.bias_std is not None:
            _check.nonnegative(self.bias_std, "bias_std")

    def out_shape(self, shape: Shape) -> Shape:
        r"""Return (\*space, width)."""
        if len(shape) == 0:
            raise ValueError("Dense got one number per example; expected inputs of shape (n, *space, channels).")
        return (*shape[:-1], self.width)

    def init(self, key: Key, shape: Shape) -> Params:
        """Return ``{"weight": (fan_in, width), "bias": (width,)}``, the bias only if there is one."""
        self.out_shape(shape)
        key_weight, key_bias = jax.random.split(key)
        _, std = self.parameterization.weight(self.weight_std, shape[-1], self.width)
        params = {"weight": std * jax.random.normal(key_weight, (shape[-1], self.width))}
        if self.bias_std is not None:
            _, std = self.parameterization.bias(self.bias_std, self.width)
            params["bias"] = std * jax.random.normal(key_bias, (self.width,))
        return params

    def forward(self, params: Params, x: Array) -> Array:
        """Return the output for one example."""
        scale, _ = self.parameterization.weight(self.weight_std, x.shape[-1], self.width)
        z = scale.astype(x.dtype) * (x @ params["weight"])
        if self.bias_std is None:
            return z
        scale, _ = self.parameterization.bias(self.bias_std, self.width)
        return z + scale.astype(x.dtype) * params["bias"]

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        offset = 0.0 if self.bias_std is None else self.bias_std
        limit = self.parameterization.limit(self.weight_std, offset, pair.channels)
        own = limit.weight * pair.xy
        if self.bias_std is not None:
            own = own + limit.bias
        return Pair(
            xx=limit.gain * pair.xx + limit.offset,
            yy=limit.gain * pair.yy + limit.offset,
            gap=limit.gain * pair.gap,
            ntk=own + limit.tangent * pair.ntk,
            channels=self.width,
        )

    def learning_rates(self, params: Params) -> PyTree:
        """Return the factors of the learning rate of weights and biases."""
        weight, bias = self.parameterization.rates(*params["weight"].shape)
        return {"weight": weight, "bias": bias} if "bias" in params else {"weight": weight}

    def transmit(self, signal: Signal) -> Signal:  # noqa: ARG002
        """Return a fresh Gaussian signal, whatever comes in."""
        return Signal(Gaussianity.GAUSSIAN, fresh=True)

    def resized(self, width: int, factor: float, readout: bool) -> tuple[Dense, float]:
        """Return the layer at another width, and the factor by which its output grew."""
        new = self.width if readout else width
        parameterization = self.parameterization.rescaled(factor)
        return Dense(new, self.weight_std, self.bias_std, parameterization), new / self.width
