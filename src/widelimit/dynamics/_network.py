"""Closed-form training of one network whose kernel stays as it is."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import Array, Callable, Scalar
from ..gram import Dense
from ..kernels import AbstractKernel
from ._loss import AbstractSquaredLoss, SumOfSquares
from ._method import AbstractFlowMethod, Spectral
from ._optimizer import AbstractOptimizer, GradientFlow
from ._times import times


class NetworkFlow(eqx.Module):
    r"""Training of one network in function space with a constant kernel; see `network_flow`."""

    kernel: AbstractKernel
    initial: Callable[[Array], Array]
    optimizer: AbstractOptimizer
    method: AbstractFlowMethod
    x_train: Array
    residual: Array
    state: Any
    scale: float = eqx.field(static=True)
    vector: bool = eqx.field(static=True)

    def at(self, t: Any, x: Any = None) -> Array:
        r"""Return the outputs at time ``t`` on inputs ``x`` (the training inputs if None).

        Parameters
        ----------
        t
            A time, or an array of times: zero, positive or infinite; numbers of steps for `GradientDescent`.
        x
            Shape (m, \*input_shape).

        Returns
        -------
        Array
            Shape (\*t.shape, m, o), or (\*t.shape, m) if the targets were a vector.

        Raises
        ------
        ValueError
            If ``t`` is not a time of the optimizer, or the step size is so large that the outputs overflow.
        """
        t = times(t, self.optimizer)
        x = self.x_train if x is None else _check.inputs(x, "x")
        _check.same_features(x, self.x_train, ("x", "x_train"))
        dtype = result_dtype(x, self.x_train, self.residual)
        out = evaluate(_outputs, self, t, x, compute=jnp.float64, result=dtype)
        return _check.overflow(out[..., 0] if self.vector else out, "the outputs")

    @property
    def max_learning_rate(self) -> Array:
        r"""The largest stable step size, :math:`2/(s\,\lambda_{\max})`."""
        return 2 / (self.scale * self.method.largest(self.state))


def network_flow(
    kernel: AbstractKernel,
    x_train: Any,
    y_train: Any,
    initial: Callable[[Array], Array],
    *,
    optimizer: AbstractOptimizer = GradientFlow(),
    loss: AbstractSquaredLoss = SumOfSquares(),
    ridge: Scalar = 0.0,
    method: AbstractFlowMethod = Spectral(),
) -> NetworkFlow:
    r"""Return the training of one network in closed form, with the kernel held constant.

    .. math:: f_t(x) = f_0(x) + \Theta(x, X)\,s\,\phi_t(s\Theta)\,(y - f_0(X)),\qquad
              \phi_t(\lambda) = \frac{1 - e^{-\lambda t}}{\lambda}

    for gradient flow (Lee et al. 2019, arXiv 1902.06720, eqs. 9-11), and
    :math:`\phi_k(\lambda) = (1 - (1-\eta\lambda)^k)/\lambda` for `GradientDescent`. With the empirical kernel at
    initialisation this is exactly the linearised network; with the infinite kernel, the wide one from that
    initialisation.

    Parameters
    ----------
    kernel
        :math:`\Theta`. For several outputs give `EmpiricalNTK` with ``outputs=Full()``; a kernel of shape (n1, n2)
        acts on each output alike.
    x_train, y_train
        Inputs (n, \*input_shape) and targets (n,) or (n, o).
    initial
        :math:`f_0`, from a batch of inputs to outputs (m,) or (m, o).
    optimizer
        `GradientFlow()` or `GradientDescent(learning_rate)`.
    loss
        Fixes :math:`s`: 1 for `SumOfSquares`, 1/(no) for `MeanSquares`.
    ridge
        :math:`r \ge 0`, for training on the loss plus :math:`\tfrac{s r}2\|\theta-\theta_0\|^2`: replaces
        :math:`\Theta(X, X)` by :math:`\Theta(X, X) + rI`.
    method
        How functions of the kernel are applied.

    Returns
    -------
    NetworkFlow
        Ask it with ``at(t, x)``. Evaluated in float64 whatever the JAX configuration.

    Raises
    ------
    ValueError
        If shapes do not match or data are not finite.
    """
    x_train = _check.inputs(x_train, "x_train")
    y = _check.targets(y_train, x_train.shape[0], "y_train")
    _check.nonnegative(ridge, "ridge")
    f0 = _columns(initial(x_train))
    if f0.shape != y.shape:
        raise ValueError(f"initial(x_train) has shape {f0.shape}; expected that of the targets, {y.shape}.")

    state = evaluate(_prepare, method, kernel, x_train, ridge, compute=jnp.float64, result=None)
    residual = evaluate(lambda a, b: a - b, y, f0, compute=jnp.float64, result=None)
    vector = jnp.ndim(y_train) == 1
    return NetworkFlow(
        kernel, initial, optimizer, method, x_train, residual, state, scale=loss.scale(y.size), vector=vector
    )


def _prepare(method: AbstractFlowMethod, kernel: AbstractKernel, x: Array, ridge: Scalar) -> Any:
    return method.init(Dense(_matrix(kernel.block(x, x))), ridge)


def _outputs(flow: NetworkFlow, t: Array, x: Array) -> Array:
    block = flow.kernel.block(x, flow.x_train)
    # A kernel that keeps outputs apart acts on all (example, output) entries as one vector.
    residual = flow.residual if block.ndim == 2 else jnp.reshape(flow.residual, (-1, 1))
    weights = flow.method.apply(flow.state, flow.optimizer, flow.scale, t, residual)
    f0 = _columns(flow.initial(x)).astype(flow.residual.dtype)
    return f0 + jnp.reshape(_matrix(block) @ weights, (*t.shape, *f0.shape))


def _matrix(block: Array) -> Array:
    """Return a kernel block as a matrix over (example, output) entries."""
    if block.ndim == 2:
        return block
    n1, n2, o, _ = block.shape
    return jnp.reshape(jnp.swapaxes(block, 1, 2), (n1 * o, n2 * o))


def _columns(f: Array) -> Array:
    return f[:, None] if f.ndim == 1 else f
