"""Programs to plans: which planes there are, where they lie, and where the moments of each layer stand."""

import dataclasses
import math
from typing import Any

import numpy as np

from .._typing import Shape
from . import _native_duals as duals
from . import _native_plan as f
from . import _program as program
from ._hermite import Expansion, joined
from ._lowering import NoNativeForm
from ._native_arc import ARC_DOUBLE, ARC_SINGLE, SEGMENT_DOUBLE, SEGMENT_SINGLE
from ._native_plan import Plan
from ._program import Geometry, Program
from ._simd import WIDTH

_NOTHING = program.Linear(1.0, 0.0, 0.0, 0.0, 1.0)


@dataclasses.dataclass
class Value:
    """A signal: its slot and first row there, its space, the product of strides since the stage began, its moments."""

    slot: int
    origin: int
    space: Shape
    steps: Shape
    moments: int


@dataclasses.dataclass
class Boundary:
    """The end of a stage: what is pooled; None behind the last stage."""

    operation: program.Pool | program.GlobalPool | program.Flatten | None
    geometry: Geometry | None = None


class Planner:
    """Writes the tables, operation by operation."""

    def __init__(self, given: Program, found: dict[int, Expansion]) -> None:
        self.program, self.found = given, found
        self.series, self.series_at = joined(found)
        self.ops: list[np.ndarray] = []
        self.numbers: list[np.ndarray] = []
        self.stages: list[np.ndarray] = []
        self.ends: list[Boundary] = []
        self.weights: list[np.ndarray] = []
        self.slots, self.table, self.margin, self.height, self.first = 1, 0, 0, 0, 0
        self.saved: dict[int, tuple[Value, int]] = {}
        self.torus: bool | None = None
        *space, channels = given.shapes[0]
        self.value = self._begin(f.INPUT, _plane(tuple(space)))
        self.ops[-1][f.CHANNELS] = channels
        self.numbers[-1][f.GAIN] = 0.5 / channels

    def run(self) -> None:
        """Write the tables of all operations."""
        operations = self.program.operations
        for i, op in enumerate(operations):
            if isinstance(op, program.Linear):
                behind = i + 1 < len(operations) and isinstance(operations[i + 1], program.Dual)
                self.linear(op, i + 1 if behind else None, i)
            elif isinstance(op, program.Dual):
                if not i or not isinstance(operations[i - 1], program.Linear):
                    self.linear(_NOTHING, i, i)
            elif isinstance(op, program.Scale):
                self.linear(_NOTHING._replace(gain=op.constant**2, tangent=op.constant**2), None, i)
            elif isinstance(op, program.Save):
                self.saved[op.slot] = self.value, self._last_use(i, op.slot)
            elif isinstance(op, program.Load):
                self.value = self.saved[op.slot][0]
            elif isinstance(op, program.Add):
                self.add(op, i)
            elif isinstance(op, program.Pool | program.GlobalPool | program.Flatten):
                self.boundary(op, i)
            else:
                raise NoNativeForm(f"operation {i} ({type(op).__name__}) has no form on offset planes")
        if math.prod(self.value.space) > 1 or len(self.program.shapes[-1]) > 1:
            raise NoNativeForm("the network ends with space")
        self._finish(Boundary(None))

    def linear(self, op: program.Linear, dual: int | None, i: int) -> None:
        """Write weights and the activation behind them, which is operation number ``dual``."""
        before, window = self.value, _window(op.window)
        inner = window is not None and (
            max(window.shape) > 1 or max(window.strides) > 1 or max(map(max, window.pads)) > 0
        )
        space = window.places if window is not None else before.space
        strides = window.strides if window is not None else (1, 1)
        slot = self._slot(i) if self._kept(before.slot, i) else before.slot
        row, numbers = self._row(f.LINEAR, before, slot)
        steps = before.steps[0] * strides[0], before.steps[1] * strides[1]
        origin = before.origin - (window.pads[0][0] if window is not None else 0)
        self.value = Value(slot, origin, space, steps, self._moments(space))
        row[f.ORIGIN_OUT] = origin
        _pair(row, f.PLACES, space)
        _pair(row, f.STEP_OUT, steps)
        _pair(row, f.WINDOW, window.shape if window is not None else (1, 1))
        _pair(row, f.STRIDE, strides)
        _pair(row, f.DILATION, window.dilation if window is not None else (1, 1))
        if window is not None and inner:
            self._border(window, row)
        row[f.Q_OUT] = self.value.moments
        taps = math.prod(window.shape) if window is not None else 1
        numbers[: f.ARGUMENT] = _scales(op, taps)
        if dual is not None:
            self._dual(dual, row, numbers)
            row[f.THREE] = row[f.KIND] == duals.RELU and window is not None and _is_three(window)

    def _dual(self, place: int, row: np.ndarray, numbers: np.ndarray) -> None:
        activation = self.program.operations[place].dual  # type: ignore[union-attr]
        code = duals.code_of(activation)
        if code is None:
            raise NoNativeForm(f"the activation {activation!r} has no native form")
        row[f.KIND], row[f.FEATURE] = code, self.table
        rows = 1 if code == duals.RELU else 4
        if code != duals.SERIES:
            numbers[f.ARGUMENT :] = duals.parameters_of(activation)
        elif place in self.found:
            rows = 1 + self.found[place].rows
            numbers[f.ARGUMENT :] = self.series_at[place]
        self.table += rows * math.prod(self.value.space)

    def add(self, op: program.Add, i: int) -> None:
        """Write the sum with a saved signal."""
        if op.means:
            raise NoNativeForm("a sum of signals that both have means over channels has no form on offset planes")
        before, (other, _) = self.value, self.saved[op.slot]
        if before.steps != other.steps:
            # The same offset behind both branches comes of different offsets in front of them.
            raise NoNativeForm("a sum of branches of different strides has no form on offset planes")
        slot = self._slot(i) if self._kept(before.slot, i) else before.slot
        row, _ = self._row(f.ADD, before, slot)
        row[f.AUX], row[f.Q_AUX], row[f.ORIGIN_AUX] = other.slot, other.moments, other.origin
        row[f.ORIGIN_OUT] = before.origin
        self.value = Value(slot, before.origin, before.space, before.steps, self._moments(before.space))
        row[f.Q_OUT] = self.value.moments

    def boundary(self, op: program.Pool | program.GlobalPool | program.Flatten, i: int) -> None:
        """Write the end of a stage and the beginning of the next."""
        if any(last > i for _, last in self.saved.values()):
            raise NoNativeForm("pooling inside a branch has no form on offset planes")
        window = _window(op.window) if isinstance(op, program.Pool) else None
        if window is not None and max(map(max, window.pads)) and (window.circular or self.torus):
            # Planes of a stage with circular padding go on beyond the border, and there is no zero to be pooled.
            raise NoNativeForm("pooling with circular padding, or with any behind it, has no form on offset planes")
        space = window.places if window is not None else (1, 1)
        self._finish(Boundary(op, window))
        self.saved = {}
        self.value = self._begin(f.GATHER, space)
        row, places = self.ops[-1], math.prod(space)
        row[f.FEATURE], row[f.WEIGHTS] = self.table, sum(map(len, self.weights))
        self.table += 2 * places
        self.weights.append(_weights(op, window, self.ends[-1], places))

    def _border(self, window: Geometry, row: np.ndarray) -> None:
        padded = max(map(max, window.pads)) > 0
        wide = max(window.shape) > 1
        # A window around a torus that sees nothing twice does not tell a torus from a plane.
        if window.circular and padded:
            self._decide(True)
        elif not window.circular and (padded or wide):
            self._decide(False)
        row[f.RING] = padded
        _pair(row, f.PAD, (window.pads[0][0], window.pads[1][0]))
        self.margin = max(self.margin, *map(max, window.pads))

    def _decide(self, torus: bool) -> None:
        if self.torus not in (None, torus):
            raise NoNativeForm("circular and other padding between two poolings have no common form on offset planes")
        self.torus = torus

    def _begin(self, code: int, space: Shape) -> Value:
        self.first = len(self.ops)
        self.torus = None
        value = Value(0, 0, space, (1, 1), self._moments(space))
        row, _ = self._row(code, value, 0)
        row[f.Q_OUT] = value.moments
        return value

    def _row(self, code: int, before: Value, slot: int) -> tuple[np.ndarray, np.ndarray]:
        row, numbers = np.zeros(f.COLUMNS, np.int64), np.zeros(f.NUMBERS)
        row[f.CODE], row[f.SRC], row[f.DST], row[f.KIND] = code, before.slot, slot, f.NOTHING
        row[f.ROW], row[f.Q_IN] = len(self.ops), before.moments
        row[f.ORIGIN] = row[f.ORIGIN_OUT] = before.origin
        for space, steps in ((f.SPACE, f.STEP), (f.PLACES, f.STEP_OUT)):
            _pair(row, space, before.space)
            _pair(row, steps, before.steps)
        self.ops.append(row)
        self.numbers.append(numbers)
        return row, numbers

    def _moments(self, space: Shape) -> int:
        at = self.table
        self.table += math.prod(space)
        return at

    def _finish(self, end: Boundary) -> None:
        # All of the stage now knows how often strides double its offsets.
        total = self.value.steps
        rows = self.ops[self.first :]
        if self.torus and any(row[f.SPACE + k] % max(row[f.STRIDE + k], 1) for row in rows for k in (0, 1)):
            raise NoNativeForm("circular padding with strides that do not divide space has no form on offset planes")
        lift = -min(int(row[f.ORIGIN_OUT]) for row in rows) + max([0, *(int(row[f.PAD]) for row in rows)])
        for row in rows:
            row[[f.ORIGIN, f.ORIGIN_OUT, f.ORIGIN_AUX]] += lift
            ends = [row[f.ORIGIN] + row[f.SPACE], row[f.ORIGIN_OUT] + max(row[f.PLACES], row[f.SPACE])]
            self.height = max(self.height, *map(int, ends))
            row[f.TORUS] = bool(self.torus)
            for column in (f.STEP, f.STEP_OUT):
                for axis in (0, 1):
                    own = max(int(row[column + axis]), 1)
                    row[column + axis] = total[axis] // own
        stage = np.zeros(f.STAGE_COLUMNS, np.int64)
        stage[f.END] = f.OUTPUT
        _pair(stage, f.DILATION, (1, 1))
        stage[f.FIRST], stage[f.LAST], stage[f.DST] = self.first, len(self.ops), self.value.slot
        stage[f.TORUS], stage[f.Q_IN] = bool(self.torus), self.value.moments
        stage[f.ORIGIN] = self.value.origin + lift
        _pair(stage, f.SPACE, self.value.space)
        _pair(stage, f.STEP, (1, 1))
        self.stages.append(stage)
        self.ends.append(end)

    def _slot(self, i: int) -> int:
        taken = {self.value.slot} | {value.slot for value, last in self.saved.values() if last >= i}
        slot = next(k for k in range(self.slots + 1) if k not in taken)
        self.slots = max(self.slots, slot + 1)
        return slot

    def _kept(self, slot: int, i: int) -> bool:
        return any(value.slot == slot and last >= i for value, last in self.saved.values())

    def _last_use(self, i: int, slot: int) -> int:
        last = i
        for j, op in enumerate(self.program.operations[i + 1 :], i + 1):
            if isinstance(op, program.Save) and op.slot == slot:
                break
            if isinstance(op, program.Load | program.Add) and op.slot == slot:
                last = j
        return last


def plan(given: Program, dtype: np.dtype, found: dict[int, Expansion] | None = None) -> Plan:
    """Return the plan of a program on inputs with one or two axes of space.

    Parameters
    ----------
    given
        The program.
    dtype
        Of the evaluation.
    found
        Expansions of its smooth activations, by operation; without them the plan cannot be run if there are any.

    Raises
    ------
    NoNativeForm
        If an operation has no form on offset planes; the message says which.
    """
    planner = Planner(given, found or {})
    planner.run()
    layout = _Layout(planner)
    pitch = (max(int(r[c + 1]) for r in planner.ops for c in (f.SPACE, f.PLACES)) + 2 * planner.margin) * WIDTH
    half = (planner.height + planner.margin) * pitch
    rows = planner.slots * 2 * half
    double = dtype == np.float64
    return Plan(
        ops=np.concatenate(planner.ops),
        numbers=np.concatenate(planner.numbers).astype(dtype),
        stages=np.concatenate(planner.stages),
        offsets=np.array(layout.offsets, np.int64),
        places=np.array([*layout.places, -1], np.int64),
        weights=np.concatenate([*planner.weights, np.zeros(1)]).astype(dtype),
        arc=np.array(ARC_DOUBLE if double else ARC_SINGLE, dtype),
        segment=np.array(SEGMENT_DOUBLE if double else SEGMENT_SINGLE, dtype),
        series=planner.series,
        tiny=1e-30 if double else 1e-20,
        depth=len(planner.stages),
        pitch=pitch,
        margin=planner.margin,
        slot=2 * half,
        half=half,
        rows=rows,
        planes=rows + 2 * pitch,
        pooled=layout.pooled,
        sums=4 * WIDTH,
        table=planner.table,
    )


class _Layout:
    # Offsets of the planes of each stage, from the last to the first, and the places of pooled planes.
    def __init__(self, planner: Planner) -> None:
        self.offsets: list[int] = []
        self.places: list[int] = []
        self.pooled = 0
        needed: tuple[Any, Any] = ((0,), (0,))
        nonlinear = False
        for stage, end in reversed(list(zip(planner.stages, planner.ends, strict=True))):
            if end.operation is not None:
                self._pool(stage, end, needed, planner)
                nonlinear_behind = nonlinear
                stage[f.OWN] = nonlinear_behind and not isinstance(end.operation, program.Flatten)
            sets = [self._ends(stage, end, axis, needed[axis]) for axis in (0, 1)]
            for (start, count), found in zip(((f.DOWN, f.DOWN_COUNT), (f.ACROSS, f.ACROSS_COUNT)), sets, strict=True):
                stage[start], stage[count] = len(self.offsets), len(found)
                self.offsets += found
            rows = planner.ops[stage[f.FIRST] : stage[f.LAST]]
            nonlinear = nonlinear or any(row[f.KIND] != f.NOTHING for row in rows)
            needed = self._starts(rows[0], 0, sets[0]), self._starts(rows[0], 1, sets[1])

    def _ends(self, stage: np.ndarray, end: Boundary, axis: int, needed: tuple[int, ...]) -> list[int]:
        # Offsets behind the stage that its end asks for.
        n = int(stage[f.SPACE + axis])
        if end.operation is None or isinstance(end.operation, program.Flatten):
            found = {0}
        elif end.geometry is None:
            found = set(range(1 - n, n))
        else:
            w, s = end.geometry.shape[axis], end.geometry.strides[axis]
            found = {s * d + j for d in needed for j in range(1 - w, w)} & set(range(1 - n, n))
        return sorted({d % n for d in found} if stage[f.TORUS] else found)

    def _starts(self, row: np.ndarray, axis: int, found: list[int]) -> tuple[int, ...]:
        # Offsets in front of a stage, as differences of positions.
        n, step = int(row[f.SPACE + axis]), int(row[f.STEP + axis])
        if row[f.TORUS]:
            return tuple(
                sorted({d for k in found for d in ((k * step) % n, (k * step) % n - n)} & set(range(1 - n, n)))
            )
        return tuple(k * step for k in found)

    def _pool(self, stage: np.ndarray, end: Boundary, needed: tuple[Any, Any], planner: Planner) -> None:
        gather = planner.ops[stage[f.LAST]]
        ny, nx = int(gather[f.SPACE]), int(gather[f.SPACE + 1])
        stage[f.END] = f.TOTAL if end.geometry is None else f.WINDOWS
        stage[f.POOLED] = gather[f.POOLED] = len(self.places)
        stage[f.POOL_BASE] = gather[f.POOL_BASE] = self.pooled
        table = np.full((2 * ny - 1, 2 * nx - 1), -1, np.int64)
        total = 0
        for dy in needed[0]:
            for dx in needed[1]:
                table[dy + ny - 1, dx + nx - 1] = total
                total += (ny - abs(dy)) * (nx - abs(dx))
        self.places += table.ravel().tolist()
        stage[f.POOL_HALF] = gather[f.POOL_HALF] = total * WIDTH
        self.pooled += 2 * total * WIDTH
        _pair(stage, f.PLACES, (ny, nx))
        if end.geometry is not None:
            _pair(stage, f.WINDOW, end.geometry.shape)
            _pair(stage, f.STRIDE, end.geometry.strides)
            _pair(stage, f.PAD, (end.geometry.pads[0][0], end.geometry.pads[1][0]))


def _scales(op: program.Linear, taps: int) -> tuple[float, ...]:
    # The share of the weights is a multiple of the new covariance, and a number.
    if op.gain == 0 and op.weight != 0:
        raise NoNativeForm("weights of scale zero that learn have no form on offset planes")
    share = op.weight / op.gain if op.gain else 0.0
    return op.gain / taps, op.tangent / taps, share, op.bias - share * op.offset, op.offset


def _weights(op: Any, window: Geometry | None, end: Boundary, places: int) -> np.ndarray:
    # Behind a pooling: factor of sums over pairs, row sums of the map, factor of sums of second moments.
    del end
    if isinstance(op, program.Flatten):
        n = math.prod(op.space)
        return np.array([n**-0.5, 1.0, 1 / n])
    if window is None:
        n = math.prod(op.space)
        return np.array([1.0, n, 1.0] if op.total else [1 / n, 1.0, 1 / n])
    inside = [
        [sum(0 <= s * p + k - low < n for k in range(w)) for p in range(places)]
        for w, s, (low, _), n, places in zip(
            window.shape, window.strides, window.pads, window.space, window.places, strict=True
        )
    ]
    count = np.outer(np.array(inside[0]), np.array(inside[1])).ravel().astype(float)
    factor = np.ones(places) if op.total else np.full(places, 1 / math.prod(window.shape))
    if op.inside:
        factor = 1 / count
    return np.concatenate([factor, factor * count, factor])


def _plane(space: Shape) -> Shape:
    if len(space) > 2:
        raise NoNativeForm(f"space with {len(space)} axes has no form on offset planes; expected at most 2")
    return (*(1,) * (2 - len(space)), *space)


def _window(given: Geometry | None) -> Geometry | None:
    # The window on two axes of space.
    if given is None or len(given.shape) > 1:
        return given
    return Geometry(
        (1, *given.shape),
        (1, *given.strides),
        (1, *given.dilation),
        ((0, 0), *given.pads),
        given.circular,
        (1, *given.space),
        (1, *given.places),
    )


def _is_three(window: Geometry) -> bool:
    # 3 by 3, and along rows one after another, none of which begins further in front than its own width.
    return window.shape == (3, 3) and window.strides[1] == window.dilation[1] == 1 and window.pads[1][0] < 3


def _pair(row: np.ndarray, column: int, values: Any) -> None:
    row[column : column + 2] = values
