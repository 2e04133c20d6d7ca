r"""The finite network: its start, its kernel, and gradient descent on it.

.. math:: \theta_{k+1} = \theta_k - \eta\, r \odot \nabla\Bigl[\tfrac12\sum_i w_i (f(x_i) - y_i)^2
          + \tfrac\rho2 \|(\theta - \theta_0)/\sqrt r\|^2\Bigr]

with the learning-rate factors r of the layers (zero where frozen) and weights w that are zero at points that only fill
the array up: the compiled code depends on the architecture and on the rounded-up number of points, not on any value.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from ..._typing import Array, Params
from ...arch import Serial
from ...empirical import StructuredDerivatives, Trace
from ...engine import Reference
from ...kernels import EmpiricalNTK
from .._architecture import Architecture
from ._config import LiveConfig
from ._draws import scaled
from ._program import program

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


class Problem(NamedTuple):
    """The values of a run: padded points (n, 1) and (n,), their weights, scales, step size, ridge, a bound of the loss.

    Curves are drawn at ``grid``, (m, 1).
    """

    x: Any  # Arrays of NumPy or JAX, as in the other records.
    y: Any
    weight: Any
    weight_std: Any
    bias_std: Any
    learning_rate: Any
    ridge: Any
    bound: Any
    grid: Any


class Motion(NamedTuple):
    """Where training is.

    Parameters and the gradient there, steps, highest loss so far, length of the next step, whether it diverges.
    """

    params: Params
    gradient: Params
    step: Any
    highest: Any
    speed: Any
    diverged: Any


class Look(NamedTuple):
    """What is seen of the network at one moment."""

    grid: Any
    train: Any
    ntk: Any
    features: Any
    loss: Any
    moved: Any


for _record in (Problem, Motion, Look):
    # So that programs that take or return them can be kept on disk.
    jax.export.register_namedtuple_serialization(_record, serialized_name=f"widelimit.live.{_record.__name__}")


def pad(values: np.ndarray) -> np.ndarray:
    """Return values repeated at their end up to a multiple of `ROUND`."""
    size = -(-len(values) // ROUND) * ROUND
    return np.concatenate([values, np.full(size - len(values), values[-1])])


@program(0)
def start(shape: Shape, problem: Problem, numbers: Params) -> tuple[Params, Array, tuple[Array, Array]]:
    """Return the initial parameters of normal numbers, their length, and the empirical NTK there.

    It is that of training inputs, and that of the grid with them.
    """
    net = shape.net(problem.weight_std, problem.bias_std)
    first = scaled(net, numbers)
    kernel = EmpiricalNTK(net.apply, first, Trace(), StructuredDerivatives(), shape.rates(net, first))
    block = kernel.block(jnp.concatenate([problem.x, problem.grid]), problem.x)
    return first, _norm(first), (block[: len(problem.x)], block[len(problem.x) :])


@program(0)
def limit(shape: Shape, problem: Problem) -> tuple[Array, Array, Array]:
    """Return the infinite-width NTK (the NNGP, where frozen) and NNGP of all inputs with training inputs.

    The last entry is the NNGP of every grid point with itself. Parameterizations without a kernel limit are replaced by
    the NTK's. The shape is that of `Shape.of_limit`.
    """
    net = shape.net(problem.weight_std, problem.bias_std)
    block = Reference().block(net, jnp.concatenate([problem.x, problem.grid]), problem.x)
    return block.nngp if shape.freeze else block.ntk, block.nngp, Reference().diagonal(net, problem.grid).nngp


@program(1, given_up=2)
def train(shape: Shape, problem: Problem, first: Params, motion: Motion, steps: Array) -> Motion:
    """Make at most ``steps`` gradient steps; stop before the loss passes its bound or is no number."""
    net = shape.net(problem.weight_std, problem.bias_std)
    rates = shape.rates(net, first)
    evaluate = jax.value_and_grad(lambda p: _half_squares(problem, net.apply(p, problem.x)[:, 0]))

    def more(carry: tuple[Array, Motion]) -> Array:
        done, motion = carry
        return (done <= steps) & ~motion.diverged

    def step(carry: tuple[Array, Motion]) -> tuple[Array, Motion]:
        done, motion = carry
        # Round 0 stays where it is and finds the gradient, so that there is one gradient to compile.
        real = done > 0
        changes = _changes(problem, rates, first, motion, jnp.where(real, problem.learning_rate, 0.0))
        moved = jax.tree.map(jnp.add, motion.params, changes)
        value, gradient = evaluate(moved)
        ok = value <= problem.bound
        params = jax.tree.map(lambda new, old: jnp.where(ok, new, old), moved, motion.params)
        highest = jnp.where(ok, jnp.maximum(motion.highest, value), motion.highest)
        return done + 1, Motion(params, gradient, motion.step + (ok & real), highest, motion.speed, ~ok)

    # Behind the first step the gradient is there.
    begun = jnp.where(motion.step > 0, jnp.ones_like(steps), jnp.zeros_like(steps))
    motion = jax.lax.while_loop(more, step, (begun, motion))[1]
    speed = _norm(_changes(problem, rates, first, motion, problem.learning_rate))
    return motion._replace(speed=speed)


def _changes(problem: Problem, rates: Any, first: Params, motion: Motion, rate: Array) -> Params:
    # What one gradient step adds to the parameters.
    def change(p: Array, p0: Array, r: Any, g: Array) -> Array:
        return -rate * (r * g + jnp.where(jnp.asarray(r) > 0, problem.ridge, 0.0) * (p - p0))

    return jax.tree.map(change, motion.params, first, rates, motion.gradient)


@program(1)
def look(shape: Shape, problem: Problem, first: Params, params: Params) -> Look:
    """Return what is seen of the network with these parameters."""
    net = shape.net(problem.weight_std, problem.bias_std)

    def seen(x: Array) -> tuple[Array, Array]:
        for layer, p in zip(net.layers[:-1], params[:-1], strict=True):
            x = layer(p, x)
        return x, net.layers[-1](params[-1], x)[0]

    kernel = EmpiricalNTK(net.apply, params, Trace(), StructuredDerivatives(), shape.rates(net, first))
    n = len(problem.x)
    features, f = jax.vmap(seen)(jnp.concatenate([problem.x, problem.grid]))
    return Look(
        grid=f[n:],
        train=f[:n],
        ntk=kernel.block(problem.x),
        features=features[:n],
        loss=_half_squares(problem, f[:n]),
        moved=_norm(jax.tree.map(lambda a, b: a - b, params, first)),
    )


def _half_squares(problem: Problem, f: Array) -> Array:
    return 0.5 * jnp.sum(problem.weight * (f - problem.y) ** 2)


def _norm(tree: Params) -> Array:
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)))
