"""How functions of the kernel matrix are applied, and weights found, in function space."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._typing import Array, Scalar
from ..gram import AbstractGram
from ..solve import Eigen, Spectrum, matrix_function
from ._anyloss import AbstractLoss
from ._loss import AbstractSquaredLoss
from ._optimizer import AbstractOptimizer


class Task(eqx.Module):
    """What is trained: a loss under an optimizer, from given outputs.

    Attributes
    ----------
    optimizer, loss
        How, and for what.
    initial
        Outputs on the training inputs at initialisation, (n, o).
    targets
        Targets, (n, o), or what the loss wants.
    """

    optimizer: AbstractOptimizer
    loss: AbstractSquaredLoss | AbstractLoss
    initial: Array
    targets: Array


class AbstractFlowMethod(eqx.Module):
    r"""Applies :math:`s\,\phi_t(s\Theta)` to columns, for the response :math:`\phi_t` of an optimizer.

    For one network it finds the weights :math:`\alpha_t` of :math:`f_t(x) = f_0(x) + \Theta(x, X)\,\alpha_t`, which
    under a squared loss are that function applied to the residual.
    """

    @abc.abstractmethod
    def init(self, gram: AbstractGram, ridge: Scalar) -> Any:
        r"""Return the state that depends on :math:`\Theta + \mathrm{ridge}\cdot I` alone."""

    @abc.abstractmethod
    def apply(self, state: Any, optimizer: AbstractOptimizer, scale: float, t: Array, v: Array) -> Array:
        r"""Return :math:`s\,\phi_t(s\Theta)\,v`, (\*times, n, k), for columns v of shape (n, k) and ``scale`` s."""

    @abc.abstractmethod
    def weights(self, state: Any, task: Task, t: Array) -> Array:
        r"""Return :math:`\alpha_t`, (\*times, n, o), or (\*times, no, 1) for a kernel that keeps outputs apart."""

    @abc.abstractmethod
    def largest(self, state: Any) -> Array:
        """Return the largest eigenvalue."""

    @abc.abstractmethod
    def check(self, optimizer: AbstractOptimizer, loss: AbstractSquaredLoss | AbstractLoss) -> None:
        """Refuse what this method cannot train."""


class Spectral(AbstractFlowMethod):
    """By eigendecomposition: once :math:`9n^3` operations, then any number of times at :math:`n^2` each."""

    def init(self, gram: AbstractGram, ridge: Scalar) -> Spectrum:
        """Return the spectrum."""
        return _spectrum(gram, ridge)

    def apply(self, state: Spectrum, optimizer: AbstractOptimizer, scale: float, t: Array, v: Array) -> Array:
        """Return the filtered columns."""
        t = jnp.asarray(t, state.values.dtype)[..., None]
        return _filtered(optimizer, scale, t, state, v)

    def weights(self, state: Spectrum, task: Task, t: Array) -> Array:
        """Return the filtered residual."""
        return squared_weights(self, state, task, t, state.values.shape[0])

    def largest(self, state: Spectrum) -> Array:
        """Return the largest eigenvalue."""
        return state.values[-1]

    def check(self, optimizer: AbstractOptimizer, loss: AbstractSquaredLoss | AbstractLoss) -> None:
        """Refuse losses that are not squared."""
        refuse_other_losses("Spectral", optimizer, loss)


def squared_weights(method: AbstractFlowMethod, state: Any, task: Task, t: Array, rows: int) -> Array:
    """Return the weights under a squared loss: the method's function of the matrix, (rows, rows), at the residual."""
    assert isinstance(task.loss, AbstractSquaredLoss)
    residual = jnp.reshape(task.targets - task.initial, (rows, -1))
    return method.apply(state, task.optimizer, task.loss.scale(task.initial.size), t, residual)


def refuse_other_losses(name: str, optimizer: AbstractOptimizer, loss: AbstractSquaredLoss | AbstractLoss) -> None:
    """Refuse losses that are not squared, with the method that takes them."""
    if not isinstance(loss, AbstractSquaredLoss):
        other = "Steps()" if optimizer.discrete else "ODE()"
        raise ValueError(
            f"method is {name}(), which needs a squared loss, and loss is {type(loss).__name__}; "
            f"expected method={other} for it under {type(optimizer).__name__}."
        )


@eqx.filter_jit
def _spectrum(gram: AbstractGram, ridge: Scalar) -> Spectrum:
    return Eigen().init(gram, ridge)


@eqx.filter_jit
def _filtered(optimizer: AbstractOptimizer, scale: float, t: Array, state: Spectrum, v: Array) -> Array:
    return matrix_function(_response, (optimizer, scale, t), state, v)


def _response(args: tuple, eigenvalues: Array) -> Array:
    optimizer, scale, t = args
    return scale * optimizer.response(scale * eigenvalues, t)
