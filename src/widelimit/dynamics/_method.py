"""How functions of the kernel matrix are applied in the closed form."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._typing import Array, Scalar
from ..gram import AbstractGram
from ..solve import Eigen, Spectrum, matrix_function
from ._optimizer import AbstractOptimizer


class AbstractFlowMethod(eqx.Module):
    r"""Applies :math:`s\,\phi_t(s\Theta)` to columns, for the response :math:`\phi_t` of an optimizer."""

    @abc.abstractmethod
    def init(self, gram: AbstractGram, ridge: Scalar) -> Any:
        r"""Return the state that depends on :math:`\Theta + \mathrm{ridge}\cdot I` alone."""

    @abc.abstractmethod
    def apply(self, state: Any, optimizer: AbstractOptimizer, scale: float, t: Array, v: Array) -> Array:
        r"""Return :math:`s\,\phi_t(s\Theta)\,v`, (\*times, n, k), for columns v of shape (n, k) and ``scale`` s."""

    @abc.abstractmethod
    def largest(self, state: Any) -> Array:
        """Return the largest eigenvalue."""


class Spectral(AbstractFlowMethod):
    """By eigendecomposition: once :math:`9n^3` operations, then any number of times at :math:`n^2` each."""

    def init(self, gram: AbstractGram, ridge: Scalar) -> Spectrum:
        """Return the spectrum."""
        return _spectrum(gram, ridge)

    def apply(self, state: Spectrum, optimizer: AbstractOptimizer, scale: float, t: Array, v: Array) -> Array:
        """Return the filtered columns."""
        t = jnp.asarray(t, state.values.dtype)[..., None]
        return _filtered(optimizer, scale, t, state, v)

    def largest(self, state: Spectrum) -> Array:
        """Return the largest eigenvalue."""
        return state.values[-1]


@eqx.filter_jit
def _spectrum(gram: AbstractGram, ridge: Scalar) -> Spectrum:
    return Eigen().init(gram, ridge)


@eqx.filter_jit
def _filtered(optimizer: AbstractOptimizer, scale: float, t: Array, state: Spectrum, v: Array) -> Array:
    return matrix_function(_response, (optimizer, scale, t), state, v)


def _response(args: tuple, eigenvalues: Array) -> Array:
    optimizer, scale, t = args
    return scale * optimizer.response(scale * eigenvalues, t)
