r"""Chizat's criterion of lazy training, and the output scale that moves it.

.. math:: \kappa = \|f_0 - y\|\,\frac{\|D^2 f\|}{\|Df\|^2}

at the initial parameters, with norms of functions over the training entries: the relative change of :math:`Df` during
the fall of the loss is of this size, so :math:`\kappa \ll 1` is lazy (Chizat, Oyallon & Bach 2019, arXiv 1812.07956).
:math:`\|Df\|^2 = \lambda_{\max}(\Theta_0)`. The operator norm of :math:`D^2f`, the largest :math:`\|D^2f[u, u]\|` over
unit vectors, is bounded from below twice: along the direction of the first gradient step, and by ascent from there,
:math:`u \leftarrow u + v/\|v\|` normalised, with :math:`v = \nabla_u\|D^2f[u,u]\|^2`. Parameters are measured in units
of the root of their learning rates, as in the kernel.
"""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import ApplyFn, Array, Params, PyTree, Scalar
from ._kernels import norm, scaled
from ._run import Model, columns, floating, spread


@dataclasses.dataclass(frozen=True)
class Laziness:
    r"""Chizat's :math:`\kappa` and what it is made of.

    Attributes
    ----------
    kappa
        With the larger bound of :math:`\|D^2f\|`; a lower bound of Chizat's number.
    kappa_gradient
        With :math:`\|D^2f[g,g]\|` along the direction g of the first gradient step.
    residual
        :math:`\|f_0 - y\|` over the training entries.
    jacobian
        :math:`\|Df\| = \lambda_{\max}(\Theta_0)^{1/2}`.
    hessian, hessian_gradient
        The two bounds of :math:`\|D^2f\|`.
    initial, overlap, target
        :math:`\|f_0\|^2`, :math:`\langle f_0, y\rangle` and :math:`\|y\|^2`, from which :math:`\kappa` follows at any
        output scale.
    """

    kappa: float
    kappa_gradient: float
    residual: float
    jacobian: float
    hessian: float
    hessian_gradient: float
    initial: float
    overlap: float
    target: float

    def at_scale(self, alpha: float, *, centred: bool = False) -> float:
        r"""Return :math:`\kappa` of the model :math:`\alpha f`, or of :math:`\alpha(f - f_0)` if ``centred``.

        .. math:: \kappa_\alpha = \frac{\|\alpha f_0 - y\|}{\alpha}\,\frac{\|D^2f\|}{\|Df\|^2}

        Centred, it falls as :math:`1/\alpha`; otherwise it tends to that of fitting zero.
        """
        if not alpha > 0:
            raise ValueError(f"alpha is {alpha}; expected a positive number.")
        initial, overlap = (0.0, 0.0) if centred else (self.initial, self.overlap)
        residual = np.sqrt(max(alpha**2 * initial - 2 * alpha * overlap + self.target, 0.0))
        return float(residual / alpha * self.hessian / self.jacobian**2)


class Scaled(eqx.Module):
    r"""The model :math:`\alpha(f(\theta, x) - f(\theta_0, x))`, or :math:`\alpha f(\theta, x)`; see `scale_output`."""

    f: ApplyFn
    alpha: Array
    params0: Params

    def __call__(self, params: Params, x: PyTree) -> Array:
        """Return the outputs of a batch."""
        out = self.f(params, x)
        return self.alpha * (out if self.params0 is None else out - self.f(self.params0, x))


def scale_output(f: ApplyFn, alpha: Scalar, params0: Params = None) -> Scaled:
    r"""Return the model with its output scaled, :math:`\alpha f`, or centred as well, :math:`\alpha(f - f_0)`.

    Trained with step :math:`\eta/\alpha^2` it takes the same time to fit and grows lazier with :math:`\alpha`
    (Chizat et al. 2019, arXiv 1812.07956).

    Parameters
    ----------
    f
        ``f(params, batch)``.
    alpha
        The scale, positive.
    params0
        Initial parameters :math:`\theta_0`, to subtract :math:`f(\theta_0, x)`; None to leave it.

    Raises
    ------
    ValueError
        If ``alpha`` is not positive.
    """
    if not float(alpha) > 0:
        raise ValueError(f"alpha is {alpha}; expected a positive number.")
    leaves = jax.tree.leaves(floating(params0))
    dtype = jnp.result_type(*leaves) if leaves else jnp.result_type(float)
    return Scaled(f, jnp.asarray(alpha, dtype), params0)


def laziness(model: Model, jacobian: float, iterations: int = 12) -> Laziness:
    """Return Chizat's number of a model at its initial parameters.

    Parameters
    ----------
    model
        Model and data.
    jacobian
        The operator norm of the derivative, the root of the kernel's largest eigenvalue.
    iterations
        Of the ascent.
    """
    moving = eqx.filter(model.params, eqx.is_inexact_array)
    rates = jax.tree.map(lambda r, p: jnp.sqrt(jnp.asarray(r, p.dtype)), spread(model.learning_rates, moving), moving)
    f0, gradient, largest = (np.asarray(a, np.float64) for a in _second(model, rates, jnp.asarray(iterations)))
    y = np.asarray(model.y, np.float64)
    residual, largest = float(np.linalg.norm(f0 - y)), max(float(largest), float(gradient))

    def kappa(hessian: float) -> float:
        return residual * hessian / jacobian**2 if jacobian > 0 else float("inf")

    return Laziness(
        kappa(largest),
        kappa(float(gradient)),
        residual,
        jacobian,
        largest,
        float(gradient),
        float(np.sum(f0**2)),
        float(np.sum(f0 * y)),
        float(np.sum(y**2)),
    )


@eqx.filter_jit
def _second(model: Model, rates: PyTree, iterations: Array) -> tuple[Array, Array, Array]:
    moving, still = eqx.partition(model.params, eqx.is_inexact_array)

    def out(shift: Params) -> Array:
        shifted = jax.tree.map(lambda p, r, d: p + r * d, moving, rates, shift)
        return columns(model.f(eqx.combine(shifted, still), model.x))

    zero = jax.tree.map(jnp.zeros_like, moving)

    def second(u: Params) -> Array:
        def first(s: Params) -> Array:
            return jax.jvp(out, (s,), (u,))[1]

        return jax.jvp(first, (zero,), (u,))[1]

    def unit(u: Params) -> Params:
        return scaled(u, 1 / jnp.maximum(norm(u), 1e-30))

    def ascend(_: Array, carry: tuple[Params, Array]) -> tuple[Params, Array]:
        u, best = carry
        value, slope = jax.value_and_grad(lambda u: jnp.sum(second(u) ** 2))(u)
        # Half the step of the power method, which would swap between two points; <slope, u> is never negative.
        new = unit(jax.tree.map(lambda a, b: a + b, unit(slope), u))
        return new, jnp.maximum(best, jnp.sqrt(value))

    f0, pull = jax.vjp(out, zero)
    start = unit(pull((f0 - model.y).astype(f0.dtype))[0])
    gradient = jnp.sqrt(jnp.sum(second(start) ** 2))
    _, largest = jax.lax.fori_loop(0, iterations, ascend, (start, gradient))
    return f0, gradient, largest
