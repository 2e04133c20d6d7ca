"""Closed-form training of the ensemble of infinitely wide networks."""

from __future__ import annotations

import abc
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import Array, Scalar
from ..arch import AbstractLayer, Gaussianity, check_kernel_limit, check_start, input_signal
from ..engine import AbstractEngine, Auto, Block
from ..gp import Gaussian
from ..gram import Dense
from ._loss import AbstractSquaredLoss, SumOfSquares
from ._method import AbstractFlowMethod, Spectral
from ._optimizer import AbstractOptimizer, GradientFlow
from ._rates import largest_step
from ._times import times


class AbstractTrained(eqx.Module):
    """Which layers learn, seen from the kernels: the one that governs training."""

    @abc.abstractmethod
    def kernel(self, block: Block) -> Array:
        """Return the kernel of training."""

    @abc.abstractmethod
    def check(self, net: AbstractLayer) -> None:
        """Refuse a network whose training, so seen, has no kernel limit in its parameterization."""


class AllLayers(AbstractTrained):
    """Every parameter learns: the NTK."""

    def kernel(self, block: Block) -> Array:
        """Return the NTK."""
        return block.ntk

    def check(self, net: AbstractLayer) -> None:
        """Refuse a parameterization that is unstable, or whose limit learns features or does not move."""
        check_kernel_limit(net)


class LastLayer(AbstractTrained):
    """The readout alone learns: the NNGP kernel, for a readout in the NTK parameterization."""

    def kernel(self, block: Block) -> Array:
        """Return the NNGP kernel."""
        return block.nngp

    def check(self, net: AbstractLayer) -> None:
        """Refuse a parameterization whose initial outputs blow up."""
        check_start(net)


class EnsembleFlow(eqx.Module):
    """Training of all infinitely wide networks of an architecture at once; see `infinite_ensemble`."""

    net: AbstractLayer
    engine: AbstractEngine
    optimizer: AbstractOptimizer
    method: AbstractFlowMethod
    trained: AbstractTrained
    x_train: Array
    y_train: Array
    nngp: Array
    noise: Scalar
    state: Any
    scale: float = eqx.field(static=True)
    vector: bool = eqx.field(static=True)

    def at(self, t: Any = math.inf, x: Any = None) -> Gaussian:
        r"""Return the distribution of outputs at time ``t`` on inputs ``x`` (the training inputs if None).

        Parameters
        ----------
        t
            A time, or an array of times: zero, positive or infinite (default); numbers of steps for
            `GradientDescent` and `Momentum`.
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
        r"""The largest stable step size, :math:`2/(s\,\lambda_{\max})`; with momentum 1 + m times that."""
        return largest_step(self.method, self.state, self.optimizer, self.scale)


def infinite_ensemble(
    net: AbstractLayer,
    x_train: Any,
    y_train: Any,
    *,
    optimizer: AbstractOptimizer = GradientFlow(),
    loss: AbstractSquaredLoss = SumOfSquares(),
    ridge: Scalar = 0.0,
    trained: AbstractTrained = AllLayers(),
    noise: Scalar = 0.0,
    method: AbstractFlowMethod = Spectral(),
    engine: AbstractEngine = Auto(),
) -> EnsembleFlow:
    r"""Return the training of the ensemble of infinitely wide networks in closed form.

    With :math:`A_t = \Theta(x, X)\,s\,\phi_t(s\Theta)` and :math:`\phi_t(\lambda) = (1 - e^{-\lambda t})/\lambda`,
    outputs at time :math:`t` are Gaussian over random initialisations,

    .. math::
        \mu_t(x) &= A_t\,y \\
        \Sigma_t(x, x') &= K(x, x') + A_t\,(K(X, X) + \sigma^2 I)\,A_t'^\top
                           - \big(A_t\,K(X, x') + K(x, X)\,A_t'^\top\big)

    (Lee et al. 2019, arXiv 1902.06720, eqs. 14-16), with NNGP :math:`K` and NTK :math:`\Theta`.

    Parameters
    ----------
    net
        The architecture; its last layer has to be a Dense layer for outputs to be Gaussian.
    x_train, y_train
        Inputs (n, \*input_shape) and targets (n,) or (n, o).
    optimizer
        `GradientFlow()`, `MomentumFlow`, `GradientDescent` or `Momentum`; the last two have steps as their time.
    loss
        Fixes :math:`s`: 1 for `SumOfSquares`, 1/(no) for `MeanSquares`.
    ridge
        :math:`r \ge 0`, for training on the loss plus :math:`\tfrac{s r}2\|\theta-\theta_0\|^2`: replaces
        :math:`\Theta(X, X)` by :math:`\Theta(X, X) + rI`.
    trained
        `AllLayers()`, or `LastLayer()`, for which :math:`\Theta = K`.
    noise
        Variance :math:`\sigma^2 \ge 0` of noise that every network's targets are given, independent between networks.
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
        If the architecture has no kernel limit in its parameterization (as in mean field and µP), shapes do not match,
        data are not finite, or the loss is not squared.
    """
    _check_readout(net)
    if not isinstance(loss, AbstractSquaredLoss):
        raise ValueError(
            f"loss is {type(loss).__name__}, under which outputs do not stay Gaussian; expected SumOfSquares() or "
            "MeanSquares(), or network_flow for one network at a time."
        )
    _check.instance(optimizer, AbstractOptimizer, "optimizer", "GradientFlow()")
    _check.instance(method, AbstractFlowMethod, "method", "Spectral()")
    trained.check(net)
    method.check(optimizer, loss)
    x_train = _check.inputs(x_train, "x_train")
    y = _check.targets(y_train, x_train.shape[0], "y_train")
    _check.nonnegative(ridge, "ridge")
    _check.nonnegative(noise, "noise")
    net.out_shape(tuple(x_train.shape[1:]))

    nngp, state = evaluate(_prepare, method, engine, net, trained, x_train, ridge, compute=jnp.float64, result=None)
    return EnsembleFlow(
        net,
        engine,
        optimizer,
        method,
        trained,
        x_train,
        y,
        nngp,
        noise,
        state,
        scale=loss.scale(y.size),
        vector=jnp.ndim(y_train) == 1,
    )


def nngp_posterior(
    net: AbstractLayer,
    x_train: Any,
    y_train: Any,
    *,
    noise: Scalar = 0.0,
    method: AbstractFlowMethod = Spectral(),
    engine: AbstractEngine = Auto(),
) -> EnsembleFlow:
    r"""Return the Bayesian posterior of the infinitely wide network, and its training towards it.

    .. math::
        \mu(x) &= K(x, X)\,(K + \sigma^2 I)^{-1}\,y \\
        \Sigma(x, x') &= K(x, x') - K(x, X)\,(K + \sigma^2 I)^{-1}\,K(X, x')

    at :math:`t = \infty`, the default of ``at`` (Lee et al. 2018, arXiv 1711.00165). At finite times it is the ensemble
    of networks whose last layer alone is trained, each on targets with its own noise and with ridge
    :math:`\sigma^2` towards its initialisation (Matthews et al. 2017, "Sample-then-optimize posterior sampling"):
    with a factor :math:`I - e^{-(K+\sigma^2I)t}` after the inverse in the mean, and :math:`I - e^{-2(K+\sigma^2I)t}` in
    the covariance.

    Parameters
    ----------
    net, x_train, y_train, method, engine
        As in `infinite_ensemble`.
    noise
        Variance :math:`\sigma^2 \ge 0` of the noise on targets.

    Returns
    -------
    EnsembleFlow
        Ask it with ``at(x=x)``. The distribution is that of the function, without observation noise.
    """
    return infinite_ensemble(
        net, x_train, y_train, ridge=noise, noise=noise, trained=LastLayer(), method=method, engine=engine
    )


def _prepare(
    method: AbstractFlowMethod,
    engine: AbstractEngine,
    net: AbstractLayer,
    trained: AbstractTrained,
    x: Array,
    ridge: Scalar,
) -> tuple[Array, Any]:
    block = engine.block(net, x, x)
    return block.nngp, method.init(Dense(trained.kernel(block)), ridge)


def _moments(flow: EnsembleFlow, t: Array, x: Array) -> tuple[Array, Array]:
    cross = flow.engine.block(flow.net, x, flow.x_train)
    own = flow.engine.block(flow.net, x, x).nngp
    # The transpose of A_t, (*times, n, m): one column per input asked for.
    a = flow.method.apply(flow.state, flow.optimizer, flow.scale, t, flow.trained.kernel(cross).T)
    return ensemble_moments(a, cross.nngp, own, flow.nngp, flow.noise, flow.y_train)


@jax.jit
def ensemble_moments(a: Array, cross: Array, own: Array, nngp: Array, noise: Scalar, y: Array) -> tuple[Array, Array]:
    r"""Return mean and covariance of outputs that are a linear function of the training residual.

    .. math::
        \mu &= A\,y \\
        \Sigma &= K_{**} + A\,(K + \sigma^2 I)\,A^\top - (A\,K_*^\top + K_*\,A^\top)

    Parameters
    ----------
    a
        :math:`A^\top`, (\*times, n, m): a column for each output asked for.
    cross, own, nngp
        NNGP kernels :math:`K_*` (m, n), :math:`K_{**}` (m, m) and :math:`K` (n, n).
    noise
        Variance :math:`\sigma^2` of the targets.
    y
        Targets (n, o).

    Returns
    -------
    tuple
        Mean (\*times, m, o) and covariance (\*times, m, m).
    """
    at, mixed = jnp.swapaxes(a, -1, -2), cross @ a
    covariance = own + at @ (nngp @ a + noise * a) - mixed - jnp.swapaxes(mixed, -1, -2)
    return at @ y, (covariance + jnp.swapaxes(covariance, -1, -2)) / 2


def _check_readout(net: AbstractLayer) -> None:
    if net.transmit(input_signal(net)).gaussianity is not Gaussianity.GAUSSIAN:
        raise ValueError(
            "the outputs of the network are not Gaussian in the limit; expected a network that ends in a Dense "
            "layer, as serial(..., Dense(1)) does."
        )
