"""Kernels of vectors panel by panel: a GEMM of the inputs, then the compiled loops on a few rows per thread."""

from typing import Any, NamedTuple

import jax
import numpy as np

from .. import _check
from .._typing import Array
from . import _native_dense
from ._base import Block, Wanted
from ._native_code import encoded
from ._program import Program
from ._progress import progress
from ._threads import workers

PANEL, TILE = 2**22, 2**24
"""Bytes of inputs and sides that a panel of rows, and a tile of columns, take at most."""

ROWS, COLUMNS = 256, 64
"""Most rows of a panel, and fewest columns of a tile."""

CHUNK = 16
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
    # Some inputs made ready: as they are, centred and divided by the root of d, half their squares, and sides.
    values: np.ndarray
    centred: np.ndarray
    half: np.ndarray
    sides: np.ndarray


class Vectors:
    """A network on vectors, in the form of the compiled loops.

    Raises
    ------
    NoNativeForm
        If the network has an operation that is not one on vectors, or an activation that is not known here.
    """

    def __init__(self, program: Program) -> None:
        self.code = encoded(program)

    def block(self, x: np.ndarray, y: np.ndarray, task: Task) -> Block:
        """Return NNGP and NTK of inputs of one dtype, (n1, n2); one that is not wanted is empty."""
        x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
        shape, kind = (len(x), len(y)), x.dtype
        out: Any = Block(*(_aligned(shape if wanted else (0, 0), kind) for wanted in task.wanted))
        centre = np.mean(y, axis=0, dtype=np.float64).astype(kind)
        wide = max(x.shape[1], self.code.rows) * kind.itemsize
        height, width = max(1, min(ROWS, PANEL // wide)), max(COLUMNS, TILE // wide)
        whole = shape[0] * shape[1] / (1 + task.symmetric)
        with workers(task.threads) as run, progress("kernel", whole, task.seconds) as done:
            for column in range(0, shape[1], width):
                tile = self._part(y[column : column + width], centre)
                last = min(shape[0], column + width) if task.symmetric else shape[0]
                for row in range(0, last, height):
                    panel = self._part(x[row : min(row + height, last)], centre)
                    # What overflows is found in the result, where it can be explained.
                    with np.errstate(over="ignore", invalid="ignore"):
                        calls = self._fill((panel, tile), (row, column), out, task)
                    run(_native_dense.sweep, calls)
                    done(len(panel.values) * (len(tile.values) - calls[0][-1][-2]))
        return Block(*map(_given, out))

    def diagonal(self, x: np.ndarray) -> Block:
        """Return NNGP and NTK of each input with itself, (n,)."""
        x = x.reshape(len(x), -1)
        out: Any = Block(*(_aligned((len(x),), x.dtype) for _ in range(2)))
        step = max(1, PANEL // (8 * max(x.shape[1], self.code.rows)))
        for low in range(0, len(x), step):
            with np.errstate(over="ignore", invalid="ignore"):
                sides = self._sides(x[low : low + step])
            _native_dense.diagonal(self._numbers(x.dtype), sides, tuple(a[low : low + step] for a in out))
        return Block(*map(_given, out))

    def _fill(self, parts: tuple[_Part, _Part], corner: tuple[int, int], out: Any, task: Task) -> list[tuple]:
        # The products of one panel and one tile, from the diagonal on where the kernel is symmetric; and the calls of
        # the compiled loop that make kernels of them.
        (panel, tile), (row, column) = parts, corner
        rows, columns = len(panel.values), len(tile.values)
        begin = max(0, row - column) if task.symmetric else 0
        target = out.ntk if task.wanted.ntk else out.nngp
        np.matmul(
            panel.centred, tile.centred[begin:].T, out=target[row : row + rows, column + begin : column + columns]
        )
        numbers = self._numbers(target.dtype)
        one, others = ((p.values, p.half, p.sides) for p in parts)
        calls = []
        for first in range(0, rows, CHUNK):
            start = max(0, row + first - column) if task.symmetric else 0
            place = (first, min(first + CHUNK, rows), row, column, start, task.symmetric)
            calls.append((numbers, one, others, tuple(out), place))
        return calls

    def _part(self, values: np.ndarray, centre: np.ndarray) -> _Part:
        with np.errstate(over="ignore", invalid="ignore"):
            centred = (values - centre) * values.dtype.type(values.shape[1] ** -0.5)
            half = 0.5 * np.einsum("ij,ij->i", centred, centred, dtype=np.float64)
            return _Part(values, centred, half.astype(values.dtype), self._sides(values))

    def _sides(self, values: np.ndarray) -> np.ndarray:
        # What pairs need of each input alone, (rows, n), computed in float64.
        q = np.einsum("ij,ij->i", values, values, dtype=np.float64) / values.shape[1]
        if not np.isfinite(q).all():
            _check.finite(values, "x")
        mean = np.mean(values, axis=1, dtype=np.float64)
        sides = np.empty((self.code.rows, len(values)))
        _native_dense.sides(self.code.table, self.code.numbers, q, mean, sides)
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
