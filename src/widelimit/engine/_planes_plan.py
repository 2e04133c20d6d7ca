r"""Programs on offset planes: which planes there are, and which position of the partner stands at each place of one.

A *stage* is a run of operations in which planes do not meet; it ends where positions are pooled or flattened. Along an
axis of N places (the *period*) a plane holds two offsets at once, D and D - N: a position p has the partner p + D, or
where that is beyond the end p + D - N, so that no place of a plane is empty where the period is the size of space. In
front of strides offset and period are multiples, :math:`sD` and :math:`sN`, and space has at most :math:`sN` positions.
"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from .._typing import Array, Shape
from . import _program as program
from ._lowering import NoNativeForm
from ._program import Geometry, Program


class Level(NamedTuple):
    """Space at some point of a stage, and the product of strides since the stage began."""

    space: Shape
    steps: Shape


class Stage(NamedTuple):
    """A run of operations in which planes do not meet.

    Attributes
    ----------
    first, last
        Operations ``first`` to ``last - 1``; its end is operation ``last``, or none behind the last stage.
    levels
        In front of each operation, and behind the last.
    period
        N of each axis, behind the stage.
    offsets
        The D of each axis whose planes are needed.
    curved
        Whether anything behind the end is not linear in the moments, so that it needs each input's own.
    """

    first: int
    last: int
    levels: tuple[Level, ...]
    period: Shape
    offsets: tuple[tuple[int, ...], ...]
    curved: bool

    @property
    def space(self) -> Shape:
        """Space behind the last operation."""
        return self.levels[-1].space

    def factor(self, level: Level) -> Shape:
        """Return by what offsets are multiplied at a level: the product of strides behind it."""
        return tuple(total // own for total, own in zip(self.levels[-1].steps, level.steps, strict=True))

    def is_full(self, level: Level) -> bool:
        """Whether each place of every plane has a partner at a level."""
        spans = [s * n for s, n in zip(self.factor(level), self.period, strict=True)]
        moving = [len(found) > 1 for found in self.offsets]
        return all(span == size or not m for span, size, m in zip(spans, level.space, moving, strict=True))

    def grid(self) -> np.ndarray:
        """Return all offsets, (number of planes, axes)."""
        axes = np.meshgrid(*(np.array(o, np.int32) for o in self.offsets), indexing="ij")
        return np.stack([a.ravel() for a in axes], -1) if axes else np.zeros((1, 0), np.int32)


class PoolTable(NamedTuple):
    """Sums over pairs of windows along one axis: of plane and position ``entry``, with ``weight``, (places, taps)."""

    entry: np.ndarray
    weight: np.ndarray


def stages_of(source: Program) -> tuple[Stage, ...]:
    """Return the stages of a program.

    Raises
    ------
    NoNativeForm
        If there is no form on offset planes; the message names the layer.
    """
    walk = _Walk(source)
    walk.run()
    found: list[Stage] = []
    curved, behind = False, None
    for first, last in reversed(walk.bounds):
        levels = tuple(walk.levels[first : last + 1])
        stage = Stage(first, last, levels, _period(levels), ((),) * len(levels[0].space), curved)
        stage = stage._replace(offsets=_offsets(source, stage, behind))
        _check_torus(source, stage)
        found.append(stage)
        curved = curved or any(isinstance(op, program.Dual | program.Norm) for op in source.operations[first:last])
        behind = stage
    return tuple(found[::-1])


def pools(source: Program) -> bool:
    """Whether a program pools positions, so that moments of all their pairs are needed somewhere."""
    return source.has(program.Pool | program.GlobalPool)


class _Walk:
    # Levels in front of each operation, and where stages begin and end.
    def __init__(self, source: Program) -> None:
        self.source = source
        self.bounds: list[tuple[int, int]] = []
        self.levels: list[Level] = []

    def run(self) -> None:
        now, saved, first = _start(self.source.shapes[0][:-1]), {}, 0
        for i, op in enumerate(self.source.operations):
            self.levels.append(now)
            if isinstance(op, program.Linear) and op.window is not None:
                steps = tuple(s * t for s, t in zip(now.steps, op.window.strides, strict=True))
                now = Level(op.window.places, steps)
            elif isinstance(op, program.Save):
                saved[op.slot] = now
            elif isinstance(op, program.Load):
                now = saved[op.slot]
            elif isinstance(op, program.Add):
                if saved[op.slot] != now:
                    raise refusal(self.source, i, "adds branches of different strides, which have no common planes")
            elif isinstance(op, program.Pool | program.GlobalPool | program.Flatten):
                if self._used(i, saved):
                    raise refusal(self.source, i, "pools inside a branch, which has no form on offset planes")
                self.bounds.append((first, i))
                now, first = _start(self.source.shapes[i + 1][:-1]), i + 1
        self.levels.append(now)
        if now.space:
            raise NoNativeForm(f"the network ends with space {now.space}; expected one vector per example")
        self.bounds.append((first, len(self.source.operations)))

    def _used(self, i: int, saved: dict[int, Level]) -> bool:
        open_slots = set(saved)
        for op in self.source.operations[i + 1 :]:
            if isinstance(op, program.Save):
                open_slots.discard(op.slot)
            if isinstance(op, program.Load | program.Add) and op.slot in open_slots:
                return True
        return False


def refusal(source: Program, i: int, what: str) -> NoNativeForm:
    """Return the refusal of the layer that an operation comes from; ``what`` is a predicate."""
    return NoNativeForm(f"layer {source.paths[i] or '0'} {what}")


def partners(stage: Stage, level: Level, offset: Array) -> tuple[list[Any], list[Any]]:
    """Return the partner of each position along each axis, (planes, positions), and whether there is one.

    Where there is none it counts as the first position. ``offset`` has the shape (planes, axes); along an axis with no
    offset but zero there is one row for all planes.
    """
    where, there = [], []
    for axis, (n, factor) in enumerate(zip(level.space, stage.factor(level), strict=True)):
        if stage.offsets[axis] == (0,):
            where.append(np.arange(n)[None])
            there.append(np.ones((1, n), bool))
            continue
        q = jnp.arange(n) + factor * offset[:, axis, None]
        q = jnp.where(q < n, q, q - factor * stage.period[axis])
        where.append(jnp.maximum(q, 0))
        there.append(q >= 0)
    return where, there


def pool_tables(op: program.Pool, stage: Stage, behind: Stage) -> list[PoolTable]:
    """Return for each axis what is summed up into the planes of the stage behind, plane by plane."""
    tables = []
    for axis, n in enumerate(stage.space):
        p, q, weight = _pairs_of(op, behind, axis)
        d = np.array(stage.offsets[axis])
        plane = np.minimum(np.searchsorted(d, (q - p) % stage.period[axis]), len(d) - 1)
        tables.append(PoolTable(np.where(weight != 0, plane * n + p, 0), weight))
    return tables


def pool_factor(op: program.Pool, axis: int) -> np.ndarray:
    """Return by what the sum over each window is multiplied, along an axis."""
    size = op.window.shape[axis]
    _, inside = reach(op.window, axis, np.arange(op.window.places[axis]))
    if op.total:
        return np.ones(op.window.places[axis])
    return 1 / (np.sum(inside, -1) if op.inside else np.full(op.window.places[axis], size))


def reach(window: Geometry, axis: int, places: Any) -> tuple[Any, Any]:
    """Return what windows see along an axis, (..., places, taps): positions, and whether they are inside the border."""
    size, taps = window.space[axis], np.arange(window.shape[axis]) * window.dilation[axis] - window.pads[axis][0]
    found = places[..., None] * window.strides[axis] + taps
    if window.circular:
        return found % size, np.ones(found.shape, bool)
    return found, (found >= 0) & (found < size)


def _start(space: Shape) -> Level:
    return Level(tuple(space), (1,) * len(space))


def _period(levels: tuple[Level, ...]) -> Shape:
    total = levels[-1].steps
    spans = [
        [-(-size // (end // own)) for size, own, end in zip(level.space, level.steps, total, strict=True)]
        for level in levels
        if all(end % own == 0 for own, end in zip(level.steps, total, strict=True))
    ]
    return tuple(max(axis) for axis in zip(*spans, strict=True))


def _offsets(source: Program, stage: Stage, behind: Stage | None) -> tuple[tuple[int, ...], ...]:
    if behind is None:
        return ()
    op = source.operations[stage.last]
    if isinstance(op, program.Flatten):
        return ((0,),) * len(stage.space)
    if isinstance(op, program.GlobalPool):
        return tuple(
            tuple(d for d in range(period) if d < n or period - d < n)
            for n, period in zip(stage.space, stage.period, strict=True)
        )
    assert isinstance(op, program.Pool)
    found = []
    for axis, period in enumerate(stage.period):
        p, q, weight = _pairs_of(op, behind, axis)
        found.append(tuple(np.unique((q - p)[weight != 0] % period).tolist()))
    return tuple(found)


def _pairs_of(op: program.Pool, behind: Stage, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Positions p and p' of all pairs in two windows, for each plane and place behind the pooling, and their weights.
    window, factor = op.window, pool_factor(op, axis)
    level, places = behind.levels[0], np.arange(op.window.places[axis])
    d = np.array(behind.offsets[axis])[:, None] * behind.factor(level)[axis]
    partner = places + d
    partner = np.where(partner < len(places), partner, partner - behind.factor(level)[axis] * behind.period[axis])
    there, partner = partner >= 0, np.maximum(partner, 0)
    p, p_inside = reach(window, axis, places)
    q, q_inside = reach(window, axis, partner.ravel())
    shape = (*partner.shape, len(p[0]), len(p[0]))
    p, p_inside = (np.broadcast_to(a[None, :, :, None], shape) for a in (p, p_inside))
    q, q_inside = (np.broadcast_to(a.reshape(*partner.shape, 1, -1), shape) for a in (q, q_inside))
    weight = (factor[None] * factor[partner] * there)[..., None, None] * (p_inside & q_inside)
    flat = (partner.size, math.prod(shape[2:]))
    return p.reshape(flat), q.reshape(flat), weight.reshape(flat)


def _check_torus(source: Program, stage: Stage) -> None:
    # A window that comes back at the other end needs planes without empty places.
    for i in range(stage.first, stage.last):
        op, level = source.operations[i], stage.levels[i - stage.first]
        if not isinstance(op, program.Linear) or op.window is None or not op.window.circular:
            continue
        spans = [s * n for s, n in zip(stage.factor(level), stage.period, strict=True)]
        for axis, (span, size) in enumerate(zip(spans, level.space, strict=True)):
            if max(op.window.pads[axis]) and len(stage.offsets[axis]) > 1 and span != size:
                raise refusal(
                    source,
                    i,
                    f"has circular padding of {size} positions, which strides or other layers up to the next pooling "
                    "do not fill: it has no form on offset planes",
                )
