"""Kernels of vectors panel by panel: a GEMM of the inputs, then the compiled loops on a few rows per thread."""

from typing import Any, NamedTuple

import jax
import numpy as np

from .. import _check
from .._typing import Array
from . import _native_dense
from ._base import Block, Wanted
from ._native_code import Code
from ._progress import progress
from ._threads import Workers, workers

PANEL, TILE = 2**22, 2**24
"""Bytes of inputs and sides that a panel of rows, and a tile of columns, take at most."""

ROWS, COLUMNS = 256, 64
"""Most rows of a panel, and fewest columns of a tile."""

CHUNK = 16
"""Rows of one call of the compiled loop."""

ALIGNMENT = 64
"""Of results, in bytes, so that JAX takes them over without a copy."""


class Job(NamedTuple):
    """What is computed: the kernels of ``x`` and ``y`` that are wanted.

    Attributes
    ----------
    code
        The network.
    x, y
        Inputs (n1, d) and (n2, d), float32 or float64, both alike.
    wanted
        Which kernels.
    symmetric
        Whether ``y`` is ``x`` again.
    threads
        Number of threads.
    seconds
        Estimate of the time, for the progress bar.
    """

    code: Code
    x: np.ndarray
    y: np.ndarray
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


def kernels(job: Job) -> Block:
    """Return NNGP and NTK, (n1, n2); one that is not wanted is empty."""
    shape, kind = (len(job.x), len(job.y)), job.x.dtype
    out = Block(*(_aligned(shape if wanted else (0, 0), kind) for wanted in job.wanted))
    centre = np.mean(job.y, axis=0, dtype=np.float64).astype(kind)
    wide = max(job.x.shape[1], job.code.rows) * kind.itemsize
    height = max(1, min(ROWS, PANEL // wide))
    width = max(COLUMNS, TILE // wide)
    whole = shape[0] * shape[1] / (1 + job.symmetric)
    with workers(job.threads) as run, progress("kernel", whole, job.seconds) as done:
        for column in range(0, shape[1], width):
            tile = _part(job.code, job.y[column : column + width], centre)
            last = min(shape[0], column + width) if job.symmetric else shape[0]
            for row in range(0, last, height):
                panel = _part(job.code, job.x[row : min(row + height, last)], centre)
                done(_fill(job, (panel, tile), (row, column), out, run))
    return Block(*map(_given, out))


def diagonals(code: Code, x: np.ndarray) -> Block:
    """Return NNGP and NTK of each input with itself, (n,)."""
    out = Block(*(_aligned((len(x),), x.dtype) for _ in range(2)))
    step = max(1, PANEL // (8 * max(x.shape[1], code.rows)))
    for low in range(0, len(x), step):
        sides = _sides(code, x[low : low + step])
        _native_dense.diagonal(_numbers(code, x.dtype), sides, tuple(a[low : low + step] for a in out))
    return Block(*map(_given, out))


def _fill(job: Job, parts: tuple[_Part, _Part], corner: tuple[int, int], out: Block, run: Workers) -> float:
    # One panel against one tile, from the diagonal on where the kernel is symmetric. Returns the number of entries.
    (panel, tile), (row, column) = parts, corner
    rows, columns = len(panel.values), len(tile.values)
    begin = max(0, row - column) if job.symmetric else 0
    target = out.ntk if job.wanted.ntk else out.nngp
    target = target[row : row + rows, column + begin : column + columns]
    np.matmul(panel.centred, tile.centred[begin:].T, out=target)
    numbers = _numbers(job.code, target.dtype)
    one, others = ((p.values, p.half, p.sides) for p in parts)
    calls = []
    for first in range(0, rows, CHUNK):
        start = max(0, row + first - column) if job.symmetric else 0
        place = (first, min(first + CHUNK, rows), row, column, start, job.symmetric)
        calls.append((numbers, one, others, tuple(out), place))
    run(_native_dense.sweep, calls)
    return float(rows * (columns - begin))


def _part(code: Code, values: np.ndarray, centre: np.ndarray) -> _Part:
    centred = (values - centre) * values.dtype.type(values.shape[1] ** -0.5)
    half = 0.5 * np.einsum("ij,ij->i", centred, centred, dtype=np.float64)
    return _Part(values, centred, half.astype(values.dtype), _sides(code, values))


def _sides(code: Code, values: np.ndarray) -> np.ndarray:
    # What pairs need of each input alone, (rows, n), computed in float64.
    q = np.einsum("ij,ij->i", values, values, dtype=np.float64) / values.shape[1]
    if not np.isfinite(q).all():
        _check.finite(values, "x")
    mean = np.mean(values, axis=1, dtype=np.float64)
    sides = np.empty((code.rows, len(values)))
    _native_dense.sides(code.table, code.numbers, q, mean, sides)
    with np.errstate(over="ignore"):
        return sides.astype(values.dtype)


def _numbers(code: Code, kind: np.dtype) -> tuple[np.ndarray, np.ndarray, int]:
    return code.table, code.numbers.astype(kind), code.slots


def _aligned(shape: tuple[int, ...], kind: Any) -> np.ndarray:
    count = int(np.prod(shape)) * np.dtype(kind).itemsize
    memory = np.empty(count + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + count].view(kind).reshape(shape)


def _given(a: np.ndarray) -> Array:
    # To JAX without a copy; float64 stays with NumPy while JAX would round it.
    if jax.dtypes.canonicalize_dtype(a.dtype) != a.dtype:
        return a  # type: ignore[return-value]
    return jax.device_put(a, jax.devices("cpu")[0], may_alias=True)
