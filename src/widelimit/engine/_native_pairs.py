"""Tiles of pairs, compiled: several inputs against 16 partners through all stages. One entry for all of it."""

from typing import Any

from numba import njit

from .. import _angle
from . import (
    _native_arc,
    _native_duals,
    _native_math,
    _native_plan,
    _native_planes,
    _native_pool,
    _native_self,
    _native_series,
    _simd,
)
from . import _native_plan as field
from ._native_plan import Plan
from ._native_planes import Side, Work, start_of
from ._native_pool import run_stage, write_sums
from ._native_self import own_moments, pooled_moments
from ._on_disk import on_disk
from ._simd import WIDTH, part, pointer

_PARTS = (
    _angle,
    _native_arc,
    _native_duals,
    _native_math,
    _native_plan,
    _native_planes,
    _native_pool,
    _native_self,
    _native_series,
    _simd,
)
_FILES = tuple(str(module.__file__) for module in _PARTS)

MOMENTS, OWN, PAIRS, SUMS, REST, HALF, FINISH = range(7)
"""What is asked for: moments of 16 inputs, also their pairs with themselves; pairs with others; sums of the first stage
over all planes of these, and what follows from them; the same over half of all planes of 16 inputs with themselves."""


@part
def _stage(plan: Any, s: int) -> Any:
    return pointer(plan.stages, s * field.STAGE_COLUMNS)


@part
def _needs_own(plan: Any, s: int) -> bool:
    # Whether this stage or a later one ends in a pooling that needs gaps within each input.
    for later in range(s, plan.depth):  # noqa: SIM110
        if _stage(plan, later)[field.OWN]:
            return True
    return False


@part
def _read(plan: Any, work: Work, sides: tuple[Side, Side], out: Any) -> None:
    # NNGP and NTK of one input with 16 partners, from the one position of the last stage.
    x, y = sides
    stage = _stage(plan, plan.depth - 1)
    at, q = start_of(plan, stage[field.DST], stage[field.ORIGIN]), stage[field.Q_IN]
    for k in range(WIDTH):
        first = x.table[q * WIDTH + k] if x.lanes else x.table[q]
        out[k] = (first + y.table[q * WIDTH + k]) / 2 - work.planes[at + k]
        out[WIDTH + k] = work.planes[at + plan.half + k]


@part
def _finish(plan: Any, work: Work, sums: Any, i: int) -> None:
    # The other half of all planes are those of the exchanged pairs; the plane of offset zero stands apart.
    for j in range(WIDTH):
        for half in range(0, 2 * WIDTH, WIDTH):
            both = sums[4 * WIDTH * i + half + j] + sums[4 * WIDTH * j + half + i]
            work.sums[half + j] = both + sums[4 * WIDTH * i + 2 * WIDTH + half + j]
    write_sums(_stage(plan, 0), work, work.sums)


def _entry(stamp: int, cache: bool) -> Any:
    @njit(nogil=True, cache=cache, error_model="numpy")
    def run(what: int, given: Any, memory: Any, partners: Any, inputs: Any) -> None:
        """Fill the moments of 16 partners, or NNGP and NTK of inputs with them.

        Parameters
        ----------
        what
            One of the codes above.
        given, memory
            A `Plan` and a `Work` of arrays.
        partners
            Values and moments of 16 inputs side by side.
        inputs
            Values and moments of the inputs, one row each; results (n, 32); sums over planes (n, `Plan.sums`).
        """
        if stamp == 0:
            return
        plan = Plan(
            pointer(given.ops, 0), pointer(given.numbers, 0), pointer(given.stages, 0), pointer(given.offsets, 0),
            pointer(given.places, 0), pointer(given.weights, 0), pointer(given.arc, 0), pointer(given.segment, 0),
            pointer(given.series, 0), given.tiny, given.depth, given.pitch, given.margin, given.slot, given.half,
            given.rows, given.planes, given.pooled, given.sums, given.table,
        )  # fmt: skip
        work = Work(pointer(memory.planes, 0), pointer(memory.pooled, 0), pointer(memory.sums, 0))
        y = Side(pointer(partners[0], 0), pointer(partners[1], 0), 1)
        values, moments, out, sums = inputs
        alone = what in (MOMENTS, OWN)
        for i in range(1 if alone else values.shape[0]):
            x = y if alone else Side(pointer(values, i * values.shape[1]), pointer(moments, i * moments.shape[1]), 0)
            if what == FINISH:
                _finish(plan, work, pointer(sums, 0), i)
            elif what == REST:
                write_sums(_stage(plan, 0), work, pointer(sums, i * sums.shape[1]))
            summed, rest = what in (SUMS, HALF), what in (REST, FINISH)
            for s in range(rest, 1 if summed else plan.depth):
                stage = _stage(plan, s)
                if alone:
                    own_moments(plan, stage, y, work.sums)
                if what != MOMENTS or _needs_own(plan, s):
                    run_stage(plan, stage, work, (x, y), what == HALF)
                if alone and stage[field.END] != field.OUTPUT:
                    pooled_moments(plan, stage, work, y, work.sums)
            if summed:
                for k in range(plan.sums):
                    sums[i, k] = work.sums[k]
            elif what != MOMENTS:
                _read(plan, work, (x, y), pointer(out, i * out.shape[1]))

    return run


run = on_disk(_entry, _FILES)
