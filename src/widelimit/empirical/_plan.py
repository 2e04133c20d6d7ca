r"""How the gradients of each weight are contracted, by cost; and how many examples are taken at a time.

For n and m examples, o outputs and a weight of sizes (B, T, C, Q), with :math:`o^2` for `Full` and o for the other
outputs written :math:`r`:

- factored: :math:`B\,nT\,mT\,(C + rQ)` multiply-adds;
- summed: :math:`(n + m)\,oBTCQ + nm\,rBCQ`.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp

from .._jaxpr_cost import Count, count
from ._cost import Cost
from ._features import Group, Layout
from ._outputs import AbstractOutputs


class Size(NamedTuple):
    """How much is asked for.

    Attributes
    ----------
    rows, columns
        Numbers of examples of the two batches.
    o
        Number of outputs.
    pairs
        Number of output axes' entries in the kernel.
    work
        Pairs of outputs whose gradients are multiplied.
    itemsize
        Bytes of a number.
    same
        Whether both batches are one.
    """

    rows: int
    columns: int
    o: int
    pairs: int
    work: int
    itemsize: int
    same: bool


def size_of(plan: Layout, rows: int, columns: int | None, outputs: AbstractOutputs) -> Size:
    """Return the size of a task; ``columns=None`` for the rows again."""
    o, itemsize = plan.outputs, jnp.promote_types(plan.dtype, jnp.float32).itemsize
    pairs = math.prod(outputs.shape(o))
    return Size(rows, rows if columns is None else columns, o, pairs, max(pairs, o), itemsize, columns is None)


def decide(plan: Layout, size: Size, memory: int) -> Layout:
    """Return the layout with the cheaper form of the gradient of every weight."""
    leaves = []
    for leaf in plan.leaves:
        groups = [g._replace(factored=_factored_is_better(g, size, memory)) for g in leaf.groups]
        leaves.append(leaf._replace(groups=groups))
    return plan._replace(leaves=leaves)


def group_cost(group: Group, factored: bool, size: Size) -> Cost:
    """Return the cost of the inner products of one weight."""
    batch, positions, summed, free = group.sizes
    n, m = size.rows, size.columns
    examples = n if size.same else n + m
    if factored:
        entries = batch * (n * positions) * (m * positions)
        operand = 1 if group.products[0].rows else summed
        flops = 2.0 * entries * (operand + size.work * free) + 2.0 * entries * size.pairs
        stored = examples * batch * positions * (operand + size.o * free)
        gram = 0 if positions == 1 else entries * (1 + size.pairs)
        return Cost(flops, size.itemsize * float(stored + 2 * gram), size.itemsize * float(stored + gram))
    entries = float(examples * size.o * batch * summed * free)
    terms = 1 if group.products[0].rows else summed
    flops = 2.0 * examples * size.o * batch * positions * terms * free + 2.0 * n * m * size.work * batch * summed * free
    moved = 2 * entries + examples * batch * positions * (terms + size.o * free)
    return Cost(flops, size.itemsize * moved, size.itemsize * entries)


def _factored_is_better(group: Group, size: Size, memory: int) -> bool:
    factored, summed = (group_cost(group, form, size) for form in (True, False))
    batch, positions, operand, free = group.sizes
    # Overlaps of positions can be taken for a few examples at a time, gradients of one example cannot be cut.
    smallest = size.itemsize * size.o * batch * operand * free
    if 4 * smallest > memory and size.itemsize * batch * positions**2 * (1 + size.pairs) < smallest:
        return True
    return factored.time <= summed.time


def stored(plan: Layout, size: Size) -> float:
    """Return the bytes of the gradients of one example."""
    numbers = 0.0
    for leaf in plan.leaves:
        for group in leaf.groups:
            batch, positions, summed, free = group.sizes
            operand = 1 if group.products[0].rows else summed
            pair = batch * positions * (operand + size.o * free)
            numbers += pair if group.factored else size.o * batch * summed * free
        numbers += size.o * leaf.size if leaf.computed or leaf.direct else 0
    return size.itemsize * numbers


def transient(plan: Layout, size: Size) -> float:
    """Return the bytes held beside the gradients of one example while they are computed."""
    forward = count(plan.exposed.closed)
    signals = 0.0
    for leaf in plan.leaves:
        for group in leaf.groups:
            batch, positions, summed, free = group.sizes
            # Signals and their rearrangement, and patches, wait for the sum over positions.
            signals += 0 if group.factored else batch * positions * (2 * size.o * free + summed)
    return forward.bytes + 4 * size.o * forward.largest + size.itemsize * signals


def contraction(plan: Layout, size: Size) -> float:
    """Return the bytes held beside gradients for one pair of examples."""
    most = 0.0
    for leaf in plan.leaves:
        for group in leaf.groups:
            batch, positions, _, _ = group.sizes
            if group.factored:
                most = max(most, 2.0 * batch * positions**2 * (1 + size.pairs))
    return size.itemsize * (most + 2 * size.pairs)


def total(plan: Layout, size: Size, recomputed: float = 1.0) -> Cost:
    """Return the cost of a kernel; gradients are computed ``recomputed`` times."""
    forward: Count = count(plan.exposed.closed)
    examples = recomputed * (size.rows if size.same else size.rows + size.columns)
    flops, moved = examples * (1 + size.o) * forward.flops, examples * (1 + size.o) * forward.bytes
    for leaf in plan.leaves:
        for group in leaf.groups:
            one = group_cost(group, group.factored, size)
            flops, moved = flops + one.flops, moved + one.bytes
        if leaf.computed or leaf.direct:
            flops += 2.0 * size.rows * size.columns * size.work * leaf.size
            moved += size.itemsize * examples * size.o * leaf.size
    peak = examples * (stored(plan, size) + transient(plan, size))
    peak += size.rows * size.columns * contraction(plan, size)
    return Cost(flops, moved + size.itemsize * size.rows * size.columns * size.pairs, peak)


def strategy(group: Group) -> str:
    """Return the name of the form in which the gradient of a weight is kept."""
    return "factored" if group.factored else "summed"


def examples_at_a_time(plan: Layout, size: Size, memory: int) -> int:
    """Return the size of blocks of which two, and what their kernel needs, fit into ``memory``."""
    each = 2 * stored(plan, size) + transient(plan, size)
    pair = contraction(plan, size)
    # b each + b² pair <= memory
    fits = (-each + math.sqrt(each * each + 4 * pair * memory)) / (2 * pair)
    return max(1, int(fits))
