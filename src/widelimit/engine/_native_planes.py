r"""Second moments of convolutional nets on offset planes, compiled: one plane through all layers while it is in cache.

For a fixed offset :math:`\delta = p' - p` a layer acts inside one plane of pairs of positions (DESIGN.md). A plane has
16 lanes, the partners y of one input x, and lies in a slot of the work space: its gaps, and behind them its NTK. The
functions interpret the tables of a `Plan`, so that a new network compiles nothing.
"""

from typing import Any, NamedTuple

from . import _native_duals as duals
from . import _native_plan as field
from ._hermite import KNOWN
from ._native_arc import ARC_DOUBLE, ARC_SINGLE, SEGMENT_DOUBLE, SEGMENT_SINGLE
from ._native_duals import RELU
from ._native_plan import NOTHING
from ._native_series import series_pair
from ._simd import (
    WIDTH,
    greater,
    inline,
    inverse,
    lesser,
    load,
    part,
    pointer,
    polynomial,
    root,
    spread,
    store,
    where_positive,
    with_sign,
    zeros,
)

SRC, DST, CODE, KIND, TORUS, CHANNELS = field.SRC, field.DST, field.CODE, field.KIND, field.TORUS, field.CHANNELS
SPACE, STEP, PLACES, STEP_OUT = field.SPACE, field.STEP, field.PLACES, field.STEP_OUT
WINDOW, STRIDE, DILATION, PAD = field.WINDOW, field.STRIDE, field.DILATION, field.PAD
Q_IN, Q_OUT, FEATURE = field.Q_IN, field.Q_OUT, field.FEATURE
GAIN, TANGENT, SHARE, BIAS, ARGUMENT = field.GAIN, field.TANGENT, field.SHARE, field.BIAS, field.ARGUMENT
COLUMNS, NUMBERS, ORIGIN, ORIGIN_OUT = field.COLUMNS, field.NUMBERS, field.ORIGIN, field.ORIGIN_OUT


class Work(NamedTuple):
    """Memory of one worker: slots of planes and behind them a row, pooled planes, sums over planes."""

    planes: Any
    pooled: Any
    sums: Any


class Side(NamedTuple):
    """What is known of one input, or of 16 side by side (``lanes``): its values, and its moments in every layer."""

    image: Any
    table: Any
    lanes: int


class View(NamedTuple):
    """A plane in front of an operation, or behind it: size and offset of space, first position, number of positions."""

    ny: int
    nx: int
    dy: int
    dx: int
    top: int
    left: int
    rows: int
    columns: int


_arc = polynomial(len(ARC_SINGLE), len(ARC_DOUBLE))
_segment = polynomial(len(SEGMENT_SINGLE), len(SEGMENT_DOUBLE))


@inline
def _of(array: Any, at: int, lanes: int) -> Any:
    # The entry of one input for all lanes, or those of 16 inputs.
    if lanes:
        return load(array, at * WIDTH)
    return spread(array, at)


@part
def view(op: Any, space: int, step: int, offset: tuple[int, int]) -> View:
    """Return the plane of an offset behind the stage, where space has the size in column ``space``."""
    ny, nx, torus = op[space], op[space + 1], op[TORUS]
    dy, dx = offset[0] * op[step], offset[1] * op[step + 1]
    if torus:
        return View(ny, nx, dy % ny, dx % nx, 0, 0, ny, nx)
    return View(ny, nx, dy, dx, max(-dy, 0), max(-dx, 0), ny - abs(dy), nx - abs(dx))


@inline
def _beside(p: int, offset: int, size: int) -> int:
    # The position at an offset; around a torus it comes back.
    q = p + offset
    return q - size if q >= size else q


@inline
def _taps(array: Any, at: int, step: int, count: int) -> Any:
    total = load(array, at)
    if count == 3:
        return total + load(array, at + step) + load(array, at + 2 * step)
    for f in range(1, count):
        total = total + load(array, at + f * step)
    return total


@inline
def start_of(plan: Any, slot: int, origin: int) -> int:
    """Return where the first position of a plane stands, whose rows start at ``origin``."""
    return slot * plan.slot + origin * plan.pitch + plan.margin * WIDTH


@part
def fill_input(plan: Any, op: Any, work: Work, sides: tuple[Side, Side], offset: tuple[int, int]) -> None:
    r"""Write the gaps of the inputs themselves, :math:`\sum_c (x_{pc} - y_{p'c})^2/2C`, and an NTK of zero."""
    x, y = sides
    v, channels = view(op, SPACE, STEP, offset), op[CHANNELS]
    half = plan.numbers[op[field.ROW] * NUMBERS + GAIN]
    for r in range(v.rows):
        out = start_of(plan, op[DST], op[ORIGIN_OUT]) + r * plan.pitch
        p, q = (v.top + r) * v.nx + v.left, _beside(v.top + r, v.dy, v.ny) * v.nx
        for c in range(v.columns):
            first, second = (p + c) * channels, (q + _beside(v.left + c, v.dx, v.nx)) * channels
            total = zeros(work.planes)
            for k in range(channels):
                d = _of(x.image, first + k, x.lanes) - load(y.image, (second + k) * WIDTH)
                total = total + d * d
            store(work.planes, out + c * WIDTH, total * half)
            store(work.planes, out + c * WIDTH + plan.half, zeros(work.planes))


@part
def fill_pooled(plan: Any, op: Any, work: Work, sides: tuple[Side, Side], offset: tuple[int, int]) -> None:
    r"""Write the moments behind a pooling whose sums are complete, as `arch._linear.mix` has them."""
    x, y = sides
    v = view(op, SPACE, STEP, offset)
    own, mean, scale, ones = op[FEATURE], op[FEATURE] + v.ny * v.nx, op[field.WEIGHTS], op[field.WEIGHTS] + v.ny * v.nx
    for r in range(v.rows):
        out = start_of(plan, op[DST], op[ORIGIN_OUT]) + r * plan.pitch
        row = _beside(v.top + r, v.dy, v.ny)
        for c in range(v.columns):
            column = _beside(v.left + c, v.dx, v.nx)
            p, q = (v.top + r) * v.nx + v.left + c, row * v.nx + column
            # Around a torus the offset is another one where the partner has come back.
            oy, ox = row - v.top - r, column - v.left - c
            at = plan.places[op[field.POOLED] + (oy + v.ny - 1) * (2 * v.nx - 1) + ox + v.nx - 1]
            at = op[field.POOL_BASE] + (at + min(v.top + r, row) * (v.nx - abs(ox)) + min(v.left + c, column)) * WIDTH
            a, b = plan.weights[scale + p], plan.weights[scale + q]
            apart = (plan.weights[ones + p] - plan.weights[ones + q]) / 2
            # Own sums are of the same rounding: equal inputs have a gap of zero.
            own_x, own_y = _of(x.table, own + p, x.lanes), load(y.table, (own + q) * WIDTH)
            g = (load(work.pooled, at) - (own_x * (a / b) + own_y * (b / a)) * 0.5) * (a * b)
            g = g + (_of(x.table, mean + p, x.lanes) - load(y.table, (mean + q) * WIDTH)) * apart
            store(work.planes, out + c * WIDTH, g)
            store(work.planes, out + c * WIDTH + plan.half, load(work.pooled, at + op[field.POOL_HALF]) * (a * b))


@inline
def _ring_cell(plan: Any, op: Any, work: Work, sides: tuple[Side, Side], v: View, place: tuple[int, int]) -> None:
    x, y = sides
    r, c = place
    out = start_of(plan, op[SRC], op[ORIGIN]) + r * plan.pitch + c * WIDTH
    if op[TORUS]:
        inside = start_of(plan, op[SRC], op[ORIGIN]) + (r % v.rows) * plan.pitch + (c % v.columns) * WIDTH
        store(work.planes, out, load(work.planes, inside))
        store(work.planes, out + plan.half, load(work.planes, inside + plan.half))
        return
    p, q = v.top + r, v.left + c
    g = zeros(work.planes)
    store(work.planes, out + plan.half, g)
    if 0 <= p < v.ny and 0 <= q < v.nx:
        g = g + _of(x.table, op[Q_IN] + p * v.nx + q, x.lanes) * 0.5
    p, q = p + v.dy, q + v.dx
    if 0 <= p < v.ny and 0 <= q < v.nx:
        g = g + load(y.table, (op[Q_IN] + p * v.nx + q) * WIDTH) * 0.5
    store(work.planes, out, g)


@part
def fill_ring(plan: Any, op: Any, work: Work, sides: tuple[Side, Side], at: tuple[View, View]) -> None:
    """Write what the window sees beyond the border of a plane: half a moment beside a zero, or space again."""
    v, w = at
    y0, y1 = _reach(op, 0, v.top, w.top, w.rows)
    x0, x1 = _reach(op, 1, v.left, w.left, w.columns)
    for r in range(y0, y1):
        if 0 <= r < v.rows:
            for c in range(x0, 0):
                _ring_cell(plan, op, work, sides, v, (r, c))
            for c in range(v.columns, x1):
                _ring_cell(plan, op, work, sides, v, (r, c))
        else:
            for c in range(x0, x1):
                _ring_cell(plan, op, work, sides, v, (r, c))


@inline
def _reach(op: Any, axis: int, before: int, behind: int, places: int) -> tuple[int, int]:
    # First and last position that the window sees, counted from the first position of the plane in front.
    first = op[STRIDE + axis] * behind - op[PAD + axis] - before
    return first, first + op[STRIDE + axis] * (places - 1) + (op[WINDOW + axis] - 1) * op[DILATION + axis] + 1


@part
def linear(plan: Any, op: Any, work: Work, sides: tuple[Side, Side], offset: tuple[int, int]) -> None:
    """Carry a plane through weights, and through the activation behind them if there is one, row by row.

    The rows behind may stand where rows in front stood that are no longer needed.
    """
    v, w = view(op, SPACE, STEP, offset), view(op, PLACES, STEP_OUT, offset)
    if op[field.RING]:
        fill_ring(plan, op, work, sides, (v, w))
    y0, _ = _reach(op, 0, v.top, w.top, w.rows)
    x0, x1 = _reach(op, 1, v.left, w.left, w.columns)
    if op[field.THREE] and not sides[0].lanes:
        _relu_of_three(plan, op, work, sides, (w, start_of(plan, op[SRC], op[ORIGIN]) + y0 * plan.pitch + x0 * WIDTH))
        return
    for r in range(w.rows):
        row = start_of(plan, op[SRC], op[ORIGIN]) + (y0 + r * op[STRIDE]) * plan.pitch + x0 * WIDTH
        half = plan.half
        if op[WINDOW] > 1 or op[WINDOW + 1] > 1:
            down = op[DILATION] * plan.pitch
            _down(pointer(work.planes, row), down, op[WINDOW], pointer(work.planes, plan.rows), x1 - x0)
            _down(
                pointer(work.planes, row + half),
                down,
                op[WINDOW],
                pointer(work.planes, plan.rows + plan.pitch),
                x1 - x0,
            )
            row, half = plan.rows, plan.pitch
        # Around a torus partners come back to the first column somewhere.
        turn = min(max(w.nx - w.dx - w.left, 0), w.columns)
        # Numba compiles once for numbers that are not written out.
        _row(plan, op, work, sides, (w, r, row, half, turn - turn, turn))
        if turn < w.columns:
            _row(plan, op, work, sides, (w, r, row, half, turn, w.columns))


@inline
def _row(plan: Any, op: Any, work: Work, sides: tuple[Side, Side], at: Any) -> None:
    if op[KIND] == NOTHING:
        _row_plain(plan, op, work, sides, at)
    elif op[KIND] == RELU:
        _row_relu(plan, op, work, sides, at)
    else:
        _row_dual(plan, op, work, sides, at)


@part
def _down(rows: Any, step: int, count: int, out: Any, columns: int) -> None:
    # Sums of several rows.
    if count == 3:
        for c in range(0, columns * WIDTH, WIDTH):
            store(out, c, load(rows, c) + load(rows, c + step) + load(rows, c + 2 * step))
        return
    for c in range(0, columns * WIDTH, WIDTH):
        store(out, c, _taps(rows, c, step, count))


@inline
def _partners(w: View, r: int, low: int) -> tuple[int, int]:
    # The positions p and p' of the first place of a row, so that those of place c are at p + c and p' + c.
    q = _beside(w.top + r, w.dy, w.ny) * w.nx + w.left + w.dx
    return (w.top + r) * w.nx + w.left, q - w.nx if w.left + low + w.dx >= w.nx else q


@part
def _row_plain(plan: Any, op: Any, work: Work, sides: tuple[Side, Side], at: Any) -> None:
    x, y = sides
    w, r, row, half, low, high = at
    n = pointer(plan.numbers, op[field.ROW] * NUMBERS)
    step, across = op[STRIDE + 1] * WIDTH, op[DILATION + 1] * WIDTH
    out = start_of(plan, op[DST], op[ORIGIN_OUT]) + r * plan.pitch
    p, q = _partners(w, r, low)
    for c in range(low, high):
        g = _taps(work.planes, row + c * step, across, op[WINDOW + 1]) * n[GAIN]
        t = _taps(work.planes, row + half + c * step, across, op[WINDOW + 1]) * n[TANGENT]
        both = _of(x.table, op[Q_OUT] + p + c, x.lanes) + load(y.table, (op[Q_OUT] + q + c) * WIDTH)
        store(work.planes, out + c * WIDTH, g)
        store(work.planes, out + c * WIDTH + plan.half, t + ((both * 0.5 - g) * n[SHARE] + n[BIAS]))


@inline
def _relu(plan: Any, numbers: Any, state: Any, s1: Any, s2: Any) -> Any:
    # New gap and NTK from the sums of a window and the standard deviations of the two inputs.
    gain, tangent, share, bias, both, odd, even = numbers
    g, t = state
    g = g * gain
    size, apart = s1 * s2, s1 - s2
    u = g - apart * apart * 0.5
    h = where_positive(size, u * inverse(size), 1.0)
    cosine = 1.0 - h
    m = greater(lesser(h, 2.0 - h), plan.tiny)
    length = root(m)
    slope = with_sign(0.25 - length * _arc(m, plan.arc), cosine)
    bend = m * length * _segment(m, plan.segment) + greater(0.0 - cosine, 0.0) * 0.5
    t = t * tangent + ((size - u) * share + bias)
    return g * both - size * even * bend, t * (slope * even + odd)


@part
def _row_relu(plan: Any, op: Any, work: Work, sides: tuple[Side, Side], at: Any) -> None:
    x, y = sides
    w, r, row, half, low, high = at
    n = pointer(plan.numbers, op[field.ROW] * NUMBERS)
    odd, even = n[ARGUMENT], n[ARGUMENT + 1]
    numbers = (n[GAIN], n[TANGENT], n[SHARE], n[BIAS], odd + even, odd, even * 4)
    step, across, count = op[STRIDE + 1] * WIDTH, op[DILATION + 1] * WIDTH, op[WINDOW + 1]
    p, q = _partners(w, r, low)
    first, second = pointer(x.table, op[FEATURE] + p), pointer(y.table, (op[FEATURE] + q) * WIDTH)
    gaps, tangents = pointer(work.planes, row), pointer(work.planes, row + half)
    out = pointer(work.planes, start_of(plan, op[DST], op[ORIGIN_OUT]) + r * plan.pitch)
    below = pointer(out, plan.half)
    if x.lanes:
        first = pointer(x.table, (op[FEATURE] + p) * WIDTH)
    for c in range(low, high):
        k = c * WIDTH
        state = _taps(gaps, c * step, across, count), _taps(tangents, c * step, across, count)
        g, t = _relu(plan, numbers, state, _of(first, c, x.lanes), load(second, k))
        store(out, k, g)
        store(below, k, t)


@inline
def _three_down(rows: Any, at: int, down: int) -> Any:
    return load(rows, at) + load(rows, at + down) + load(rows, at + 2 * down)


@part
def _relu_of_three(plan: Any, op: Any, work: Work, sides: tuple[Side, Side], at: Any) -> None:
    # A whole plane of one input through a window of 3 by 3 and ReLU: sums of columns stay in registers until the window
    # has passed, because a row behind may stand where the first row of the window stood; and rows cost no calls.
    x, y = sides
    w, start = at
    n = pointer(plan.numbers, op[field.ROW] * NUMBERS)
    odd, even = n[ARGUMENT], n[ARGUMENT + 1]
    numbers = (n[GAIN], n[TANGENT], n[SHARE], n[BIAS], odd + even, odd, even * 4)
    down, target = op[DILATION] * plan.pitch, start_of(plan, op[DST], op[ORIGIN_OUT])
    # Around a torus partners come back to the first column somewhere.
    turn = min(max(w.nx - w.dx - w.left, 0), w.columns)
    for r in range(w.rows):
        gaps = pointer(work.planes, start + r * op[STRIDE] * plan.pitch)
        tangents = pointer(gaps, plan.half)
        out = pointer(work.planes, target + r * plan.pitch)
        below = pointer(out, plan.half)
        g0, t0 = _three_down(gaps, 0, down), _three_down(tangents, 0, down)
        g1, t1 = _three_down(gaps, WIDTH, down), _three_down(tangents, WIDTH, down)
        for low, high in ((0, turn), (turn, w.columns)):
            p, q = _partners(w, r, low)
            first, second = pointer(x.table, op[FEATURE] + p), pointer(y.table, (op[FEATURE] + q) * WIDTH)
            for c in range(low, high):
                k = c * WIDTH
                g2, t2 = _three_down(gaps, k + 2 * WIDTH, down), _three_down(tangents, k + 2 * WIDTH, down)
                g, t = _relu(plan, numbers, (g0 + g1 + g2, t0 + t1 + t2), spread(first, c), load(second, k))
                store(out, k, g)
                store(below, k, t)
                g0, t0 = g1, t1
                g1, t1 = g2, t2


@part
def _row_dual(plan: Any, op: Any, work: Work, sides: tuple[Side, Side], at: Any) -> None:
    # Any other activation, from the variance of each input and its prepared numbers.
    x, y = sides
    w, r, row, half, low, high = at
    n, size = pointer(plan.numbers, op[field.ROW] * NUMBERS), w.ny * w.nx
    numbers = (n[ARGUMENT], n[ARGUMENT + 1], n[ARGUMENT + 2], n[ARGUMENT + 3])
    counts = (int(n[ARGUMENT + 1]), int(n[ARGUMENT + 2]), int(n[ARGUMENT + 3]))
    step, across, count = op[STRIDE + 1] * WIDTH, op[DILATION + 1] * WIDTH, op[WINDOW + 1]
    out = start_of(plan, op[DST], op[ORIGIN_OUT]) + r * plan.pitch
    p, q = _partners(w, r, low)
    lanes = WIDTH if x.lanes else 1
    for c in range(low, high):
        g = _taps(work.planes, row + c * step, across, count) * n[GAIN]
        t = _taps(work.planes, row + half + c * step, across, count) * n[TANGENT]
        one, other = op[FEATURE] + p + c, op[FEATURE] + q + c
        both = _of(x.table, one, x.lanes) + load(y.table, other * WIDTH)
        t = t + ((both * 0.5 - g) * n[SHARE] + n[BIAS])
        if op[KIND] == duals.SERIES:
            # Rows of one position stand together: they come from the memory one after another.
            start, rows = op[FEATURE] + size, KNOWN + counts[0] + counts[1] + counts[2]
            first = pointer(x.table, (start + (p + c) * rows) * lanes)
            second = pointer(y.table, (start + (q + c) * rows) * WIDTH)
            g, slope = series_pair(counts, (first, lanes, x.lanes), (second, WIDTH, 1), g)
        else:
            first = _three(x.table, one + size, size, x.lanes)
            g, slope = duals.pair(op[KIND], numbers, first, _three(y.table, other + size, size, 1), g)
        store(work.planes, out + c * WIDTH, g)
        store(work.planes, out + c * WIDTH + plan.half, t * slope)


@inline
def _three(array: Any, at: int, step: int, lanes: int) -> Any:
    return _of(array, at, lanes), _of(array, at + step, lanes), _of(array, at + 2 * step, lanes)


@part
def add(plan: Any, op: Any, work: Work, offset: tuple[int, int]) -> None:
    """Add a plane of an independent signal."""
    v = view(op, SPACE, STEP, offset)
    for r in range(v.rows):
        one, other = (
            start_of(plan, op[SRC], op[ORIGIN]) + r * plan.pitch,
            start_of(plan, op[field.AUX], op[field.ORIGIN_AUX]) + r * plan.pitch,
        )
        out = start_of(plan, op[DST], op[ORIGIN_OUT]) + r * plan.pitch
        for c in range(0, v.columns * WIDTH, WIDTH):
            for half in (0, plan.half):
                both = load(work.planes, one + c + half) + load(work.planes, other + c + half)
                store(work.planes, out + c + half, both)
