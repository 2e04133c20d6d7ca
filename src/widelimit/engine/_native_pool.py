"""The ends of a stage, compiled: planes are summed up over space, or over windows into the planes of the next stage."""

from typing import Any

from . import _native_plan as field
from ._native_planes import Side, View, Work, add, fill_input, fill_pooled, linear, start_of, view
from ._simd import WIDTH, inline, load, part, pointer, store, zeros

DST, SPACE, STEP, TORUS = field.DST, field.SPACE, field.STEP, field.TORUS
WINDOW, STRIDE, PAD, PLACES, STEP_OUT = field.WINDOW, field.STRIDE, field.PAD, field.PLACES, field.STEP_OUT
POOLED, BASE, HALF = field.POOLED, field.POOL_BASE, field.POOL_HALF


@part
def _sum_all(plan: Any, origin: int, work: Work, v: View, bank: int) -> None:
    # Over all positions of a plane, row by row, and then in double precision.
    for half in range(2):
        total = zeros(work.planes)
        for r in range(v.rows):
            row = origin + r * plan.pitch + half * plan.half
            part = zeros(work.planes)
            for c in range(0, v.columns * WIDTH, WIDTH):
                part = part + load(work.planes, row + c)
            total = total + part
        store(work.planes, plan.rows, total)
        at = (2 * bank + half) * WIDTH
        for k in range(WIDTH):
            work.sums[at + k] += work.planes[plan.rows + k]


@inline
def _places(stage: Any, axis: int, i: int, d: tuple[int, int]) -> tuple[int, int]:
    # First place P whose i-th position, and the end of those, for d = offsets in front and behind.
    n, count, s = stage[SPACE + axis], stage[PLACES + axis], stage[STRIDE + axis]
    low, high = max(-d[0], 0) + stage[PAD + axis] - i, min(n, n - d[0]) - 1 + stage[PAD + axis] - i
    first = max(-(-low // s), 0, -d[1])
    return first, max(min(high // s + 1, count, count - d[1]), first)


@part
def _sum_windows(plan: Any, stage: Any, work: Work, v: View) -> None:
    # Each pair of positions belongs to pairs of windows; those of a torus also to the offset that has come back.
    for dy in (v.dy, v.dy - v.ny):
        for dx in (v.dx, v.dx - v.nx):
            if stage[TORUS] or (dy == v.dy and dx == v.dx):
                _sum_windows_of(plan, stage, work, v, (dy, dx))


@part
def _sum_windows_of(plan: Any, stage: Any, work: Work, v: View, d: tuple[int, int]) -> None:
    ny, nx = stage[PLACES], stage[PLACES + 1]
    wy, wx, sy, sx = stage[WINDOW], stage[WINDOW + 1], stage[STRIDE], stage[STRIDE + 1]
    for i in range(wy):
        for ey in range(max(-((wy - 1 - d[0] - i) // sy), 1 - ny), min((d[0] + i) // sy, ny - 1) + 1):
            rows = _places(stage, 0, i, (d[0], ey))
            for j in range(wx):
                for ex in range(max(-((wx - 1 - d[1] - j) // sx), 1 - nx), min((d[1] + j) // sx, nx - 1) + 1):
                    columns = _places(stage, 1, j, (d[1], ex))
                    at = plan.places[stage[POOLED] + (ey + ny - 1) * (2 * nx - 1) + ex + nx - 1]
                    if at >= 0:
                        _sum_block(plan, stage, work, (rows, columns, (i, j), (ey, ex)), (v, at))


@part
def _sum_block(plan: Any, stage: Any, work: Work, block: Any, into: tuple[View, int]) -> None:
    rows, columns, (i, j), (ey, ex) = block
    v, at = into
    nx, sy, sx = stage[PLACES + 1], stage[STRIDE], stage[STRIDE + 1]
    width = nx - abs(ex)
    for r in range(rows[0], rows[1]):
        out = stage[BASE] + (at + (r - max(-ey, 0)) * width - max(-ex, 0)) * WIDTH
        row = start_of(plan, stage[DST], stage[field.ORIGIN]) + (sy * r + i - stage[PAD] - v.top) * plan.pitch
        for c in range(columns[0], columns[1]):
            place = row + (sx * c + j - stage[PAD + 1] - v.left) * WIDTH
            here = out + c * WIDTH
            store(work.pooled, here, load(work.pooled, here) + load(work.planes, place))
            here += stage[HALF]
            place += plan.half
            store(work.pooled, here, load(work.pooled, here) + load(work.planes, place))


@part
def run_stage(plan: Any, stage: Any, work: Work, sides: tuple[Side, Side], half: bool) -> None:
    """Carry all planes through a stage, and sum them up at its end; ``half`` leaves out those of negative offsets.

    The sums over all of space are in ``work.sums``, those of offset zero apart where ``half`` is set: of the end of the
    stage, and behind them those of each `TAP` in it.
    """
    if stage[field.END] == field.WINDOWS:
        for k in range(stage[BASE], stage[BASE] + 2 * stage[HALF]):
            work.pooled[k] = 0
    for k in range(plan.sums):
        work.sums[k] = 0
    for a in range(stage[field.DOWN], stage[field.DOWN] + stage[field.DOWN_COUNT]):
        for b in range(stage[field.ACROSS], stage[field.ACROSS] + stage[field.ACROSS_COUNT]):
            offset = (plan.offsets[a], plan.offsets[b])
            if half and (offset[0] < 0 or (offset[0] == 0 and offset[1] < 0)):
                continue
            bank = 1 if half and offset == (0, 0) else 0
            for k in range(stage[field.FIRST], stage[field.LAST]):
                op = pointer(plan.ops, k * field.COLUMNS)
                if op[field.CODE] == field.INPUT:
                    fill_input(plan, op, work, sides, offset)
                elif op[field.CODE] == field.GATHER:
                    fill_pooled(plan, op, work, sides, offset)
                elif op[field.CODE] == field.ADD:
                    add(plan, op, work, offset)
                else:
                    linear(plan, op, work, sides, offset)
                if op[field.TAP]:
                    origin, behind = start_of(plan, op[DST], op[field.ORIGIN_OUT]), view(op, PLACES, STEP_OUT, offset)
                    _sum_all(plan, origin, work, behind, 2 * op[field.TAP] + bank)
            v = view(stage, SPACE, STEP, offset)
            if stage[field.END] == field.WINDOWS:
                _sum_windows(plan, stage, work, v)
            elif stage[field.END] == field.TOTAL:
                _sum_all(plan, start_of(plan, stage[DST], stage[field.ORIGIN]), work, v, bank)
    if stage[field.END] == field.TOTAL and not half:
        write_sums(stage, work, work.sums)


@part
def write_sums(stage: Any, work: Work, sums: Any) -> None:
    """Hand the sums over all of space to the next stage."""
    for k in range(WIDTH):
        work.pooled[stage[BASE] + k] = sums[k]
        work.pooled[stage[BASE] + stage[HALF] + k] = sums[WIDTH + k]
