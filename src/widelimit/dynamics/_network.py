"""Training of one network whose kernel stays as it is."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import Array, Callable, Scalar
from ..gram import Dense
from ..kernels import AbstractKernel
from ._anyloss import AbstractLoss
from ._loss import AbstractSquaredLoss, SumOfSquares
from ._matrix import as_matrix
from ._method import AbstractFlowMethod, Spectral, Task
from ._optimizer import AbstractOptimizer, GradientFlow
from ._rates import largest_step
from ._times import times


class NetworkFlow(eqx.Module):
    r"""Training of one network in function space with a constant kernel; see `network_flow`."""

    kernel: AbstractKernel
    initial: Callable[[Array], Array]
    method: AbstractFlowMethod
    task: Task
    x_train: Array
    state: Any
    vector: bool = eqx.field(static=True)

    def at(self, t: Any, x: Any = None) -> Array:
        r"""Return the outputs at time ``t`` on inputs ``x`` (the training inputs if None).

        Parameters
        ----------
        t
            A time, or an array of times: zero, positive or infinite (finite for `ODE` and `Steps`); numbers of steps
            for `GradientDescent` and `Momentum`.
        x
            Shape (m, \*input_shape).

        Returns
        -------
        Array
            Shape (\*t.shape, m, o), or (\*t.shape, m) for targets (n,) of a squared loss and for networks whose
            outputs are (n,).

        Raises
        ------
        ValueError
            If ``t`` is not a time of the optimizer, the method does not converge, or the step size is so large that
            the outputs overflow.
        """
        t = times(t, self.task.optimizer)
        x = self.x_train if x is None else _check.inputs(x, "x")
        _check.same_features(x, self.x_train, ("x", "x_train"))
        targets = [self.task.targets] if isinstance(self.task.loss, AbstractSquaredLoss) else []
        dtype = result_dtype(x, self.x_train, self.task.initial, *targets)
        out = evaluate(_outputs, self, t, x, compute=jnp.float64, result=dtype)
        return _check.overflow(out[..., 0] if self.vector else out, "the outputs")

    @property
    def optimizer(self) -> AbstractOptimizer:
        """How it is trained."""
        return self.task.optimizer

    @property
    def max_learning_rate(self) -> Array:
        r"""The largest stable step size, :math:`2/(c\,\lambda_{\max})`; with momentum 1 + m times that.

        For a squared loss :math:`c = s`. For other losses c is the loss's bound on its second derivative (s/2 for
        `CrossEntropy`), so that smaller steps are stable everywhere, and larger ones may be.
        """
        loss, shape = self.task.loss, self.task.initial.shape
        squared = isinstance(loss, AbstractSquaredLoss)
        curvature = loss.scale(self.task.initial.size) if squared else loss.curvature(shape)
        return largest_step(self.method, self.state, self.task.optimizer, curvature)


def network_flow(
    kernel: AbstractKernel,
    x_train: Any,
    y_train: Any,
    initial: Callable[[Array], Array],
    *,
    optimizer: AbstractOptimizer = GradientFlow(),
    loss: AbstractSquaredLoss | AbstractLoss = SumOfSquares(),
    ridge: Scalar = 0.0,
    method: AbstractFlowMethod = Spectral(),
) -> NetworkFlow:
    r"""Return the training of one network, with the kernel held constant.

    .. math:: f_t(x) = f_0(x) + \Theta(x, X)\,\alpha_t,\qquad \dot\alpha = -\partial L/\partial f

    For squared losses this has the closed form
    :math:`\alpha_t = s\,\phi_t(s\Theta)\,(y - f_0(X))`, with :math:`\phi_t(\lambda) = (1 - e^{-\lambda t})/\lambda` for
    gradient flow (Lee et al. 2019, arXiv 1902.06720, eqs. 9-11) and :math:`(1 - (1-\eta\lambda)^k)/\lambda` for
    `GradientDescent`. With the empirical kernel at initialisation this is exactly the linearised network; with the
    infinite kernel, the wide one from that initialisation.

    Parameters
    ----------
    kernel
        :math:`\Theta`. For several outputs give `EmpiricalNTK` with ``outputs=Full()``; a kernel of shape (n1, n2)
        acts on each output alike.
    x_train, y_train
        Inputs (n, \*input_shape) and targets (n,) or (n, o); class numbers (n,) for `CrossEntropy`.
    initial
        :math:`f_0`, from a batch of inputs to outputs (m,) or (m, o).
    optimizer
        `GradientFlow()`, `MomentumFlow`, `GradientDescent` or `Momentum`; the last two have steps as their time.
    loss
        `SumOfSquares()` (:math:`s = 1`) or `MeanSquares()` (:math:`s = 1/(no)`); with ``method=ODE()`` or ``Steps()``
        also `CrossEntropy()` and `AnyLoss(fn)`.
    ridge
        :math:`r \ge 0`, for training on the loss plus :math:`\tfrac{s r}2\|\theta-\theta_0\|^2`: replaces
        :math:`\Theta(X, X)` by :math:`\Theta(X, X) + rI`. For other losses s is the factor of their sum over examples.
    method
        `Spectral()` and `Krylov()` apply the closed form; `ODE()` integrates and `Steps()` takes every step.

    Returns
    -------
    NetworkFlow
        Ask it with ``at(t, x)``. Evaluated in float64 whatever the JAX configuration.

    Raises
    ------
    ValueError
        If shapes do not match, data are not finite, or the method cannot train this loss by this optimizer.
    """
    _check_strategies(kernel, initial, optimizer, method)
    method.check(optimizer, loss)
    x_train = _check.inputs(x_train, "x_train")
    _check.nonnegative(ridge, "ridge")
    raw = initial(x_train)
    _check.finite(raw, "initial(x_train)")
    f0 = _columns(raw)
    if isinstance(loss, AbstractSquaredLoss):
        y = _check.targets(y_train, x_train.shape[0], "y_train")
        if f0.shape != y.shape:
            raise ValueError(f"initial(x_train) has shape {f0.shape}; expected that of the targets, {y.shape}.")
        vector = jnp.ndim(y_train) == 1
    else:
        if f0.ndim != 2 or f0.shape[0] != x_train.shape[0]:
            raise ValueError(f"initial(x_train) has shape {f0.shape}; expected ({x_train.shape[0]}, outputs).")
        y, vector = loss.targets(y_train, f0.shape), raw.ndim == 1

    state = evaluate(_prepare, method, kernel, x_train, ridge, compute=jnp.float64, result=None)
    return NetworkFlow(kernel, initial, method, Task(optimizer, loss, f0, y), x_train, state, vector=vector)


def _check_strategies(kernel: Any, initial: Any, optimizer: Any, method: Any) -> None:
    _check.instance(kernel, AbstractKernel, "kernel", "NTK(net) or EmpiricalNTK(f, params), which has values anywhere")
    _check.instance(optimizer, AbstractOptimizer, "optimizer", "GradientFlow()")
    _check.instance(method, AbstractFlowMethod, "method", "Spectral()")
    if not callable(initial):
        raise ValueError(
            f"initial is of type {type(initial).__name__}; expected a function from inputs to outputs, such as "
            "lambda x: net.apply(params, x), since it is evaluated on other inputs too."
        )


def _prepare(method: AbstractFlowMethod, kernel: AbstractKernel, x: Array, ridge: Scalar) -> Any:
    return method.init(Dense(as_matrix(kernel.block(x, x))), ridge)


def _outputs(flow: NetworkFlow, t: Array, x: Array) -> Array:
    task = eqx.tree_at(lambda k: k.initial, flow.task, jnp.asarray(flow.task.initial, float))
    weights = flow.method.weights(flow.state, task, t)
    f0 = _columns(flow.initial(x)).astype(task.initial.dtype)
    # A kernel that keeps outputs apart acts on all (example, output) entries as one vector.
    return f0 + jnp.reshape(as_matrix(flow.kernel.block(x, flow.x_train)) @ weights, (*t.shape, *f0.shape))


def _columns(f: Array) -> Array:
    return f[:, None] if f.ndim == 1 else f
