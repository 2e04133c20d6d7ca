"""A program for vectors as arrays of numbers, which a compiled interpreter runs without compiling anything anew."""

from typing import Any, NamedTuple

import numpy as np

from . import _native_duals as duals
from . import _program as program
from ._hermite import Expansion, joined
from ._lowering import NoNativeForm
from ._program import Program

LINEAR, SCALE, SAVE, LOAD, ADD, NORM, DUAL = range(7)
"""Codes of operations; a dual with code c is ``DUAL + c``."""

NUMBERS = 5
"""Numbers per operation."""


class Code(NamedTuple):
    """A program as arrays.

    Attributes
    ----------
    table
        (operations, 4) integers: code, first row of the sides, slot, flag.
    numbers
        (operations, 5) numbers.
    rows
        How many rows of sides there are: numbers of one input that pairs need, the last its variance at the output.
    slots
        How many signals are kept at once.
    series
        Tables of the smooth activations, one behind another.
    """

    table: np.ndarray
    numbers: np.ndarray
    rows: int
    slots: int
    series: np.ndarray


def encoded(source: Program, found: dict[int, Expansion] | None = None) -> Code:
    """Return the arrays of a program.

    Parameters
    ----------
    source
        The program.
    found
        Expansions of its smooth activations, by operation; without them the arrays cannot be run if there are any.

    Raises
    ------
    NoNativeForm
        If an operation is not one on vectors, or a dual has no native form.
    """
    table, numbers, row = [], [], 0
    operations, before = _on_vectors(source)
    series, at = joined(found or {})
    for place, op in enumerate(operations, before):
        code, values, rows, slot, flag = _encode(op, place)
        if place in at:
            values, rows = at[place], found[place].rows  # type: ignore[index]
        table.append((code, row, slot, flag))
        numbers.append((*values, *(0.0,) * (NUMBERS - len(values))))
        row += rows
    shape = (len(table), NUMBERS)
    return Code(
        np.array(table, np.int64).reshape(-1, 4),
        np.array(numbers).reshape(shape),
        row + 1,
        max(source.slots, 1),
        series,
    )


def _on_vectors(source: Program) -> tuple[tuple[Any, ...], int]:
    # Data that are flattened at once count as vectors; also returned is how many operations that takes away.
    operations, shapes, before = source.operations, source.shapes, 0
    if operations and isinstance(operations[0], program.Flatten):
        operations, shapes, before = operations[1:], shapes[1:], 1
    space = next((shape for shape in shapes if len(shape) != 1), None)
    if space is not None:
        raise NoNativeForm(f"the network has a signal over space, of shape {space}")
    return operations, before


def _encode(op: program.Operation, place: int) -> tuple[int, tuple[float, ...], int, int, int]:
    # Code, numbers, rows of sides, slot, flag.
    if isinstance(op, program.Linear):
        return LINEAR, (op.gain, op.offset, op.weight, op.bias, op.tangent), 1, 0, 0
    if isinstance(op, program.Dual):
        code = duals.code_of(op.dual)
        if code is None:
            raise NoNativeForm(f"the activation {op.dual!r} (operation {place}) has no native form")
        return DUAL + code, () if code == duals.SERIES else duals.parameters_of(op.dual), 3, 0, 0
    if isinstance(op, program.Norm):
        return NORM, (op.eps, op.affine), 3, 0, int(op.means)
    if isinstance(op, program.Scale):
        return SCALE, (op.constant,), 0, 0, 0
    if isinstance(op, program.Add):
        return ADD, (), 2, op.slot, int(op.means)
    if isinstance(op, program.Save):
        return SAVE, (), 0, op.slot, 0
    if isinstance(op, program.Load):
        return LOAD, (), 0, op.slot, 0
    raise NoNativeForm(f"operation {place} ({type(op).__name__}) is none on vectors")
