"""Kernels of images and sequences by the compiled plane engine: groups of 16 partners, threads, bounded memory."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _native_plan as field
from ._native_pairs import FINISH, HALF, MOMENTS, OWN, PAIRS, run
from ._native_plan import Plan
from ._native_planes import Work
from ._native_planner import plan
from ._program import Program
from ._simd import WIDTH

HELD = 2**25
"""Bytes of moments of those inputs that meet all partners at a time."""

CALL = 2**21
"""Operations of 16 numbers, about, in one call of compiled code: some tenths of a second, after which Ctrl-C works."""


@dataclasses.dataclass
class Task:
    """Some inputs against 16 partners, on the diagonal with themselves."""

    low: int
    high: int
    group: int
    start: int
    mirrored: bool
    diagonal: bool


class Images:
    """A program on inputs of one shape, made ready: its plan, and the memory of each thread.

    Parameters
    ----------
    program
        The network.
    dtype
        Precision of inputs and results.

    Raises
    ------
    NoNativeForm
        If the program has no form on offset planes.
    """

    def __init__(self, program: Program, dtype: Any) -> None:
        self.plan: Plan = plan(program, np.dtype(dtype))
        self.dtype = np.dtype(dtype)
        self._local = threading.local()

    def kernels(self, x: np.ndarray, y: np.ndarray, symmetric: bool, run: Callable) -> tuple[np.ndarray, np.ndarray]:
        r"""Return NNGP and NTK of two batches (n, \*space, channels); ``y`` is ``x`` where ``symmetric``."""
        x, y = (a.reshape(len(a), -1) for a in (x, y))
        out = np.empty((2, len(x), len(y)), self.dtype)
        height = max(1, HELD // (WIDTH * self.plan.table * self.dtype.itemsize)) * WIDTH
        for low in range(0, len(x), height):
            high = min(low + height, len(x))
            held = np.empty((high - low, self.plan.table), self.dtype)
            run(self._hold, [(x, held, low, first) for first in range(low, high, WIDTH)])
            run(self._column, [(x, held, y, out, task) for task in self._tasks(low, high, len(y), symmetric)])
        return out[0], out[1]

    def diagonals(self, x: np.ndarray, run: Callable) -> tuple[np.ndarray, np.ndarray]:
        r"""Return NNGP and NTK of each input of a batch (n, \*space, channels) with itself."""
        x = x.reshape(len(x), -1)
        out = np.empty((2, len(x)), self.dtype)
        run(self._own, [(x, out, first) for first in range(0, len(x), WIDTH)])
        return out[0], out[1]

    def _tasks(self, low: int, high: int, columns: int, symmetric: bool) -> list[Task]:
        tasks = []
        for group in range(low if symmetric else 0, columns, WIDTH):
            inside = symmetric and group < high
            last = group if inside else high
            rows = self._rows()
            tasks += [Task(a, min(a + rows, last), group, low, symmetric, False) for a in range(low, last, rows)]
            if inside:
                tasks.append(Task(group, min(group + WIDTH, high), group, low, True, True))
        return tasks

    def _rows(self) -> int:
        # Inputs of one call.
        work = 0
        ops = self.plan.ops.reshape(-1, field.COLUMNS)
        for stage in self.plan.stages.reshape(-1, field.STAGE_COLUMNS):
            count = stage[field.DOWN_COUNT] * stage[field.ACROSS_COUNT]
            rows = ops[stage[field.FIRST] : stage[field.LAST]]
            work += count * int(np.sum(rows[:, field.SPACE] * rows[:, field.SPACE + 1])) // 4
        return int(np.clip(CALL // max(work, 1), 1, 4 * WIDTH))

    def _hold(self, x: np.ndarray, held: np.ndarray, low: int, first: int) -> None:
        rows = held[first - low : first - low + WIDTH]
        rows[:] = self._side(x, first)[1].reshape(-1, WIDTH).T[: len(rows)]

    def _column(self, x: np.ndarray, held: np.ndarray, y: np.ndarray, out: np.ndarray, task: Task) -> None:
        some = slice(task.low, task.high)
        values, moments = x[some], held[task.low - task.start : task.high - task.start]
        count, half = len(values), task.diagonal and self._halves()
        if half:
            values, moments = (np.concatenate([a, np.repeat(a[-1:], WIDTH - count, 0)]) for a in (values, moments))
        found, sums = np.empty((len(values), 2 * WIDTH), self.dtype), np.empty((len(values), 4 * WIDTH))
        partners, inputs = self._side(y, task.group), (values, moments, found, sums)
        for what in (HALF, FINISH) if half else (PAIRS,):
            run(what, self.plan, self._work(), partners, inputs)
        columns = slice(task.group, min(task.group + WIDTH, out.shape[2]))
        both = np.moveaxis(found[:count].reshape(count, 2, WIDTH), 1, 0)[:, :, : columns.stop - columns.start]
        if task.diagonal:
            both = (both + np.swapaxes(both, 1, 2)) / 2
        out[:, some, columns] = both
        if task.mirrored:
            out[:, columns, some] = np.swapaxes(both, 1, 2)

    def _own(self, x: np.ndarray, out: np.ndarray, first: int) -> None:
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
        inputs = nothing, nothing, nothing if found is None else found, np.empty((0, 1))
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
