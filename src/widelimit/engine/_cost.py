"""What an evaluation will take, in seconds and bytes, told beforehand: within a factor of about three."""

import math
from typing import NamedTuple

import numpy as np

from .. import dual
from ..arch import AbstractLayer
from ..arch._describe import layer_rows
from . import _program as program
from ._hermite import SMOOTH
from ._planes_size import MEMORY
from ._program import Program

NANOSECONDS = {
    program.Linear: 0.3,
    program.Norm: 1.0,
    program.Scale: 0.1,
    program.Save: 0.1,
    program.Load: 0.1,
    program.Add: 0.3,
    dual.PiecewiseLinear: 1.0,
    dual.Erf: 2.0,
    dual.Gelu: 5.0,
    dual.Sin: 4.0,
    dual.Sign: 1.0,
    **dict.fromkeys(SMOOTH, 15.0),
}
"""Of one pair of inputs on one thread in float32, measured on a server with AVX-512; three times that in float64."""

PLANES = {program.Linear: 15.0, dual.PiecewiseLinear: 10.0, dual.Erf: 60.0, dual.Gelu: 150.0}
"""The same of the plane engine, in XLA; an activation that is not named counts as a series."""

PAIR = 3.0
"""Nanoseconds of a pair beside its operations: memory, and the gap of the inputs."""

FLOPS = 5e10
"""Operations per second and thread in a matrix product of float32; half of that in float64."""

REFERENCE_FLOPS = 1e9
"""Operations per second of the reference engine, as `describe` counts them."""

SERIES = 3000
"""Most operations per moment: a series counts with all its terms, of which a hundred are summed in general."""

MOMENTS = 8
"""Arrays of all moments of a layer that the reference engine holds at once."""


class Cost(NamedTuple):
    """Estimated time in seconds, and bytes beside inputs, results among them."""

    seconds: float
    bytes: float


class Size(NamedTuple):
    """Size of a kernel: rows, columns, dtype, and whether it is symmetric."""

    rows: int
    columns: int
    dtype: np.dtype
    symmetric: bool = False

    @property
    def entries(self) -> float:
        """How many entries have to be computed."""
        return self.rows * self.columns / (1 + self.symmetric)


def native_cost(source: Program, size: Size, threads: int) -> Cost:
    """Return the cost of compiled loops."""
    wide = size.dtype.itemsize // 4
    nanoseconds = 0.0
    for op, pairs in zip(source.operations, pairs_of_positions(source), strict=True):
        kind = type(op.dual) if isinstance(op, program.Dual) else type(op)
        nanoseconds += pairs * NANOSECONDS.get(kind, 1.0)
    pair = PAIR * wide + nanoseconds * (3 if wide > 1 else 1)
    product = 2 * math.prod(source.shapes[0]) * wide / FLOPS
    own = size.rows * size.columns * size.dtype.itemsize
    return Cost(size.entries * (pair * 1e-9 + product) / threads, own + threads * 2**25)


def planes_cost(source: Program, size: Size, threads: int) -> Cost:
    """Return the cost of planes in XLA on a CPU, without compiling."""
    wide = size.dtype.itemsize // 4
    nanoseconds = 0.0
    for op, pairs in zip(source.operations, pairs_of_positions(source), strict=True):
        kind = type(op.dual) if isinstance(op, program.Dual) else type(op)
        nanoseconds += pairs * PLANES.get(kind, SERIES if isinstance(op, program.Dual) else 1.0)
    own = size.rows * size.columns * size.dtype.itemsize
    return Cost(size.entries * nanoseconds * wide * 1e-9 / threads, own + MEMORY)


def pairs_of_positions(source: Program) -> list[int]:
    """Return the pairs of positions of one pair of inputs behind each operation.

    All are needed in front of a pooling, equal positions in front of `Flatten`.
    """
    found, power = [], 0
    for op, shape in zip(reversed(source.operations), reversed(source.shapes[1:]), strict=True):
        found.append(math.prod(shape[:-1]) ** power)
        if isinstance(op, program.Pool | program.GlobalPool):
            power = 2
        elif isinstance(op, program.Flatten):
            power = 1
    return found[::-1]


def reference_cost(net: AbstractLayer, shape: tuple[int, ...], size: Size) -> Cost:
    """Return the cost of the reference engine: of all entries at once, without compiling."""
    rows = layer_rows(net, shape)
    moments = max((row.moments for row in rows), default=1)
    flops = sum(min(row.flops, SERIES * row.moments) for row in rows)
    per_entry = MOMENTS * moments * size.dtype.itemsize
    wide = size.dtype.itemsize // 4
    return Cost(size.rows * size.columns * flops * wide / REFERENCE_FLOPS, size.rows * size.columns * per_entry)
