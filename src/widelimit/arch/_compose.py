"""Networks out of layers: in series, around a residual connection, and repeated."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax

from .._typing import Key, Params, PyTree, Shape
from ._base import AbstractLayer
from ._join import sum_pairs
from ._pair import Pair
from ._roles import assign_roles, parameterizations
from ._sample import Sample, is_sample
from ._signal import UNKNOWN, Signal, check_independent, check_means, combine
from ._space import Space, most
from ._step import step


def _in_place(layers: Sequence[AbstractLayer]) -> tuple[AbstractLayer, ...]:
    return assign_roles(tuple(layers))


class Serial(AbstractLayer):
    """Layers one after another.

    Parameters
    ----------
    layers
        At least one layer. Parameters are a tuple, one entry per layer. The first layer with weights takes the role
        of input in its parameterization, the last that of output, those between are hidden, also within branches.
    """

    layers: tuple[AbstractLayer, ...] = eqx.field(converter=_in_place)

    def __check_init__(self) -> None:
        """Check that every member is a layer and that the composition has a limit."""
        if not self.layers:
            raise ValueError("serial got no layers; expected at least one, such as Dense(1).")
        for i, layer in enumerate(self.layers):
            if not isinstance(layer, AbstractLayer):
                raise ValueError(f"layer {i} of serial is {layer!r}; expected a layer, such as Dense(64) or Relu().")
        self.transmit(UNKNOWN)

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape behind the last layer."""
        for i, layer in enumerate(self.layers):
            shape = _at(i, layer.out_shape, shape)
        return shape

    def init(self, key: Key, shape: Shape) -> Params:
        """Return a tuple with the parameters of each layer."""
        params = []
        for i, (layer, k) in enumerate(zip(self.layers, jax.random.split(key, len(self.layers)), strict=True)):
            params.append(_at(i, layer.init, k, shape))
            shape = layer.out_shape(shape)
        return tuple(params)

    def forward(self, params: Params, x: Sample) -> Sample:
        """Return the output for one example."""
        for layer, p in zip(self.layers, params, strict=True):
            x = jax.tree.map(Sample.cleared, layer.forward(p, x), is_leaf=is_sample)
        return x

    def learning_rates(self, params: Params) -> PyTree:
        """Return a tuple with the factors of each layer."""
        return tuple(layer.learning_rates(p) for layer, p in zip(self.layers, params, strict=True))

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the last layer, dropping what the rest does not need."""
        for i, layer in enumerate(self.layers):
            pair = restrict(pair, needed(self.layers[i:], Space.FULL))
            pair = step(layer, pair)
        return pair

    def transmit(self, signal: Signal) -> Signal:
        """Return what is known of the signal behind the last layer."""
        for i, layer in enumerate(self.layers):
            signal = _at(i, layer.transmit, signal)
        return signal

    def spatial_needed(self, space: Space) -> Space:
        """Return what the first layer needs."""
        return needed(self.layers, space)

    def resized(self, width: int, factor: float, readout: bool) -> tuple[Serial, float]:
        """Return the layers at another width, and the factor by which the output grew."""
        with_weights = [i for i, layer in enumerate(self.layers) if _has_weights(layer)]
        last = max(with_weights, default=-1)
        layers = []
        for i, layer in enumerate(self.layers):
            layer, factor = layer.resized(width, factor, readout and i == last)
            layers.append(layer)
        return (Serial(tuple(layers)) if with_weights else self), factor


class Residual(AbstractLayer):
    r"""A branch around which the input is added back: :math:`u \mapsto u + f(u)`.

    .. math:: K' = K + K_f + m\,m_f^\top + m_f\,m^\top,\qquad \Theta' = \Theta + \Theta_f

    with the means :math:`m` over channels. Exact because the branch comes out of weights of its own, so that it is
    independent of :math:`u`; where it ends in such weights, its mean is zero.

    Parameters
    ----------
    body
        The branch :math:`f`, with as many output channels as input channels.

    Raises
    ------
    ValueError
        If the branch comes out of the same weights as its input.
    """

    body: AbstractLayer = eqx.field()

    def __check_init__(self) -> None:
        """Check that the branch has weights of its own."""
        if not isinstance(self.body, AbstractLayer):
            raise ValueError(f"the branch of residual is {self.body!r}; expected a layer.")
        self.transmit(UNKNOWN)

    def out_shape(self, shape: Shape) -> Shape:
        """Return ``shape``, refusing a branch that changes it."""
        out = self.body.out_shape(shape)
        if out != shape:
            raise ValueError(
                f"the branch of a residual maps inputs of shape {shape} to {out}; expected the same shape on both "
                f"sides. Give its last Dense layer width {shape[-1]}, or put a Dense({out[-1]}) before the residual."
            )
        return shape

    def init(self, key: Key, shape: Shape) -> Params:
        """Return the parameters of the branch."""
        self.out_shape(shape)
        return self.body.init(key, shape)

    def forward(self, params: Params, x: Sample) -> Sample:
        """Return the output for one example."""
        branch = self.body.forward(params, x)
        return dataclasses.replace(branch, values=x.values + branch.values)

    def learning_rates(self, params: Params) -> PyTree:
        """Return the factors of the branch."""
        return self.body.learning_rates(params)

    def propagate(self, pair: Pair) -> Pair:
        """Return the sums of the second moments and of the NTK."""
        return sum_pairs((pair, step(self.body, pair)))

    def transmit(self, signal: Signal) -> Signal:
        """Return what is known of the sum, refusing a branch that is correlated or means that are unknown."""
        pair = signal, self.body.transmit(signal)
        check_independent(pair, "residual (0 is the input that is added)")
        check_means(pair, "residual (0 is the input that is added)")
        return combine(pair)

    def spatial_needed(self, space: Space) -> Space:
        """Return what input and branch need."""
        return most((space, self.body.spatial_needed(space)))

    def resized(self, width: int, factor: float, readout: bool) -> tuple[Residual, float]:
        """Return the block at another width, and the factor by which the output grew."""
        body, _ = self.body.resized(width, factor, readout)
        return Residual(body), factor


def needed(layers: Sequence[AbstractLayer], space: Space) -> Space:
    """Return what the first of several layers in series needs, for ``space`` behind the last."""
    for layer in reversed(layers):
        space = layer.spatial_needed(space)
    return space


def restrict(pair: Any, space: Any) -> Any:
    """Return a pair, or a tuple of them, without what is not needed."""
    if isinstance(pair, Pair):
        return pair.diagonal() if space is Space.DIAGONAL else pair
    spaces = space if isinstance(space, tuple) else (space,) * len(pair)
    return tuple(restrict(p, s) for p, s in zip(pair, spaces, strict=True))


def _has_weights(layer: AbstractLayer) -> bool:
    return bool(parameterizations(layer))


def serial(*layers: AbstractLayer) -> Serial:
    """Return the network of ``layers`` one after another.

    Parameters
    ----------
    *layers
        Layers in the order in which data pass them.

    Raises
    ------
    ValueError
        If an activation follows a signal that is not Gaussian in the limit; the message names the layer.
    """
    return Serial(layers)


def residual(*layers: AbstractLayer) -> Residual:
    """Return ``u + f(u)`` with ``f`` the branch of ``layers`` in series, which must have weights of its own.

    Parameters
    ----------
    *layers
        Layers of the branch.
    """
    return Residual(layers[0] if len(layers) == 1 else Serial(layers))


def _at(i: int, method, *args):
    try:
        return method(*args)
    except ValueError as error:
        raise ValueError(f"layer {i}: {error}") from None
