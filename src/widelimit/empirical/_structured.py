r"""The empirical NTK by structured derivatives: no Jacobian of a weight that meets data in products, unless it pays."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._typing import Array, PyTree
from ._blocks import all_pairs, each, pairs_with_itself
from ._cost import Cost
from ._features import Layout, features, inner, inner_each, layout
from ._method import AbstractMethod
from ._outputs import AbstractOutputs, Trace
from ._plan import Size, contraction, decide, examples_at_a_time, size_of, stored, strategy, total, transient
from ._problem import Flat, Problem, flatten

MEMORY = 2**30
CACHE = 2**25
"""Bytes within which signals and patches of a few examples stay: larger ones leave the cache, and are mapped anew."""


class StructuredDerivatives(AbstractMethod):
    r"""The empirical NTK from activations and back-propagated signals.

    The gradient of output a in a weight that meets data in the products :math:`y_t = h_tW` is
    :math:`\sum_t h_tg_{at}^\top`. Operands h and signals g of all products come from one forward pass and o backward
    passes per example that compute no weight gradients; then either

    .. math:: \sum_{ts}(h_t\cdot h'_s)(g_{at}\cdot g'_{a's})
        \quad\text{or}\quad \Big\langle\sum_t h_tg_{at}^\top, \sum_s h'_sg_{a's}'^\top\Big\rangle,

    whichever needs fewer operations and bytes, weight by weight. Products are matrix products of any kind,
    convolutions and look-ups of rows, also inside ``jit``, ``checkpoint`` and ``scan``, of weights that are read off a
    parameter by reshaping, transposing, slicing or scaling. Everything else is differentiated directly.

    Parameters
    ----------
    memory
        Budget in bytes for gradients and what is needed to contract them. Examples are taken in blocks that fit; one
        example with all its outputs is the least.

    Raises
    ------
    ValueError
        If ``memory`` is not a positive whole number.

    References
    ----------
    Novak, Sohl-Dickstein, Schoenholz 2022, "Fast finite width neural tangent kernel", arXiv 2206.08720, section 3.
    """

    memory: int = MEMORY

    def __check_init__(self) -> None:
        """Check the budget."""
        _check.positive_int(self.memory, "memory")

    def block(self, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs) -> Array:
        """Return the kernel of two batches: (n1, n2), (n1, n2, o) or (n1, n2, o, o) as ``outputs`` says."""
        return _block(problem, x1, x2, outputs, _Options(self.memory, False))[0]

    def diagonal(self, problem: Problem, x: PyTree, outputs: AbstractOutputs) -> Array:
        """Return the kernel of each input with itself: (n,), (n, o) or (n, o, o)."""
        return _diagonal(problem, x, outputs, self.memory)


class Contribution(NamedTuple):
    """How one part of a parameter contributes to the kernel.

    Attributes
    ----------
    parameter
        Its place in the pytree of parameters.
    shape
        (B, T, C, Q): heads, groups or layers; positions; summed; free. None where there is no product.
    strategy
        ``factored`` or ``summed`` for a product, ``direct`` for a Jacobian in the parameter (or a part of it),
        ``computed`` for one that is pulled back through what is computed from parameters.
    """

    parameter: str
    shape: tuple[int, int, int, int] | None
    strategy: str


def structured_parts(
    problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs, *, memory: int = MEMORY
) -> list[Array]:
    """Return the contribution of each trainable leaf to the kernel of two batches; they sum to the whole."""
    return _block(problem, x1, x2, outputs, _Options(memory, True))


def structured_cost(
    problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs, *, memory: int = MEMORY
) -> Cost:
    """Return what `StructuredDerivatives` costs on two batches, counted from their shapes."""
    plan, size = _plan(flatten(problem), x1, x2, outputs, memory)
    whole = total(plan, size)
    if whole.peak <= memory:
        return whole
    b = examples_at_a_time(plan, size, memory)
    kept = stored(plan, size) * size.columns <= memory / 2
    return total(plan, size, 1.0 if kept else 1 + size.rows / b)._replace(peak=float(memory))


def describe(
    problem: Problem,
    x1: PyTree,
    x2: PyTree | None = None,
    outputs: AbstractOutputs = Trace(),
    *,
    memory: int = MEMORY,
) -> list[Contribution]:
    """Return how each trainable parameter contributes, part by part; parameters without influence are left out."""
    flat = flatten(problem)
    plan, _ = _plan(flat, x1, x2, outputs, memory)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(problem.params)]
    found = []
    for i, leaf in zip(flat.index, plan.leaves, strict=True):
        found += [Contribution(paths[i], group.sizes, strategy(group)) for group in leaf.groups]
        found += [Contribution(paths[i], None, "direct") for _ in leaf.direct]
        found += [Contribution(paths[i], None, "computed")] if leaf.computed else []
    return found


class _Options(NamedTuple):
    memory: int
    by_leaf: bool


@eqx.filter_jit
def _block(problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs, options: _Options) -> list[Array]:
    flat = flatten(problem)
    plan, size = _plan(flat, x1, x2, outputs, options.memory)
    shape = outputs.shape(size.o)
    if not plan.depends():
        zeros = jnp.zeros((size.rows, size.columns, *shape), plan.dtype)
        return [zeros] * (len(plan.leaves) if options.by_leaf else 1)

    at_once = max(1, int(CACHE // transient(plan, size)))

    def get(x: PyTree) -> list:
        return each(lambda x: features(plan, flat.leaves, x), x, at_once)

    def pair(a: list, b: list) -> list[Array]:
        parts = [inner(outputs, p, q) for p, q in zip(_rated(flat, a), b, strict=True)]
        lengths = len(jax.tree.leaves(a)[0]), len(jax.tree.leaves(b)[0])
        return _collect(flat, parts, options.by_leaf, jnp.zeros((*lengths, *shape), plan.dtype))

    if total(plan, size).peak <= options.memory:
        a = get(x1)
        return pair(a, a if x2 is None else get(x2))
    b = examples_at_a_time(plan, size, options.memory)
    keep = stored(plan, size) * size.columns <= options.memory / 2
    if x2 is None:
        return pairs_with_itself(get, pair, x1, (b, keep), outputs.mirror)
    return all_pairs(get, pair, (x1, x2), (b, keep))


@eqx.filter_jit
def _diagonal(problem: Problem, x: PyTree, outputs: AbstractOutputs, memory: int) -> Array:
    flat = flatten(problem)
    n = jnp.shape(jax.tree.leaves(x)[0])[0]
    base = layout(flat, x)
    # One example with itself, n times.
    size = size_of(base, 1, None, outputs)
    plan = decide(base, size, memory)
    shape = outputs.shape(size.o)
    if not plan.depends():
        return jnp.zeros((n, *shape), plan.dtype)

    def kernel(x: PyTree) -> Array:
        a = features(plan, flat.leaves, x)
        parts = [inner_each(outputs, p, q) for p, q in zip(_rated(flat, a), a, strict=True)]
        return _collect(flat, parts, False, jnp.zeros((len(jax.tree.leaves(a)[0]), *shape), plan.dtype))[0]

    one = 2 * stored(plan, size) + transient(plan, size) + contraction(plan, size)
    return each(kernel, x, max(1, min(n, int(memory // one))))


def _plan(flat: Flat, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs, memory: int) -> tuple[Layout, Size]:
    plan = layout(flat, x1)
    rows, columns = (None if x is None else jnp.shape(jax.tree.leaves(x)[0])[0] for x in (x1, x2))
    size = size_of(plan, rows or 0, columns, outputs)
    return decide(plan, size, memory), size


def _rated(flat: Flat, a: list) -> list:
    # Rates that differ within a leaf weigh its Jacobian; others wait for the result.
    def weigh(rate: Any, leaf: Array, parts: list) -> list:
        if jnp.ndim(rate) == 0:
            return parts
        weights = jnp.ravel(jnp.broadcast_to(jnp.asarray(rate), leaf.shape))
        return [part * weights.astype(part.dtype) for part in parts]

    return [weigh(r, leaf, parts) for r, leaf, parts in zip(flat.rates, flat.leaves, a, strict=True)]


def _collect(flat: Flat, parts: list[list[Array]], by_leaf: bool, zeros: Array) -> list[Array]:
    # The contribution of each leaf, at its rate; or their sum.
    leaves = []
    for rate, terms in zip(flat.rates, parts, strict=True):
        whole = sum(terms[1:], terms[0]) if terms else None
        if whole is not None and jnp.ndim(rate) == 0 and not (isinstance(rate, float) and rate == 1):
            whole = whole * jnp.asarray(rate, whole.dtype)
        leaves.append(whole)
    if by_leaf:
        return [zeros if leaf is None else leaf.astype(zeros.dtype) for leaf in leaves]
    there = [leaf for leaf in leaves if leaf is not None]
    return [sum(there[1:], there[0]).astype(zeros.dtype)]
