"""A program as the tables of numbers that the compiled plane engine interprets: stages, operations, offsets.

A *stage* is a run of operations in which planes of different offsets do not meet. It ends where positions are pooled or
flattened; the last one has a single position. Offsets are counted behind a stage: in front of strides they are
multiples of them.
"""

from typing import Any, NamedTuple

INPUT, GATHER, ADD, LINEAR = range(4)
"""Codes of operations."""
NOTHING = -1
"""Kind of the activation behind weights where there is none; else its code in `_native_duals`."""

# Columns of the table of operations. Sizes and steps take two, for the two axes of space.
CODE, SRC, DST, AUX, KIND, TORUS, CHANNELS, RING = range(8)
SPACE, STEP, PLACES, STEP_OUT, WINDOW, STRIDE, DILATION, PAD = range(8, 24, 2)
# Where moments stand: in front, of a summand, behind; what a dual sees, or what is left of a pooling.
Q_IN, Q_AUX, Q_OUT, FEATURE = range(24, 28)
# Where a pooled array stands: weights of its positions, the places of its planes, its first vector, its second half.
WEIGHTS, POOLED, POOL_BASE, POOL_HALF, ROW = range(28, 33)
# The row of a slot where a plane starts: in front, behind, of a summand; number of a sum over all of space, or zero;
# whether a window of 3 by 3 and ReLU have their own loop.
ORIGIN, ORIGIN_OUT, ORIGIN_AUX, TAP, THREE = range(33, 38)
COLUMNS = 38
# Columns of the table of stages beside those above: operations, offsets along either axis, and the end.
FIRST, LAST, DOWN, DOWN_COUNT, ACROSS, ACROSS_COUNT, END, OWN = range(38, 46)
STAGE_COLUMNS = 46
WINDOWS, TOTAL, OUTPUT = range(3)
"""Ends of a stage: sums over windows, sums over all of space, none behind the last."""

GAIN, TANGENT, SHARE, BIAS, SHIFT, ARGUMENT = range(6)
"""Columns of the table of numbers: of weights, then four of an activation."""
NUMBERS = ARGUMENT + 4


class Plan(NamedTuple):
    """A program in tables, for inputs of one shape and one precision. Compiled code sees pointers in place of arrays.

    Attributes
    ----------
    ops, numbers, stages
        Operations, their numbers, and stages, row by row, by the columns above.
    offsets, places
        Offsets of planes along each axis; where each plane of a pooled array stands, -1 for none.
    weights
        Behind each pooling, for all positions: factor of a sum of moments of pairs, row sum of the map, factor of a sum
        of second moments.
    arc, segment
        Coefficients of polynomials.
    series
        Tables of the smooth activations, one behind another.
    tiny
        What 1 - cos of an angle counts at least: its powers are no denormal numbers, which are slow.
    depth
        Number of stages.
    pitch, margin, slot, half
        Lengths, in numbers: of a row of a plane, of its border (in positions), of a slot, of its first half.
    rows, planes, pooled, sums, table
        Where the row behind the slots starts, and where it ends; lengths of the pooled planes, of sums over all of
        space (at the end of a stage, and where a `TAP` is), and (in positions) of the moments of one input.
    """

    ops: Any
    numbers: Any
    stages: Any
    offsets: Any
    places: Any
    weights: Any
    arc: Any
    segment: Any
    series: Any
    tiny: float
    depth: int
    pitch: int
    margin: int
    slot: int
    half: int
    rows: int
    planes: int
    pooled: int
    sums: int
    table: int
