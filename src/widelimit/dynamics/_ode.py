r"""Training with any loss, through the weights :math:`\alpha` of :math:`f = f_0 + \Theta\alpha`.

.. math:: \dot\alpha = -\frac{\partial L}{\partial f}(f_0 + \Theta\alpha) - s r\alpha

with ridge r, or the same law in steps. Outputs at any input follow from :math:`\alpha_t`, without another solve.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._typing import Array, Scalar, Tracer
from ..gram import AbstractGram
from ..solve import largest_eigenvalue
from ._anyloss import AbstractLoss
from ._loss import AbstractSquaredLoss
from ._method import AbstractFlowMethod, Task
from ._optimizer import AbstractOptimizer


class Motion(NamedTuple):
    r"""Training from outputs that already move, :math:`f_t = f_0 + b_t\dot f_0 + \Theta\alpha_t`.

    Attributes
    ----------
    weights, velocity
        :math:`\alpha_t` and its derivative, (\*times, n, o).
    coasted, coasting
        :math:`b_t`, how far the initial velocity alone has carried, and its derivative, (\*times,).
    """

    weights: Array
    velocity: Array
    coasted: Array
    coasting: Array


class Ridged(NamedTuple):
    """A matrix and the multiple of the identity that is added to it."""

    gram: AbstractGram
    ridge: Scalar


def ridged(gram: AbstractGram, ridge: Scalar) -> Ridged:
    """Return the pair in one dtype."""
    return Ridged(gram, jnp.asarray(ridge, gram.diagonal().dtype))


class ODE(AbstractFlowMethod):
    r"""By an adaptive ODE solver of diffrax: any loss, under `GradientFlow` or `MomentumFlow`, at finite times.

    The matrix is used through products only. Explicit solvers need steps of about :math:`3/(s\lambda_{\max})`.

    Parameters
    ----------
    rtol, atol
        Tolerances of each step, relative and absolute, on the weights.
    max_steps
        Steps after which it gives up with a sentence.
    solver
        A diffrax solver; None is ``diffrax.Dopri8()``. For long times with a wide spectrum ``diffrax.Kvaerno5()``,
        whose steps solve systems in all (example, output) entries.
    """

    rtol: float = 1e-10
    atol: float = 1e-12
    max_steps: int = 100_000
    solver: Any = None

    def __check_init__(self) -> None:
        """Check the tolerances."""
        _check.nonnegative(self.rtol, "rtol")
        _check.nonnegative(self.atol, "atol")
        _check.positive_int(self.max_steps, "max_steps")

    def init(self, gram: AbstractGram, ridge: Scalar) -> Ridged:
        """Return the matrix and the ridge."""
        return ridged(gram, ridge)

    def apply(self, state: Ridged, optimizer: AbstractOptimizer, scale: float, t: Array, v: Array) -> Array:
        """Return the columns by integration of the linear equation."""
        return self._solve(_Columns(state, scale, v), optimizer, t, _still(v))[0]

    def weights(self, state: Ridged, task: Task, t: Array) -> Array:
        """Return the weights by integration."""
        return self._solve(_Loss(state, task), task.optimizer, t, _still(_zero_weights(state, task)))[0]

    def motion(self, state: Ridged, task: Task, velocity: Array, t: Array) -> Motion:
        r"""Return weights and their velocity when the outputs (n, o) already move, with ``velocity`` per unit of time.

        Outputs are :math:`f_t = f_0 + b_t\dot f_0 + \Theta\alpha_t`, on other inputs with their own start.
        """
        zero, one = _zero_weights(state, task), jnp.ones((), task.initial.dtype)
        start = (zero, 0 * one), (zero, one)
        (weights, coasted), (speed, coasting) = self._solve(_Moving(state, task, velocity), task.optimizer, t, start)
        return Motion(weights, speed, coasted, coasting)

    def largest(self, state: Ridged) -> Array:
        """Return the largest eigenvalue."""
        return largest_eigenvalue(state.gram) + state.ridge

    def check(self, optimizer: AbstractOptimizer, loss: AbstractSquaredLoss | AbstractLoss) -> None:  # noqa: ARG002
        """Refuse optimizers that move in steps."""
        if optimizer.discrete:
            raise ValueError(
                f"method is ODE() and optimizer is {type(optimizer).__name__}, which moves in steps; expected "
                "method=Steps(), or optimizer=GradientFlow() or MomentumFlow(...)."
            )

    def _solve(self, push: Any, optimizer: AbstractOptimizer, t: Array, start: tuple) -> tuple:
        _finite_times("ODE()", t)
        out, ok = _integrate(self, push, optimizer, jnp.asarray(t, jax.tree.leaves(start)[0].dtype), start)
        if not isinstance(ok, Tracer) and not bool(ok):
            raise ValueError(
                f"the ODE solver did not reach t = {np.max(t)} in {self.max_steps} steps at rtol {self.rtol}; use "
                "ODE(solver=diffrax.Kvaerno5()) for a stiff problem, looser tolerances or more max_steps."
            )
        return out


class Steps(AbstractFlowMethod):
    """By taking every step in function space: any loss, under `GradientDescent` or `Momentum`, exact.

    A step costs one product with the matrix; the matrix is used through products only.
    """

    def init(self, gram: AbstractGram, ridge: Scalar) -> Ridged:
        """Return the matrix and the ridge."""
        return ridged(gram, ridge)

    def apply(self, state: Ridged, optimizer: AbstractOptimizer, scale: float, t: Array, v: Array) -> Array:
        """Return the columns after ``t`` steps of the linear equation."""
        return self._take(_Columns(state, scale, v), optimizer, t, v)

    def weights(self, state: Ridged, task: Task, t: Array) -> Array:
        """Return the weights after ``t`` steps."""
        return self._take(_Loss(state, task), task.optimizer, t, _zero_weights(state, task))

    def largest(self, state: Ridged) -> Array:
        """Return the largest eigenvalue."""
        return largest_eigenvalue(state.gram) + state.ridge

    def check(self, optimizer: AbstractOptimizer, loss: AbstractSquaredLoss | AbstractLoss) -> None:  # noqa: ARG002
        """Refuse optimizers in continuous time."""
        if not optimizer.discrete:
            raise ValueError(
                f"method is Steps() and optimizer is {type(optimizer).__name__}, which has continuous time; expected "
                "method=ODE(), or optimizer=GradientDescent(...) or Momentum(...)."
            )

    def _take(self, push: Any, optimizer: AbstractOptimizer, t: Array, like: Array) -> Array:
        if isinstance(t, Tracer):
            raise ValueError("t is being traced; expected concrete numbers of steps for method=Steps().")
        _finite_times("Steps()", t)
        return _steps(push, optimizer, jnp.asarray(t, like.dtype), like, int(np.max(t, initial=0)))


class _Columns(eqx.Module):
    """The push of the linear equation with v on its right-hand side."""

    matrix: Ridged
    scale: float
    v: Array

    def __call__(self, weights: Array) -> Array:
        return self.scale * (self.v - self.matrix.gram.matmat(weights) - self.matrix.ridge * weights)


class _Loss(eqx.Module):
    """The push of a loss."""

    matrix: Ridged
    task: Task

    def __call__(self, weights: Array) -> Array:
        loss, start = self.task.loss, self.task.initial
        f = start + jnp.reshape(self.matrix.gram.matmat(weights), start.shape)
        down = jnp.reshape(jax.grad(loss.value)(f, self.task.targets), weights.shape)
        factor = loss.scale(start.size) if isinstance(loss, AbstractSquaredLoss) else loss.factor(start.shape)
        return -down - factor * self.matrix.ridge * weights


class _Moving(eqx.Module):
    """The push of a loss on outputs that move by themselves too: nothing pushes what coasts."""

    matrix: Ridged
    task: Task
    velocity: Array

    def __call__(self, weights: tuple[Array, Array]) -> tuple[Array, Array]:
        alpha, coasted = weights
        task = eqx.tree_at(lambda k: k.initial, self.task, self.task.initial + coasted * self.velocity)
        return _Loss(self.matrix, task)(alpha), jnp.zeros_like(coasted)


def _still(weights: Array) -> tuple[Array, Array]:
    return jnp.zeros_like(weights), jnp.zeros_like(weights)


def _zero_weights(state: Ridged, task: Task) -> Array:
    return jnp.zeros((state.gram.shape[0], task.initial.size // state.gram.shape[0]), task.initial.dtype)


def _finite_times(name: str, t: Array) -> None:
    if not isinstance(t, Tracer) and not np.isfinite(t).all():
        raise ValueError(
            f"t is {t}; expected finite times with method={name}. The end of training under a squared loss is had "
            "with Spectral() or Krylov()."
        )


@eqx.filter_jit
def _integrate(method: ODE, push: Any, optimizer: AbstractOptimizer, t: Array, start: tuple) -> tuple[tuple, Array]:
    import diffrax

    order = jnp.argsort(jnp.ravel(t))
    times = jnp.ravel(t)[order]
    # A time of zero alone would leave nothing to integrate.
    end = jnp.where(times[-1] > 0, times[-1], 1)

    def field(t: Any, y: Any, args: Any) -> Any:  # noqa: ARG001
        weights, structure = jax.tree.flatten(y[0])
        parts = zip(weights, jax.tree.leaves(y[1]), jax.tree.leaves(push(y[0])), strict=True)
        moved = [optimizer.advance(*part) for part in parts]
        return tuple(jax.tree.unflatten(structure, part) for part in zip(*moved, strict=True))

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Dopri8() if method.solver is None else method.solver,
        t0=jnp.zeros_like(end),
        t1=end,
        dt0=None,
        y0=start,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=method.rtol, atol=method.atol),
        max_steps=method.max_steps,
        throw=False,
    )
    assert solution.ys is not None
    back = jnp.argsort(order)
    out = jax.tree.map(lambda a: jnp.reshape(a[back], (*t.shape, *a.shape[1:])), solution.ys)
    return out, solution.result == diffrax.RESULTS.successful


@eqx.filter_jit
def _steps(push: Any, optimizer: AbstractOptimizer, t: Array, like: Array, count: int) -> Array:
    wanted = jnp.ravel(t)[:, None, None]

    def step(carry: tuple, k: Array) -> tuple[tuple, None]:
        weights, velocity, kept = carry
        weights, velocity = optimizer.advance(weights, velocity, push(weights))
        return (weights, velocity, jnp.where(wanted == k, weights, kept)), None

    zero = jnp.zeros_like(like)
    kept = jnp.zeros((t.size, *like.shape), like.dtype)
    (_, _, kept), _ = jax.lax.scan(step, (zero, zero, kept), jnp.arange(1, count + 1, dtype=like.dtype))
    return jnp.reshape(kept, (*t.shape, *like.shape))
