"""Layer normalisation."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .. import _check
from .._typing import Array, Callable, Key, Params, PyTree, Scalar, Shape
from ..dual._math import safe_sqrt
from . import _plainly
from ._base import AbstractLayer
from ._pair import Pair
from ._parameterization import AbstractParameterization, NTKParameterization, Role
from ._rates import Gains
from ._sample import Sample
from ._signal import Gaussianity, Signal, check_mean
from ._space import Space


class LayerNorm(AbstractLayer):
    r"""Subtract the mean and divide by the standard deviation, over the channels of one example (and over space).

    .. math:: u' = \frac{u - m}{\sqrt{q + \epsilon}},\qquad
              K'(x, y) = \frac{E(u - m)(v - m')}{\sqrt{(q + \epsilon)(q' + \epsilon)}},\qquad
              \Theta' = \frac{\Theta}{\sqrt{(q + \epsilon)(q' + \epsilon)}}

    with mean m and variance q of x over the normalised axes, m' and q' of y: in a wide network they do not fluctuate.
    Behind fresh weights m = 0; behind an activation it is :math:`E\,\varphi(u)`. Missing positions do not count.

    With ``affine``, each channel has a gain that starts at 1 and an offset that starts at 0, which learn as biases of
    scale 1 do: they add :math:`s_b\,(K' + 1)` to :math:`\Theta'`, with :math:`s_b` of `AbstractParameterization.limit`.
    The share of the gains is this mean only where weights come next, so an activation cannot follow at once.

    Parameters
    ----------
    axes
        Axes of one example over which means are taken: -1 for the channels, which must be among them, and 0, 1, ...
        for those of space.
    eps
        Added to the variance.
    affine
        Whether channels have gains and offsets: True, False, or their parameterization, such as `MuP()`. An abc
        parameterization takes the number of channels for the width, and the exponents of the biases of hidden layers.

    Raises
    ------
    ValueError
        If the channels are not among the axes, or an axis is not one of one example.
    """

    axes: tuple[int, ...] = eqx.field(static=True, default=(-1,), converter=lambda value: _axes(value))
    eps: Scalar = 1e-12
    affine: Gains | None = eqx.field(default=None, converter=lambda value: _gains(value))

    resized = _plainly.same_width

    def __check_init__(self) -> None:
        """Check the arguments."""
        _check.nonnegative(self.eps, "eps")

    def out_shape(self, shape: Shape) -> Shape:
        """Return ``shape``, refusing axes that it does not have."""
        self._space(len(shape))
        return shape

    def init(self, key: Key, shape: Shape) -> Params:
        """Return ``{"gain", "offset"}`` of shape (channels,), or nothing if not ``affine``.

        The offset starts at zero, the gain at one behind the multiplier of its parameterization.
        """
        del key
        self.out_shape(shape)
        if self.affine is None:
            return {}
        factor, _ = self.affine.parameterization.bias(1.0, shape[-1])
        return {"gain": jnp.ones(shape[-1:]) / factor, "offset": jnp.zeros(shape[-1:])}

    def forward(self, params: Params, x: Sample) -> Sample:
        """Return the output for one example."""
        u = x.values
        mean = _mean_over(self._space(u.ndim), x.mask)
        centred = u - mean(jnp.mean(u, -1))[..., None]
        q = mean(jnp.mean(centred**2, -1))
        values = centred / jnp.sqrt(q + self.eps)[..., None]
        if self.affine is not None:
            factor = self.affine.parameterization.bias(1.0, u.shape[-1])[0].astype(u.dtype)
            values = factor * (params["gain"] * values + params["offset"])
        return x.with_values(values)

    def learning_rates(self, params: Params) -> PyTree:
        """Return the factors of the learning rate of gains and offsets."""
        if self.affine is None:
            return {}
        _, rate = self.affine.parameterization.rates(1, params["gain"].shape[-1])
        return dict.fromkeys(params, rate)

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        axes = self._space(pair.xx.ndim + 1)
        x = _Side(pair.xx, pair.mean_x, _mean_over(axes, pair.mask_x), self.eps)
        y = _Side(pair.yy, pair.mean_y, _mean_over(axes, pair.mask_y), self.eps)
        new = dataclasses.replace(
            pair,
            xx=x.variance / x.scale**2,
            yy=y.variance / y.scale**2,
            gap=_gap(pair, pair.gap, x, y),
            ntk=pair.ntk / (pair.first(x.scale) * y.scale),
            gap_x=None if pair.gap_x is None else _gap(pair, pair.gap_x, x, x),
            gap_y=None if pair.gap_y is None else _gap(pair, pair.gap_y, y, y),
            mean_x=None if x.left is None else x.left / x.scale,
            mean_y=None if y.left is None else y.left / y.scale,
        )
        if self.affine is None:
            return new
        share = self.affine.parameterization.limit(1.0, 1.0, 1).bias
        return dataclasses.replace(new, ntk=new.ntk + share * (new.xy + 1))

    def transmit(self, signal: Signal) -> Signal:
        """Return the signal, refusing one of unknown mean; with gains and offsets, no activation may follow."""
        signal = _plainly.same_signal(self, signal)
        check_mean(signal, "LayerNorm")
        if self.affine is None:
            return signal
        return dataclasses.replace(signal, gaussianity=Gaussianity.NOT_GAUSSIAN)

    def spatial_needed(self, space: Space) -> Space:
        """Return ``space``: statistics over space need each position alone."""
        return space

    def _space(self, ndim: int) -> tuple[int, ...]:
        # The axes of space among the axes, for examples of that many axes.
        if any(not -ndim <= axis < ndim for axis in self.axes):
            raise ValueError(
                f"axes are {self.axes}; expected those of one example, {-ndim} to {ndim - 1}. The batch is not among "
                "them: its statistics would make each output depend on all inputs, and there is no kernel of two."
            )
        found = {axis % ndim for axis in self.axes}
        if ndim - 1 not in found:
            raise ValueError(
                f"axes are {self.axes}; expected the channels, -1, among them: only means over a wide axis become "
                "numbers in the limit."
            )
        return tuple(sorted(found - {ndim - 1}))


class _Side:
    # One of the two inputs: variance of each position about the mean that is subtracted, what it is divided by,
    # the mean that is left.
    def __init__(self, q: Array, mean: Array | None, over: Callable[[Array], Array], eps: Scalar) -> None:
        self.before, self.taken, self.left = mean, None, None
        self.variance = q
        if mean is not None:
            self.taken = jnp.broadcast_to(over(mean), q.shape)
            self.left = mean - self.taken
            self.variance = jnp.maximum(q - self.taken * (2 * mean - self.taken), 0)
        self.scale = jnp.broadcast_to(jnp.sqrt(over(self.variance) + eps), q.shape)


def _gap(pair: Pair, gap: Array, x: _Side, y: _Side) -> Array:
    r"""Return the gap of :math:`a/s` and :math:`b/t`, from that of a and b: with :math:`\alpha^2 = E a^2/s^2`,

    .. math:: \tfrac12(\alpha - \beta)^2 + \frac{g - \tfrac12(s\alpha - t\beta)^2}{st},

    whose second term is the length of both times :math:`1 - \cos`, kept within its bounds.
    """  # noqa: D400
    if x.taken is not None and y.taken is not None:
        # The means that are taken from both differ by d: E(u - v - d)^2 / 2.
        d = pair.first(x.taken) - y.taken
        before_x, before_y = (jnp.zeros_like(s.variance) if s.before is None else s.before for s in (x, y))
        gap = gap - d * (pair.first(before_x) - before_y) + d**2 / 2
    elif x.taken is not None or y.taken is not None:
        raise ValueError("the mean over channels is known of one input alone; expected both or neither.")
    a, b = pair.first(safe_sqrt(x.variance)), safe_sqrt(y.variance)
    s, t = pair.first(x.scale), y.scale
    angle = jnp.clip(gap - (a - b) ** 2 / 2, 0, 2 * a * b)
    return (a / s - b / t) ** 2 / 2 + angle / (s * t)


def _mean_over(axes: tuple[int, ...], mask: Array | None) -> Callable[[Array], Array]:
    # Mean over some axes of space, over the positions that are present, with the axes kept.
    def mean(a: Array) -> Array:
        if not axes:
            return a
        if mask is None:
            return jnp.mean(a, axes, keepdims=True)
        count = jnp.maximum(jnp.sum(mask, axes, keepdims=True), 1)
        return jnp.sum(jnp.where(mask, a, 0), axes, keepdims=True) / count

    return mean


def _gains(value: Any) -> Gains | None:
    if value is None or value is False:
        return None
    if value is True:
        return Gains(NTKParameterization())
    if isinstance(value, Gains):
        return value
    if not isinstance(value, AbstractParameterization):
        raise ValueError(f"affine is {value!r}; expected True, False or a parameterization such as MuP().")
    return Gains(value.at_role(Role.HIDDEN))


def _axes(value: Any) -> tuple[int, ...]:
    found = (value,) if isinstance(value, int) else value
    known = isinstance(found, tuple | list) and all(isinstance(a, int) and not isinstance(a, bool) for a in found)
    if not known or not found:
        raise ValueError(f"axes is {value!r}; expected integers such as (-1,), or (0, 1, -1) for all of an image.")
    return tuple(found)
