r"""What the planes of pairs need of each input alone: second moments in front of every operation, position by position.

Arrays have the axes of space first and those of batches last, as in all of the plane engine: two batches meet by
broadcasting, and loops over pairs run in lanes.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from .._typing import Array
from ..dual._math import safe_sqrt
from . import _program as program
from ._planes_plan import Stage, pool_factor, reach


class Side(NamedTuple):
    r"""One input, or a batch, in a stage.

    Attributes
    ----------
    values
        In the first stage the input itself, (channels, \*space, ...); else None.
    own, total
        Behind a pooling A: :math:`G_x(P, P)` with :math:`G_x = A\,\mathrm{gap}\,A^\top` within the input, and
        :math:`A q`; zero and the moment itself where no pooling was.
    features
        For each operation what it needs: see `forward`.
    moment
        Second moment behind the last operation.
    """

    values: Array | None
    own: Array
    total: Array
    features: tuple[tuple[Array, ...], ...]
    moment: Array


class Normal(NamedTuple):
    """A side of `Norm`: variance about the mean that is taken, scale, the mean that is taken, the mean in front."""

    variance: Array
    scale: Array
    taken: Array
    before: Array


def forward(operations: tuple, stage: Stage, moment: Array, mean: Array) -> tuple[tuple, Array, Array]:
    """Return features of each operation, and moment and mean over channels behind the last.

    They are: of weights the moment in front and the mean of it over the window; of an activation the moment in front;
    of a sum both means; of a norm `Normal`.
    """
    found: list[tuple[Array, ...]] = []
    saved: dict[int, tuple[Array, Array]] = {}
    for op in operations[stage.first : stage.last]:
        here: tuple[Array, ...] = ()
        if isinstance(op, program.Linear):
            average = averaged(op, moment)
            here = moment, average
            moment = op.gain * average + op.offset
            mean = jnp.zeros_like(moment)
        elif isinstance(op, program.Dual):
            here = (moment,)
            mean, moment = op.dual.mean(moment), op.dual.moment(moment)
        elif isinstance(op, program.Norm):
            here = _normal(op, moment, mean)
            moment = here.variance / here.scale**2
            mean = (mean - here.taken) / here.scale
        elif isinstance(op, program.Scale):
            moment, mean = op.constant**2 * moment, op.constant * mean
        elif isinstance(op, program.Save):
            saved[op.slot] = moment, mean
        elif isinstance(op, program.Load):
            moment, mean = saved[op.slot]
        elif isinstance(op, program.Add):
            other_moment, other_mean = saved[op.slot]
            here = mean, other_mean
            moment, mean = moment + other_moment + 2 * mean * other_mean, mean + other_mean
        found.append(here)
    return tuple(found), moment, mean


def averaged(op: program.Linear, a: Array) -> Array:
    """Return the mean over the windows of weights, with zeros beyond the border."""
    if op.window is None:
        return a
    for axis, size in enumerate(op.window.shape):
        a = _window_sum(op.window, axis, a) / size
    return a


def pooled(op: Any, a: Array) -> Array:
    """Return what a pooling makes of a signal."""
    if isinstance(op, program.Pool):
        for axis in range(len(op.window.shape)):
            a = _window_sum(op.window, axis, a)
            a = a * along(pool_factor(op, axis), axis, a)
        return a
    axes = tuple(range(len(op.space)))
    return jnp.sum(a, axes) if isinstance(op, program.GlobalPool) and op.total else jnp.mean(a, axes)


def along(weights: Any, axis: int, like: Array) -> Array:
    """Return an array along one axis, shaped to be multiplied by ``like``."""
    return jnp.asarray(weights, like.dtype).reshape(*(1,) * axis, -1, *(1,) * (like.ndim - axis - 1))


def take(a: Array, index: Any, axis: int) -> Array:
    """Return the entries at an index along an axis, one that is within bounds."""
    return jnp.take(a, index, axis, mode="clip")


def _window_sum(window: Any, axis: int, a: Array) -> Array:
    where, inside = reach(window, axis, jnp.arange(window.places[axis]))
    parts = [take(a, where[:, f], axis) * along(inside[:, f], axis, a) for f in range(window.shape[axis])]
    return sum(parts[1:], parts[0])


def _normal(op: program.Norm, moment: Array, mean: Array) -> Normal:
    def over(a: Array) -> Array:
        return jnp.broadcast_to(jnp.mean(a, op.axes, keepdims=True), a.shape) if op.axes else a

    taken = over(mean)
    variance = jnp.maximum(moment - taken * (2 * mean - taken), 0)
    return Normal(variance, jnp.sqrt(over(variance) + op.eps), taken, mean)


def norm_gap(gap: Array, x: Normal, y: Normal) -> Array:
    r"""Return the gap behind `Norm`, as `arch.LayerNorm` has it."""
    d = x.taken - y.taken
    gap = gap - d * (x.before - y.before) + d**2 / 2
    a, b = safe_sqrt(x.variance), safe_sqrt(y.variance)
    angle = jnp.clip(gap - (a - b) ** 2 / 2, 0, 2 * a * b)
    return (a / x.scale - b / y.scale) ** 2 / 2 + angle / (x.scale * y.scale)
