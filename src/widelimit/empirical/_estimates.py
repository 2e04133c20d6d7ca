r"""What Jacobian contraction and vector products cost, counted before anything is computed.

With F the multiply-adds of one evaluation of one example, P parameters and o outputs, a Jacobian costs
:math:`F(1 + 2o)`, contracting two :math:`oP` or :math:`o^2P`, and the products of one gradient with those of another
example 2F (Novak et al. 2022, arXiv 2206.08720, table 1, with the constants of a network of matrix products).
"""

import math

from .._typing import PyTree
from ._cost import Cost
from ._jacobian import JacobianContraction, jacobian_bytes, jacobian_sizes
from ._outputs import AbstractOutputs
from ._problem import Problem, flatten
from ._size import forward, output_size, parameter_bytes
from ._structured import StructuredDerivatives, structured_cost
from ._tiles import length
from ._vector_products import NTKVectorProducts, cell_bytes, column_bytes, product_sizes


def jacobian_cost(
    method: JacobianContraction, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs
) -> Cost:
    """Return the cost of a block by `JacobianContraction`."""
    flat = flatten(problem)
    n1, n2, o = length(x1), length(x1 if x2 is None else x2), output_size(flat, x1)
    b1, b2 = jacobian_sizes(method.memory, flat, x1, x2)
    whole = b1 == n1 and b2 == n2
    passes = -(-n1 // b1)
    tiles = passes * -(-n2 // b2)
    if x2 is None and not whole:
        tiles = passes * (passes + 1) // 2
    # Jacobians of each row block once, of the column blocks once for each row of tiles.
    made = n1 if x2 is None and whole else n1 + tiles * b2
    one, parameters = forward(flat, x1), sum(leaf.size for leaf in flat.leaves)
    contraction = 2 * tiles * b1 * b2 * parameters * max(o, math.prod(outputs.shape(o)))
    # A Jacobian is written and read by the contraction; activations are written and read by each backward pass.
    moved = made * o * 2 * one.bytes + (2 * made + tiles * b2) * o * parameter_bytes(flat)
    return Cost(
        made * (1 + 2 * o) * one.flops + contraction, moved, jacobian_bytes(flat, x1) * (b1 if made == n1 else b1 + b2)
    )


def structured(
    method: StructuredDerivatives, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs
) -> Cost:
    """Return the cost of a block by `StructuredDerivatives`."""
    return structured_cost(problem, x1, x2, outputs, memory=method.memory)


def vector_products_cost(
    method: NTKVectorProducts, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs
) -> Cost:
    """Return the cost of a block by `NTKVectorProducts`."""
    del outputs  # all products are needed for any kind
    flat = flatten(problem)
    second = x1 if x2 is None else x2
    n1, n2, o = length(x1), length(second), output_size(flat, x1)
    b1, b2 = product_sizes(method.memory, flat, x1, second)
    passes = -(-n1 // b1)
    one = forward(flat, x1)
    # The gradients of the second batch are made for each row of blocks, and read by all its rows at once.
    total = passes * n2 * (1 + 2 * o) * one.flops + n1 * n2 * o * 2 * one.flops
    moved = passes * n2 * o * (3 * parameter_bytes(flat) + 2 * one.bytes) + n1 * n2 * o * one.bytes
    return Cost(total, moved, b2 * (column_bytes(flat, x1) + b1 * cell_bytes(flat, x1)))
