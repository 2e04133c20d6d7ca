r"""Planes through a stage, as operations of XLA: gaps and NTKs of one offset, for all pairs of two batches at once."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array
from . import _program as program
from ._planes_plan import Level, Stage, partners, pool_tables, reach
from ._planes_sides import Normal, Side, along, forward, norm_gap, pooled, take
from ._program import Geometry

Planes = tuple[Array, Array]
"""Gaps and NTKs, or within one input gaps and covariances: (planes, \\*space, ...) or one plane of them."""


class Task(NamedTuple):
    """Stages, operations, and how many planes run side by side in each stage."""

    stages: tuple[Stage, ...]
    operations: tuple
    chunks: tuple[int, ...]


class Frame(NamedTuple):
    """A stage at some offsets side by side, (planes, axes), with two inputs or batches that broadcast."""

    stage: Stage
    offset: Array
    x: Side
    y: Side

    def at_partners(self, level: Level, a: Array) -> Array:
        r"""Return an array of y, (1 or planes, \*space, ...), at the partner of each position."""
        where, _ = partners(self.stage, level, self.offset)
        for axis, found in enumerate(self.stage.offsets):
            if found != (0,):
                a = apply(selection(where[axis][..., None], True, level.space[axis]), a, axis)
        return a

    def there(self, level: Level, like: Array) -> Array:
        """Return where positions have a partner."""
        _, inside = partners(self.stage, level, self.offset)
        found = jnp.ones((1,) * like.ndim, bool)
        for axis, one in enumerate(inside):
            found = found & across(one, axis, found)
        return found


def sides(task: Task, values: Array) -> list[Side]:
    r"""Return what each stage needs of inputs (channels, \*space, n)."""
    moment, mean = jnp.mean(values**2, 0), jnp.mean(values, 0)
    own, total, start = jnp.zeros_like(moment), moment, None
    given: Array | None = values
    found = []
    for k, stage in enumerate(task.stages):
        features, behind, mean = forward(task.operations, stage, moment, mean)
        found.append(Side(given, own, total, features, behind))
        if stage.last == len(task.operations):
            break
        op = task.operations[stage.last]
        total, mean, given = pooled(op, behind), pooled(op, mean), None
        own, moment = jnp.zeros_like(total), total * _row_sums(op, total)
        if stage.curved and not isinstance(op, program.Flatten):
            start = through(task, k, (found[-1], found[-1]), start, True)
            zero = int(np.flatnonzero(~np.any(task.stages[k + 1].grid(), 1))[0])
            own, moment = start[0][zero], start[1][zero]
    return found


def kernels(task: Task, x: list[Side], y: list[Side]) -> Planes:
    """Return NNGP and NTK of two batches whose sides broadcast."""
    start: Planes | None = None
    for k in range(len(task.stages)):
        start = through(task, k, (x[k], y[k]), start, False)
    assert start is not None
    return (x[-1].moment + y[-1].moment) / 2 - start[0][0], start[1][0]


def through(task: Task, k: int, sides: tuple[Side, Side], start: Planes | None, own: bool) -> Planes:
    """Return the planes behind the end of a stage: of gaps and of NTKs, or with ``own`` of covariances.

    Behind a pooling they are only sums over pairs, G, whose gap follows from what is known of each input.
    """
    stage = task.stages[k]
    op = None if stage.last == len(task.operations) else task.operations[stage.last]

    @jax.checkpoint
    def some(item: tuple) -> Planes:
        offset, planes = item
        frame = Frame(stage, offset, *sides)
        gap, ntk = _operate(task.operations, frame, *_begin(task, frame, k, planes))
        if own:
            behind = frame.at_partners(stage.levels[-1], frame.y.moment[None])
            ntk = (frame.x.moment + behind) / 2 - gap
        return _at_end(op, frame, gap, ntk)

    items = jnp.asarray(stage.grid()), start
    if task.chunks[k] == len(items[0]):
        found = some(items)
    else:
        found = jax.lax.map(some, jax.tree.map(lambda a: a.reshape(-1, task.chunks[k], *a.shape[1:]), items))
        found = tuple(a.reshape(-1, *a.shape[2:]) for a in found)
    if isinstance(op, program.GlobalPool):
        count = 1 if op.total else np.prod(op.space) ** 2
        return tuple(jnp.sum(a, 0, keepdims=True) / count for a in found)  # type: ignore[return-value]
    if isinstance(op, program.Pool):
        return tuple(_pool(op, stage, task.stages[k + 1], a) for a in found)  # type: ignore[return-value]
    return found  # type: ignore[return-value]


def _begin(task: Task, frame: Frame, k: int, planes: Planes | None) -> Planes:
    level, (x, y) = frame.stage.levels[0], (frame.x, frame.y)
    if k == 0:
        gap = _input_gap(frame, level)
        return gap, jnp.zeros_like(gap)
    assert planes is not None
    gap, ntk = planes
    op = task.operations[frame.stage.first - 1]
    if isinstance(op, program.Flatten):
        return gap, ntk
    rows = _row_sums(op, x.total)[None]
    own, total, others = (frame.at_partners(level, a) for a in (y.own[None], y.total[None], rows))
    return gap - (x.own + own) / 2 + (rows - others) * (x.total - total) / 2, ntk


def _input_gap(frame: Frame, level: Level) -> Array:
    x, y = frame.x.values, frame.y.values
    assert x is not None
    assert y is not None
    if not level.space:
        return jnp.sum((x - y) ** 2, 0, keepdims=True) / (2 * len(x))

    def add(total: Any, channel: tuple[Array, Array]) -> tuple[Array, None]:
        one, other = channel
        return total + (one - frame.at_partners(level, other[None])) ** 2, None

    # Channel by channel: of all at once there would be a plane for each.
    total, _ = add(0.0, (x[0], y[0]))
    if len(x) > 1:
        total, _ = jax.lax.scan(add, total, (x[1:], y[1:]), unroll=min(4, len(x) - 1))
    return total / (2 * len(x))


def _row_sums(op: Any, like: Array) -> Array:
    if isinstance(op, program.Flatten) or not isinstance(op, program.Pool):
        count = np.prod(op.space) if isinstance(op, program.GlobalPool) and op.total else 1
        return jnp.full((1,) * like.ndim, count, like.dtype)
    ones = jnp.ones((*op.window.space, *(1,) * (like.ndim - len(op.window.space))), like.dtype)
    return pooled(op, ones)


def _operate(operations: tuple, frame: Frame, gap: Array, ntk: Array) -> Planes:
    stage, saved = frame.stage, {}
    for i in range(stage.first, stage.last):
        op, level, behind = operations[i], stage.levels[i - stage.first], stage.levels[i - stage.first + 1]
        x, y = frame.x.features[i - stage.first], frame.y.features[i - stage.first]
        if isinstance(op, program.Linear):
            gap, ntk = _linear(op, frame, (level, behind), (x, y), (gap, ntk))
        elif isinstance(op, program.Scale):
            gap, ntk = op.constant**2 * gap, op.constant**2 * ntk
        elif isinstance(op, program.Save):
            saved[op.slot] = gap, ntk
        elif isinstance(op, program.Load):
            gap, ntk = saved[op.slot]
        elif isinstance(op, program.Add):
            other = saved[op.slot]
            gap, ntk = gap + other[0], ntk + other[1]
            if op.means:
                one, two = (frame.at_partners(level, a[None]) for a in y)
                gap = gap + (x[0] - one) * (x[1] - two)
        else:
            others = tuple(frame.at_partners(level, a[None]) for a in y)
            gap, ntk = _pointwise(op, frame, level, (x, others), (gap, ntk))
    return gap, ntk


def _pointwise(op: Any, frame: Frame, level: Level, features: tuple, planes: Planes) -> Planes:
    (x, y), (gap, ntk) = features, planes
    first, second = (x[0], y[0])
    if not frame.stage.is_full(level):
        # Where no partner is, two signals that are not correlated keep numbers and derivatives finite.
        gap = jnp.where(frame.there(level, gap), gap, (first + second) / 2)
    if isinstance(op, program.Dual):
        return op.dual.gap(first, second, gap), op.dual.slope(first, second, gap) * ntk
    assert isinstance(op, program.Norm)
    x, y = Normal(*x), Normal(*y)
    gap, ntk = norm_gap(gap, x, y), ntk / (x.scale * y.scale)
    covariance = (x.variance / x.scale**2 + y.variance / y.scale**2) / 2 - gap
    return gap, ntk + op.affine * (covariance + 1)


def _linear(op: program.Linear, frame: Frame, levels: tuple[Level, Level], features: tuple, planes: Planes) -> Planes:
    (x, y), (gap, ntk) = features, planes
    if op.window is not None:
        gap, ntk = _filtered(op.window, frame, levels, (x[0], y[0]), planes)
    other = frame.at_partners(levels[1], y[1][None])
    covariance = (x[1] + other) / 2 - gap
    return op.gain * gap, op.weight * covariance + op.bias + op.tangent * ntk


class _Taps(NamedTuple):
    # Along an axis: what each tap of the window sees, (1 or planes, places, taps), of x and of y, and whether that is
    # inside the border.
    size: int
    x: Any
    y: Any
    x_inside: Any
    y_inside: Any

    def both(self) -> Array:
        return selection(self.x, self.x_inside & self.y_inside, self.size)

    def alone(self, of_x: bool) -> Array:
        # Inside, with a partner that is not.
        if of_x:
            return selection(self.x, self.x_inside & ~self.y_inside, self.size)
        return selection(self.y, self.y_inside & ~self.x_inside, self.size)

    def either(self, of_x: bool) -> Array:
        return selection(self.x, self.x_inside, self.size) if of_x else selection(self.y, self.y_inside, self.size)

    def common(self, of_x: bool) -> Array:
        return selection(self.x if of_x else self.y, self.x_inside & self.y_inside, self.size)


def _filtered(window: Geometry, frame: Frame, levels: tuple[Level, Level], moments: tuple, planes: Planes) -> Planes:
    # Means over the window, both positions moving together; beside a zero beyond the border the gap is half a moment.
    stage, size = frame.stage, int(np.prod(window.shape))
    partner, _ = partners(stage, levels[1], frame.offset)
    taps = []
    for axis, n in enumerate(window.space):
        x, x_inside = reach(window, axis, np.arange(window.places[axis])[None])
        y, y_inside = reach(window, axis, partner[axis])
        taps.append(_Taps(n, x, y, x_inside, y_inside))
    bordered = [
        not window.circular and max(pads) > 0 and found != (0,)
        for pads, found in zip(window.pads, stage.offsets, strict=True)
    ]
    gap, ntk = planes
    for axis, t in enumerate(taps):
        # Without a border what is outside has no partner either, and counts for nothing.
        matrix = t.both() if max(window.pads[axis]) > 0 else t.either(True)
        gap, ntk = apply(matrix, gap, axis), apply(matrix, ntk, axis)
    for moment, of_x in zip(moments, (True, False), strict=True):
        for axis in np.flatnonzero(bordered):
            # Outside for the first time along this axis.
            kinds = [
                t.common(of_x) if k < axis else t.either(of_x) if k > axis else t.alone(of_x)
                for k, t in enumerate(taps)
            ]
            border = moment[None]
            for k, matrix in enumerate(kinds):
                border = apply(matrix, border, k)
            gap = gap + border / 2
    return gap / size, ntk / size


def selection(where: Any, mask: Any, size: int) -> Array:
    """Return how often each of ``size`` positions is among the taps of a place, (1 or planes, places, size)."""
    return jnp.sum((jnp.asarray(where)[..., None] == jnp.arange(size)) & jnp.asarray(mask)[..., None], -2)


def apply(matrix: Array, a: Array, axis: int) -> Array:
    r"""Return what matrices (1 or planes, places, positions) make of an axis of space of (1 or planes, \*space, ...).

    As a matrix product: XLA would put sums of shifted copies into the loop of what comes next, and compute what was in
    front once for each tap.
    """
    matrix, index = matrix.astype(a.dtype), list(range(1, a.ndim))
    one, many = (0, -1, index[axis]), (0, *index)
    if len(matrix) == 1:
        matrix, one = matrix[0], one[1:]
    if len(a) == 1:
        a, many = a[0], many[1:]
    out = tuple(len(index) + 1 if k == index[axis] else k for k in (0, *index))
    one = tuple(out[1 + axis] if k == -1 else k for k in one)
    planes = len(one) == 3 or len(many) == len(index) + 1
    found = jnp.einsum(matrix, one, a, many, out if planes else out[1:], precision=jax.lax.Precision.HIGHEST)
    return found if planes else found[None]


def across(mask: Array, axis: int, like: Array) -> Array:
    """Return a mask (planes, places) along an axis of space, shaped to meet ``like``, and of its type."""
    mask = mask if like.dtype == bool else jnp.asarray(mask, like.dtype)
    return jnp.reshape(mask, (-1, *(1,) * axis, mask.shape[-1], *(1,) * (like.ndim - axis - 2)))


def _at_end(op: Any, frame: Frame, gap: Array, ntk: Array) -> Planes:
    axes = tuple(range(1, 1 + len(frame.stage.space)))
    if isinstance(op, program.Flatten):
        return jnp.mean(gap, axes), jnp.mean(ntk, axes)
    if not isinstance(op, program.GlobalPool):
        return gap, ntk
    if not frame.stage.is_full(frame.stage.levels[-1]):
        there = frame.there(frame.stage.levels[-1], gap)
        gap, ntk = (jnp.where(there, a, 0) for a in (gap, ntk))
    return jnp.sum(gap, axes), jnp.sum(ntk, axes)


def _pool(op: program.Pool, stage: Stage, behind: Stage, planes: Array) -> Array:
    # Axis by axis: an axis of space and that of its offsets are one.
    depth, rest = len(stage.space), planes.shape[1 + len(stage.space) :]
    counts = [len(found) for found in stage.offsets]
    planes = planes.reshape(*counts, *stage.space, *rest)
    order = [a for axis in range(depth) for a in (axis, depth + axis)]
    planes = planes.transpose(*order, *range(2 * depth, planes.ndim))
    planes = planes.reshape(*(c * n for c, n in zip(counts, stage.space, strict=True)), *rest)
    for axis, table in enumerate(pool_tables(op, stage, behind)):
        parts = [
            take(planes, table.entry[:, t], axis) * along(table.weight[:, t], axis, planes)
            for t in range(table.entry.shape[1])
        ]
        planes = sum(parts[1:], parts[0])
    counts, space = [len(found) for found in behind.offsets], behind.levels[0].space
    planes = planes.reshape(*(n for pair in zip(counts, space, strict=True) for n in pair), *rest)
    back = [*range(0, 2 * depth, 2), *range(1, 2 * depth, 2)]
    planes = planes.transpose(*back, *range(2 * depth, planes.ndim))
    return planes.reshape(-1, *space, *rest)
