"""A training run as the diagnosis sees it: parameters at some steps, and the loss along the way."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._typing import ApplyFn, Array, Callable, Params, PyTree
from ..dynamics import AbstractLoss, AbstractSquaredLoss


class Run(NamedTuple):
    """A training run.

    Attributes
    ----------
    params
        Parameters at each of ``steps``; the first are the initial ones.
    steps
        Numbers of steps taken, ascending from 0.
    losses
        Loss on all training examples at each of ``loss_steps``.
    loss_steps
        As ``steps``, or every step where the trainer has seen them all.
    """

    params: tuple[Params, ...]
    steps: tuple[int, ...]
    losses: np.ndarray
    loss_steps: np.ndarray


class Model(eqx.Module):
    r"""A model on its data, and how fast each parameter learns.

    Attributes
    ----------
    f
        ``f(params, batch) -> (n, o)`` or ``(n,)``.
    params
        The initial parameters :math:`\theta_0`.
    x, y
        Training inputs and targets.
    learning_rates
        Factor of the step size for each parameter: a pytree prefix of ``params``; None for one.
    """

    f: ApplyFn
    params: Params
    x: PyTree
    y: Array
    learning_rates: PyTree = None


class WithRest(eqx.Module):
    """A function of parameters some of whose leaves are no floating arrays, as a function of the others."""

    function: Callable
    rest: PyTree

    def __call__(self, params: Params, x: PyTree) -> Any:
        """Return what the function gives."""
        return self.function(eqx.combine(params, self.rest), x)


def floating(params: Params) -> Params:
    """Return the floating arrays of a pytree, as JAX arrays, with None in place of all other leaves."""
    arrays = jax.tree.map(lambda a: jnp.asarray(a) if isinstance(a, np.ndarray) else a, params)
    return eqx.filter(arrays, eqx.is_inexact_array)


def snapshot_steps(steps: int, count: int = 9) -> tuple[int, ...]:
    """Return about ``count`` recorded steps from 0 to ``steps``, evenly spaced in log scale."""
    if steps < count:
        return tuple(range(steps + 1))
    grid = np.unique(np.round(np.geomspace(1, steps, count - 1)).astype(int))
    return (0, *(int(k) for k in grid))


def columns(f: Any) -> Any:
    """Return outputs of shape (n,) as (n, 1)."""
    return f[:, None] if f.ndim == 1 else jnp.reshape(f, (f.shape[0], -1))


@eqx.filter_jit
def outputs(f: ApplyFn, params: Params, x: PyTree) -> Array:
    """Return the outputs on a batch, (n, o)."""
    return columns(f(params, x))


@eqx.filter_jit
def loss_value(f: ApplyFn, params: Params, loss: AbstractSquaredLoss | AbstractLoss, x: PyTree, y: Array) -> Array:
    """Return the loss on a batch."""
    return loss.value(columns(f(params, x)), y)


def spread(rates: PyTree, params: Params) -> PyTree:
    """Return the factor of each parameter as a pytree of the structure of ``params``.

    Raises
    ------
    ValueError
        If ``rates`` is no prefix of ``params``, or a factor is negative or not finite.
    """
    if rates is None:
        return jax.tree.map(lambda _: 1.0, params)
    for rate in jax.tree.leaves(rates):
        if not (np.isfinite(rate).all() and np.all(np.asarray(rate) >= 0)):
            raise ValueError(f"learning_rates holds {rate}; expected finite factors of zero or more.")
    try:
        return jax.tree.map(lambda rate, part: jax.tree.map(lambda _: rate, part), rates, params)
    except (ValueError, TypeError) as error:
        raise ValueError(
            "learning_rates does not fit the parameters; expected a pytree prefix of them, such as one number per "
            f"top-level entry ({error})."
        ) from None


def loss_targets(loss: AbstractSquaredLoss | AbstractLoss, y: Any, shape: tuple[int, ...]) -> Array:
    """Return targets in the form that the loss takes for outputs of ``shape`` (n, o)."""
    if not isinstance(loss, AbstractSquaredLoss):
        return loss.targets(y, shape)
    y = _check.targets(y, shape[0], "y")
    if tuple(y.shape) != tuple(shape):
        raise ValueError(f"f(params, x) has shape {shape}; expected that of the targets, {tuple(y.shape)}.")
    return y
