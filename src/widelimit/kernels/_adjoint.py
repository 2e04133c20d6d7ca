r"""Derivatives of the kernels of dense networks by hand, in NumPy: nothing is compiled.

Between layers there are moments :math:`K_{ij}` and the NTK :math:`T_{ij}` of all pairs of different inputs, each pair
once, and their diagonals :math:`q_i`, :math:`p_i`. The diagonal has formulas of its own, because those of pairs are
singular at equal inputs. Each step returns what is behind it, and the function that takes the derivative of a number in
what is behind to that in what is before.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._typing import Callable
from ..arch import AbstractLayer, Activation, Dense, Serial
from ..dual import Erf, PiecewiseLinear

SMALLEST_SINE = 1e-9
"""Below it two inputs count as parallel, where slopes have no derivative."""

Gradients = dict[tuple[int, str], float]
"""By the place of a layer and the name of a field."""


class State(NamedTuple):
    """Moments k (pairs,), q (n,) and tangents t (pairs,), p (n,) between two layers, or the derivatives in them."""

    k: np.ndarray
    q: np.ndarray
    t: np.ndarray
    p: np.ndarray


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Pairs i < j of n inputs: both numbers, (pairs,), and the place i n + j of each in a matrix."""

    n: int
    first: np.ndarray
    second: np.ndarray
    places: np.ndarray

    def of(self, matrix: np.ndarray) -> np.ndarray:
        """Return the entries (pairs,) of a matrix (n, n)."""
        return matrix.ravel()[self.places]

    def matrix(self, entries: np.ndarray, diagonal: np.ndarray) -> np.ndarray:
        """Return the symmetric matrix (n, n) of entries (pairs,) and a diagonal (n,)."""
        half = np.zeros((self.n, self.n))
        half.ravel()[self.places] = entries
        whole = half + half.T
        np.fill_diagonal(whole, diagonal)
        return whole

    def product(self, each: np.ndarray) -> np.ndarray:
        """Return :math:`a_ia_j`, (pairs,), of numbers (n,)."""
        return each[self.first] * each[self.second]

    def sums(self, entries: np.ndarray) -> np.ndarray:
        """Return for each input the sum over all pairs that it is in, (n,)."""
        return np.bincount(self.first, entries, self.n) + np.bincount(self.second, entries, self.n)


@functools.lru_cache(4)
def pairs_of(n: int) -> Pairs:
    """Return all n(n − 1)/2 pairs of n inputs; a search asks for the same ones each time."""
    first, second = np.triu_indices(n, 1)
    return Pairs(n, first, second, first * n + second)


def has_adjoint(net: AbstractLayer) -> bool:
    """Return whether a network is a series of dense layers and of piecewise linear or erf activations."""
    return isinstance(net, Serial) and all(
        isinstance(layer, Dense) or (isinstance(layer, Activation) and isinstance(layer.dual, tuple(DUALS)))
        for layer in net.layers
    )


def forward(
    layers: Sequence[AbstractLayer], x: np.ndarray
) -> tuple[State, Callable[[State], tuple[Gradients, np.ndarray]]]:
    """Return the kernels of inputs (n, d) behind all layers, and the way back.

    Parameters
    ----------
    layers
        Of a network that `has_adjoint`.
    x
        float64, (n, d).

    Returns
    -------
    tuple
        The kernels, and the function from slopes in them to derivatives in hyperparameters and inputs.
    """
    n, d = x.shape
    pairs, k = pairs_of(n), x @ x.T / d
    state = State(pairs.of(k), k.diagonal(), np.zeros(len(pairs.places)), np.zeros(n))
    backs = []
    for place, layer in enumerate(layers):
        fan_in = d if place == 0 else layers_width(layers, place)
        if isinstance(layer, Dense):
            state, back = _dense(layer, state, fan_in, place)
        else:
            state, back = _activation(layer, state, pairs)
        backs.append(back)

    def pull(slopes: State) -> tuple[Gradients, np.ndarray]:
        found: Gradients = {}
        for back in reversed(backs):
            slopes, own = back(slopes)
            found |= own
        return found, pairs.matrix(slopes.k, 2 * slopes.q) @ x / d

    return state, pull


def layers_width(layers: Sequence[AbstractLayer], place: int) -> int:
    """Return the number of channels in front of a layer, or zero where no dense layer is before it."""
    return next((layer.width for layer in reversed(layers[:place]) if isinstance(layer, Dense)), 0)


def _dense(layer: Dense, before: State, fan_in: int, place: int) -> tuple[State, Callable]:
    names = ("weight_std",) if layer.bias_std is None else ("weight_std", "bias_std")
    stds = np.array([float(np.asarray(getattr(layer, name))) for name in names])

    def limit(stds: Sequence[float]) -> np.ndarray:
        found = layer.parameterization.limit(stds[0], stds[1] if len(stds) > 1 else 0.0, fan_in)
        return np.array([*found[:3], found.bias if len(stds) > 1 else 0.0, found.tangent], float)

    # Every number of a limit is a constant plus multiples of the squares of both scales.
    constant = limit(np.zeros(len(names)).tolist())
    factors = np.array([limit(row.tolist()) - constant for row in np.eye(len(names))])
    gain, offset, weight, bias, tangent = constant + stds**2 @ factors
    after = State(
        gain * before.k + offset,
        gain * before.q + offset,
        weight * before.k + bias + tangent * before.t,
        weight * before.q + bias + tangent * before.p,
    )

    def back(s: State) -> tuple[State, Gradients]:
        in_numbers = np.array(
            [
                np.vdot(s.k, before.k) + s.q @ before.q,
                s.k.sum() + s.q.sum(),
                np.vdot(s.t, before.k) + s.p @ before.q,
                s.t.sum() + s.p.sum(),
                np.vdot(s.t, before.t) + s.p @ before.p,
            ]
        )
        slopes = 2 * stds * (factors @ in_numbers)
        own = {(place, name): float(slope) for name, slope in zip(names, slopes, strict=True)}
        return State(gain * s.k + weight * s.t, gain * s.q + weight * s.p, tangent * s.t, tangent * s.p), own

    return after, back


class Moments(NamedTuple):
    """An activation between pairs, (pairs,) each: moment and slope, and their derivatives.

    That in k is ``_k``; that in q of either input is ``_own`` divided by ``own``, (n,), of this input.
    """

    moment: np.ndarray
    slope: np.ndarray
    moment_k: np.ndarray
    slope_k: np.ndarray
    moment_own: np.ndarray
    slope_own: np.ndarray
    own: np.ndarray


class Diagonal(NamedTuple):
    """An activation at each input: moment and slope, and their derivatives in q, (n,) each."""

    moment: np.ndarray
    slope: np.ndarray
    moment_q: np.ndarray
    slope_q: np.ndarray


def _activation(layer: AbstractLayer, before: State, pairs: Pairs) -> tuple[State, Callable]:
    assert isinstance(layer, Activation)
    of_pairs, of_each = DUALS[type(layer.dual)]
    pair: Moments = of_pairs(layer.dual, before.q, before.k, pairs)
    each: Diagonal = of_each(layer.dual, before.q)
    after = State(pair.moment, each.moment, pair.slope * before.t, each.slope * before.p)

    def back(s: State) -> tuple[State, Gradients]:
        in_slope = s.t * before.t
        q = pairs.sums(s.k * pair.moment_own + in_slope * pair.slope_own) / pair.own
        q += s.q * each.moment_q + s.p * before.p * each.slope_q
        return State(s.k * pair.moment_k + in_slope * pair.slope_k, q, s.t * pair.slope, s.p * each.slope), {}

    return after, back


def _piecewise_pairs(dual: PiecewiseLinear, q: np.ndarray, k: np.ndarray, pairs: Pairs) -> Moments:
    # With R = P(sin θ + (π - θ) cos θ)/2π and H = (π - θ)/2π: moment (b - a)² R + ab k, slope (b - a)² H + ab.
    a, b = float(dual.a), float(dual.b)
    square, product = (b - a) ** 2, a * b
    size = pairs.product(np.sqrt(q))
    safe = size if size.all() else np.where(size > 0, size, 1)
    cosine = np.clip(k / safe, -1, 1)
    sine = np.sqrt(1 - cosine**2)
    slope = (square / (2 * math.pi)) * (math.pi - np.arccos(cosine)) + product
    area = (square / (2 * math.pi)) * size * sine
    steep = square / (2 * math.pi) * np.where(sine > SMALLEST_SINE, 1 / np.maximum(sine, SMALLEST_SINE), 0)
    own = np.where(q > 0, q, 1)
    return Moments(area + slope * k, slope, slope, steep / safe, area / 2, -steep * cosine / 2, own)


def _piecewise_each(dual: PiecewiseLinear, q: np.ndarray) -> Diagonal:
    mean = (float(dual.a) ** 2 + float(dual.b) ** 2) / 2
    return Diagonal(mean * q, np.full_like(q, mean), np.full_like(q, mean), np.zeros_like(q))


def _erf_pairs(dual: Erf, q: np.ndarray, k: np.ndarray, pairs: Pairs) -> Moments:
    # With E = 1 + 2b²q and F = E E' - (2b²k)²: moment (2a²/π) asin(2b²k/√(E E')) + c², slope (4a²b²/π)/√F.
    a, b, c = float(dual.a), float(dual.b), float(dual.c)
    scale = 2 * b**2
    e, u = 1 + scale * q, scale * k
    both = pairs.product(e)
    rest = np.maximum(both - u**2, np.finfo(float).tiny)
    slope = (2 * a**2 * scale / math.pi) / np.sqrt(rest)
    moment = 2 * a**2 / math.pi * np.arcsin(np.clip(u / np.sqrt(both), -1, 1)) + c**2
    steep = slope * scale / rest
    return Moments(moment, slope, slope, steep * u, slope * u / -2, steep * both / -2, e)


def _erf_each(dual: Erf, q: np.ndarray) -> Diagonal:
    a, b, c = float(dual.a), float(dual.b), float(dual.c)
    scale = 2 * b**2
    e, root = 1 + scale * q, np.sqrt(1 + 2 * scale * q)
    slope = 2 * a**2 * scale / math.pi / root
    moment = 2 * a**2 / math.pi * np.arcsin(scale * q / e) + c**2
    return Diagonal(moment, slope, 2 * a**2 * scale / math.pi / (e * root), -slope * scale / root**2)


DUALS: dict[type, tuple[Callable, Callable]] = {
    PiecewiseLinear: (_piecewise_pairs, _piecewise_each),
    Erf: (_erf_pairs, _erf_each),
}
"""For each activation: between pairs, and at each input."""
