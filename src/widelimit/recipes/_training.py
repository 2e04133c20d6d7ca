"""Finite networks trained by full-batch gradient descent, many seeds at once."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array, Key, Params, Shape
from ..arch import AbstractLayer
from ..dynamics import AbstractSquaredLoss


class Trainer(eqx.Module):
    """Trains one architecture by plain full-batch gradient descent, every leaf with a leading axis over seeds.

    Parameters
    ----------
    net
        The finite network.
    loss
        Squared loss in its convention.
    learning_rate
        Step size; the network's parameterization multiplies it layer by layer, see `AbstractLayer.learning_rates`.
    x, y
        Training inputs (n, d) and targets (n, o).
    """

    net: AbstractLayer
    loss: AbstractSquaredLoss
    learning_rate: float
    x: Array
    y: Array

    def init(self, keys: Key) -> Params:
        """Return initial parameters for each of ``keys``."""
        return _init(self.net, keys, self.x.shape[1:])

    def advance(self, params: Params, x: Array, recorded: Array) -> tuple[Params, Array, Array]:
        """Take as many steps as ``recorded`` is long.

        Parameters
        ----------
        params
            Where training stands.
        x
            Inputs (m, d) on which the functions are recorded.
        recorded
            Whether to record the functions before each step, (steps,) of booleans.

        Returns
        -------
        tuple
            The new parameters, the losses before each step (steps, seeds), and the outputs (steps, seeds, m, o)
            before each step, zero where not recorded.
        """
        return _advance(self, params, x, recorded)

    def outputs(self, params: Params, x: Array) -> Array:
        """Return the outputs of every seed on a batch, (seeds, m, o)."""
        return _outputs(self.net, params, x)


@eqx.filter_jit
def _init(net: AbstractLayer, keys: Key, shape: Shape) -> Params:
    return jax.vmap(lambda key: net.init(key, shape))(keys)


@eqx.filter_jit
def _outputs(net: AbstractLayer, params: Params, x: Array) -> Array:
    return jax.vmap(net.apply, (0, None))(params, x)


@eqx.filter_jit
def _advance(trainer: Trainer, params: Params, x: Array, recorded: Array) -> tuple[Params, Array, Array]:
    import optax  # Here, because the lab, which does without it, would wait for it when it starts.

    optimizer = optax.sgd(trainer.learning_rate)

    def objective(params: Params) -> Array:
        return trainer.loss.value(trainer.net.apply(params, trainer.x), trainer.y)

    def one(params: Params, state: Any) -> tuple[Params, Any, Array]:
        value, gradient = jax.value_and_grad(objective)(params)
        gradient = jax.tree.map(lambda rate, g: rate * g, trainer.net.learning_rates(params), gradient)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    functions = functools.partial(_outputs, trainer.net, x=x)

    def step(carry: tuple, record: Array) -> tuple[tuple, tuple]:
        # The condition is outside of the map over seeds, so functions are computed only where recorded.
        shape = jax.eval_shape(functions, carry[0])
        outputs = jax.lax.cond(record, functions, lambda _: jnp.zeros(shape.shape, shape.dtype), carry[0])
        params, state, losses = jax.vmap(one)(*carry)
        return (params, state), (losses, outputs)

    carry = params, jax.vmap(optimizer.init)(params)
    (params, _), (losses, outputs) = jax.lax.scan(step, carry, recorded)
    return params, losses, outputs


def relative_distance(params: Params, initial: Params) -> Array:
    r"""Return :math:`\|\theta-\theta_0\|/\|\theta_0\|` for each seed, (seeds,)."""

    def norm(tree: Params) -> Array:
        squares = [jnp.sum(leaf**2, axis=tuple(range(1, leaf.ndim))) for leaf in jax.tree.leaves(tree)]
        return jnp.sqrt(functools.reduce(jnp.add, squares))

    return norm(jax.tree.map(jnp.subtract, params, initial)) / norm(initial)
