r"""What Jacobian contraction and vector products cost, counted before anything is computed.

With F the multiply-adds of one evaluation of one example, P parameters and o outputs, a Jacobian costs
:math:`F(1 + 2o)`, contracting two :math:`oP` or :math:`o^2P`, and the products of one gradient with those of another
example 2F (Novak et al. 2022, arXiv 2206.08720, table 1, with the constants of a network of matrix products).
"""

import math

from .._typing import PyTree
from ._cost import Cost
from ._jacobian import JacobianContraction, jacobian_sizes
from ._outputs import AbstractOutputs
from ._problem import Problem, flatten
from ._size import measure
from ._structured import StructuredDerivatives, structured_cost
from ._tiles import length
from ._vector_products import NTKVectorProducts, cell_bytes, product_sizes


def jacobian_cost(
    method: JacobianContraction, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs
) -> Cost:
    """Return the cost of a block by `JacobianContraction`."""
    size = measure(flatten(problem), x1)
    n1, n2, o = length(x1), length(x1 if x2 is None else x2), size.outputs
    b1, b2 = jacobian_sizes(method.memory, size, n1, None if x2 is None else n2)
    once = x2 is None and b1 == n1
    rows, columns = -(-n1 // b1), -(-n2 // b2)
    tiles = rows * (rows + 1) // 2 if x2 is None else rows * columns
    # Jacobians of each row block once, of the column block once for each tile.
    made = n1 if once else n1 + tiles * b2
    contraction = 2 * tiles * b1 * b2 * size.entries * max(o, math.prod(outputs.shape(o)))
    # A Jacobian is written and read by the contraction; activations are written and read by each backward pass.
    moved = made * o * 2 * size.activations + (2 * made + tiles * b2) * o * size.parameters
    peak = size.jacobian * (b1 if once else b1 + b2)
    return Cost(made * (1 + 2 * o) * size.flops + contraction, moved, peak)


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
    size = measure(flatten(problem), x1)
    n1, n2, o = length(x1), length(x1 if x2 is None else x2), size.outputs
    b1, b2 = product_sizes(method.memory, size, n1, n2)
    # The gradients of the second batch are made for each row of blocks, and read by all its rows at once.
    made = -(-n1 // b1) * n2
    flops = made * (1 + 2 * o) * size.flops + n1 * n2 * o * 2 * size.flops
    moved = made * o * (3 * size.parameters + 2 * size.activations) + n1 * n2 * o * size.activations
    return Cost(flops, moved, b2 * (size.jacobian + b1 * cell_bytes(size)))
