"""How a model is trained, or where its training run comes from."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._typing import ApplyFn, Array, Callable, Key, Params, PyTree, Scalar
from ..dynamics import AbstractLoss, AbstractSquaredLoss, SumOfSquares
from ._run import Model, Run, floating, loss_value, snapshot_steps, spread


class Rule(eqx.Module):
    """What is known of the steps of a run.

    Attributes
    ----------
    loss
        What is minimised; its convention fixes the meaning of the step size.
    learning_rate
        The step size, or None if there is no single one.
    learning_rates
        Factors of the step size: a pytree prefix of the parameters; None for one.
    plain
        Whether every step is one of full-batch gradient descent with the step size, so that closed forms hold.
    """

    loss: AbstractSquaredLoss | AbstractLoss
    learning_rate: Scalar | None
    learning_rates: PyTree
    plain: bool = eqx.field(static=True)


class AbstractTrainer(eqx.Module):
    """A way to train a model, or a run that the user has made."""

    @abc.abstractmethod
    def run(self, model: Model) -> Run:
        """Return the run from ``model.params``."""

    @abc.abstractmethod
    def repeat(self, model: Model) -> Run | None:
        """Return the same training of another function from the same start, or None if it cannot be repeated."""

    @abc.abstractmethod
    def rule(self) -> Rule:
        """Return what is known of the steps."""


class GradientDescentTrainer(AbstractTrainer):
    r"""Gradient descent, :math:`\theta_{k+1} = \theta_k - \eta\,\eta_\theta\,\nabla_\theta L(\theta_k)`.

    Parameters
    ----------
    learning_rate
        Step size :math:`\eta` under ``loss``.
    steps
        Number of steps.
    loss
        Squared loss in its convention, or any loss of `widelimit.dynamics`.
    learning_rates
        Factors :math:`\eta_\theta` of the step size: a pytree prefix of the parameters. None for those that belong to
        the parameterization of a network of this library, and for one with any other model.
    batch_size
        Examples per step, drawn without replacement within a step; None for all.
    snapshots
        About how many parameters are kept, at steps evenly spaced in log scale.
    seed
        Of the batches.
    """

    learning_rate: Scalar
    steps: int = eqx.field(static=True)
    loss: AbstractSquaredLoss | AbstractLoss = SumOfSquares()
    learning_rates: PyTree = None
    batch_size: int | None = eqx.field(static=True, default=None)
    snapshots: int = eqx.field(static=True, default=10)
    seed: int = eqx.field(static=True, default=0)

    def __check_init__(self) -> None:
        """Check the numbers."""
        _check.nonnegative(self.learning_rate, "learning_rate")
        _check.positive_int(self.steps, "steps")
        _check.positive_int(self.snapshots, "snapshots")
        if self.batch_size is not None:
            _check.positive_int(self.batch_size, "batch_size")

    def run(self, model: Model) -> Run:
        """Return the run from ``model.params``."""
        n = len(jax.tree.leaves(model.x)[0])
        if self.batch_size is not None and self.batch_size > n:
            raise ValueError(f"batch_size is {self.batch_size}; expected at most the {n} training examples.")
        steps = snapshot_steps(self.steps, max(self.snapshots, 3))
        moving, still = eqx.partition(model.params, eqx.is_inexact_array)
        moving = jax.tree.map(jnp.asarray, moving)
        rates = jax.tree.map(lambda r, _: self.learning_rate * r, spread(model.learning_rates, moving), moving)
        # Step sizes are arguments of the compiled loop, not constants in it; one buffer for any number of steps.
        rates = jax.tree.map(jnp.asarray, rates)
        losses = jnp.zeros(2 ** int(np.ceil(np.log2(self.steps + 1))))
        frozen = Model(model.f, still, model.x, model.y)
        loop = _Loop(self.loss, frozen, rates, jax.random.key(self.seed), self.batch_size)
        kept = [moving]
        for start, stop in itertools.pairwise(steps):
            moving, losses = _advance(loop, moving, losses, jnp.asarray(start), jnp.asarray(stop))
            kept.append(moving)
        kept = tuple(eqx.combine(params, still) for params in kept)
        if self.batch_size is not None:
            return _with_losses(self.loss, model, kept, steps)
        last = loss_value(model.f, kept[-1], self.loss, model.x, model.y)
        every = np.append(np.asarray(losses, np.float64)[: self.steps], float(last))
        return Run(kept, steps, every, np.arange(self.steps + 1))

    def repeat(self, model: Model) -> Run | None:
        """Return the same training of another function, batch by batch."""
        return self.run(model)

    def rule(self) -> Rule:
        """Return what is known of the steps."""
        return Rule(self.loss, self.learning_rate, self.learning_rates, plain=self.batch_size is None)


class Checkpoints(AbstractTrainer):
    r"""A training run of the user's own, as parameters at some of its steps.

    Parameters
    ----------
    params
        Parameters at ``steps``. The initial parameters are put before them where ``steps`` does not begin with 0.
    steps
        Ascending numbers of steps; None for 1, 2, ... (0, 1, ... if the first are the initial parameters).
    learning_rate
        Step size, if the run was plain full-batch gradient descent on ``loss``; None for any other optimizer. With it
        the linearised model's training is known in closed form.
    loss
        What was minimised.
    learning_rates
        Factors of the step size: a pytree prefix of the parameters; None for one.
    """

    params: tuple[Params, ...]
    steps: tuple[int, ...] | None = eqx.field(static=True, default=None)
    learning_rate: Scalar | None = None
    loss: AbstractSquaredLoss | AbstractLoss = SumOfSquares()
    learning_rates: PyTree = None

    def __init__(
        self,
        params: Any,
        steps: Any = None,
        learning_rate: Scalar | None = None,
        *,
        loss: AbstractSquaredLoss | AbstractLoss = SumOfSquares(),
        learning_rates: PyTree = None,
    ) -> None:
        if isinstance(params, dict | str) or not isinstance(params, Iterable):
            raise ValueError(
                f"params is of type {type(params).__name__}; expected a list of parameters, one pytree per checkpoint."
            )
        self.params = tuple(params)
        self.steps = None if steps is None else tuple(int(k) for k in steps)
        self.learning_rate, self.loss, self.learning_rates = learning_rate, loss, learning_rates
        if not self.params:
            raise ValueError("params is empty; expected a list with the parameters at one step or more.")
        if learning_rate is not None:
            _check.nonnegative(learning_rate, "learning_rate")
        if self.steps is not None:
            _check_steps(self.steps, len(self.params))

    def run(self, model: Model) -> Run:
        """Return the checkpoints, with the initial parameters first and the loss at each."""
        return _as_run(self.loss, model, self.params, self.steps)

    def repeat(self, model: Model) -> Run | None:  # noqa: ARG002
        """Return None: nobody knows how to train another function in the same way."""
        return None

    def rule(self) -> Rule:
        """Return what is known of the steps."""
        return Rule(self.loss, self.learning_rate, self.learning_rates, plain=self.learning_rate is not None)


class CustomTrainer(AbstractTrainer):
    r"""Training by a function of the user's own, such as a loop with an optax optimizer.

    Parameters
    ----------
    fn
        ``fn(f, params, x, y) -> (list of params, list of steps)``. It is called a second time with the linearised
        model as ``f``, so it has to train the ``f`` it is given, and must not depend on anything random that is not
        seeded.
    loss
        What it minimises.
    learning_rate
        Step size to hold against :math:`2/\lambda_{\max}`, or None where that has no meaning (Adam and its kind).
    learning_rates
        Factors of the step size: a pytree prefix of the parameters; None for one.
    """

    fn: Callable[[ApplyFn, Params, PyTree, Array], tuple[list[Params], list[int]]]
    loss: AbstractSquaredLoss | AbstractLoss = SumOfSquares()
    learning_rate: Scalar | None = None
    learning_rates: PyTree = None

    def run(self, model: Model) -> Run:
        """Return the run from ``model.params``."""
        result = self.fn(model.f, model.params, model.x, model.y)
        if not isinstance(result, tuple | list) or len(result) != 2 or len(result[0]) != len(result[1]):
            raise ValueError(
                "fn(f, params, x, y) gave something else than two lists of one length; expected parameters at some "
                "steps, and those steps."
            )
        steps = tuple(int(k) for k in result[1])
        _check_steps(steps, len(steps))
        return _as_run(self.loss, model, tuple(result[0]), steps)

    def repeat(self, model: Model) -> Run | None:
        """Return the same training of another function."""
        return self.run(model)

    def rule(self) -> Rule:
        """Return what is known of the steps."""
        return Rule(self.loss, self.learning_rate, self.learning_rates, plain=False)


class _Loop(eqx.Module):
    # What stays the same over the steps; ``model.params`` are the leaves that are not trained.
    loss: AbstractSquaredLoss | AbstractLoss
    model: Model
    rates: PyTree
    key: Key
    batch_size: int | None = eqx.field(static=True)


@eqx.filter_jit
def _advance(loop: _Loop, moving: Params, losses: Array, start: Array, stop: Array) -> tuple[Params, Array]:
    model = loop.model

    def objective(moving: Params, x: PyTree, y: Array) -> Array:
        return loss_value(model.f, eqx.combine(moving, model.params), loop.loss, x, y)

    def step(k: Array, carry: tuple[Params, Array]) -> tuple[Params, Array]:
        moving, losses = carry
        x, y = model.x, model.y
        if loop.batch_size is not None:
            chosen = jax.random.choice(jax.random.fold_in(loop.key, k), len(y), (loop.batch_size,), replace=False)
            x, y = jax.tree.map(lambda a: a[chosen], (x, y))
        value, gradient = jax.value_and_grad(objective)(moving, x, y)
        moving = jax.tree.map(lambda p, r, g: (p - r * g).astype(p.dtype), moving, loop.rates, gradient)
        return moving, losses.at[k].set(value.astype(losses.dtype))

    return jax.lax.fori_loop(start, stop, step, (moving, losses))


def _as_run(
    loss: AbstractSquaredLoss | AbstractLoss, model: Model, params: tuple, steps: tuple[int, ...] | None
) -> Run:
    wanted, params = jax.tree.structure(model.params), tuple(floating(tree) for tree in params)
    for i, tree in enumerate(params):
        shapes = [np.shape(a) for a in jax.tree.leaves(tree)]
        if jax.tree.structure(tree) != wanted or shapes != [np.shape(a) for a in jax.tree.leaves(model.params)]:
            raise ValueError(
                f"checkpoint {i} has other entries or shapes than the initial parameters; expected the same pytree."
            )
    if steps is None:
        first = 0 if _equal(params[0], model.params) else 1
        steps = tuple(range(first, first + len(params)))
    if steps[0] != 0:
        params, steps = (model.params, *params), (0, *steps)
    elif not _equal(params[0], model.params):
        raise ValueError(
            "the checkpoint at step 0 differs from the initial parameters; expected params to be those at step 0."
        )
    if len(steps) < 2:
        raise ValueError("there is no checkpoint after the initial parameters; expected one or more.")
    return _with_losses(loss, model, params, steps)


def _with_losses(loss: AbstractSquaredLoss | AbstractLoss, model: Model, params: tuple, steps: tuple[int, ...]) -> Run:
    losses = [float(loss_value(model.f, p, loss, model.x, model.y)) for p in params]
    return Run(params, steps, np.array(losses), np.array(steps))


def _equal(a: Params, b: Params) -> bool:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(p, q) for p, q in pairs if eqx.is_array_like(p))


def _check_steps(steps: tuple[int, ...], count: int) -> None:
    ascending = all(a < b for a, b in itertools.pairwise(steps))
    if len(steps) != count or not ascending or (steps and steps[0] < 0):
        raise ValueError(
            f"steps is {steps} for {count} checkpoints; expected one ascending number of zero or more for each."
        )
