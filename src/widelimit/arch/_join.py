"""Second moments of branches that are independent of each other: of their sum, product and concatenation."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from .._typing import Array
from ._pair import Pair


def sum_pairs(pairs: Sequence[Pair]) -> Pair:
    """Return the moments of a sum."""
    return functools.reduce(_add, pairs)


def _add(a: Pair, b: Pair) -> Pair:
    # Means of both: twice their product stands in every second moment, half the product of differences in every gap.
    cross = a.mean_x is not None and b.mean_x is not None

    def plus(p: Any, q: Any) -> Any:
        return q if p is None else p if q is None else p + q

    def apart(first: str, second: str) -> Array | float:
        if not cross:
            return 0.0
        one = a.first(getattr(a, first)) - getattr(a, second)
        return one * (b.first(getattr(b, first)) - getattr(b, second))

    def twice(name: str) -> Array | float:
        return 2 * getattr(a, name) * getattr(b, name) if cross else 0.0

    return dataclasses.replace(
        a,
        xx=a.xx + b.xx + twice("mean_x"),
        yy=a.yy + b.yy + twice("mean_y"),
        gap=a.gap + b.gap + apart("mean_x", "mean_y"),
        ntk=a.ntk + b.ntk,
        gap_x=None if a.gap_x is None or b.gap_x is None else a.gap_x + b.gap_x + apart("mean_x", "mean_x"),
        gap_y=None if a.gap_y is None or b.gap_y is None else a.gap_y + b.gap_y + apart("mean_y", "mean_y"),
        mean_x=plus(a.mean_x, b.mean_x),
        mean_y=plus(a.mean_y, b.mean_y),
        mask_x=_either(a.mask_x, b.mask_x),
        mask_y=_either(a.mask_y, b.mask_y),
    )


def multiply_pairs(a: Pair, b: Pair) -> Pair:
    r"""Return the moments of a product: with means :math:`s` of the two variances,

    .. math:: \mathrm{gap} = s_a g_b + s_b g_a - g_a g_b + \tfrac14(a_1-a_2)(b_1-b_2)
    """  # noqa: D400

    def gap(name: str, first: str, second: str) -> Array:
        a1, a2 = a.first(getattr(a, first)), getattr(a, second)
        b1, b2 = b.first(getattr(b, first)), getattr(b, second)
        ga, gb = getattr(a, name), getattr(b, name)
        return (a1 + a2) / 2 * gb + (b1 + b2) / 2 * ga - ga * gb + (a1 - a2) * (b1 - b2) / 4

    def mean(name: str) -> Array | None:
        p, q = getattr(a, name), getattr(b, name)
        return None if p is None or q is None else p * q

    full = a.gap_x is not None
    return dataclasses.replace(
        a,
        xx=a.xx * b.xx,
        yy=a.yy * b.yy,
        gap=gap("gap", "xx", "yy"),
        ntk=a.ntk * b.xy + a.xy * b.ntk,
        gap_x=gap("gap_x", "xx", "xx") if full else None,
        gap_y=gap("gap_y", "yy", "yy") if full else None,
        mean_x=mean("mean_x"),
        mean_y=mean("mean_y"),
        mask_x=_both(a.mask_x, b.mask_x),
        mask_y=_both(a.mask_y, b.mask_y),
    )


def concatenate_pairs(pairs: Sequence[Pair], axis: int) -> Pair:
    """Return the moments of branches beside each other along an axis of one example, the channels last."""
    if axis == pairs[0].xx.ndim:
        return _beside(pairs)
    return _along(pairs, axis)


def _beside(pairs: Sequence[Pair]) -> Pair:
    total = sum(p.channels for p in pairs)

    def average(name: str) -> Array | None:
        found = [(p.channels / total, getattr(p, name)) for p in pairs]
        found = [(w, a) for w, a in found if a is not None]
        return functools.reduce(jnp.add, [w * a for w, a in found]) if found else None

    names = ("xx", "yy", "gap", "ntk", "gap_x", "gap_y", "mean_x", "mean_y")
    return dataclasses.replace(
        pairs[0],
        channels=total,
        mask_x=functools.reduce(_either, [p.mask_x for p in pairs]),
        mask_y=functools.reduce(_either, [p.mask_y for p in pairs]),
        **{name: average(name) for name in names},
    )


def _along(pairs: Sequence[Pair], axis: int) -> Pair:
    def line(name: str, fill: Callable[[Pair], Array] | None = None) -> Array | None:
        found = [getattr(p, name) for p in pairs]
        if all(a is None for a in found):
            return None
        if fill is not None:
            found = [fill(p) if a is None else a for p, a in zip(pairs, found, strict=True)]
        return jnp.concatenate(found, axis)

    def grid(name: str, first: str, second: str) -> Array:
        rows = []
        for i, p in enumerate(pairs):
            blocks = [getattr(p, name) if i == j else _apart(p, q, first, second) for j, q in enumerate(pairs)]
            rows.append(jnp.concatenate(blocks, axis + p.xx.ndim))
        return jnp.concatenate(rows, axis)

    def tangents() -> Array:
        rows = []
        for i, p in enumerate(pairs):
            shapes = [(*p.xx.shape, *q.yy.shape) for q in pairs]
            blocks = [p.ntk if i == j else jnp.zeros(s, p.ntk.dtype) for j, s in enumerate(shapes)]
            rows.append(jnp.concatenate(blocks, axis + p.xx.ndim))
        return jnp.concatenate(rows, axis)

    full = pairs[0].gap_x is not None
    return dataclasses.replace(
        pairs[0],
        xx=line("xx"),
        yy=line("yy"),
        gap=grid("gap", "xx", "yy") if full else line("gap"),
        ntk=tangents() if full else line("ntk"),
        gap_x=grid("gap_x", "xx", "xx") if full else None,
        gap_y=grid("gap_y", "yy", "yy") if full else None,
        mean_x=line("mean_x", lambda p: jnp.zeros_like(p.xx)),
        mean_y=line("mean_y", lambda p: jnp.zeros_like(p.yy)),
        mask_x=line("mask_x", lambda p: jnp.ones(p.xx.shape, bool)),
        mask_y=line("mask_y", lambda p: jnp.ones(p.yy.shape, bool)),
    )


def _apart(p: Pair, q: Pair, first: str, second: str) -> Array:
    # The gap between positions of two independent branches.
    one, two = getattr(p, first), getattr(q, second)
    gap = (p.first(one) + two) / 2
    m, n = getattr(p, f"mean_{first[0]}"), getattr(q, f"mean_{second[0]}")
    return gap if m is None or n is None else gap - p.first(m) * n


def _either(a: Array | None, b: Array | None) -> Array | None:
    return None if a is None or b is None else a | b


def _both(a: Array | None, b: Array | None) -> Array | None:
    return b if a is None else a if b is None else a & b
