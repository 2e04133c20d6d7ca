r"""One network trained by full-batch gradient descent, beside its linearisation in closed form.

.. math:: \theta_{k+1} = \theta_k - \eta\,\nabla_\theta\Big(\tfrac12\sum_i (f(x_i;\theta_k) - y_i)^2
          + \tfrac\lambda2\|\theta_k - \theta_0\|^2\Big)

with the learning rates of the layers included.
"""

from __future__ import annotations

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Key, Params
from ..arch import Serial
from ..dynamics import GradientDescent, GradientFlow, NetworkFlow, SumOfSquares, network_flow
from ..empirical import StructuredDerivatives
from ..kernels import EmpiricalNTK


class Descent(eqx.Module):
    r"""A network, where it starts, and what it learns.

    Attributes
    ----------
    net, start
        The network and :math:`\theta_0`.
    x, y
        Training inputs (n, d) and targets (n, 1).
    """

    net: Serial
    start: Params
    x: Array
    y: Array

    def at(self, rate: Any, steps: list[int], ridge: float = 0.0) -> list[Params]:
        """Return the parameters after each number of ``steps``, which grow."""
        found, params, done = [], self.start, 0
        for step in steps:
            # Arrays, because a Python number would be compiled in.
            params = _advance(self, params, jnp.asarray(rate), jnp.asarray(step - done), jnp.asarray(ridge))
            done = step
            found.append(params)
        return found

    def loss(self, params: Params) -> float:
        """Return the loss, half the sum of squares."""
        return float(_loss(self, params, jnp.asarray(0.0)))

    def kernel(self, params: Params | None = None) -> EmpiricalNTK:
        """Return the NTK at some parameters (the start if None)."""
        params = self.start if params is None else params
        rates = self.net.learning_rates(params)
        return EmpiricalNTK(self.net.apply, params, method=StructuredDerivatives(), learning_rates=rates)

    def outputs(self, params: Params, x: Array) -> np.ndarray:
        """Return the function on a batch, (m,)."""
        return np.asarray(_outputs(self, params, x), np.float64)[:, 0]

    def initial(self, x: Array) -> Array:
        """Return the function at the start on a batch, (m, 1)."""
        return _outputs(self, self.start, x)

    def tangent(self, optimizer: Any = None, ridge: float = 0.0) -> NetworkFlow:
        """Return the training of the linearisation at the start; gradient flow if ``optimizer`` is None."""
        return network_flow(
            self.kernel(), self.x, self.y, self.initial, optimizer=optimizer or GradientFlow(), ridge=ridge
        )

    def linear(self, rate: float, steps: list[int], x: Array, ridge: float = 0.0) -> np.ndarray:
        """Return the linearisation's function on a batch after each number of gradient steps, (steps, m)."""
        flow = self.tangent(GradientDescent(rate), ridge)
        return np.asarray(flow.at(np.asarray(steps, float), x), np.float64)[..., 0]


def descent(net: Serial, key: Key, x: Any, y: Any) -> Descent:
    """Return a network at its random start; ``x`` (n, d) or (n,), ``y`` (n,)."""
    x = jnp.asarray(x, float)
    x = x[:, None] if x.ndim == 1 else x
    return Descent(net, net.init(key, x.shape[1:]), x, jnp.asarray(y, float)[:, None])


def largest_step(kernel: Any, ridge: float = 0.0) -> float:
    r"""Return :math:`2/(\lambda_{\max}(\Theta) + \lambda)` of a kernel matrix."""
    matrix = np.asarray(kernel, np.float64)
    return float(2 / (np.linalg.eigvalsh((matrix + matrix.T) / 2)[-1] + ridge))


def distance(params: Params, start: Params) -> float:
    r"""Return :math:`\|\theta-\theta_0\|/\|\theta_0\|`."""
    return float(_norm(jax.tree.map(jnp.subtract, params, start)) / _norm(start))


def relative(after: Any, before: Any) -> float:
    r"""Return :math:`\|A-B\|_F/\|B\|_F`."""
    after, before = np.asarray(after, np.float64), np.asarray(before, np.float64)
    return float(np.linalg.norm(after - before) / np.linalg.norm(before))


def _norm(tree: Params) -> Array:
    return jnp.sqrt(functools.reduce(jnp.add, [jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)]))


@eqx.filter_jit
def _outputs(run: Descent, params: Params, x: Array) -> Array:
    return run.net.apply(params, x)


@eqx.filter_jit
def _loss(run: Descent, params: Params, ridge: Any) -> Array:
    away = jax.tree.map(lambda a, b: jnp.sum((a - b) ** 2), params, run.start)
    fit = SumOfSquares().value(run.net.apply(params, run.x), run.y)
    return fit + ridge / 2 * functools.reduce(jnp.add, jax.tree.leaves(away))


@eqx.filter_jit
def _advance(run: Descent, params: Params, rate: Any, steps: Any, ridge: Any) -> Params:
    rates = run.net.learning_rates(params)

    def step(_: Any, params: Params) -> Params:
        gradient = jax.grad(lambda p: _loss(run, p, ridge))(params)
        return jax.tree.map(lambda p, factor, g: p - rate * factor * g, params, rates, gradient)

    return jax.lax.fori_loop(0, steps, step, params)
