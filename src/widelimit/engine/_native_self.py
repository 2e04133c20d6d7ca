"""Second moments of each input by itself, compiled: in every layer at every position, for 16 inputs side by side."""

import math
from typing import Any

from . import _native_plan as field
from ._hermite import KNOWN
from ._native_duals import RELU, SERIES, moment, prepare
from ._native_planes import Side, Work
from ._native_series import expand
from ._simd import WIDTH, load, part, pointer, store

SPACE, PLACES, WINDOW, STRIDE = field.SPACE, field.PLACES, field.WINDOW, field.STRIDE
DILATION, PAD, Q_IN, Q_OUT, FEATURE = field.DILATION, field.PAD, field.Q_IN, field.Q_OUT, field.FEATURE


@part
def _of_input(op: Any, side: Side) -> None:
    channels = op[field.CHANNELS]
    for p in range(op[SPACE] * op[SPACE + 1]):
        for k in range(WIDTH):
            total = side.table[0] * 0
            for c in range(channels):
                value = side.image[(p * channels + c) * WIDTH + k]
                total += value * value
            side.table[(op[Q_OUT] + p) * WIDTH + k] = total / channels


@part
def _sums(op: Any, side: Side, r: int, c: int, out: Any) -> None:
    # The sum of second moments that a window sees at one place, zero (or space again) beyond the border.
    ny, nx = op[SPACE], op[SPACE + 1]
    for k in range(WIDTH):
        out[k] = 0
    for i in range(op[WINDOW]):
        for j in range(op[WINDOW + 1]):
            p = op[STRIDE] * r + i * op[DILATION] - op[PAD]
            q = op[STRIDE + 1] * c + j * op[DILATION + 1] - op[PAD + 1]
            if op[field.TORUS]:
                p, q = p % ny, q % nx
            if 0 <= p < ny and 0 <= q < nx:
                at = (op[Q_IN] + p * nx + q) * WIDTH
                for k in range(WIDTH):
                    out[k] += side.table[at + k]


@part
def _of_linear(plan: Any, op: Any, side: Side, total: Any) -> None:
    ny, nx = op[PLACES], op[PLACES + 1]
    n = pointer(plan.numbers, op[field.ROW] * field.NUMBERS)
    gain, shift, half = n[field.GAIN], n[field.SHIFT], n[field.ARGUMENT + 2]
    for r in range(ny):
        for c in range(nx):
            _sums(op, side, r, c, total)
            at = r * nx + c
            out, seen = pointer(side.table, (op[Q_OUT] + at) * WIDTH), pointer(side.table, (op[FEATURE] + at) * WIDTH)
            if op[field.KIND] == RELU:
                for k in range(WIDTH):
                    q = total[k] * gain + shift
                    seen[k] = math.sqrt(max(q, 0.0))
                    out[k] = half * q
            elif op[field.KIND] == field.NOTHING:
                for k in range(WIDTH):
                    out[k] = total[k] * gain + shift
            else:
                _of_dual(plan, op, side, total, at)


@part
def _of_dual(plan: Any, op: Any, side: Side, total: Any, at: int) -> None:
    # Variances in front of an activation at one position, what is prepared of them, and moments behind it.
    n, size = pointer(plan.numbers, op[field.ROW] * field.NUMBERS), op[PLACES] * op[PLACES + 1]
    p = (n[field.ARGUMENT], n[field.ARGUMENT + 1], n[field.ARGUMENT + 2], n[field.ARGUMENT + 3])
    out, seen = pointer(side.table, (op[Q_OUT] + at) * WIDTH), pointer(side.table, (op[FEATURE] + at) * WIDTH)
    for k in range(WIDTH):
        seen[k] = total[k] * n[field.GAIN] + n[field.SHIFT]
    if op[field.KIND] == SERIES:
        counts = (int(p[1]), int(p[2]), int(p[3]))
        rows = KNOWN + counts[0] + counts[1] + counts[2]
        here = pointer(side.table, (op[FEATURE] + size + at * rows) * WIDTH)
        moments, _ = expand(pointer(plan.series, int(p[0])), counts, load(seen, 0), here, WIDTH)
        store(out, 0, moments)
        return
    for k in range(WIDTH):
        q = total[k] * n[field.GAIN] + n[field.SHIFT]
        found = prepare(op[field.KIND], p, q)
        for i in range(3):
            seen[(i + 1) * size * WIDTH + k] = found[i]
        out[k] = moment(op[field.KIND], p, q)


@part
def _of_sum(op: Any, side: Side) -> None:
    count = op[SPACE] * op[SPACE + 1] * WIDTH
    for k in range(count):
        both = side.table[op[Q_IN] * WIDTH + k] + side.table[op[field.Q_AUX] * WIDTH + k]
        side.table[op[Q_OUT] * WIDTH + k] = both


@part
def pooled_moments(plan: Any, stage: Any, work: Work, side: Side, total: Any) -> None:
    """Write own gaps, means of moments, and moments behind the pooling at the end of a stage.

    Own gaps are sums over the planes of each input with itself, where an activation follows that needs them.
    """
    op = pointer(plan.ops, stage[field.LAST] * field.COLUMNS)
    ny, nx = op[SPACE], op[SPACE + 1]
    places = ny * nx
    centre = plan.places[op[field.POOLED] + (ny - 1) * (2 * nx - 1) + nx - 1]
    for p in range(places):
        if stage[field.END] == field.WINDOWS:
            _sums(stage, side, p // nx, p % nx, total)
        else:
            for k in range(WIDTH):
                total[k] = 0
            for at in range(stage[SPACE] * stage[SPACE + 1]):
                for k in range(WIDTH):
                    total[k] += side.table[(stage[Q_IN] + at) * WIDTH + k]
        w = op[field.WEIGHTS] + p
        for k in range(WIDTH):
            mean, own = total[k] * plan.weights[w + 2 * places], total[k] * 0
            if stage[field.OWN]:
                own = work.pooled[stage[field.POOL_BASE] + (centre + p) * WIDTH + k] + total[k] * 0
            side.table[(op[FEATURE] + p) * WIDTH + k] = own
            side.table[(op[FEATURE] + places + p) * WIDTH + k] = mean
            side.table[(op[Q_OUT] + p) * WIDTH + k] = (
                mean * plan.weights[w + places] - own * plan.weights[w] * plan.weights[w]
            )


@part
def own_moments(plan: Any, stage: Any, side: Side, total: Any) -> None:
    """Write the second moments of 16 inputs in all layers of a stage; ``total`` is memory for 16 numbers."""
    for k in range(stage[field.FIRST], stage[field.LAST]):
        op = pointer(plan.ops, k * field.COLUMNS)
        if op[field.CODE] == field.INPUT:
            _of_input(op, side)
        elif op[field.CODE] == field.ADD:
            _of_sum(op, side)
        elif op[field.CODE] == field.LINEAR:
            _of_linear(plan, op, side, total)
