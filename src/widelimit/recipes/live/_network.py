r"""The finite network: its start, its kernel, and gradient descent on it.

.. math:: \theta_{k+1} = \theta_k - \eta\, r \odot \nabla\Bigl[\tfrac12\sum_i w_i (f(x_i) - y_i)^2
          + \tfrac\rho2 \|(\theta - \theta_0)/\sqrt r\|^2\Bigr]

with the learning-rate factors r of the layers (zero where frozen) and weights w that are zero at points that only fill
the array up: the compiled code depends on the architecture and on the rounded-up number of points, not on any value.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._typing import Array, Params
from ...arch import Serial
from ...empirical import StructuredDerivatives, Trace
from ...engine import Reference
from ...kernels import EmpiricalNTK
from .._architecture import Architecture
from ._config import LiveConfig
from ._options import compiled_at

ROUND = 16


class Shape(eqx.Module):
    """What the compiled code depends on, apart from array shapes."""

    width: int = eqx.field(static=True)
    depth: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    parameterization: str = eqx.field(static=True)
    freeze: bool = eqx.field(static=True)

    @staticmethod
    def of(config: LiveConfig) -> Shape:
        """Return the shape of a state."""
        return Shape(config.width, config.depth, config.activation, config.parameterization, config.freeze)

    @staticmethod
    def of_limit(config: LiveConfig) -> Shape:
        """Return the shape of the infinite network: a width enters it in the standard parameterization alone."""
        if config.parameterization == "standard":
            return Shape.of(config)
        return Shape(1, config.depth, config.activation, "ntk", config.freeze)

    def net(self, weight_std: Any, bias_std: Any) -> Serial:
        """Return the network, with scales that may be traced."""
        net: Any = Architecture(self.depth, self.activation, 1.0, 1.0, self.parameterization).build(self.width, 1)
        dense = range(0, len(net.layers), 2)
        scales = [s for i in dense for s in (net.layers[i].weight_std, net.layers[i].bias_std)]
        return eqx.tree_at(
            lambda n: [s for i in dense for s in (n.layers[i].weight_std, n.layers[i].bias_std)],
            net,
            [weight_std if i % 2 == 0 else bias_std for i in range(len(scales))],
        )

    def rates(self, net: Serial, params: Params) -> Any:
        """Return the learning-rate factor of every leaf; zero where frozen."""
        rates = net.learning_rates(params)
        if not self.freeze:
            return rates
        return (*jax.tree.map(lambda _: 0.0, rates[:-1]), rates[-1])


class Problem(eqx.Module):
    """The values of a run: padded points (n, 1) and (n,), their weights, scales, step size, ridge, a bound of the loss.

    Curves are drawn at ``grid``, (m, 1).
    """

    x: Array
    y: Array
    weight: Array
    weight_std: Array
    bias_std: Array
    learning_rate: Array
    ridge: Array
    bound: Array
    grid: Array


class Motion(eqx.Module):
    """Where training is: parameters, steps, highest loss so far, length of the last step, whether the next diverges."""

    params: Params
    step: Array
    highest: Array
    speed: Array
    diverged: Array


class Look(eqx.Module):
    """What is seen of the network at one moment."""

    grid: Array
    train: Array
    ntk: Array
    features: Array
    loss: Array
    moved: Array
    norm: Array


def pad(values: np.ndarray) -> np.ndarray:
    """Return values repeated at their end up to a multiple of `ROUND`."""
    size = -(-len(values) // ROUND) * ROUND
    return np.concatenate([values, np.full(size - len(values), values[-1])])


@compiled_at(0)
def tangents(shape: Shape, problem: Problem, params: Params) -> tuple[Array, Array]:
    """Return the empirical NTK on training inputs, and of the grid with them."""
    net = shape.net(problem.weight_std, problem.bias_std)
    kernel = EmpiricalNTK(net.apply, params, Trace(), StructuredDerivatives(), shape.rates(net, params))
    block = kernel.block(jnp.concatenate([problem.x, problem.grid]), problem.x)
    return block[: len(problem.x)], block[len(problem.x) :]


@compiled_at(0)
def limit(shape: Shape, problem: Problem) -> tuple[Array, Array, Array]:
    """Return the infinite-width NTK (the NNGP, where frozen) and NNGP of all inputs with training inputs.

    The last entry is the NNGP of every grid point with itself. Parameterizations without a kernel limit are replaced by
    the NTK's. The shape is that of `Shape.of_limit`.
    """
    net = shape.net(problem.weight_std, problem.bias_std)
    block = Reference().block(net, jnp.concatenate([problem.x, problem.grid]), problem.x)
    return block.nngp if shape.freeze else block.ntk, block.nngp, Reference().diagonal(net, problem.grid).nngp


@compiled_at(1)
def advance(shape: Shape, problem: Problem, first: Params, motion: Motion, steps: Array) -> tuple[Motion, Look]:
    """Make at most ``steps`` gradient steps, and look; stop before the loss passes its bound or is no number."""
    net = shape.net(problem.weight_std, problem.bias_std)
    rates = shape.rates(net, first)
    evaluate = jax.value_and_grad(lambda p: _half_squares(problem, net.apply(p, problem.x)[:, 0]))

    def more(carry: tuple[Array, Motion, Params]) -> Array:
        done, motion, _ = carry
        return (done <= steps) & ~motion.diverged

    def step(carry: tuple[Array, Motion, Params]) -> tuple[Array, Motion, Params]:
        done, motion, gradient = carry
        # The first round stays where it is and finds the gradient, so that there is one gradient to compile.
        real = done > 0
        rate = jnp.where(real, problem.learning_rate, 0.0)

        def change(p: Array, p0: Array, r: Any, g: Array) -> Array:
            return -rate * (r * g + jnp.where(jnp.asarray(r) > 0, problem.ridge, 0.0) * (p - p0))

        changes = jax.tree.map(change, motion.params, first, rates, gradient)
        moved = jax.tree.map(jnp.add, motion.params, changes)
        value, gradient = evaluate(moved)
        ok = value <= problem.bound
        params = jax.tree.map(lambda new, old: jnp.where(ok, new, old), moved, motion.params)
        highest = jnp.where(ok, jnp.maximum(motion.highest, value), motion.highest)
        speed = jnp.where(ok & real, _norm(changes), motion.speed)
        return done + 1, Motion(params, motion.step + (ok & real), highest, speed, ~ok), gradient

    still = jax.tree.map(jnp.zeros_like, first)
    motion = jax.lax.while_loop(more, step, (jnp.zeros_like(steps), motion, still))[1]
    return motion, _look(shape, problem, first, motion.params)


def _look(shape: Shape, problem: Problem, first: Params, params: Params) -> Look:
    net = shape.net(problem.weight_std, problem.bias_std)

    def features(x: Array) -> Array:
        for layer, p in zip(net.layers[:-1], params[:-1], strict=True):
            x = layer(p, x)
        return x

    kernel = EmpiricalNTK(net.apply, params, Trace(), StructuredDerivatives(), shape.rates(net, first))
    f = net.apply(params, jnp.concatenate([problem.x, problem.grid]))[:, 0]
    return Look(
        grid=f[len(problem.x) :],
        train=f[: len(problem.x)],
        ntk=kernel.block(problem.x),
        features=jax.vmap(features)(problem.x),
        loss=_half_squares(problem, f[: len(problem.x)]),
        moved=_norm(jax.tree.map(lambda a, b: a - b, params, first)),
        norm=_norm(first),
    )


def _half_squares(problem: Problem, f: Array) -> Array:
    return 0.5 * jnp.sum(problem.weight * (f - problem.y) ** 2)


def _norm(tree: Params) -> Array:
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)))
