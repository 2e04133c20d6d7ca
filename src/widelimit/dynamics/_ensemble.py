"""Closed-form training of the ensemble of infinitely wide networks."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import Array, Scalar
from ..arch import DATA, AbstractLayer, Gaussianity
from ..engine import AbstractEngine, Reference
from ..gram import Dense
from ._loss import AbstractSquaredLoss, SumOfSquares
from ._method import AbstractFlowMethod, Spectral
from ._optimizer import AbstractOptimizer, GradientFlow
from ._times import times


class Gaussian(eqx.Module):
    r"""A Gaussian over function values, independent and equal in covariance for every output.

    Attributes
    ----------
    mean
        Shape (\*times, m) or (\*times, m, o).
    covariance
        Shape (\*times, m, m).
    """

    mean: Array
    covariance: Array

    @property
    def std(self) -> Array:
        r"""Standard deviations, (\*times, m) or (\*times, m, 1): they broadcast against ``mean``."""
        variance = self.covariance.diagonal(axis1=-2, axis2=-1)
        std = variance.clip(0) ** 0.5
        return std if self.mean.ndim < self.covariance.ndim else std[..., None]


class EnsembleFlow(eqx.Module):
    """Training of all infinitely wide networks of an architecture at once; see `infinite_ensemble`."""

    net: AbstractLayer
    engine: AbstractEngine
    optimizer: AbstractOptimizer
    method: AbstractFlowMethod
    x_train: Array
    y_train: Array
    nngp: Array
    state: Any
    scale: float = eqx.field(static=True)
    vector: bool = eqx.field(static=True)

    def at(self, t: Any, x: Any = None) -> Gaussian:
        r"""Return the distribution of outputs at time ``t`` on inputs ``x`` (the training inputs if None).

        Parameters
        ----------
        t
            A time, or an array of times: zero, positive or infinite; numbers of steps for `GradientDescent`.
        x
            Shape (m, \*input_shape).

        Returns
        -------
        Gaussian
            Mean (\*t.shape, m, o), or (\*t.shape, m) if the targets were a vector, and covariance
            (\*t.shape, m, m).

        Raises
        ------
        ValueError
            If ``t`` is not a time of the optimizer, or the step size is so large that the outputs overflow.
        """
        t = times(t, self.optimizer)
        x = self.x_train if x is None else _check.inputs(x, "x")
        _check.same_features(x, self.x_train, ("x", "x_train"))
        dtype = result_dtype(x, self.x_train, self.y_train)
        mean, covariance = evaluate(_moments, self, t, x, compute=jnp.float64, result=dtype)
        for out, name in ((mean, "the mean"), (covariance, "the covariance")):
            _check.overflow(out, name)
        return Gaussian(mean[..., 0] if self.vector else mean, covariance)

    @property
    def max_learning_rate(self) -> Array:
        r"""The largest stable step size, :math:`2/(s\,\lambda_{\max})`."""
        return 2 / (self.scale * self.method.largest(self.state))


def infinite_ensemble(
    net: AbstractLayer,
    x_train: Any,
    y_train: Any,
    *,
    optimizer: AbstractOptimizer = GradientFlow(),
    loss: AbstractSquaredLoss = SumOfSquares(),
    ridge: Scalar = 0.0,
    method: AbstractFlowMethod = Spectral(),
    engine: AbstractEngine = Reference(),
) -> EnsembleFlow:
    r"""Return the training of the ensemble of infinitely wide networks in closed form.

    With :math:`A_t = \Theta(x, X)\,s\,\phi_t(s\Theta)` and :math:`\phi_t(\lambda) = (1 - e^{-\lambda t})/\lambda`,
    outputs at time :math:`t` are Gaussian over random initialisations,

    .. math::
        \mu_t(x) &= A_t\,y \\
        \Sigma_t(x, x') &= K(x, x') + A_t\,K(X, X)\,A_t'^\top - \big(A_t\,K(X, x') + K(x, X)\,A_t'^\top\big)

    (Lee et al. 2019, arXiv 1902.06720, eqs. 14-16), with NNGP :math:`K` and NTK :math:`\Theta`.

    Parameters
    ----------
    net
        The architecture; its last layer has to be a Dense layer for outputs to be Gaussian.
    x_train, y_train
        Inputs (n, \*input_shape) and targets (n,) or (n, o).
    optimizer
        `GradientFlow()` or `GradientDescent(learning_rate)`, then with :math:`\phi_k(\lambda) =
        (1 - (1-\eta\lambda)^k)/\lambda` and ``t`` the number of steps.
    loss
        Fixes :math:`s`: 1 for `SumOfSquares`, 1/(no) for `MeanSquares`.
    ridge
        :math:`r \ge 0`, for training on the loss plus :math:`\tfrac{s r}2\|\theta-\theta_0\|^2`.
    method
        How functions of the kernel are applied.
    engine
        How the kernels are evaluated.

    Returns
    -------
    EnsembleFlow
        Ask it with ``at(t, x)``. Evaluated in float64 whatever the JAX configuration.

    Raises
    ------
    ValueError
        If the architecture has no limit, shapes do not match or data are not finite.
    """
    _check_readout(net)
    x_train = _check.inputs(x_train, "x_train")
    y = _check.targets(y_train, x_train.shape[0], "y_train")
    _check.nonnegative(ridge, "ridge")
    net.out_shape(tuple(x_train.shape[1:]))

    nngp, state = evaluate(_prepare, method, engine, net, x_train, ridge, compute=jnp.float64, result=None)
    return EnsembleFlow(
        net,
        engine,
        optimizer,
        method,
        x_train,
        y,
        nngp,
        state,
        scale=loss.scale(y.size),
        vector=jnp.ndim(y_train) == 1,
    )


def _prepare(
    method: AbstractFlowMethod, engine: AbstractEngine, net: AbstractLayer, x: Array, ridge: Scalar
) -> tuple[Array, Any]:
    block = engine.block(net, x, x)
    return block.nngp, method.init(Dense(block.ntk), ridge)


def _moments(flow: EnsembleFlow, t: Array, x: Array) -> tuple[Array, Array]:
    cross = flow.engine.block(flow.net, x, flow.x_train)
    own = flow.engine.block(flow.net, x, x).nngp
    # The transpose of A_t, (*times, n, m): one column per input asked for.
    a = flow.method.apply(flow.state, flow.optimizer, flow.scale, t, cross.ntk.T)
    return _combine(a, cross.nngp, own, flow.nngp, flow.y_train)


@jax.jit
def _combine(a: Array, cross: Array, own: Array, nngp: Array, y: Array) -> tuple[Array, Array]:
    at, mixed = jnp.swapaxes(a, -1, -2), cross @ a
    covariance = own + at @ (nngp @ a) - mixed - jnp.swapaxes(mixed, -1, -2)
    return at @ y, (covariance + jnp.swapaxes(covariance, -1, -2)) / 2


def _check_readout(net: AbstractLayer) -> None:
    if net.transmit(DATA).gaussianity is not Gaussianity.GAUSSIAN:
        raise ValueError(
            "the outputs of the network are not Gaussian in the limit; expected a network that ends in a Dense "
            "layer, as serial(..., Dense(1)) does."
        )
