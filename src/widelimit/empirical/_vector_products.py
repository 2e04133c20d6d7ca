r"""Columns of an empirical NTK as products with unit vectors.

.. math:: \Theta(x, x')\,e_b = J(x)\big(\eta\,J(x')^\top e_b\big)

One backward pass gives the gradient of one output of one example, one forward pass its products with the gradients of
all outputs of another: Jacobians are never contracted.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array, PyTree
from ._jacobian import jacobians, rated
from ._method import AbstractMethod
from ._outputs import AbstractOutputs
from ._problem import Flat, Problem, flatten
from ._size import activation_bytes, output_size
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
    """

    memory: int = eqx.field(default=2**30, static=True)

    def block(self, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs) -> Array:
        """Return the kernel of two batches."""
        return _block(self.memory, problem, x1, x1 if x2 is None else x2, outputs)

    def diagonal(self, problem: Problem, x: PyTree, outputs: AbstractOutputs) -> Array:
        """Return the kernel of each input with itself."""
        return _diagonal(self.memory, problem, x, outputs)


@eqx.filter_jit
def _block(memory: int, problem: Problem, x1: PyTree, x2: PyTree, outputs: AbstractOutputs) -> Array:
    flat = flatten(problem)

    def pair(x: PyTree, gradients: list[Array]) -> Array:
        return _reduced(outputs, jax.vmap(lambda x: jax.vmap(lambda g: _products(flat, x, g))(gradients))(x))

    return tiles(lambda x: x, lambda x: rated(flat, jacobians(flat, x)), pair, (x1, x2), _sizes(memory, flat, x1, x2))


@eqx.filter_jit
def _diagonal(memory: int, problem: Problem, x: PyTree, outputs: AbstractOutputs) -> Array:
    flat = flatten(problem)

    def block(x: PyTree) -> Array:
        products = jax.vmap(lambda x, g: _products(flat, x, g))(x, rated(flat, jacobians(flat, x)))
        return _reduced(outputs, products[:, None])[:, 0]

    return by_blocks(block, x, balanced(length(x), memory // _column_bytes(flat, x)))


def _products(flat: Flat, x: PyTree, gradients: list[Array]) -> Array:
    """Return (o, o): outputs of x by outputs of the other example, whose gradients are (o, size of the leaf)."""

    def product(gradient: list[Array]) -> Array:
        tangent = [jnp.reshape(g, leaf.shape) for g, leaf in zip(gradient, flat.leaves, strict=True)]
        return jax.jvp(lambda leaves: flat.one(leaves, x), (flat.leaves,), (tangent,))[1]

    return jax.vmap(product, out_axes=1)(gradients)


def _reduced(outputs: AbstractOutputs, full: Array) -> Array:
    # Contracting with unit vectors hands the products to any kind of outputs: (n1, n2, o, o) in, its kind out.
    o = full.shape[-1]
    unit = jnp.eye(o, dtype=full.dtype)[None]
    one = jnp.ones((), full.dtype)
    entry = jax.vmap(jax.vmap(lambda m: outputs.contract(m[None], unit, one)[0, 0]))
    return entry(full)


def _sizes(memory: int, flat: Flat, x1: PyTree, x2: PyTree) -> tuple[int, int]:
    n1, n2 = length(x1), length(x2)
    column, cell = _column_bytes(flat, x2), _cell_bytes(flat, x1)
    second = balanced(n2, memory // (column + cell))
    return balanced(n1, (memory - second * column) // (second * cell)), second


def _column_bytes(flat: Flat, x: PyTree) -> int:
    outputs = output_size(flat, x)
    parameters = sum(leaf.size * leaf.dtype.itemsize for leaf in flat.leaves)
    return 2 * outputs * parameters + (1 + outputs) * activation_bytes(flat, x)


def _cell_bytes(flat: Flat, x: PyTree) -> int:
    # The tangents of one example along the gradients of another, and its own activations.
    outputs = output_size(flat, x)
    return (1 + outputs) * activation_bytes(flat, x) + outputs**2 * flat.leaves[0].dtype.itemsize
