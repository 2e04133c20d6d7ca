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
from ...kernels import NNGP, NTK, EmpiricalNTK
from .._architecture import Architecture
from ._config import LiveConfig

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

    def net(self, weight_std: Any, bias_std: Any, parameterization: str | None = None) -> Serial:
        """Return the network, with scales that may be traced."""
        name = self.parameterization if parameterization is None else parameterization
        net = Architecture(self.depth, self.activation, 1.0, 1.0, name).build(self.width, 1)
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
    """The values of a run: padded points (n, 1) and (n,), their weights, scales, step size, ridge."""

    x: Array
    y: Array
    weight: Array
    weight_std: Array
    bias_std: Array
    learning_rate: Array
    ridge: Array


class Motion(eqx.Module):
    """Where training is: parameters, steps, highest loss so far, whether it has left all bounds."""

    params: Params
    step: Array
    highest: Array
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
    speed: Array


def pad(values: np.ndarray) -> np.ndarray:
    """Return values repeated at their end up to a multiple of `ROUND`."""
    size = -(-len(values) // ROUND) * ROUND
    return np.concatenate([values, np.full(size - len(values), values[-1])])


@eqx.filter_jit
def start(shape: Shape, problem: Problem, grid: Array, seed: Array) -> tuple[Params, Array, Array]:
    """Return initial parameters and the empirical NTK: on training inputs, and of the grid with them."""
    net = shape.net(problem.weight_std, problem.bias_std)
    params = net.init(jax.random.key(seed), (1,))
    kernel = EmpiricalNTK(net.apply, params, Trace(), StructuredDerivatives(), shape.rates(net, params))
    block = kernel.block(jnp.concatenate([problem.x, grid]), problem.x)
    return params, block[: len(problem.x)], block[len(problem.x) :]


@eqx.filter_jit
def limit(shape: Shape, problem: Problem, grid: Array) -> tuple[Array, Array, Array]:
    """Return the infinite-width NTK (the NNGP, where frozen) and NNGP of all inputs with training inputs.

    The last entry is the NNGP of every grid point with itself. Parameterizations without a kernel limit are replaced by
    the NTK's.
    """
    name = shape.parameterization if shape.parameterization in ("ntk", "standard") else "ntk"
    net = shape.net(problem.weight_std, problem.bias_std, name)
    inputs = jnp.concatenate([problem.x, grid])
    nngp = NNGP(net).block(inputs, problem.x)
    ntk = nngp if shape.freeze else NTK(net).block(inputs, problem.x)
    return ntk, nngp, NNGP(net).diagonal(grid)


@eqx.filter_jit
def look(shape: Shape, problem: Problem, first: Params, motion: Motion, grid: Array) -> Look:
    """Return what a frame needs to know of the network."""
    net = shape.net(problem.weight_std, problem.bias_std)
    rates = shape.rates(net, first)
    params = motion.params

    def features(x: Array) -> Array:
        for layer, p in zip(net.layers[:-1], params[:-1], strict=True):
            x = layer.forward(p, x)
        return x

    kernel = EmpiricalNTK(net.apply, params, Trace(), StructuredDerivatives(), rates)
    f = net.apply(params, jnp.concatenate([problem.x, grid]))[:, 0]
    value, gradient = jax.value_and_grad(lambda p: _loss(net, problem, p))(params)
    push = jax.tree.map(lambda g, r, p, p0: r * g + problem.ridge * (p - p0), gradient, rates, params, first)
    return Look(
        grid=f[len(problem.x) :],
        train=f[: len(problem.x)],
        ntk=kernel.block(problem.x),
        features=jax.vmap(features)(problem.x),
        loss=value,
        moved=_norm(jax.tree.map(lambda a, b: a - b, params, first)),
        norm=_norm(first),
        speed=problem.learning_rate * _norm(push),
    )


@eqx.filter_jit
def advance(shape: Shape, problem: Problem, first: Params, motion: Motion, steps: Array, bound: Array) -> Motion:
    """Make at most ``steps`` gradient steps; stop where the loss passes ``bound`` or is no number."""
    net = shape.net(problem.weight_std, problem.bias_std)
    rates = shape.rates(net, first)

    def more(carry: tuple[Array, Motion]) -> Array:
        done, motion = carry
        return (done < steps) & ~motion.diverged

    def step(carry: tuple[Array, Motion]) -> tuple[Array, Motion]:
        done, motion = carry
        value, gradient = jax.value_and_grad(lambda p: _loss(net, problem, p))(motion.params)
        ok = value <= bound

        def move(p: Array, p0: Array, r: Any, g: Array) -> Array:
            new = p - problem.learning_rate * (r * g + jnp.where(jnp.asarray(r) > 0, problem.ridge, 0.0) * (p - p0))
            return jnp.where(ok, new, p)

        params = jax.tree.map(move, motion.params, first, rates, gradient)
        highest = jnp.where(ok, jnp.maximum(motion.highest, value), motion.highest)
        return done + 1, Motion(params, motion.step + ok, highest, ~ok)

    return jax.lax.while_loop(more, step, (jnp.zeros((), steps.dtype), motion))[1]


def _loss(net: Serial, problem: Problem, params: Params) -> Array:
    residual = net.apply(params, problem.x)[:, 0] - problem.y
    return 0.5 * jnp.sum(problem.weight * residual**2)


def _norm(tree: Params) -> Array:
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)))
