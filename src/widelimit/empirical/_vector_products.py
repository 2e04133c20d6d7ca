r"""Columns of an empirical NTK as products with unit vectors.

.. math:: \Theta(x, x')\,e_b = J(x)\big(\eta\,J(x')^\top e_b\big)

One backward pass gives the gradient of one output of one example, one forward pass its products with the gradients of
all outputs of another: Jacobians are never contracted.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._typing import Array, PyTree
from ._jacobian import jacobians, rated
from ._method import AbstractMethod
from ._outputs import AbstractOutputs
from ._problem import Flat, Problem, flatten, require_trainable
from ._size import Measure, measure
from ._tiles import balanced, by_blocks, length, tiles


class NTKVectorProducts(AbstractMethod):
    r"""By one backward and one forward derivative for each output of each pair of examples.

    :math:`n_1n_2\,o` forward-mode passes: less than contracting Jacobians where weights are used once and outputs are
    many, more where weights are shared over positions (Novak et al. 2022, arXiv 2206.08720, section 3.2).

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
        return _block(self.memory, problem, x1, x1 if x2 is None else x2, outputs)

    def diagonal(self, problem: Problem, x: PyTree, outputs: AbstractOutputs) -> Array:
        """Return the kernel of each input with itself."""
        return _diagonal(self.memory, problem, x, outputs)


@eqx.filter_jit
def _block(memory: int, problem: Problem, x1: PyTree, x2: PyTree, outputs: AbstractOutputs) -> Array:
    require_trainable(problem)
    flat = flatten(problem)

    def pair(x: PyTree, gradients: list[Array]) -> Array:
        return _reduced(outputs, jax.vmap(lambda x: jax.vmap(lambda g: _products(flat, x, g))(gradients))(x))

    sizes = product_sizes(memory, measure(flat, x1), length(x1), length(x2))
    return tiles(lambda x: x, lambda x: rated(flat, jacobians(flat, x)), pair, (x1, x2), sizes)


@eqx.filter_jit
def _diagonal(memory: int, problem: Problem, x: PyTree, outputs: AbstractOutputs) -> Array:
    require_trainable(problem)
    flat = flatten(problem)

    def block(x: PyTree) -> Array:
        products = jax.vmap(lambda x, g: _products(flat, x, g))(x, rated(flat, jacobians(flat, x)))
        return _reduced(outputs, products[:, None])[:, 0]

    return by_blocks(block, x, balanced(length(x), memory // measure(flat, x).jacobian))


def _products(flat: Flat, x: PyTree, gradients: list[Array]) -> Array:
    """Return (o, o): outputs of x by outputs of the other example, whose gradients are (o, size of the leaf)."""

    def product(gradient: list[Array]) -> Array:
        tangent = [jnp.reshape(g, leaf.shape) for g, leaf in zip(gradient, flat.leaves, strict=True)]
        return jax.jvp(lambda leaves: flat.one(leaves, x), (flat.leaves,), (tangent,))[1]

    return jax.vmap(product, out_axes=1)(gradients)


def _reduced(outputs: AbstractOutputs, full: Array) -> Array:
    """Return all pairs of outputs (n, m, o, o') in the kind asked for: their contraction with unit vectors."""
    n, m, o, other = full.shape
    unit = jnp.broadcast_to(jnp.eye(other, dtype=full.dtype), (n * m, other, other))
    return jnp.reshape(outputs.contract_each(jnp.reshape(full, (n * m, o, other)), unit), (n, m, *outputs.shape(o)))


def product_sizes(memory: int, size: Measure, n1: int, n2: int) -> tuple[int, int]:
    """Return how many examples of each batch make a tile."""
    second = balanced(n2, memory // (size.jacobian + cell_bytes(size)))
    return balanced(n1, (memory - second * size.jacobian) // (second * cell_bytes(size))), second


def cell_bytes(size: Measure) -> int:
    """Return the bytes of the derivatives of one example along the gradients of another."""
    return size.derivatives + size.outputs**2 * jnp.dtype(size.dtype).itemsize
