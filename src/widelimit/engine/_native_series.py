r"""Smooth activations by their series in compiled loops, 16 pairs at a time: tables of `_hermite` in vectors of lanes.

Of one input pairs see rows of numbers: s, 1/s, and what is interpolated at s: dimensions of the curve, coefficients
with even k, and with odd k. Sums over k run from the last to the first, with :math:`x = \rho^2` and
:math:`1 - \rho^{k+1} = h\,(\dots)` written out, so that nothing cancels where inputs are close.
"""

from typing import Any

import numpy as np

from ._hermite import HEADER, MOST
from ._simd import WIDTH, greater, inline, lesser, load, part, pointer, root, spread, store, where_positive

_SHARES = 1 / np.arange(1.0, MOST + 2)


@inline
def _interpolated(table: Any, row: int, nodes: int, t: Any, s: Any) -> Any:
    # A Chebyshev series at t, which is stored behind its value at s = 0.
    after, twice = t * 0.0, t + t
    now = after + table[row + nodes]
    for j in range(nodes - 1, 1, -1):
        now, after = twice * now - after + table[row + j], now
    return where_positive(s, t * now - after + table[row + 1], table[row])


@part
def expand(table: Any, counts: tuple[int, int, int], q: Any, out: Any, step: int) -> Any:
    """Write the rows of 16 inputs of variances ``q`` at a distance of ``step``; return second moment and mean."""
    middle, scale, nodes = table[0], table[1], int(table[2])
    s = root(greater(q, 0.0))
    t = (s - middle) * scale
    width, rows = nodes + 1, pointer(table, HEADER)
    store(out, 0, s)
    store(out, step, where_positive(s, 1.0 / s, 0.0))
    for k in range(counts[0] + counts[1] + counts[2]):
        store(out, (k + 2) * step, _interpolated(rows, (k + 2) * width, nodes, t, s))
    return _interpolated(rows, 0, nodes, t, s), _interpolated(rows, width, nodes, t, s)


@inline
def _row(side: Any, k: int) -> Any:
    # A number of one input in all lanes, or of 16 inputs.
    array, step, lanes = side
    if lanes:
        return load(array, k * step)
    return spread(array, k * step)


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
    for k in range(2, 2 + lengths):
        d = _row(x, k) - load(y[0], k * y[1])
        moved = moved + d * d
    first, v, falls = _chain(x, y, 2 + lengths, even, 0, z)
    second, u, others = _chain(x, y, 2 + lengths + even, odd, 1, z)
    drop = v + (rho + 1.0) * (rho * falls + u + z * others)
    return moved * 0.5 + size * h * drop, first + rho * second


@part
def series_block(counts: tuple[int, int, int], x: Any, y: Any, gap: Any, ntk: Any, count: int) -> None:
    """Carry gaps and kernels of one input with several partners through an activation; up to 15 more are written."""
    for j in range(0, count, WIDTH):
        g, slope = series_pair(counts, x, (pointer(y[0], j), y[1], 1), load(gap, j))
        store(gap, j, g)
        store(ntk, j, load(ntk, j) * slope)
