r"""Random features of infinite networks, layer by layer as the kernel itself is found.

With features :math:`\varphi` of the NNGP and :math:`\psi` of the NTK, :math:`K = \varphi\cdot\varphi'` and
:math:`\Theta = \psi\cdot\psi'`, each rule of a kernel is one of features. A linear map with
:math:`K' = gA(K) + o,\ \Theta' = s_WA(K) + s_b + tA(\Theta)` concatenates

.. math:: \varphi' = (\sqrt g A\varphi,\ \sqrt o),\qquad \psi' = (\sqrt{s_W}A\varphi,\ \sqrt{s_b},\ \sqrt tA\psi)

and an activation :math:`\sigma` draws m random directions w, of the features :math:`\varphi`, and s, of :math:`\psi`:

.. math:: \varphi' = \sigma(w\cdot\varphi)/\sqrt m,\qquad \psi' = \sigma'(w\cdot\varphi)\,(s\cdot\psi)/\sqrt m

whose products have the mean :math:`E\,\sigma(u)\sigma(v)` and :math:`E\,\sigma'(u)\sigma'(v)\,\Theta`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._precision import evaluate
from .._typing import Array, Shape
from ..arch import AbstractLayer
from ..engine import NoNativeForm
from ..engine._lowering import lowered
from ..engine._program import Add, Dual, Flatten, Geometry, GlobalPool, Linear, Load, Pool, Program, Save, Scale
from ._base import AbstractFeatureMap


class Drawn(NamedTuple):
    """Random directions of each activation, pairs of (c, m) and (c', m), of inputs of one shape."""

    directions: list[tuple[np.ndarray, np.ndarray | None]]
    shape: Shape


class RandomFeatures(AbstractFeatureMap):
    r"""Random features of the NTK or the NNGP of a network, for n too large for the kernel matrix.

    The error of a product falls as :math:`1/\sqrt{\mathrm{width}}`. Behind the first activation its mean is exact;
    behind further ones it has an error of order 1/width, as that of a network of this width has. There are about
    ``2 width`` features of the NTK of a network of vectors, ``width`` of the NNGP; a network that ends by flattening
    has as many per position.

    Parameters
    ----------
    net
        Dense and convolutional layers, pooling, flattening, residual sums, any activation: all that has a native form
        but norms.
    width
        Random directions of each activation, drawn orthogonal to each other in groups.
    ntk
        Whether it is the NTK; else the NNGP.
    seed
        Of the random numbers.

    Raises
    ------
    ValueError
        On `init`, for a network with a layer that has no such form; the message names it.

    References
    ----------
    Zandieh, Han, Avron, Shoham, Kim and Shin 2021, arXiv 2104.01351, theorem 2 (ReLU); Han, Avron, Shoham, Kim and Shin
    2022, arXiv 2202.04415 (any activation); orthogonal directions: Yu et al. 2016, arXiv 1610.09072.
    """

    net: AbstractLayer
    width: int = eqx.field(static=True)
    ntk: bool = eqx.field(default=True, static=True)
    seed: int = eqx.field(default=0, static=True)

    def __check_init__(self) -> None:
        """Check the network and the width."""
        _check.instance(self.net, AbstractLayer, "net", "serial(Dense(512), Relu(), Dense(1))")
        _check.positive_int(self.width, "width")

    def init(self, x: np.ndarray) -> Drawn:
        """Draw the directions."""
        program = _program(self.net, x.shape[1:])
        rng = np.random.default_rng(self.seed)
        directions: list = []

        def draw(sizes: tuple[int, int]) -> tuple:
            mine, other = sizes
            own = orthogonal(rng, mine, self.width)
            tangents = orthogonal(rng, other, self.width) if self.ntk and other else None
            directions.append((own, tangents))
            return directions[-1]

        one = np.zeros((1, *x.shape[1:]), np.float32)
        jax.eval_shape(lambda a: _walk(program, a, self.ntk, lambda sizes: jax.tree.map(jnp.asarray, draw(sizes))), one)
        return Drawn(directions, x.shape[1:])

    def block(self, state: Drawn, x: np.ndarray) -> np.ndarray:
        """Return the features."""
        # A few sizes alone are compiled.
        rows = 1 << (len(x) - 1).bit_length()
        padded = np.concatenate([x, np.zeros((rows - len(x), *x.shape[1:]), x.dtype)]) if rows > len(x) else x
        found = evaluate(_features, self.net, state.directions, padded, self.ntk, compute=x.dtype, result=x.dtype)
        return np.asarray(found)[: len(x)]

    def mixing(self, state: Drawn) -> None:  # noqa: ARG002
        """Return None: the features are the block."""
        return

    def diagonal(self, state: Drawn, x: np.ndarray) -> None:  # noqa: ARG002
        """Return None: the variance of the features is that of the kernel."""
        return


def orthogonal(rng: np.random.Generator, size: int, count: int) -> np.ndarray:
    """Return ``count`` Gaussian directions of a space as columns (size, count), orthogonal in groups of ``size``."""
    groups = []
    for start in range(0, count, size):
        q, r = np.linalg.qr(rng.standard_normal((size, min(size, count - start))))
        lengths = rng.chisquare(size, q.shape[1]) ** 0.5
        groups.append(q * np.sign(np.diagonal(r)) * lengths)
    return np.concatenate(groups, 1)


@eqx.filter_jit
def _features(net: AbstractLayer, directions: list, x: Array, ntk: bool) -> Array:
    left = iter(directions)
    return _walk(_program(net, x.shape[1:]), x, ntk, lambda _: next(left))


def _program(net: AbstractLayer, shape: Shape) -> Program:
    try:
        program = lowered(net, shape)
    except NoNativeForm as refusal:
        raise ValueError(f"RandomFeatures: {refusal}; use NystromFeatures or GradientFeatures.") from None
    known = Linear | Dual | Pool | GlobalPool | Flatten | Scale | Save | Load | Add
    for op, path in zip(program.operations, program.paths, strict=True):
        if not isinstance(op, known) or (isinstance(op, Add) and op.means):
            what = "is a norm" if not isinstance(op, known) else "adds two signals that have means"
            raise ValueError(
                f"RandomFeatures: layer {path or '0'} {what}, which has no random features; use NystromFeatures."
            )
    return program


def _walk(program: Program, x: Array, ntk: bool, draw: Any) -> Array:
    """Return the features behind a program; ``draw((c, c'))`` gives the next directions."""
    phi, psi = x / math.sqrt(x.shape[-1]), x[..., :0]
    slots: dict[int, tuple] = {}
    for op in program.operations:
        if isinstance(op, Linear):
            phi, psi = _linear(op, phi, psi, ntk)
        elif isinstance(op, Dual):
            phi, psi = _activation(op, phi, psi, draw((phi.shape[-1], psi.shape[-1])))
        elif isinstance(op, Save):
            slots[op.slot] = phi, psi
        elif isinstance(op, Load):
            phi, psi = slots[op.slot]
        elif isinstance(op, Add):
            phi, psi = (jnp.concatenate(pair, -1) for pair in zip((phi, psi), slots[op.slot], strict=True))
        else:
            phi, psi = (_over_space(op, a) for a in (phi, psi))
    found = psi if ntk else phi
    return jnp.reshape(found, (found.shape[0], -1)) / math.sqrt(math.prod(found.shape[1:-1]))


def _linear(op: Linear, phi: Array, psi: Array, ntk: bool) -> tuple[Array, Array]:
    if op.window is not None:
        phi, psi = (_patches(a, op.window) for a in (phi, psi))
    one = jnp.ones_like(phi, shape=(*phi.shape[:-1], 1))

    def stacked(*parts: tuple) -> Array:
        kept = [jnp.sqrt(jnp.asarray(c, a.dtype)) * a for c, a in parts if not (isinstance(c, float) and c == 0)]
        return jnp.concatenate(kept, -1) if kept else phi[..., :0]

    tangents = stacked((op.weight, phi), (op.bias, one), (op.tangent, psi)) if ntk else psi
    return stacked((op.gain, phi), (op.offset, one)), tangents


def _activation(op: Dual, phi: Array, psi: Array, directions: tuple) -> tuple[Array, Array]:
    own, others = directions
    u = phi @ jnp.asarray(own, phi.dtype)
    size = math.sqrt(own.shape[1])
    value = op.dual.value(u) / size
    if others is None:
        return value, psi
    _, slope = jax.jvp(op.dual.value, (u,), (jnp.ones_like(u),))
    return value, slope * (psi @ jnp.asarray(others, psi.dtype)) / size


def _patches(a: Array, window: Geometry) -> Array:
    r"""Return the values in each place of a window side by side, by the root of its size: (n, \*places, k·c)."""
    padding = [(0, 0), *window.pads, (0, 0)]
    a = jnp.pad(a, padding, mode="wrap") if window.circular else jnp.pad(a, padding)
    parts = [_shifted(a, window, offset) for offset in np.ndindex(*window.shape)]
    return jnp.concatenate(parts, -1) / math.sqrt(math.prod(window.shape))


def _shifted(a: Array, window: Geometry, offset: tuple[int, ...]) -> Array:
    starts = [o * d for o, d in zip(offset, window.dilation, strict=True)]
    places = zip(starts, window.strides, window.places, strict=True)
    index = tuple(slice(i, i + s * (p - 1) + 1, s) for i, s, p in places)
    return a[(slice(None), *index)]


def _over_space(op: Any, a: Array) -> Array:
    axes = tuple(range(1, a.ndim - 1))
    if isinstance(op, Scale):
        return op.constant * a
    if isinstance(op, GlobalPool):
        return jnp.sum(a, axes) if op.total else jnp.mean(a, axes)
    if isinstance(op, Flatten):
        return jnp.reshape(a, (a.shape[0], -1)) / math.sqrt(math.prod(a.shape[1:-1]))
    total = _pooled(a, op.window)
    if op.total:
        return total
    if op.inside:
        return total / _pooled(jnp.ones_like(a[:1, ..., :1]), op.window)
    return total / math.prod(op.window.shape)


def _pooled(a: Array, window: Geometry) -> Array:
    padding = [(0, 0), *window.pads, (0, 0)]
    a = jnp.pad(a, padding, mode="wrap") if window.circular else jnp.pad(a, padding)
    parts = [_shifted(a, window, offset) for offset in np.ndindex(*window.shape)]
    return sum(parts[1:], parts[0])
