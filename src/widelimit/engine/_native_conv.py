"""Kernels of images and sequences by the compiled plane engine: groups of 16 partners, threads, bounded memory."""

import threading
from typing import Any, NamedTuple

import numpy as np

from .. import _check
from . import _native_plan as field
from ._base import Block
from ._hermite import expansions, is_smooth, second_moments
from ._native_pairs import FINISH, HALF, MOMENTS, OWN, PAIRS, run
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
        ready = _Ready(self.program, [x, y])
        x, y = (a.reshape(len(a), -1) for a in (x, y))
        out = np.empty((2, len(x), len(y)), x.dtype)
        if not is_loaded(run, x.dtype):
            ready.hold(x[:1], np.empty((1, ready.plan.table), x.dtype), 0, 0)
        height = max(1, HELD // (WIDTH * ready.plan.table * x.dtype.itemsize)) * WIDTH
        whole = out[0].size / (1 + task.symmetric)
        with workers(task.threads) as call, progress("kernel", whole, task.seconds) as done:
            ready.stopped = call.stopped
            for low in range(0, len(x), height):
                high = min(low + height, len(x))
                held = np.empty((high - low, ready.plan.table), x.dtype)
                call(ready.hold, [(x, held, low, first) for first in range(low, high, WIDTH)], lambda done: None)  # noqa: ARG005
                tiles = ready.tiles(low, high, len(y), task.symmetric)
                call(ready.fill, [(x, held, y, out, tile) for tile in tiles], done)
        none = np.empty((0, 0), x.dtype)
        return Block(*(_given(a if wanted else none) for a, wanted in zip(out, task.wanted, strict=True)))

    def diagonal(self, x: np.ndarray) -> Block:
        """Return NNGP and NTK of each input with itself, (n,)."""
        _check.finite(x, "x")
        ready, flat = _Ready(self.program, [x]), x.reshape(len(x), -1)
        out = np.empty((2, len(x)), x.dtype)
        for first in range(0, len(x), WIDTH):
            ready.own(flat, out, first)
        return Block(*map(_given, out))


class _Ready:
    # The plan in one precision and for the variances that inputs bring, and the memory of each thread.
    def __init__(self, program: Program, batches: list[np.ndarray]) -> None:
        self.dtype: Any = batches[0].dtype
        smooth = any(isinstance(op, Dual) and is_smooth(op.dual) for op in program.operations)
        found = expansions(program, second_moments(batches), self.dtype) if smooth else None
        self.plan = plan(program, self.dtype, found)
        self.stopped: Any = lambda: False
        self._local, self._lock = threading.local(), threading.Lock()
        self._groups: dict[int, tuple[Any, list]] = {}

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

    def fill(self, x: np.ndarray, held: np.ndarray, y: np.ndarray, out: np.ndarray, tile: Tile) -> float:
        some = slice(tile.low, tile.high)
        values, moments = x[some], held[tile.low - tile.start : tile.high - tile.start]
        count, half = len(values), tile.diagonal and self._halves()
        if half:
            values, moments = (np.concatenate([a, np.repeat(a[-1:], WIDTH - count, 0)]) for a in (values, moments))
        values = fixed(values)
        found, sums = np.empty((len(values), 2 * WIDTH), self.dtype), np.empty((len(values), 4 * WIDTH))
        partners, step = self._partners(y, tile.group), self._rows()
        for low in range(0, len(values), step):
            if self.stopped():
                return 0.0
            some_inputs = tuple(a[low : low + step] for a in (values, moments, found, sums))
            run(HALF if half else PAIRS, self.plan, self._work(), partners, some_inputs)
        if half:
            run(FINISH, self.plan, self._work(), partners, (values, moments, found, sums))
        columns = slice(tile.group, min(tile.group + WIDTH, out.shape[2]))
        both = np.moveaxis(found[:count].reshape(count, 2, WIDTH), 1, 0)[:, :, : columns.stop - columns.start]
        if tile.diagonal:
            both = (both + np.swapaxes(both, 1, 2)) / 2
        out[:, some, columns] = both
        if tile.mirrored:
            out[:, columns, some] = np.swapaxes(both, 1, 2)
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
            self._local.work = Work(planes, pooled, np.zeros(4 * WIDTH))
        return self._local.work


def _aligned(count: int, dtype: Any) -> np.ndarray:
    # Zeros from the start of a cache line on.
    size = np.dtype(dtype).itemsize
    a = np.zeros(count + 64 // size, dtype)
    start = -a.ctypes.data % 64 // size
    return a[start : start + count]
