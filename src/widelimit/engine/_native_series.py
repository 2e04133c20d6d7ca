r"""Smooth activations by their series in compiled loops, 16 pairs at a time, from the tables of `_hermite`.

Of one input pairs see rows of numbers: s, 1/s, how many even and odd coefficients count for it and its neighbours in
the vector, and what is interpolated at s: dimensions of the curve, coefficients with even k, and with odd k. Sums over
k run from the last to the first, with :math:`x = \rho^2` and :math:`1 - \rho^{k+1} = h\,(\dots)` written out, so that
nothing cancels where inputs are close.
"""

from typing import Any

import numpy as np

from ._hermite import HEADER, KNOWN, MOST
from ._simd import (
    WIDTH,
    greater,
    inline,
    lesser,
    load,
    narrowed,
    part,
    pointer,
    root,
    spread,
    store,
    where_positive,
    widened,
    zeros,
)

_SHARES = 1 / np.arange(1.0, MOST + 2)


@inline
def _interpolated(table: Any, row: int, nodes: int, t: Any, s: Any) -> Any:
    # A Chebyshev series at t, which is stored behind its value at s = 0.
    after, twice = t * 0.0, t + t
    now = after + table[row + nodes]
    for j in range(nodes - 1, 1, -1):
        now, after = twice * now - after + table[row + j], now
    return where_positive(s, t * now - after + table[row + 1], table[row])


@inline
def _needed(rows: Any, first: int, count: int, step: int, least: Any) -> int:
    # How many coefficients there are up to the last that is not negligible for any of 16 inputs.
    for k in range(count - 1, -1, -1):
        for lane in range(WIDTH):
            if abs(rows[(first + k) * step + lane]) > least:
                return k + 1
    return 0


@part
def expand(table: Any, counts: tuple[int, int, int], q: Any, out: Any, step: int) -> Any:
    """Write the rows of 16 inputs of variances ``q`` at a distance of ``step``; return second moment and mean.

    In double precision: over a wide interval of variances an activation that grows loses at its lower end what it
    gained at the upper one.
    """
    middle, scale, nodes, least = table[0], table[1], int(table[2]), table[3]
    lengths, even, odd = counts
    s = root(greater(widened(q), 0.0))
    t = (s - middle) * scale
    width, rows = nodes + 1, pointer(table, HEADER)
    store(out, 0, narrowed(s, out))
    store(out, step, narrowed(where_positive(s, 1.0 / s, 0.0), out))
    for k in range(lengths + even + odd):
        store(out, (k + KNOWN) * step, narrowed(_interpolated(rows, (k + 2) * width, nodes, t, s), out))
    first = KNOWN + lengths
    store(out, 2 * step, zeros(out) + _needed(out, first, even, step, least))
    store(out, 3 * step, zeros(out) + _needed(out, first + even, odd, step, least))
    moment, mean = _interpolated(rows, 0, nodes, t, s), _interpolated(rows, width, nodes, t, s)
    return narrowed(moment, out), narrowed(mean, out)


@inline
def _row(side: Any, k: int) -> Any:
    # A number of one input in all lanes, or of 16 inputs.
    array, step, lanes = side
    if lanes:
        return load(array, k * step)
    return spread(array, k * step)


@inline
def _terms(x: Any, y: Any, k: int, most: int) -> int:
    # Coefficients that count for one input, and for 16 partners, who may belong to two vectors.
    there = max(int(y[0][k * y[1]]), int(y[0][k * y[1] + WIDTH - 1]))
    return min(max(int(x[0][k * x[1]]), there), most)


@inline
def _chain(x: Any, y: Any, first: int, count: int, odd: int, z: Any) -> Any:
    # Sums over j of w_j z^j, of v_j, and of z^j (v_(j+1) + v_(j+2) + ...), for v_j = w_j / (2j + 1 + odd).
    total = z * 0.0
    below, falls = total, total
    for j in range(count - 1, -1, -1):
        w = _row(x, first + j) * load(y[0], (first + j) * y[1])
        total = total * z + w
        falls = falls * z + below
        below = below + w * _SHARES[2 * j + odd]
    return total, below, falls


@part
def series_pair(counts: tuple[int, int, int], x: Any, y: Any, g: Any) -> Any:
    """Return gap and slope of 16 pairs; x and y are (pointer to rows, their distance, whether it has lanes)."""
    lengths, even, odd = counts
    s1, s2 = _row(x, 0), load(y[0], 0)
    apart, size = s1 - s2, s1 * s2
    h = where_positive(size, (g - apart * apart * 0.5) * (_row(x, 1) * load(y[0], y[1])), 1.0)
    h = lesser(greater(h, 0.0), 2.0)
    rho = 1.0 - h
    z = rho * rho
    moved = z * 0.0
    start = KNOWN + lengths
    for k in range(KNOWN, start):
        d = _row(x, k) - load(y[0], k * y[1])
        moved = moved + d * d
    first, v, falls = _chain(x, y, start, _terms(x, y, 2, even), 0, z)
    second, u, others = _chain(x, y, start + even, _terms(x, y, 3, odd), 1, z)
    drop = v + (rho + 1.0) * (rho * falls + u + z * others)
    return moved * 0.5 + size * h * drop, first + rho * second


@part
def series_block(counts: tuple[int, int, int], x: Any, y: Any, gap: Any, ntk: Any, count: int) -> None:
    """Carry gaps and kernels of one input with several partners through an activation; up to 15 more are written."""
    for j in range(0, count, WIDTH):
        g, slope = series_pair(counts, x, (pointer(y[0], j), y[1], 1), load(gap, j))
        store(gap, j, g)
        store(ntk, j, load(ntk, j) * slope)
