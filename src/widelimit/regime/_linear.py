r"""The model against its linearisation at the start, in function space.

.. math:: \mathrm{gap}_t = \frac{\|f_t - f^{\mathrm{lin}}_t\|}{\|f_T - f_0\|}

with the linearised model trained in the same way: for full-batch gradient descent on a squared loss in closed form,
:math:`f^{\mathrm{lin}}_k = f_0 + \Theta_0\,s\,\phi_k(s\Theta_0)(y - f_0)` (Lee et al. 2019, arXiv 1902.06720),
otherwise by training it.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._precision import evaluate
from .._typing import ApplyFn, Array, Params, PyTree
from ..dynamics import AbstractSquaredLoss, GradientDescent, Spectral
from ..empirical import linearize
from ..gram import Dense
from ._run import Model, Run, outputs
from ._trainer import AbstractTrainer

RELATIVE_CUT = 1e-6
"""Modes of the kernel below this share of the largest are left out of the inverse: float32 training does not resolve
them."""


class Tangent(eqx.Module):
    """The linearisation of a model at some parameters, as a model."""

    f: ApplyFn
    params0: Params

    def __call__(self, params: Params, x: PyTree) -> Array:
        """Return the outputs of a batch."""
        return linearize(self.f, self.params0)(params, x)


def closed_form(
    theta: np.ndarray, cross: np.ndarray, residual: np.ndarray, trainer: AbstractTrainer, steps: tuple[int, ...]
) -> np.ndarray:
    """Return the change of the linearised model's outputs at each of ``steps``, (steps, m, o).

    Parameters
    ----------
    theta, cross
        Initial kernel of the training inputs, (no, no), and of other inputs against them, (mo, no).
    residual
        Targets minus initial outputs, (n, o).
    trainer
        Plain gradient descent on a squared loss.
    steps
        Numbers of steps.
    """
    rule = trainer.rule()
    assert isinstance(rule.loss, AbstractSquaredLoss)
    n, o = residual.shape
    scale, method = rule.loss.scale(residual.size), Spectral()

    def run(theta: Array, cross: Array, residual: Array, t: Array) -> Array:
        state, optimizer = method.init(Dense(theta), 0.0), GradientDescent(jnp.asarray(rule.learning_rate, t.dtype))
        return cross @ method.apply(state, optimizer, scale, t, jnp.reshape(residual, (n * o, 1)))

    t = np.asarray(steps, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        change = evaluate(run, theta, cross, residual, t, compute=jnp.float64, result=None)
    return np.asarray(change).reshape(len(steps), -1, o)


def trained(model: Model, trainer: AbstractTrainer, run: Run, x: PyTree) -> np.ndarray | None:
    """Return the outputs on ``x`` of the linearised model, trained as the model was, at the steps of its run."""
    other = trainer.repeat(Model(Tangent(model.f, model.params), model.params, model.x, model.y, model.learning_rates))
    if other is None:
        return None
    if other.steps != run.steps:
        raise ValueError(
            f"the trainer kept steps {run.steps} of the model but {other.steps} of its linearisation; expected the "
            "same ones."
        )
    tangent = Tangent(model.f, model.params)
    return np.stack([np.asarray(outputs(tangent, p, x), np.float64) for p in other.params])


def has_closed_form(trainer: AbstractTrainer) -> bool:
    """Whether the linearised model's training is known in closed form."""
    rule = trainer.rule()
    return rule.plain and isinstance(rule.loss, AbstractSquaredLoss) and rule.learning_rate is not None


def explained_share(theta: np.ndarray, cross: np.ndarray, train_change: np.ndarray, change: np.ndarray) -> float:
    r"""Return the share of the learnt function that the initial kernel explains on inputs it has not seen.

    .. math:: 1 - \frac{\|\Delta f(x) - \Theta_0(x, X)\,\Theta_0(X, X)^{+}\,\Delta f(X)\|^2}{\|\Delta f(x)\|^2},
              \qquad \Delta f = f_T - f_0

    One for a network that trained as its kernel predicts; it may be negative.

    Parameters
    ----------
    theta, cross
        Initial kernel, (no, no) and (mo, no).
    train_change, change
        :math:`\Delta f` on the training inputs (n, o) and on the others (m, o).
    """
    values, vectors = np.linalg.eigh((theta + theta.T) / 2)
    kept = values > RELATIVE_CUT * values[-1]
    weights = vectors[:, kept] @ ((vectors[:, kept].T @ train_change.ravel()) / values[kept])
    left = change.ravel() - cross @ weights
    size = np.sum(change**2)
    return float(1 - np.sum(left**2) / size) if size > 0 else float("nan")


def tangent_outputs(model: Model, params: Params, x: PyTree) -> np.ndarray:
    """Return the linearisation at the start, evaluated at other parameters, on a batch (n, o)."""
    moving = jax.tree.map(lambda a: a, params)
    return np.asarray(outputs(Tangent(model.f, model.params), moving, x), np.float64)
