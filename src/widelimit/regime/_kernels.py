r"""The kernel of a model along its training run.

.. math:: \Theta_t(x, x') = \sum_\theta\eta_\theta\,\partial_\theta f(x;\theta_t)\,\partial_\theta f(x';\theta_t)^\top

on (example, output) entries, in float64. Drift, direction and alignment are

.. math:: \frac{\|\Theta_t-\Theta_0\|_F}{\|\Theta_0\|_F},\qquad
          1 - \frac{\langle\Theta_t,\Theta_0\rangle}{\|\Theta_t\|\|\Theta_0\|},\qquad
          \frac{\langle K_t, yy^\top\rangle}{\|K_t\|\,\|yy^\top\|}

with :math:`K_t` the mean over outputs of the diagonal blocks (Cristianini et al. 2001; Cortes et al. 2012, arXiv
1203.0550 for the centred one; Fort et al. 2020, arXiv 2010.15110 for the kernel's motion).
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._precision import evaluate
from .._typing import ApplyFn, Array, Params, PyTree
from ..dynamics import AbstractLoss, AbstractSquaredLoss
from ..empirical import Full, flow_direction, kernel_velocity
from ..kernels import EmpiricalNTK
from ._run import Model, columns, spread


class Columns(eqx.Module):
    """A model with its outputs as columns (n, o)."""

    f: ApplyFn

    def __call__(self, params: Params, x: PyTree) -> Array:
        """Return the outputs of a batch."""
        return columns(self.f(params, x))


class Alignment(NamedTuple):
    """Alignment of a kernel with the targets, as it is and centred; None where a norm is zero."""

    plain: float | None
    centred: float | None


def kernel_matrix(model: Model, params: Params, x1: PyTree, x2: PyTree = None) -> np.ndarray:
    """Return the kernel over (example, output) entries at some parameters, (n1 o, n2 o), in float64."""

    def block(params: Params, x1: PyTree, x2: PyTree) -> Array:
        kernel = EmpiricalNTK(Columns(model.f), params, Full(), learning_rates=model.learning_rates)
        return kernel.block(x1, x2)

    theta = np.asarray(evaluate(block, params, x1, x2, compute=jnp.float64, result=None))
    n1, n2, o, _ = theta.shape
    return theta.swapaxes(1, 2).reshape(n1 * o, n2 * o)


def predicted_velocity(model: Model, x: PyTree, loss: AbstractSquaredLoss | AbstractLoss) -> float:
    r"""Return :math:`\|\dot\Theta\|/\|\Theta\|` at the start per unit of step size, to first order.

    The first term of the neural tangent hierarchy (Huang & Yau 2019, arXiv 1909.08156): one forward derivative of the
    kernel along the direction of the first step.
    """
    return float(_relative_speed(model, x, loss))


@eqx.filter_jit
def _relative_speed(model: Model, x: PyTree, loss: AbstractSquaredLoss | AbstractLoss) -> Array:
    f, rates = Columns(model.f), model.learning_rates
    direction = flow_direction(f, model.params, model.x, model.y, loss.value, learning_rates=rates)
    return kernel_velocity(f, model.params, direction, x, outputs=Full(), learning_rates=rates).relative_speed


def drift(theta: np.ndarray, start: np.ndarray) -> float:
    """Return the relative distance of two kernels."""
    return _relative(float(np.linalg.norm(theta - start)), float(np.linalg.norm(start)))


def rotation(theta: np.ndarray, start: np.ndarray) -> float:
    r"""Return :math:`1 - \cos` of the angle between two kernels: what of the drift is no change of scale."""
    a, b = theta / max(np.linalg.norm(theta), 1e-300), start / max(np.linalg.norm(start), 1e-300)
    return float(np.sum((a - b) ** 2) / 2)


def alignment(theta: np.ndarray, y: np.ndarray) -> Alignment:
    """Return the alignment of a kernel over (example, output) entries with targets (n, o)."""
    n, o = y.shape
    kernel = np.einsum("iaja->ij", theta.reshape(n, o, n, o)) / o
    centred = kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean()
    return Alignment(_cosine(kernel, y), _cosine(centred, y - y.mean(0)))


def largest_eigenvalue(theta: np.ndarray) -> float:
    """Return the largest eigenvalue of a symmetric matrix."""
    return float(np.linalg.eigvalsh((theta + theta.T) / 2)[-1])


def curvature(model: Model, params: Params, loss: AbstractSquaredLoss | AbstractLoss, iterations: int = 64) -> float:
    r"""Return the largest eigenvalue of :math:`J^\top H J`, the loss's curvature along the linearised model.

    :math:`H` is the second derivative of the loss in the outputs. For a squared loss of scale s this is
    :math:`s\,\lambda_{\max}(\Theta)`. By power iteration, without forming a matrix.
    """
    moving = eqx.filter(params, eqx.is_inexact_array)
    rates = jax.tree.map(lambda r, p: jnp.sqrt(jnp.asarray(r, p.dtype)), spread(model.learning_rates, moving), moving)
    return float(_power(model, params, loss, rates, jnp.asarray(iterations)))


@eqx.filter_jit
def _power(
    model: Model, params: Params, loss: AbstractSquaredLoss | AbstractLoss, rates: PyTree, iterations: Array
) -> Array:
    moving, still = eqx.partition(params, eqx.is_inexact_array)

    def out(shift: Params) -> Array:
        shifted = jax.tree.map(lambda p, r, d: p + r * d, moving, rates, shift)
        return columns(model.f(eqx.combine(shifted, still), model.x))

    zero = jax.tree.map(jnp.zeros_like, moving)
    value, push = jax.linearize(out, zero)
    _, pull = jax.vjp(out, zero)

    def product(u: Params) -> Params:
        _, second = jax.jvp(jax.grad(lambda f: loss.value(f, model.y)), (value,), (push(u),))
        return pull(second)[0]

    def step(_: Array, u: Params) -> Params:
        v = product(u)
        return scaled(v, 1 / jnp.maximum(norm(v), 1e-30))

    start = pull(jax.grad(lambda f: loss.value(f, model.y))(value) + 1e-3 * jnp.ones_like(value))[0]
    u = jax.lax.fori_loop(0, iterations, step, scaled(start, 1 / jnp.maximum(norm(start), 1e-30)))
    return inner(u, product(u))


def inner(a: PyTree, b: PyTree) -> Array:
    """Return the inner product of two pytrees."""
    return sum(jax.tree.leaves(jax.tree.map(lambda p, q: jnp.sum(p * q), a, b)), jnp.zeros(()))


def norm(a: PyTree) -> Array:
    """Return the norm of a pytree."""
    return jnp.sqrt(inner(a, a))


def scaled(a: PyTree, factor: Array) -> PyTree:
    """Return a pytree times a number."""
    return jax.tree.map(lambda p: (factor * p).astype(p.dtype), a)


def _cosine(kernel: np.ndarray, y: np.ndarray) -> float | None:
    size = np.linalg.norm(kernel) * np.linalg.norm(y.T @ y)
    return float(np.sum(y * (kernel @ y)) / size) if size > 0 else None


def _relative(a: float, b: float) -> float:
    if b == 0:
        return 0.0 if a == 0 else float("inf")
    return a / b
