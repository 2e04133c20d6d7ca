"""A kernel matrix, and the way from slopes in its entries back to hyperparameters and inputs."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._precision import evaluate
from .._typing import Callable
from ..arch import AbstractLayer, Serial
from ._adjoint import State, forward, has_adjoint, pairs_of
from ._base import AbstractKernel
from ._infinite import NNGP, NTK
from ._scaled import ScaledInputs, ScaledOutputs

Slopes = dict[str, Any]
"""Derivatives by the path of a leaf in the kernel, such as ``.net.layers[0].weight_std``."""


class Pullback(NamedTuple):
    """A kernel matrix and what takes slopes in its entries back; see `pullback`.

    Attributes
    ----------
    matrix
        Shape (n, n), float64.
    back
        From a symmetric matrix of slopes (n, n) to the derivatives in the kernel's numbers by their path, and in the
        inputs (n, d).
    """

    matrix: np.ndarray
    back: Callable[[np.ndarray], tuple[Slopes, np.ndarray]]


@functools.singledispatch
def pullback(kernel: AbstractKernel, x: np.ndarray) -> Pullback:
    r"""Return a kernel matrix, and the reverse-mode derivative of it.

    .. math:: W \mapsto \sum_{ij} W_{ij}\, \frac{\partial k(x_i, x_j)}{\partial \theta}

    Dense networks of piecewise linear and erf activations have it in closed form, in NumPy; any other kernel by JAX.

    Parameters
    ----------
    kernel
        The kernel.
    x
        Inputs (n, d), float64.
    """
    matrix = np.asarray(kernel(x))

    def back(slopes: np.ndarray) -> tuple[Slopes, np.ndarray]:
        found, in_inputs = evaluate(_by_jax, kernel, x, slopes, compute=jnp.float64, result=np.dtype(np.float64))
        named, _ = jax.tree_util.tree_flatten_with_path(found)
        return {jax.tree_util.keystr(path): leaf for path, leaf in named}, in_inputs

    return Pullback(matrix, back)


@pullback.register
def _(kernel: ScaledOutputs, x: np.ndarray) -> Pullback:
    inner, variance = pullback(kernel.kernel, x), float(np.asarray(kernel.variance))

    def back(slopes: np.ndarray) -> tuple[Slopes, np.ndarray]:
        found, in_inputs = inner.back(variance * slopes)
        return {".variance": np.vdot(slopes, inner.matrix), **_under(".kernel", found)}, in_inputs

    return Pullback(variance * inner.matrix, back)


@pullback.register
def _(kernel: ScaledInputs, x: np.ndarray) -> Pullback:
    scales = np.asarray(kernel.scales, np.float64)
    inner = pullback(kernel.kernel, x * scales)

    def back(slopes: np.ndarray) -> tuple[Slopes, np.ndarray]:
        found, in_scaled = inner.back(slopes)
        each = in_scaled * x
        return {".scales": each.sum(0) if scales.ndim else each.sum(), **_under(".kernel", found)}, in_scaled * scales

    return Pullback(inner.matrix, back)


@pullback.register(NTK)
@pullback.register(NNGP)
def _(kernel: NTK | NNGP, x: np.ndarray) -> Pullback:
    if x.ndim != 2 or not has_adjoint(kernel.net):
        return pullback.dispatch(object)(kernel, x)
    net: AbstractLayer = kernel.net
    assert isinstance(net, Serial)
    state, pull = forward(net.layers, x)
    pairs = pairs_of(len(x))

    def back(slopes: np.ndarray) -> tuple[Slopes, np.ndarray]:
        own, rest = slopes.diagonal(), pairs.of(slopes) + pairs.of(slopes.T)
        none = np.zeros_like(rest), np.zeros_like(own)
        start = State(*none, rest, own) if isinstance(kernel, NTK) else State(rest, own, *none)
        found, in_inputs = pull(start)
        return {f".net.layers[{place}].{name}": value for (place, name), value in found.items()}, in_inputs

    matrix = pairs.matrix(state.t, state.p) if isinstance(kernel, NTK) else pairs.matrix(state.k, state.q)
    return Pullback(matrix, back)


def _under(prefix: str, slopes: Slopes) -> Slopes:
    return {prefix + path: value for path, value in slopes.items()}


@eqx.filter_jit
def _by_jax(kernel: AbstractKernel, x: jax.Array, slopes: jax.Array) -> Any:
    free, fixed = eqx.partition(jax.tree.map(_number, kernel), eqx.is_inexact_array)

    def weighted(free: Any, x: jax.Array) -> jax.Array:
        return jnp.sum(slopes * eqx.combine(free, fixed).block(x))

    return jax.grad(weighted, (0, 1))(free, x)


def _number(leaf: Any) -> Any:
    return jnp.asarray(leaf) if isinstance(leaf, float) else leaf
