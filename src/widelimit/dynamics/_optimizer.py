"""Gradient descent as a filter on the eigenvalues of the kernel."""

import abc

import equinox as eqx
import jax.numpy as jnp

from .. import _check
from .._typing import Array, Scalar, Tracer


class AbstractOptimizer(eqx.Module):
    r"""How a squared loss is minimised, seen from one eigenmode of the kernel with eigenvalue :math:`\lambda`.

    The residual of the mode shrinks by :math:`\rho_t(\lambda)`; the weight it has gained is the *response*

    .. math:: \phi_t(\lambda) = \frac{1 - \rho_t(\lambda)}{\lambda},

    so that :math:`f_t(x) = f_0(x) + \Theta(x, X)\,\phi_t(\Theta)\,(y - f_0(X))`. For any loss it is the law by which
    the weights :math:`\alpha` of :math:`f = f_0 + \Theta\alpha` move under a push :math:`-\partial L/\partial f`.
    """

    @property
    @abc.abstractmethod
    def discrete(self) -> bool:
        """Whether time is a whole number of steps."""

    @property
    @abc.abstractmethod
    def step_limit(self) -> Scalar:
        r"""The largest stable :math:`\eta s\lambda_{\max}`: 2, and :math:`2(1+m)` with momentum."""

    @abc.abstractmethod
    def response(self, eigenvalues: Array, t: Array) -> Array:
        r"""Return the response at times ``t`` of shape (\*times, 1) and eigenvalues of shape (n,), zero included."""

    @abc.abstractmethod
    def rate(self, eigenvalues: Array) -> Array:
        r"""Return :math:`-\lim_t\log|\rho_t|/t` per mode: zero where nothing is learned, negative where it diverges."""

    @abc.abstractmethod
    def advance(self, weights: Array, velocity: Array, push: Array) -> tuple[Array, Array]:
        r"""Return the derivatives of weights and velocity in continuous time, or their next values in steps."""


class GradientFlow(AbstractOptimizer):
    r"""Continuous time: :math:`\rho_t = e^{-\lambda t}` (Lee et al. 2019, arXiv 1902.06720, eqs. 8-11).

    Times may be zero and infinity. At :math:`t = \infty` modes of eigenvalue zero stay at their initial value.
    """

    @property
    def discrete(self) -> bool:
        """Whether time is a whole number of steps."""
        return False

    @property
    def step_limit(self) -> Scalar:
        """The largest stable step times curvature."""
        return 2.0

    def response(self, eigenvalues: Array, t: Array) -> Array:
        """Return the response at times ``t``."""
        positive = eigenvalues > 0
        safe = jnp.where(positive, eigenvalues, 1)
        finite = jnp.isfinite(t)
        still = jnp.where(finite, jnp.where(finite, t, 0), 0)
        learned = jnp.where(finite, -jnp.expm1(-safe * jnp.where(finite, t, 0)), 1)
        return jnp.where(positive, learned / safe, still)

    def rate(self, eigenvalues: Array) -> Array:
        """Return the eigenvalues themselves."""
        return eigenvalues

    def advance(self, weights: Array, velocity: Array, push: Array) -> tuple[Array, Array]:  # noqa: ARG002
        """Return the push."""
        return push, jnp.zeros_like(velocity)


class GradientDescent(AbstractOptimizer):
    r"""Discrete steps: :math:`\rho_k = (1 - \eta\lambda)^k`; the time is the number of steps :math:`k`.

    Stable for :math:`\eta < 2/\lambda_{\max}`; beyond that the linear model diverges and the outcome is refused
    once it overflows.

    Parameters
    ----------
    learning_rate
        Step size :math:`\eta` under the given loss.
    """

    learning_rate: Scalar

    def __check_init__(self) -> None:
        """Check the step size."""
        _check.nonnegative(self.learning_rate, "learning_rate")

    @property
    def discrete(self) -> bool:
        """Whether time is a whole number of steps."""
        return True

    @property
    def step_limit(self) -> Scalar:
        """The largest stable step times curvature."""
        return 2.0

    def response(self, eigenvalues: Array, t: Array) -> Array:
        """Return the response after ``t`` steps."""
        step = self.learning_rate * eigenvalues
        positive = step > 0
        small = jnp.where(step < 0.5, step, 0)
        finite = jnp.isfinite(t)
        k = jnp.where(finite, t, 0)
        slow = -jnp.expm1(k * jnp.log1p(-small))
        sign = jnp.where((step > 1) & (k % 2 == 1), -1, 1)
        base = jnp.abs(1 - jnp.where(step < 0.5, 0.5, step))
        fast = 1 - sign * base**k
        settled = jnp.where(jnp.abs(1 - step) < 1, 1, jnp.inf)
        learned = jnp.where(finite, jnp.where(step < 0.5, slow, fast), settled)
        still = jnp.where(finite, self.learning_rate * k, 0)
        return jnp.where(positive, learned / jnp.where(positive, eigenvalues, 1), still)

    def rate(self, eigenvalues: Array) -> Array:
        r"""Return :math:`-\log|1 - \eta\lambda|`, infinite where one step is enough."""
        step = self.learning_rate * eigenvalues
        return jnp.where(step < 0.5, -jnp.log1p(-jnp.where(step < 0.5, step, 0)), -jnp.log(jnp.abs(1 - step)))

    def advance(self, weights: Array, velocity: Array, push: Array) -> tuple[Array, Array]:
        """Return the weights after one step."""
        return weights + self.learning_rate * push, velocity


def check_momentum(momentum: Scalar) -> None:
    """Refuse a momentum outside [0, 1); tracers pass."""
    _check.nonnegative(momentum, "momentum")
    if not isinstance(momentum, Tracer) and not float(momentum) < 1:
        raise ValueError(f"momentum is {momentum}; expected a number from zero up to, but not including, one.")
