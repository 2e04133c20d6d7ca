"""Kernels of vectors panel by panel, one thread each: products of the inputs, then the compiled loops."""

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from threadpoolctl import threadpool_limits

from .. import _check
from .._typing import Array
from . import _native_dense
from ._base import Block, Wanted
from ._hermite import Expansion, expansions, is_smooth, second_moments
from ._native_code import encoded
from ._on_disk import is_loaded
from ._program import Dual, Program
from ._progress import progress
from ._simd import WIDTH
from ._threads import workers

PANEL, TILE = 2**22, 2**24
"""Bytes of inputs and sides that a panel of rows, and a tile of columns, take at most."""

DIRECT = 64
"""Numbers per input up to which gaps come from differences, in the loop, and not from a GEMM."""

ROWS, SPAN = 256, 1024
"""Most rows of a panel, and columns whose products with it are taken at once: a megabyte, which stays in the cache."""

CHUNK = 32
"""Rows of one call of the compiled loop."""

ALIGNMENT = 64
"""Of results, in bytes, so that JAX takes them over without a copy."""


class Task(NamedTuple):
    """What is asked of a form of a network, beside its inputs.

    Attributes
    ----------
    wanted
        Which kernels.
    symmetric
        Whether both batches are the same.
    threads
        Number of threads.
    seconds
        Estimate of the time, for the progress bar.
    """

    wanted: Wanted
    symmetric: bool
    threads: int
    seconds: float


class _Part(NamedTuple):
    # Some inputs made ready: as they are, half their squares, sides, and as (d, n) where they have few numbers,
    # for the loop; for products, centred and divided by the root of d.
    values: np.ndarray
    half: np.ndarray
    sides: np.ndarray
    across: np.ndarray
    centred: np.ndarray


class Vectors:
    """A network on vectors, in the form of the compiled loops.

    Raises
    ------
    NoNativeForm
        If the network has an operation that is not one on vectors, or an activation that is not known here.
    """

    def __init__(self, program: Program, found: dict[int, Expansion] | None = None) -> None:
        self.program = program
        self.code = encoded(program, found)
        self.ready = found is not None or not any(
            isinstance(op, Dual) and is_smooth(op.dual) for op in program.operations
        )

    def block(self, x: np.ndarray, y: np.ndarray, task: Task) -> Block:
        """Return NNGP and NTK of inputs of one dtype, (n1, n2); one that is not wanted is empty."""
        if not self.ready:
            return self._expanded([x, y]).block(x, y, task)
        x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
        shape, kind = (len(x), len(y)), x.dtype
        if task.threads > 1 and not is_loaded(_native_dense.sweep, kind):
            self.block(x[:1], y[:1], task._replace(threads=1, symmetric=False))
        out: Any = Block(*(_aligned(shape if wanted else (0, 0), kind) for wanted in task.wanted))
        centre = np.mean(y, axis=0, dtype=np.float64).astype(kind)
        wide = max(x.shape[1], self.code.rows) * kind.itemsize
        height = max(1, min(ROWS, PANEL // wide, -(-shape[0] // (4 * task.threads))))
        width = max(SPAN, TILE // wide)
        whole = shape[0] * shape[1] / (1 + task.symmetric)
        # Each thread takes its own products: those of one panel are too small for all threads of a BLAS.
        alone = threadpool_limits(1, "blas") if x.shape[1] > DIRECT else contextlib.nullcontext()
        with alone, workers(task.threads) as run, progress("kernel", whole, task.seconds) as done:
            for column in range(0, shape[1], width):
                tile = self._part(y[column : column + width], centre)
                last = min(shape[0], column + width) if task.symmetric else shape[0]
                panels = [
                    (x[row : min(row + height, last)], centre, tile, (row, column)) for row in range(0, last, height)
                ]
                run(lambda *panel: self._fill(panel, out, task, run.stopped), panels, done)
        return Block(*map(_given, out))

    def diagonal(self, x: np.ndarray) -> Block:
        """Return NNGP and NTK of each input with itself, (n,)."""
        if not self.ready:
            return self._expanded([x]).diagonal(x)
        x = x.reshape(len(x), -1)
        out: Any = Block(*(_aligned((len(x),), x.dtype) for _ in range(2)))
        step = max(1, PANEL // (8 * max(x.shape[1], self.code.rows)))
        for low in range(0, len(x), step):
            with np.errstate(over="ignore", invalid="ignore"):
                sides = self._sides(x[low : low + step])
            _native_dense.diagonal(self._numbers(x.dtype), sides, tuple(a[low : low + step] for a in out))
        return Block(*map(_given, out))

    def _expanded(self, batches: list[np.ndarray]) -> "Vectors":
        # This network with the expansions of its smooth activations, for the variances that these inputs bring.
        for x in batches:
            _check.finite(x, "x")
        moments = second_moments([x.reshape(len(x), -1) for x in batches])
        return Vectors(self.program, expansions(self.program, moments, batches[0].dtype))

    def _fill(self, panel: tuple, out: Any, task: Task, stopped: Callable[[], bool]) -> float:
        # One panel of rows against a tile of columns, from the diagonal on where the kernel is symmetric; returns the
        # number of entries.
        values, centre, tile, (row, column) = panel
        part = self._part(values, centre)
        rows, columns = values.shape[0], len(tile.values)
        begin = max(0, row - column) if task.symmetric else 0
        numbers, others = self._numbers(values.dtype), (tile.values, tile.half, tile.sides, tile.across)
        products = np.empty((0, 0) if tile.across.size else (rows, SPAN), values.dtype)
        for low in range(begin, columns, SPAN):
            high = min(low + SPAN, columns)
            if stopped():
                break
            if not tile.across.size:
                with np.errstate(over="ignore", invalid="ignore"):
                    np.matmul(part.centred, tile.centred[low:high].T, out=products[:, : high - low])
            one = (part.values, part.half, part.sides, products)
            for first in range(0, rows, CHUNK):
                start = max(low, row + first - column) if task.symmetric else low
                place = (first, min(first + CHUNK, rows), start, high, row, column, low, task.symmetric)
                _native_dense.sweep(numbers, one, others, tuple(out), place)
        return float(rows * (columns - begin))

    def _part(self, values: np.ndarray, centre: np.ndarray) -> _Part:
        with np.errstate(over="ignore", invalid="ignore"):
            sides = self._sides(values)
            if values.shape[1] <= DIRECT:
                nothing = np.empty(0, values.dtype)
                return _Part(values, nothing, sides, np.array(values.T, order="C"), nothing)
            centred = (values - centre) * values.dtype.type(values.shape[1] ** -0.5)
            half = 0.5 * np.einsum("ij,ij->i", centred, centred, dtype=np.float64)
            return _Part(values, half.astype(values.dtype), sides, np.empty((0, 0), values.dtype), centred)

    def _sides(self, values: np.ndarray) -> np.ndarray:
        # What pairs need of each input alone, (rows, n), computed in float64.
        # An odd number of vectors: rows at a distance of a power of two would share places in the cache.
        count = (len(values) // WIDTH | 1) * WIDTH
        count += 2 * WIDTH * (count < len(values))
        q, mean = np.zeros(count), np.zeros(count)
        q[: len(values)] = np.einsum("ij,ij->i", values, values, dtype=np.float64) / values.shape[1]
        if not np.isfinite(q).all():
            _check.finite(values, "x")
        mean[: len(values)] = np.mean(values, axis=1, dtype=np.float64)
        sides = np.empty((self.code.rows, count))
        _native_dense.sides((self.code.table, self.code.numbers, self.code.series), q, mean, sides)
        return sides.astype(values.dtype)

    def _numbers(self, kind: np.dtype) -> tuple[np.ndarray, np.ndarray, int]:
        return self.code.table, self.code.numbers.astype(kind), self.code.slots


def _aligned(shape: tuple[int, ...], kind: Any) -> Any:
    count = int(np.prod(shape)) * np.dtype(kind).itemsize
    memory = np.empty(count + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + count].view(kind).reshape(shape)


def _given(a: Any) -> Array:
    # To JAX without a copy; float64 stays with NumPy while JAX would round it.
    if jax.dtypes.canonicalize_dtype(a.dtype) != a.dtype:
        return a
    return jax.device_put(a, jax.devices("cpu")[0], may_alias=True)
