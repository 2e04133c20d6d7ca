"""Training of one network in function space, from kernels and initial outputs as arrays."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._precision import evaluate, result_dtype
from ..._typing import Array, Callable, Scalar, Shape, Tracer
from ...dynamics import ODE, AnyLoss, GradientFlow, MomentumFlow, Task
from ...gram import Dense
from ._layout import AxisNumbers, as_columns, as_matrix, axes_of, from_columns, output_shape
from ._training import TrainingKernel, response, scaled_time


def gradient_descent_mse(
    k_train_train: Array,
    y_train: Array,
    learning_rate: Scalar = 1.0,
    diag_reg: Scalar = 0.0,
    diag_reg_absolute_scale: bool = False,
    trace_axes: AxisNumbers = (-1,),
) -> Callable:
    r"""Return ``predict_fn(t, fx_train_0, fx_test_0, k_test_train)``: gradient flow on half the mean squared error.

    .. math:: f_t = f_0 + \Theta_*\,\tilde\Theta^{-1}\big(I - e^{-\eta t\tilde\Theta/N}\big)(y - f_0)

    with :math:`\tilde\Theta` the regularised kernel and N the number of all targets.

    Parameters
    ----------
    k_train_train
        Kernel of the training inputs: axes of ``y_train`` in pairs, without ``trace_axes``.
    y_train
        Targets of any shape.
    learning_rate
        Time is ``learning_rate * t``.
    diag_reg
        Added to the diagonal, in units of its mean, or of one if ``diag_reg_absolute_scale``.
    trace_axes
        Axes of the outputs on whose entries the kernel acts alike.
    """
    trace = axes_of(trace_axes, jnp.ndim(y_train))
    kernel = TrainingKernel(k_train_train, jnp.size(y_train), diag_reg, diag_reg_absolute_scale)

    def predict_fn(
        t: Any = None, fx_train_0: Any = 0.0, fx_test_0: Any = None, k_test_train: Array | None = None
    ) -> Any:
        r"""Return outputs on the training inputs, the test inputs or both, (\*t.shape, \*outputs), at times ``t``.

        Parameters
        ----------
        t
            Times, in steps. None is the end of training, where training outputs are the targets.
        fx_train_0, fx_test_0
            Outputs at initialisation; None where no prediction is wanted.
        k_test_train
            Kernel of test and training inputs.
        """
        _check_wanted(fx_train_0, fx_test_0, k_test_train)
        flow = _Flow(jnp.shape(y_train), trace, kernel.size, t is None)
        args = kernel.state(t), (t, learning_rate), y_train, (fx_train_0, fx_test_0), k_test_train
        return evaluate(flow, *args, compute=jnp.float64, result=result_dtype(k_train_train))

    return predict_fn


class _Flow(eqx.Module):
    """Predictions of `gradient_descent_mse`, in float64."""

    shape: Shape = eqx.field(static=True)
    trace: Shape = eqx.field(static=True)
    size: int = eqx.field(static=True)
    settled: bool = eqx.field(static=True)

    def __call__(self, state: Any, time: tuple, y: Array, starts: tuple[Any, Any], k_test: Any) -> Any:
        y, (train, test) = jnp.asarray(y, float), starts
        start = jnp.broadcast_to(jnp.asarray(0 if train is None else train, y.dtype), self.shape)
        if self.settled and test is None:
            return y
        t = scaled_time(time[0], time[1], y.dtype)
        weights = response(state, self.size, t, as_columns(y - start, self.trace))

        def moved(matrix: Array, f0: Any, shape: Shape) -> Array:
            change = from_columns(matrix @ weights, shape, self.trace)
            return leading(f0, shape, change.ndim) + change

        found = []
        if train is not None:
            # The spectrum holds the regularised matrix; at the end targets are met exactly.
            found.append(y if self.settled else moved(state.matrix, train, self.shape))
        if test is not None:
            found.append(moved(as_matrix(k_test), test, output_shape(k_test.shape, self.shape, self.trace)))
        return found[0] if len(found) == 1 else tuple(found)


class ODEState(eqx.Module):
    """Where training is.

    Attributes
    ----------
    fx_train, fx_test
        Outputs.
    qx_train, qx_test
        Their velocities, per unit of time ``sqrt(learning_rate) * t``; None without momentum.
    """

    fx_train: Any = None
    fx_test: Any = None
    qx_train: Any = None
    qx_test: Any = None

    def replace(self, **changes: Any) -> ODEState:
        """Return the state with other values."""
        return ODEState(**{**{name: getattr(self, name) for name in self.__dataclass_fields__}, **changes})


def gradient_descent(
    loss: Callable[[Array, Array], Array],
    k_train_train: Array,
    y_train: Array,
    learning_rate: Scalar = 1.0,
    momentum: Scalar | None = None,
    trace_axes: AxisNumbers = (-1,),
) -> Callable:
    """Return ``predict_fn(t, fx_train_or_state_0, fx_test_0, k_test_train)``: training with any loss, by an ODE solver.

    Parameters
    ----------
    loss
        ``loss(fx, y_train)``, differentiable, for outputs of the shape of ``y_train``.
    k_train_train, y_train, trace_axes
        As in `gradient_descent_mse`.
    learning_rate
        Time is ``learning_rate * t``, or ``sqrt(learning_rate) * t`` with momentum.
    momentum
        None, or a number from 0 to below 1.
    """
    shape, trace = jnp.shape(y_train), axes_of(trace_axes, jnp.ndim(y_train))
    dynamics = _Dynamics(loss, shape, trace, momentum is not None)

    def predict_fn(
        t: Any = None, fx_train_or_state_0: Any = 0.0, fx_test_0: Any = None, k_test_train: Array | None = None
    ) -> Any:
        """Return outputs as `gradient_descent_mse` does, at finite times; for an `ODEState` another one."""
        state = fx_train_or_state_0
        given = isinstance(state, ODEState)
        if given and fx_test_0 is not None:
            raise ValueError("fx_test_0 is given together with an ODEState, which holds it; expected one of them.")
        start = state if given else ODEState(state, fx_test_0)
        _check_wanted(start.fx_train, start.fx_test, k_test_train)
        if t is None:
            raise ValueError(
                "t is None; expected finite times: the end of training has a closed form for squared losses."
            )
        if momentum is None and not (start.qx_train is None and start.qx_test is None):
            raise ValueError("the state has velocities qx_train or qx_test, and momentum is None; expected a momentum.")
        args = (k_train_train, y_train, start, k_test_train, (t, learning_rate, momentum))
        out = evaluate(dynamics, *args, compute=_precision(args), result=result_dtype(k_train_train))
        if given:
            return out
        wanted = [f for f, f0 in ((out.fx_train, state), (out.fx_test, fx_test_0)) if f0 is not None]
        return wanted[0] if len(wanted) == 1 else tuple(wanted)

    return predict_fn


class _Dynamics(eqx.Module):
    """Predictions of `gradient_descent`, in float64."""

    loss: Callable
    shape: Shape = eqx.field(static=True)
    trace: Shape = eqx.field(static=True)
    moving: bool = eqx.field(static=True)

    def __call__(self, k: Array, y: Array, start: ODEState, k_test: Any, settings: tuple) -> ODEState:
        y, (t, rate, momentum) = jnp.asarray(y, float), settings
        t, unit = jnp.asarray(t, float), jnp.sqrt(jnp.asarray(rate, float))
        optimizer = MomentumFlow(rate, momentum) if self.moving else GradientFlow()
        task = Task(optimizer, AnyLoss(self._loss), self._columns(start.fx_train), y)
        method = ODE() if y.dtype == jnp.float64 else ODE(rtol=1e-5, atol=1e-7)
        state = method.init(Dense(as_matrix(k)), 0.0)
        # Velocities are per step here, and per unit of time in states.
        velocity = unit * self._columns(start.qx_train)
        motion = method.motion(state, task, velocity, t if self.moving else rate * t)

        def moved(matrix: Array, f0: Any, q0: Any, shape: Shape) -> tuple[Array, Array]:
            change, speed = (from_columns(matrix @ w, shape, self.trace) for w in (motion.weights, motion.velocity))
            f0, q0 = (leading(0 if a is None else a, shape, change.ndim) for a in (f0, q0))
            coasted, coasting = (
                jnp.reshape(a, (*t.shape, *[1] * len(shape))) for a in (motion.coasted, motion.coasting)
            )
            return f0 + coasted * unit * q0 + change, coasting * q0 + speed / unit

        fx_train, qx_train = moved(as_matrix(k), start.fx_train, start.qx_train, self.shape)
        fx_test = qx_test = None
        if start.fx_test is not None:
            shape = output_shape(k_test.shape, self.shape, self.trace)
            fx_test, qx_test = moved(as_matrix(k_test), start.fx_test, start.qx_test, shape)
        return ODEState(fx_train, fx_test, *((qx_train, qx_test) if self.moving else ()))

    def _loss(self, f: Array, y: Array) -> Array:
        return self.loss(from_columns(f, self.shape, self.trace), y)

    def _columns(self, f: Any) -> Array:
        return as_columns(jnp.broadcast_to(jnp.asarray(0 if f is None else f, float), self.shape), self.trace)


def leading(f0: Any, shape: Shape, ndim: int) -> Array:
    """Return initial outputs of a shape with axes of length one in front, for the times."""
    f0 = jnp.broadcast_to(jnp.asarray(f0, float), shape)
    return jnp.reshape(f0, (*[1] * (ndim - len(shape)), *shape))


def _precision(args: Any) -> Any:
    # The solver cannot be compiled in float64 inside a caller's transformation while JAX's x64 mode is off.
    traced = any(isinstance(leaf, Tracer) for leaf in (*jax.tree.leaves(args), jnp.zeros(())))
    return jax.dtypes.canonicalize_dtype(jnp.float64) if traced else jnp.float64


def _check_wanted(fx_train_0: Any, fx_test_0: Any, k_test_train: Any) -> None:
    if fx_train_0 is None and fx_test_0 is None:
        raise ValueError(
            "fx_train_0 and fx_test_0 are both None; expected the outputs for which predictions are wanted."
        )
    if fx_test_0 is not None and k_test_train is None:
        raise ValueError("fx_test_0 is given without k_test_train; expected the kernel of test and training inputs.")
