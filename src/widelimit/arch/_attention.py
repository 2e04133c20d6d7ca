"""Attention layers."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax

from .. import _check
from .._typing import Array, Key, Params, PyTree, Scalar, Shape
from . import _heads, _plainly
from ._base import AbstractLayer
from ._pair import Pair
from ._parameterization import NTKParameterization
from ._positions import AbstractPositions, embed
from ._sample import Sample
from ._scaling import AbstractScaling, LinearScaling, Seen, SqrtScaling
from ._signal import Gaussianity, Signal, check_independent, copies, fresh
from ._space import Space


class SelfAttention(AbstractLayer):
    r"""Multi-head attention of every position to all positions of the same input (Hron et al. 2020, arXiv 2006.10540).

    With queries :math:`q = \sigma_Q W_Q u/\sqrt n`, keys and values likewise, d channels per key and H heads,

    .. math:: z_p = \frac{\sigma_O}{\sqrt{H d_V}} \sum_h W_O^h \sum_r
              \mathrm{mechanism}(c_d\,q^h_p\cdot k^h_r)_r\, v^h_r + \sigma_b b

    with :math:`c_d` and the limit given by the scaling: see `LinearScaling` and `SqrtScaling`.

    Parameters
    ----------
    width
        Number of output channels.
    heads, key_width, value_width
        Number of heads, and channels of each head's keys and values.
    query_std, key_std, value_std, out_std, bias_std
        Scales of the weights and of the output's bias; ``bias_std=None`` for no bias.
    scaling
        `LinearScaling(mechanism)` or `SqrtScaling(mechanism)`.
    positions
        Positional embeddings that queries and keys see, and values if asked: `SumPositions`, `ConcatPositions` or None.
    causal
        Look only at the position itself and at earlier ones, in the order of flattened space.
    parameterization
        Where the width goes: `NTKParameterization` or `StandardParameterization`, or a pair of them for (queries,
        keys, values) and output. Positional embeddings are standard normal numbers times their scale in both.

    Raises
    ------
    ValueError
        If an argument is out of range, inputs have no space, or the scaling has no limit in closed form.
    """

    width: int = eqx.field(static=True)
    heads: int = eqx.field(static=True, default=8)
    key_width: int = eqx.field(static=True, default=64)
    value_width: int = eqx.field(static=True, default=64)
    query_std: Scalar = eqx.field(default=1.0, kw_only=True)
    key_std: Scalar = eqx.field(default=1.0, kw_only=True)
    value_std: Scalar = eqx.field(default=1.0, kw_only=True)
    out_std: Scalar = eqx.field(default=1.0, kw_only=True)
    bias_std: Scalar | None = eqx.field(default=None, kw_only=True)
    scaling: AbstractScaling = eqx.field(default=LinearScaling(), kw_only=True)
    positions: AbstractPositions | None = eqx.field(default=None, kw_only=True)
    causal: bool = eqx.field(static=True, default=False, kw_only=True)
    parameterization: _heads.Two = eqx.field(default=NTKParameterization(), converter=_heads.both, kw_only=True)

    spatial_needed = _plainly.full_space

    def __check_init__(self) -> None:
        """Check the arguments."""
        _heads.check(self)
        if self.positions is not None:
            _check.instance(self.positions, AbstractPositions, "positions", "SumPositions()")

    def out_shape(self, shape: Shape) -> Shape:
        r"""Return (\*space, width)."""
        _require_space(shape, "SelfAttention")
        return (*shape[:-1], self.width)

    def init(self, key: Key, shape: Shape) -> Params:
        """Return ``{"query", "key", "value": (heads, channels, key or value width), "out", "bias", "positions"}``.

        ``"query"`` only if queries have weights of their own, ``"bias"`` and ``"positions"`` only if there are any.
        """
        self.out_shape(shape)
        n, looked = shape[-1], self._looked(shape[-1])
        valued = looked if self.positions is not None and self.positions.values else n
        params = _heads.draw(self, key, {"query": looked, "key": looked, "value": valued})
        if self.positions is not None:
            noise = (*shape[:-1], self.positions.channels(n))
            _, std = self.parameterization[0].bias(1.0, self._seen_width())
            params["positions"] = std * jax.random.normal(jax.random.fold_in(key, 1), noise)
        return params

    def forward(self, params: Params, x: Sample) -> Sample:
        """Return the output for one example."""
        u = _heads.flat(x.values)
        looked = valued = u
        space = x.values.shape[:-1]
        if self.positions is not None:
            noise = _heads.flat(params["positions"]).astype(u.dtype)
            factor, _ = self.parameterization[0].bias(1.0, self._seen_width())
            drawn = factor * self.positions.std * self.positions.covariance.draw(noise, space)
            looked = self.positions.join(u, drawn)
            valued = looked if self.positions.values else u
        out = _heads.attend(self, params, (looked, looked, valued), _heads.allowed(x.mask, space, self.causal))
        return x.with_values(out.reshape(*space, self.width))

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        looked = embed(self.positions, pair, self.parameterization[0].limit(1.0, 1.0, 1))
        sees = self.positions is not None and self.positions.values
        space = pair.xx.shape
        return _heads.limit(
            self,
            Seen(
                queries=looked,
                keys=looked,
                values=looked if sees else pair,
                query=_heads.inner_weights(self, "query"),
                key=_heads.inner_weights(self, "key"),
                shared=True,
                allowed_x=_heads.allowed(pair.mask_x, space, self.causal),
                allowed_y=_heads.allowed(pair.mask_y, space, self.causal),
            ),
        )

    def learning_rates(self, params: Params) -> PyTree:
        """Return the factors of the learning rate of each of the weights."""
        found = _heads.rates(self, params)
        if "positions" in params:
            found["positions"] = self.parameterization[0].rates(1, self._seen_width())[1]
        return found

    def transmit(self, signal: Signal) -> Signal:
        """Return a fresh Gaussian signal, whatever comes in but tokens."""
        _plainly.same_signal(self, signal)
        return fresh()

    def resized(self, width: int, factor: float, readout: bool) -> tuple[SelfAttention, float]:
        """Return the layer at another width, and the factor by which its output grew."""
        fields, grown = _heads.resized(self, width, factor, readout)
        positions = None if self.positions is None else self.positions.resized(factor)
        return dataclasses.replace(self, positions=positions, **fields), grown

    def _looked(self, channels: int) -> int:
        return channels if self.positions is None else self.positions.joined_channels(channels)

    def _seen_width(self) -> int:
        # Embeddings are scaled as biases are, by the width behind the inner weights.
        return self.heads * self.value_width


class CrossAttention(AbstractLayer):
    r"""Multi-head attention of one signal to another: a tuple (queries, keys and values) goes in.

    As `SelfAttention`, with queries from the first entry and keys and values from the second, whose mask counts. With
    `SqrtScaling` the limit needs nothing of how the two hang together. With `LinearScaling` products of independent
    signals vanish, so that every position is looked at alike; the two must then come out of weights of their own.

    Parameters
    ----------
    width
        Number of output channels.
    heads, key_width, value_width
        Number of heads, and channels of each head's keys and values. With `LinearScaling` both signals need the same
        number of channels.
    query_std, key_std, value_std, out_std, bias_std
        Scales of the weights and of the output's bias; ``bias_std=None`` for no bias.
    scaling
        `SqrtScaling(mechanism)` or `LinearScaling(mechanism)`.
    parameterization
        As for `SelfAttention`.

    Raises
    ------
    ValueError
        If an argument is out of range, the input is no tuple of two with space, or there is no limit in closed form.
    """

    width: int = eqx.field(static=True)
    heads: int = eqx.field(static=True, default=8)
    key_width: int = eqx.field(static=True, default=64)
    value_width: int = eqx.field(static=True, default=64)
    query_std: Scalar = eqx.field(default=1.0, kw_only=True)
    key_std: Scalar = eqx.field(default=1.0, kw_only=True)
    value_std: Scalar = eqx.field(default=1.0, kw_only=True)
    out_std: Scalar = eqx.field(default=1.0, kw_only=True)
    bias_std: Scalar | None = eqx.field(default=None, kw_only=True)
    scaling: AbstractScaling = eqx.field(default=SqrtScaling(), kw_only=True)
    parameterization: _heads.Two = eqx.field(default=NTKParameterization(), converter=_heads.both, kw_only=True)

    def __check_init__(self) -> None:
        """Check the arguments."""
        _heads.check(self)

    def out_shape(self, shape: Any) -> Shape:
        r"""Return (\*space of the queries, width)."""
        query, key = _two(shape)
        _require_space(query, "CrossAttention")
        _require_space(key, "CrossAttention")
        if self.scaling.tied and query[-1] != key[-1]:
            raise ValueError(
                f"queries have {query[-1]} channels and keys {key[-1]}; expected the same number, because with "
                f"{type(self.scaling).__name__} they have the same weights. Use SqrtScaling()."
            )
        return (*query[:-1], self.width)

    def init(self, key: Key, shape: Any) -> Params:
        """Return ``{"query", "key", "value": (heads, channels, key or value width), "out", "bias"}``."""
        self.out_shape(shape)
        query, other = _two(shape)
        return _heads.draw(self, key, {"query": query[-1], "key": other[-1], "value": other[-1]})

    def forward(self, params: Params, x: Any) -> Sample:
        """Return the output for one example, at the positions of the queries."""
        query, other = _two(x)
        u, v = _heads.flat(query.values), _heads.flat(other.values)
        out = _heads.attend(self, params, (u, v, v), _heads.allowed(other.mask, other.values.shape[:-1], False))
        return query.with_values(out.reshape(*query.values.shape[:-1], self.width))

    def propagate(self, pair: Any) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        queries, keys = _two(pair)
        return _heads.limit(
            self,
            Seen(
                queries=queries,
                keys=keys,
                values=keys,
                query=_heads.inner_weights(self, "query"),
                key=_heads.inner_weights(self, "key"),
                shared=False,
                allowed_x=_heads.allowed(keys.mask_x, keys.xx.shape, False),
                allowed_y=_heads.allowed(keys.mask_y, keys.yy.shape, False),
            ),
        )

    def learning_rates(self, params: Params) -> PyTree:
        """Return the factors of the learning rate of each of the weights."""
        return _heads.rates(self, params)

    def transmit(self, signal: Any) -> Signal:
        """Return a fresh Gaussian signal, refusing what has no limit."""
        signals = copies(signal, 2) if isinstance(signal, Signal) and signal.given else _two(signal)
        for one in signals:
            _plainly.same_signal(self, one)
        if self.scaling.tied:
            if any(one.gaussianity is Gaussianity.NOT_GAUSSIAN for one in signals):
                raise ValueError(
                    "with LinearScaling, queries and keys of cross-attention must come straight out of weights of "
                    "their own. Put parallel(Dense(64), Dense(64)) before it, or use SqrtScaling()."
                )
            check_independent(signals, "cross-attention with LinearScaling (0 are the queries)")
        return fresh()

    def spatial_needed(self, space: Space) -> Any:  # noqa: ARG002
        """Return the full space for both."""
        return (Space.FULL, Space.FULL)

    def resized(self, width: int, factor: Any, readout: bool) -> tuple[CrossAttention, float]:
        """Return the layer at another width, and the factor by which its output grew."""
        factors = set(factor) if isinstance(factor, tuple) else {factor}
        if len(factors) > 1:
            raise ValueError(
                f"queries and keys of cross-attention grow by different factors {sorted(factors)} at another width. "
                "Give the layers before them the same width."
            )
        fields, grown = _heads.resized(self, width, factors.pop(), readout)
        return dataclasses.replace(self, **fields), grown


def _require_space(shape: Any, name: str) -> None:
    if len(shape) < 2:
        raise ValueError(
            f"{name} got inputs of shape {shape}; expected (*space, channels). Leave out Flatten before it."
        )


def _two(value: Any) -> tuple[Any, Any]:
    if not isinstance(value, tuple | list) or len(value) != 2 or isinstance(value[0], int | Array):
        raise ValueError(
            "cross-attention got one signal; expected a tuple (queries, keys and values). Give a tuple of inputs, or "
            "put FanOut(2) and parallel(...) before it."
        )
    return value[0], value[1]
