r"""Gradient descent with momentum, exact in every eigenmode.

In one mode of eigenvalue :math:`\lambda` the weight :math:`\alpha` (the response) and its velocity :math:`p` move by
an affine map of the plane, in steps

.. math:: p_{k+1} = m\,p_k + \eta(1 - \lambda\alpha_k),\qquad \alpha_{k+1} = \alpha_k + p_{k+1},

or as an ODE. Any power of that map comes from repeated squaring. Maps are kept as their *distance from the identity*,
:math:`z \mapsto z + Dz + c`, and composed by :math:`D_1 + D_2 + D_2D_1`: tiny steps then lose no digits, and roots
that are complex, repeated or zero need no case of their own.
"""

import jax
import jax.numpy as jnp

from .. import _check
from .._typing import Array, Scalar
from ._optimizer import AbstractOptimizer, check_momentum

DOUBLINGS = 62


class Momentum(AbstractOptimizer):
    r"""Discrete steps with heavy-ball momentum (Polyak 1964); the time is the number of steps.

    .. math:: v_{k+1} = m\,v_k - \eta\nabla L(\theta_k),\qquad \theta_{k+1} = \theta_k + v_{k+1},\qquad v_0 = 0

    The residual of a mode obeys :math:`\rho_{k+1} = (1 + m - \eta\lambda)\rho_k - m\,\rho_{k-1}`. Stable for
    :math:`\eta < 2(1+m)/\lambda_{\max}`; ``Momentum(learning_rate, 0.0)`` is `GradientDescent`.

    Parameters
    ----------
    learning_rate
        Step size :math:`\eta` under the given loss.
    momentum
        :math:`0 \le m < 1`.
    """

    learning_rate: Scalar
    momentum: Scalar = 0.9

    def __check_init__(self) -> None:
        """Check step size and momentum."""
        _check_both(self.learning_rate, self.momentum)

    @property
    def discrete(self) -> bool:
        """Whether time is a whole number of steps."""
        return True

    @property
    def step_limit(self) -> Scalar:
        """The largest stable step times curvature."""
        return 2 * (1 + self.momentum)

    def response(self, eigenvalues: Array, t: Array) -> Array:
        """Return the response after ``t`` steps."""
        h, m = self.learning_rate * eigenvalues, jnp.asarray(self.momentum, eigenvalues.dtype)
        finite = jnp.isfinite(t)
        k = jnp.where(finite, t, 0)
        one, mass = jnp.ones_like(h), jnp.broadcast_to(m, h.shape)
        base = jnp.stack([jnp.stack([-h, mass]), jnp.stack([-h, mass - 1])]), jnp.stack([one, one])
        learned = self.learning_rate * _power(base, k)
        return _with_limit(learned, finite, eigenvalues, stable=h < self.step_limit)

    def rate(self, eigenvalues: Array) -> Array:
        r"""Return :math:`-\log\max|z|` over the roots of :math:`z^2 - (1+m-\eta\lambda)z + m = 0`."""
        h, m = self.learning_rate * eigenvalues, self.momentum
        middle = (1 + m - h) / 2
        discriminant = middle**2 - m
        root = jnp.sqrt(jnp.where(discriminant > 0, discriminant, 0))
        # The larger positive root is 1 - u with u from the quadratic in 1 - z, without cancellation.
        below_one = 2 * h / (1 - m + h + 2 * root)
        positive = -jnp.log1p(-jnp.where(middle > 0, below_one, 0))
        negative = -jnp.log(jnp.where(middle > 0, 1, -middle + root))
        complex_pair = -jnp.log(jnp.where(discriminant < 0, jnp.asarray(m, h.dtype), 1)) / 2
        return jnp.where(discriminant < 0, complex_pair, jnp.where(middle > 0, positive, negative))

    def advance(self, weights: Array, velocity: Array, push: Array) -> tuple[Array, Array]:
        """Return weights and velocity after one step."""
        velocity = self.momentum * velocity + self.learning_rate * push
        return weights + velocity, velocity


class MomentumFlow(AbstractOptimizer):
    r"""The ODE of momentum, with the number of steps as its time, which need not be whole.

    .. math:: \ddot\theta = -(1-m)\,\dot\theta - \eta\nabla L,\qquad \dot\theta_0 = 0

    In the unit :math:`\tau = \sqrt\eta\,t` it reads :math:`f'' = \frac{m-1}{\sqrt\eta}f' - \Theta\nabla L`,
    as in neural-tangents. It follows `Momentum` while :math:`\eta\lambda \ll 1` and :math:`1 - m \ll 1`.

    Parameters
    ----------
    learning_rate
        Step size :math:`\eta` under the given loss.
    momentum
        :math:`0 \le m < 1`.
    """

    learning_rate: Scalar
    momentum: Scalar = 0.9

    def __check_init__(self) -> None:
        """Check step size and momentum."""
        _check_both(self.learning_rate, self.momentum)

    @property
    def discrete(self) -> bool:
        """Whether time is a whole number of steps."""
        return False

    @property
    def step_limit(self) -> Scalar:
        """The largest stable step times curvature, for the steps that the ODE stands for."""
        return 2 * (1 + self.momentum)

    def response(self, eigenvalues: Array, t: Array) -> Array:
        """Return the response at times ``t``."""
        h, friction = self.learning_rate * eigenvalues, 1 - self.momentum
        finite = jnp.isfinite(t)
        dt = jnp.where(finite, t, 0) / 2.0**DOUBLINGS
        zero, one = jnp.zeros_like(h), jnp.ones_like(h)
        generator = jnp.stack([jnp.stack([zero, one]), jnp.stack([-h, -friction * one])])[:, :, None]
        generator = jnp.reshape(generator, (2, 2, *[1] * (t.ndim - 1), h.size)) * dt
        # Third order in a time step of 2**-62 of the whole is exact to rounding.
        identity = jnp.reshape(jnp.eye(2, dtype=h.dtype), (2, 2, *[1] * t.ndim))
        series = identity + _product(generator, identity + generator / 3) / 2
        start = _product(generator, series), dt * series[:, 1]
        _, c = jax.lax.fori_loop(0, DOUBLINGS, lambda _, d: _compose(d, d), start)
        return _with_limit(self.learning_rate * c[0], finite, eigenvalues, stable=h < jnp.inf)

    def rate(self, eigenvalues: Array) -> Array:
        r"""Return :math:`-\max\mathrm{Re}\,z` over the roots of :math:`z^2 + (1-m)z + \eta\lambda = 0`."""
        h, friction = self.learning_rate * eigenvalues, 1 - self.momentum
        discriminant = friction**2 - 4 * h
        root = jnp.sqrt(jnp.where(discriminant > 0, discriminant, 0))
        return jnp.where(discriminant < 0, friction / 2, 2 * h / (friction + root))

    def advance(self, weights: Array, velocity: Array, push: Array) -> tuple[Array, Array]:  # noqa: ARG002
        """Return the derivatives of weights and velocity."""
        return velocity, (self.momentum - 1) * velocity + self.learning_rate * push


def _check_both(learning_rate: Scalar, momentum: Scalar) -> None:
    _check.nonnegative(learning_rate, "learning_rate")
    check_momentum(momentum)


def _with_limit(learned: Array, finite: Array, eigenvalues: Array, stable: Array) -> Array:
    """Return ``learned``, or its limit where the time is infinite: modes of eigenvalue zero stay where they are."""
    positive = eigenvalues > 0
    settled = jnp.where(stable, 1 / jnp.where(positive, eigenvalues, 1), jnp.inf)
    return jnp.where(finite, learned, jnp.where(positive, settled, 0))


def _power(base: tuple[Array, Array], k: Array) -> Array:
    r"""Return the first component of the map's k-th power at zero, for k (\*times, 1) and maps (2, 2, n), (2, n)."""
    most = jnp.max(k)
    shape = jnp.broadcast_shapes(k.shape, base[1].shape[1:])
    result = jnp.zeros((2, *shape), base[1].dtype)

    def double(i: Array, carry: tuple) -> tuple:
        base, result = carry
        size = 2.0 ** jnp.asarray(i, k.dtype)
        d, c = (jnp.reshape(a, (*a.shape[:-1], *[1] * (k.ndim - 1), a.shape[-1])) for a in base)
        further = result + c + _product(d, result)
        result = jnp.where(jnp.floor(k / size) % 2 == 1, further, result)
        # Powers that nobody asks for are not formed: they might overflow.
        needed = 2 * size <= most
        base = jnp.where(needed, base[0], 0), jnp.where(needed, base[1], 0)
        return _compose(base, base), result

    return jax.lax.fori_loop(0, DOUBLINGS, double, (base, result))[1][0]


def _compose(second: tuple[Array, Array], first: tuple[Array, Array]) -> tuple[Array, Array]:
    (d2, c2), (d1, c1) = second, first
    return d1 + d2 + _product(d2, d1), c1 + c2 + _product(d2, c1)


def _product(a: Array, b: Array) -> Array:
    return jnp.stack([a[i, 0] * b[0] + a[i, 1] * b[1] for i in range(2)])
