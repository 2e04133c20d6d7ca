r"""Duals as small scalar functions for compiled loops. To add one: three functions, a code, and an entry in `_TABLE`.

Of each of the two inputs a dual sees three numbers that are *prepared* from its variance once per input and layer, so
that the work per pair is small. For a code of `DUALS` there are

================================  =================================================================================
``prepare(code, p, q)``           three numbers (a, b, c) of one input
``moment(code, p, q)``            :math:`E\,\varphi(u)^2`
``mean(code, p, q)``              :math:`E\,\varphi(u)`
``pair(code, p, x, y, g)``        :math:`(\mathrm{gap}, \mathrm{slope})` from prepared numbers x, y and the gap g, all
                                  vectors of 16 lanes
``relu_pair(p, x, y, g)``         the same of numbers, which vectorises in a loop
================================  =================================================================================

with ``p`` four numbers of the dual. All are as `dual.AbstractDual` defines them, in the type of their arguments;
formulas and sources are in the docstrings of `dual`. Zero variances are handled as there. Smooth activations without a
function here have the code `SERIES`: their numbers are a position in a table and three counts (`_native_series`).
"""

import math
from collections.abc import Callable
from typing import Any

from .. import dual
from ..dual import AbstractDual
from ._hermite import is_smooth
from ._native_math import angle, angle_and_segment, arctan2, excess_of_sine, fall, loop, scalar
from ._simd import WIDTH, absolute, greater, inline, lesser, load, part, root, spread, store, where_positive

RELU, ERF, GELU, SIN, SIGN, SERIES = range(6)


def code_of(activation: AbstractDual) -> int | None:
    """Return the code of an activation, None if it has none."""
    if is_smooth(activation):
        return SERIES
    entry = _TABLE.get(type(activation))
    return None if entry is None else entry[0]


def parameters_of(activation: AbstractDual) -> tuple[float, float, float, float]:
    """Return the four numbers of an activation with a code other than `SERIES`."""
    found = _TABLE[type(activation)][1](activation)
    return (*found, *(0.0,) * (4 - len(found)))  # type: ignore[return-value]


def _piecewise(d: Any) -> tuple[float, ...]:
    odd, even = (d.a + d.b) / 2, (d.b - d.a) / 2
    return odd**2, even**2, (d.a**2 + d.b**2) / 2, (d.b - d.a) / math.sqrt(2 * math.pi)


_TABLE: dict[type, tuple[int, Callable[[Any], tuple[float, ...]]]] = {
    dual.PiecewiseLinear: (RELU, _piecewise),
    dual.Erf: (ERF, lambda d: (2 * d.b**2, d.a**2, d.c)),
    dual.Gelu: (GELU, lambda d: ()),  # noqa: ARG005
    dual.Sin: (SIN, lambda d: (d.b**2, d.a**2 / 2, math.cos(2 * d.c), d.a * math.sin(d.c))),
    dual.Sign: (SIGN, lambda d: ()),  # noqa: ARG005
}


# --- ReLU and its family: sides (sqrt(q), 1 / sqrt(q) or zero)


@scalar
def relu_pair(p, x, y, g):
    """Return gap and slope of a piecewise linear activation; ``p`` = (odd^2, even^2)."""
    R = type(g)
    apart, scale = x[0] - y[0], x[0] * y[0]
    h = (g - R(0.5) * apart * apart) * (x[1] * y[1])
    h = min(max(h, R(0)), R(2))
    h = h if scale > R(0) else R(1)
    theta, segment = angle_and_segment(h)
    share = R(2 / math.pi)
    gap = p[0] * g + p[1] * (g - scale * segment * share)
    return gap, p[0] + p[1] * (R(1) - theta * share)


# --- erf and GELU, the arc-sine kernel: sides (sqrt(1 + x) - 1, 1 / sqrt(1 + x), sqrt(1 + 2x)), x = 2 b^2 q or q


@inline
def _arcsine(x, y, g):
    # The shift sqrt(r1) - sqrt(r2), the area q1 q2 - q12^2, D, and numerators and denominators of tan(delta_i / 2),
    # all multiplied by sqrt(r1 r2): tan(delta / 2) = (cos(theta_i) - cos(theta)) / (sin(theta_i) + sin(theta)).
    shift, both = x[0] - y[0], x[0] + y[0] + 2.0
    total = x[0] * (x[0] + 2.0) + y[0] * (y[0] + 2.0)
    half = shift * both * 0.5
    area = g * (total - g) - half * half
    d = root(total + area + 1.0)
    apart = g - shift * shift * 0.5
    up1, up2 = apart + shift * x[1], apart - shift * y[1]
    down1 = x[2] * x[1] * (y[0] + 1.0) + d
    down2 = y[2] * y[1] * (x[0] + 1.0) + d
    return (shift, area, d), (up1, up2), (down1, down2)


@inline
def _erf(p, x, y, g):
    # a erf(b u) + c; p = (2 b^2, a^2)
    (_, _, d), up, down = _arcsine(x, y, g * p[0])
    # The sum of both arcs, by the addition theorem of the tangent.
    arc = arctan2(up[0] * down[1] + up[1] * down[0], down[0] * down[1] - up[0] * up[1])
    return arc * p[1] * (2 / math.pi), p[1] * p[0] / d * (2 / math.pi)


@inline
def _gelu(x, y, g):
    (shift, area, d), up, down = _arcsine(x, y, g)
    q1, q2 = x[0] * (x[0] + 2.0), y[0] * (y[0] + 2.0)
    q12 = (q1 + q2) * 0.5 - g
    w1, w2 = x[1] * x[1], y[1] * y[1]
    bend = _bend(q1, x[2], up[0] / down[0]) + _bend(q2, y[2], up[1] / down[1])
    theta = arctan2(q12, d)
    first = g * theta + (bend + d * (x[1] * y[1]) * shift * shift) * 0.5
    between = shift * (x[0] + y[0] + 2.0)
    second = (area - between) / (d + x[2]) * (w1 + 0.5 / (d * x[2]))
    third = (area + between) / (d + y[2]) * (w2 + 0.5 / (d * y[2]))
    share = 0.5 / math.pi
    slope = (theta + q12 / d * (1.0 / (d * d) + w1 + w2)) * share + 0.25
    return g * 0.25 + (first + second + third) * share, slope


@inline
def _bend(q, own, t):
    # q (delta - sin(delta)) + own (1 - cos(delta)) for t = tan(delta / 2)
    y = t * t
    return q * excess_of_sine(t) + own * y * 2.0 / (y + 1.0)


# --- sine and cosine: sides (q, exp(-b^2 q))


@inline
def _sin(p, x, y, g):
    # a sin(b u + c); p = (b^2, a^2 / 2, cos(2c))
    far = (fall((x[0] + y[0] - g) * p[0]) + 1.0) * p[2]
    near = fall(g * p[0])
    scales = greater(x[1], y[1]) * fall(absolute(x[0] - y[0]) * p[0])
    gap = (0.0 - near * (far + 1.0) - scales * scales * p[2] * 0.5) * p[1]
    return gap, (near + far + 1.0) * (p[1] * p[0])


# --- sign: sides (sqrt(q), 1 / sqrt(q) or zero, one or zero)


@inline
def _sign(x, y, g):
    apart, size = x[0] - y[0], x[0] * y[0]
    h = (g - apart * apart * 0.5) * (x[1] * y[1])
    theta = angle(lesser(greater(h, 0.0), 2.0))
    return where_positive(size, theta * (2 / math.pi), (x[2] + y[2]) * 0.5), g * 0.0


# --- by code


@loop
def prepare(code, p, q):
    """Return the three prepared numbers of one input with variance ``q``."""
    R = type(q)
    if code in (RELU, SIGN):
        root = math.sqrt(max(q, R(0)))
        known = R(1) / root if root > R(0) else R(0)
        return root, known, R(1) if root > R(0) else R(0)
    if code in (ERF, GELU):
        x = p[0] * q if code == ERF else q
        root = math.sqrt(R(1) + x)
        return x / (root + R(1)), R(1) / root, math.sqrt(R(1) + R(2) * x)
    return q, math.exp(-p[0] * q), R(0)


@loop
def moment(code, p, q):
    """Return the second moment of the activation under variance ``q``."""
    R = type(q)
    if code == RELU:
        return p[2] * q
    if code == ERF:
        x = p[0] * q
        return p[1] * R(2 / math.pi) * math.atan2(x, math.sqrt(R(1) + R(2) * x)) + p[2] * p[2]
    if code == GELU:
        root = math.sqrt(R(1) + R(2) * q)
        inner = q * math.atan2(q, root) + R(2) * q * q / ((R(1) + q) * root)
        return R(0.25) * q + inner * R(0.5 / math.pi)
    if code == SIN:
        return p[1] * (R(1) - p[2] * math.exp(-R(2) * p[0] * q))
    return R(1) if q > R(0) else R(0)


@loop
def mean(code, p, q):
    """Return the mean of the activation under variance ``q``."""
    R = type(q)
    if code == RELU:
        return p[3] * math.sqrt(max(q, R(0)))
    if code == ERF:
        return p[2]
    if code == GELU:
        return q / math.sqrt(R(2 * math.pi) * (R(1) + q))
    if code == SIN:
        return p[3] * math.exp(-R(0.5) * p[0] * q)
    return R(0)


@part
def pair(code, p, x, y, g):
    """Return gap and slope of 16 pairs from prepared numbers of both inputs and their gaps; not for `RELU`."""
    if code == ERF:
        return _erf(p, x, y, g)
    if code == GELU:
        return _gelu(x, y, g)
    if code == SIN:
        return _sin(p, x, y, g)
    return _sign(x, y, g)


@part
def block(code, p, x, y, into, count):
    """Carry gaps and kernels of one input with several partners through an activation; up to 15 more are written.

    x and y are (pointer to the first prepared number, distance of the next), ``into`` pointers to gaps and kernels; not
    for `RELU`.
    """
    gap, ntk = into
    one = (spread(x[0], 0), spread(x[0], x[1]), spread(x[0], 2 * x[1]))
    for j in range(0, count, WIDTH):
        other = (load(y[0], j), load(y[0], j + y[1]), load(y[0], j + 2 * y[1]))
        g, slope = pair(code, p, one, other, load(gap, j))
        store(gap, j, g)
        store(ntk, j, load(ntk, j) * slope)
