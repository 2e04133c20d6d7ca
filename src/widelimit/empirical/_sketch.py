r"""A random projection of the gradients, for models whose Jacobian is out of reach.

.. math:: \hat\Theta_{ab}(x, x') = \langle S\nabla f_a(x), S\nabla f_b(x')\rangle,\qquad E\,S^\top S = I
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from .. import _check
from .._typing import Array, Key, PyTree
from ._jacobian import wide
from ._method import AbstractMethod
from ._outputs import AbstractOutputs
from ._problem import Flat, Problem, flatten, require_trainable
from ._size import measure
from ._tiles import balanced, by_blocks, length


class Sketch(AbstractMethod):
    r"""By a random projection of the gradients to ``dimension`` numbers.

    Each entry of a gradient is added, with a random sign, to one of d sums (a count sketch; Charikar, Chen &
    Farach-Colton 2002): entries of one row of d consecutive ones go to different sums, by a random rotation of
    the row. The estimate is unbiased, and with :math:`\|\cdot\|` the norms of the (rate-weighted) gradients

    .. math:: \mathrm{Var}\,\hat\Theta_{ab}(x, x') \le \frac1d\big(\|\nabla f_a(x)\|^2\|\nabla f_b(x')\|^2 +
              \Theta_{ab}(x, x')^2\big),

    a standard error of at most :math:`\sqrt{2/d}\,\sqrt{\Theta_{aa}(x, x)\Theta_{bb}(x', x')}`. All examples and
    outputs share the projection, so the matrix is positive semi-definite, of rank at most d. The cost is one backward
    pass per output and example and then :math:`n_1n_2\,d` multiply-adds per pair of outputs, whatever the number of
    parameters.

    Parameters
    ----------
    dimension
        d. The default gives errors of about 2 % of the norms.
    key
        Random key of the projection; None for ``jax.random.key(0)``. The same key gives the same projection, also for
        different batches, so blocks computed apart belong to one matrix.
    memory
        Budget in bytes for the gradients held at a time, of at least one example.

    Raises
    ------
    ValueError
        If ``dimension`` or ``memory`` is not a positive whole number.
    """

    dimension: int = eqx.field(default=4096, static=True)
    key: Key | None = None
    memory: int = eqx.field(default=2**30, static=True)

    def __check_init__(self) -> None:
        """Check the dimension and the budget."""
        _check.positive_int(self.dimension, "dimension")
        _check.positive_int(self.memory, "memory")

    def block(self, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs) -> Array:
        """Return an estimate of the kernel of two batches."""
        return _block(self, problem, x1, x2, outputs)

    def diagonal(self, problem: Problem, x: PyTree, outputs: AbstractOutputs) -> Array:
        """Return an estimate of the kernel of each input with itself."""
        return _diagonal(self, problem, x, outputs)


@eqx.filter_jit
def sketched_gradients(sketch: Sketch, problem: Problem, x: PyTree) -> Array:
    """Return the projected gradients of a batch, (n, o, dimension), times the roots of the learning rates."""
    require_trainable(problem)
    flat = flatten(problem)
    key = jax.random.key(0) if sketch.key is None else sketch.key

    draws = [_draw(jax.random.fold_in(key, i), sketch.dimension, leaf) for i, leaf in enumerate(flat.leaves)]

    def project(gradients: list[Array]) -> Array:
        return functools.reduce(
            jnp.add, [_project(d, sketch.dimension, g) for d, g in zip(draws, gradients, strict=True)]
        )

    def example(x: PyTree) -> Array:
        out, pull = jax.vjp(lambda leaves: flat.one(leaves, x), flat.leaves)
        units = jnp.eye(out.size, dtype=out.dtype)
        return by_blocks(lambda u: project(wide(_weighted(flat, jax.vmap(pull)(u)[0]))), units, some)

    size = measure(flat, x)
    per_output = 3 * size.parameters + size.activations
    budget = sketch.memory - size.parameters  # the signs
    some = balanced(size.outputs, budget // per_output)
    examples = balanced(length(x), budget // (some * per_output + size.activations))
    return by_blocks(jax.vmap(example), x, examples)


def _draw(key: Key, dimension: int, leaf: Array) -> tuple[Array, Array]:
    """Return the signs of the entries of a leaf, and by how much each row of ``dimension`` entries is turned."""
    signs, turns = jax.random.split(key)
    dtype = jnp.promote_types(leaf.dtype, jnp.float32)
    turn = jax.random.randint(turns, (-(-leaf.size // dimension),), 0, dimension)
    return jax.random.rademacher(signs, (leaf.size,), dtype), turn


def _project(draw: tuple[Array, Array], dimension: int, gradients: Array) -> Array:
    """Return the projection (o, dimension) of gradients in one leaf, (o, *shape)."""
    signs, turns = draw
    o = gradients.shape[0]
    flat = jnp.reshape(gradients, (o, -1)) * signs
    padded = jnp.pad(flat, ((0, 0), (0, len(turns) * dimension - signs.size)))

    def add(total: Array, i: Array) -> tuple[Array, None]:
        row = lax.dynamic_slice_in_dim(padded, i * dimension, dimension, 1)
        twice = jnp.concatenate([row, row], 1)
        return total + lax.dynamic_slice_in_dim(twice, turns[i], dimension, 1), None

    return lax.scan(add, jnp.zeros((o, dimension), flat.dtype), jnp.arange(len(turns)))[0]


def _weighted(flat: Flat, gradients: list[Array]) -> list[Array]:
    return [
        g if isinstance(r, float) and r == 1 else g * jnp.sqrt(jnp.asarray(r, g.dtype))
        for g, r in zip(gradients, flat.rates, strict=True)
    ]


@eqx.filter_jit
def _block(sketch: Sketch, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs) -> Array:
    first = sketched_gradients(sketch, problem, x1)
    second = first if x2 is None else sketched_gradients(sketch, problem, x2)
    return outputs.contract(first, second).astype(measure(flatten(problem), x1).dtype)


@eqx.filter_jit
def _diagonal(sketch: Sketch, problem: Problem, x: PyTree, outputs: AbstractOutputs) -> Array:
    gradients = sketched_gradients(sketch, problem, x)
    return outputs.contract_each(gradients, gradients).astype(measure(flatten(problem), x).dtype)
