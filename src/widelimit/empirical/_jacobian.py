r"""Contraction of explicit Jacobians, the plain way to an empirical NTK.

.. math:: \Theta_{ab}(x, x') = \sum_\theta \eta_\theta\,\partial_\theta f_a(x)\,\partial_\theta f_b(x')
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._typing import Array, PyTree
from ._method import AbstractMethod
from ._outputs import AbstractOutputs
from ._problem import Flat, Problem, flatten, require_trainable, scaled
from ._size import Measure, measure
from ._tiles import balanced, by_blocks, length, mirrored_tiles, tiles


class JacobianContraction(AbstractMethod):
    r"""By explicit Jacobians, contracted leaf by leaf.

    :math:`n` Jacobians by o backward passes each (or P forward passes where there are fewer parameters than outputs),
    then :math:`n_1n_2\,o\,P` multiply-adds for `Trace` and `Diagonal`, :math:`n_1n_2\,o^2P` for `Full` (Novak et al.
    2022, arXiv 2206.08720, section 3.1).

    Parameters
    ----------
    memory
        Budget in bytes for what is held beside parameters, inputs and the result. Examples are taken in blocks
        that fit, of at least one example.

    Raises
    ------
    ValueError
        If the budget is no positive whole number of bytes.
    """

    memory: int = eqx.field(default=2**30, static=True)

    def __check_init__(self) -> None:
        """Check the budget."""
        _check.positive_int(self.memory, "memory")

    def block(self, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs) -> Array:
        """Return the kernel of two batches."""
        return _block(self.memory, problem, x1, x2, outputs)

    def diagonal(self, problem: Problem, x: PyTree, outputs: AbstractOutputs) -> Array:
        """Return the kernel of each input with itself."""
        return _diagonal(self.memory, problem, x, outputs)


def jacobians(flat: Flat, x: PyTree) -> list[Array]:
    """Return the Jacobian of each trainable leaf on a batch, (n, o, size of the leaf)."""

    def example(x: PyTree) -> list[Array]:
        out = jax.eval_shape(flat.one, flat.leaves, x)
        if sum(leaf.size for leaf in flat.leaves) < out.size:
            gradients = jax.jacfwd(flat.one)(flat.leaves, x)
        else:
            _, pull = jax.vjp(lambda leaves: flat.one(leaves, x), flat.leaves)
            (gradients,) = jax.vmap(pull)(jnp.eye(out.size, dtype=out.dtype))
        return [jnp.reshape(g, (out.size, -1)) for g in gradients]

    return jax.vmap(example)(x)


def rated(flat: Flat, gradients: list[Array]) -> list[Array]:
    """Return Jacobians (n, o, size of the leaf) times the learning rates of their leaves."""
    rates = [
        r if isinstance(r, float) else jnp.ravel(jnp.broadcast_to(r, leaf.shape))
        for r, leaf in zip(flat.rates, flat.leaves, strict=True)
    ]
    return scaled(gradients, rates)


def wide(gradients: list[Array]) -> list[Array]:
    """Return gradients in single precision at least, in which their products are accumulated."""
    return [g.astype(jnp.promote_types(g.dtype, jnp.float32)) for g in gradients]


def jacobian_sizes(memory: int, size: Measure, n1: int, n2: int | None) -> tuple[int, int]:
    """Return how many examples of each batch make a tile; ``n2=None`` for the first batch again."""
    row = size.jacobian
    if row * (n1 + (n2 or 0)) <= memory:
        return n1, n2 or n1
    most = max(1, memory // (2 * row))
    if n2 is not None and min(n1, n2) <= most:
        # One batch fits, the other takes what is left.
        first = min(n1, max(most, memory // row - n2))
        return balanced(n1, first), balanced(n2, memory // row - first)
    return balanced(n1, most), balanced(n2 or n1, most)


@eqx.filter_jit
def _block(memory: int, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs) -> Array:
    require_trainable(problem)
    flat = flatten(problem)
    size = measure(flat, x1)
    sizes = jacobian_sizes(memory, size, length(x1), None if x2 is None else length(x2))

    def rows(x: PyTree) -> list[Array]:
        return wide(jacobians(flat, x))

    def pair(j1: list[Array], j2: list[Array]) -> Array:
        return functools.reduce(jnp.add, map(outputs.contract, j1, rated(flat, j2))).astype(size.dtype)

    if x2 is None:
        return mirrored_tiles(rows, outputs.mirror, pair, x1, sizes[0])
    return tiles(rows, rows, pair, (x1, x2), sizes)


@eqx.filter_jit
def _diagonal(memory: int, problem: Problem, x: PyTree, outputs: AbstractOutputs) -> Array:
    require_trainable(problem)
    flat = flatten(problem)
    size = measure(flat, x)

    def block(x: PyTree) -> Array:
        j = wide(jacobians(flat, x))
        return functools.reduce(jnp.add, map(outputs.contract_each, j, rated(flat, j))).astype(size.dtype)

    return by_blocks(block, x, balanced(length(x), memory // size.jacobian))
