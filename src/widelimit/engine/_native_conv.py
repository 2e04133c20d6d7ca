"""Kernels of images and sequences by the compiled plane engine: groups of 16 partners, threads, bounded memory."""

import threading
from typing import Any, NamedTuple

import numpy as np

from .. import _check
from . import _native_plan as field
from ._base import Block
from ._hermite import expansions, is_smooth, second_moments
from ._native_pairs import FINISH, HALF, MOMENTS, OWN, PAIRS, REST, SUMS, run
from ._native_plan import Plan
from ._native_planes import Work
from ._native_planner import plan
from ._native_run import Task, _given
from ._on_disk import fixed, is_loaded
from ._program import Dual, Program
from ._progress import progress
from ._simd import WIDTH
from ._threads import workers

HELD = 2**25
"""Bytes of moments of those inputs that meet all partners at a time."""

GROUPS = 4
"""Groups of 16 partners that are remembered: tiles come group by group, on several threads."""

CALL = 2**21
"""Operations on 16 numbers, about, in one call of compiled code: some tenths of a second, after which Ctrl-C works."""


class Tile(NamedTuple):
    """Inputs against 16 partners: rows ``low`` to ``high`` of those held from ``start`` on, partners from ``group``.

    ``mirrored`` tiles are written twice; those on the ``diagonal`` hold inputs against themselves.
    """

    low: int
    high: int
    group: int
    start: int
    mirrored: bool
    diagonal: bool


class Images:
    """A network on inputs with one or two axes of space, in the form of the compiled planes.

    Raises
    ------
    NoNativeForm
        If the network has no form on offset planes; the message says why.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        plan(program, np.dtype(np.float32))

    def block(self, x: np.ndarray, y: np.ndarray, task: Task) -> Block:
        """Return NNGP and NTK of inputs of one dtype, (n1, n2); one that is not wanted is empty."""
        _check.finite(x, "x1")
        _check.finite(y, "x2")
        return _together([_Ready(self.program, [x, y])], x, y, task)[0]

    def diagonal(self, x: np.ndarray) -> Block:
        """Return NNGP and NTK of each input with itself, (n,)."""
        _check.finite(x, "x")
        ready, flat = _Ready(self.program, [x]), x.reshape(len(x), -1)
        out = np.empty((2, len(x)), x.dtype)
        for first in range(0, len(x), WIDTH):
            ready.own(flat, out, first)
        return Block(*map(_given, out))


def blocks(programs: list[Program], x: np.ndarray, y: np.ndarray, task: Task) -> list[Block]:
    """Return NNGP and NTK of several networks with a form on planes.

    Those that are the same up to a global pooling are computed in one pass of the one with most layers.
    """
    _check.finite(x, "x1")
    _check.finite(y, "x2")
    ready = [_Ready(program, [x, y]) for program in programs]
    found: dict[int, Block] = {}
    for i in sorted(range(len(ready)), key=lambda i: -ready[i].plan.stages[field.LAST]):
        if i not in found:
            same = [k for k in range(len(ready)) if k not in found and k != i and ready[i].begins_with(ready[k])]
            made = _together([ready[i], *(ready[k] for k in same)], x, y, task)
            found.update(zip([i, *same], made, strict=True))
    return [found[i] for i in range(len(ready))]


def _together(several: "list[_Ready]", x: np.ndarray, y: np.ndarray, task: Task) -> list[Block]:
    # Kernels of networks of which the first begins with the layers of all others.
    x, y = (a.reshape(len(a), -1) for a in (x, y))
    first, out = several[0], np.empty((len(several), 2, len(x), len(y)), x.dtype)
    first.share(several[1:])
    if not is_loaded(run, x.dtype):
        first.hold(x[:1], np.empty((1, first.plan.table), x.dtype), 0, 0)
    table = sum(one.plan.table for one in several)
    height = max(1, HELD // (WIDTH * table * x.dtype.itemsize)) * WIDTH
    whole = out[0, 0].size / (1 + task.symmetric)
    with workers(task.threads) as call, progress("kernel", whole, task.seconds) as done:
        first.stopped = call.stopped
        for low in range(0, len(x), height):
            high = min(low + height, len(x))
            held = [np.empty((high - low, one.plan.table), x.dtype) for one in several]
            for one, rows in zip(several, held, strict=True):
                call(one.hold, [(x, rows, low, at) for at in range(low, high, WIDTH)], lambda done: None)  # noqa: ARG005
            tiles = first.tiles(low, high, len(y), task.symmetric)
            call(first.fill, [(x, held, y, out, tile) for tile in tiles], done)
    none = np.empty((0, 0), x.dtype)
    return [Block(*(_given(a if wanted else none) for a, wanted in zip(two, task.wanted, strict=True))) for two in out]


class _Ready:
    # The plan in one precision and for the variances that inputs bring, and the memory of each thread; and the same of
    # other networks that begin with layers of this one.
    def __init__(self, program: Program, batches: list[np.ndarray]) -> None:
        self.dtype: Any = batches[0].dtype
        smooth = any(isinstance(op, Dual) and is_smooth(op.dual) for op in program.operations)
        found = expansions(program, second_moments(batches), self.dtype) if smooth else None
        self.plan = plan(program, self.dtype, found)
        self.stopped: Any = lambda: False
        self._local, self._lock = threading.local(), threading.Lock()
        self._groups: dict[int, tuple[Any, list]] = {}
        self.others: list[tuple[_Ready, int]] = []

    def begins_with(self, other: "_Ready") -> bool:
        """Whether the layers of another network in front of its global pooling are the first of these, offsets too."""
        one, two = self.plan, other.plan
        ends = [a.stages[field.END] == field.TOTAL and not a.stages[field.OWN] for a in (one, two)]
        count = int(two.stages[field.LAST])
        if not all(ends) or count > one.stages[field.LAST] or _offsets(one) != _offsets(two):
            return False
        ops = [a.ops.reshape(-1, field.COLUMNS)[:count, : field.ORIGIN] for a in (one, two)]
        rows = [a.numbers.reshape(-1, field.NUMBERS)[:count] for a in (one, two)]
        same = np.array_equal(*ops) and np.array_equal(*rows)
        return same and np.array_equal(one.series[: len(two.series)], two.series)

    def share(self, others: "list[_Ready]") -> None:
        """Sum planes up where these networks end, too."""
        lasts = [int(one.plan.stages[field.LAST]) for one in (self, *others)]
        places = sorted(set(lasts), reverse=True)
        self.others = [(one, places.index(last)) for one, last in zip(others, lasts[1:], strict=True)]
        ops = self.plan.ops.copy().reshape(-1, field.COLUMNS)
        ops[np.array(places[1:], int) - 1, field.TAP] = range(1, len(places))
        self.plan = self.plan._replace(ops=ops.ravel(), sums=4 * WIDTH * len(places))

    def tiles(self, low: int, high: int, columns: int, symmetric: bool) -> list[Tile]:
        # Of a symmetric kernel those below the diagonal, and on it.
        tiles = []
        for group in range(low if symmetric else 0, columns, WIDTH):
            inside = symmetric and group < high
            last = group if inside else high
            rows = self._rows()
            tiles += [Tile(a, min(a + rows, last), group, low, symmetric, False) for a in range(low, last, rows)]
            if inside:
                tiles.append(Tile(group, min(group + WIDTH, high), group, low, True, True))
        return tiles

    def _rows(self) -> int:
        # Inputs of one call.
        work = 0
        ops = self.plan.ops.reshape(-1, field.COLUMNS)
        for stage in self.plan.stages.reshape(-1, field.STAGE_COLUMNS):
            count = stage[field.DOWN_COUNT] * stage[field.ACROSS_COUNT]
            rows = ops[stage[field.FIRST] : stage[field.LAST]]
            work += count * int(np.sum(rows[:, field.SPACE] * rows[:, field.SPACE + 1])) // 4
        return int(np.clip(CALL // max(work, 1), 1, 4 * WIDTH))

    def hold(self, x: np.ndarray, held: np.ndarray, low: int, first: int) -> float:
        rows = held[first - low : first - low + WIDTH]
        rows[:] = self._side(x, first)[1].reshape(-1, WIDTH).T[: len(rows)]
        return float(len(rows))

    def fill(self, x: np.ndarray, held: list[np.ndarray], y: np.ndarray, out: np.ndarray, tile: Tile) -> float:
        some = slice(tile.low, tile.high)
        values, moments = x[some], [rows[tile.low - tile.start : tile.high - tile.start] for rows in held]
        count, half = len(values), tile.diagonal and self._halves()
        if half:
            values, *moments = (np.concatenate([a, np.repeat(a[-1:], WIDTH - count, 0)]) for a in (values, *moments))
        values = fixed(values)
        what = HALF if half else SUMS if self.others else PAIRS
        found, sums = np.empty((len(values), 2 * WIDTH), self.dtype), np.empty((len(values), self.plan.sums))
        partners, step = self._partners(y, tile.group), self._rows()
        for low in range(0, len(values), step):
            if self.stopped():
                return 0.0
            some_inputs = tuple(a[low : low + step] for a in (values, moments[0], found, sums))
            run(what, self.plan, self._work(), partners, some_inputs)
        columns = slice(tile.group, min(tile.group + WIDTH, y.shape[0]))
        for k, (one, place) in enumerate([(self, 0), *self.others]):
            if what != PAIRS:
                own = np.ascontiguousarray(sums[:, 4 * WIDTH * place : 4 * WIDTH * (place + 1)])
                inputs = values, moments[k], found, own
                run(FINISH if half else REST, one.plan, one._work(), one._partners(y, tile.group), inputs)
            both = np.moveaxis(found[:count].reshape(count, 2, WIDTH), 1, 0)[:, :, : columns.stop - columns.start]
            if tile.diagonal:
                both = (both + np.swapaxes(both, 1, 2)) / 2
            out[k][:, some, columns] = both
            if tile.mirrored:
                out[k][:, columns, some] = np.swapaxes(both, 1, 2)
        return float(count * (columns.stop - columns.start))

    def _partners(self, y: np.ndarray, group: int) -> tuple[np.ndarray, np.ndarray]:
        # What is known of 16 partners, found once for all of the tiles that follow each other with them.
        with self._lock:
            lock, found = self._groups.setdefault(group, (threading.Lock(), []))
            for old in list(self._groups)[:-GROUPS]:
                del self._groups[old]
        with lock:
            if not found:
                found.append(self._side(y, group))
            return found[0]

    def own(self, x: np.ndarray, out: np.ndarray, first: int) -> None:
        found = np.empty((1, 2 * WIDTH), self.dtype)
        self._side(x, first, found)
        columns = slice(first, min(first + WIDTH, out.shape[1]))
        out[:, columns] = found.reshape(2, WIDTH)[:, : columns.stop - columns.start]

    def _side(self, x: np.ndarray, first: int, found: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        # Values and moments of 16 inputs side by side, the last one several times where there are fewer.
        group = np.minimum(np.arange(first, first + WIDTH), len(x) - 1)
        values = _aligned(x.shape[1] * WIDTH, self.dtype)
        values.reshape(-1, WIDTH)[:] = x[group].T
        side = values, _aligned(self.plan.table * WIDTH, self.dtype)
        nothing = np.empty((0, 1), self.dtype)
        inputs = fixed(nothing), nothing, nothing if found is None else found, np.empty((0, 1))
        run(MOMENTS if found is None else OWN, self.plan, self._work(), side, inputs)
        return side

    def _halves(self) -> bool:
        # Whether the planes of negative offsets are those of exchanged pairs, and there are any.
        stage = self.plan.stages[: field.STAGE_COLUMNS]
        many = stage[field.DOWN_COUNT] * stage[field.ACROSS_COUNT] > 1
        return bool(many and stage[field.END] == field.TOTAL and not stage[field.TORUS] and not stage[field.OWN])

    def _work(self) -> Work:
        # The memory of this thread.
        if not isinstance(getattr(self._local, "work", None), Work):
            planes, pooled = (_aligned(max(n, 1), self.dtype) for n in (self.plan.planes, self.plan.pooled))
            self._local.work = Work(planes, pooled, np.zeros(self.plan.sums))
        return self._local.work


def _offsets(plan: Plan) -> tuple[tuple[int, ...], ...]:
    # Of the planes of the first stage, along each axis.
    columns = (field.DOWN, field.DOWN_COUNT), (field.ACROSS, field.ACROSS_COUNT)
    starts = [(int(plan.stages[start]), int(plan.stages[count])) for start, count in columns]
    return tuple(tuple(plan.offsets[start : start + count].tolist()) for start, count in starts)


def _aligned(count: int, dtype: Any) -> np.ndarray:
    # Zeros from the start of a cache line on.
    size = np.dtype(dtype).itemsize
    a = np.zeros(count + 64 // size, dtype)
    start = -a.ctypes.data % 64 // size
    return a[start : start + count]
