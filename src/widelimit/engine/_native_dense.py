r"""Compiled loops over pairs of vectors: all operations of a program on a block of one row, while it is in the cache.

The inputs of a block are one x and up to `BLOCK` partners y. What is known of each input alone, the *sides*, is found
once per input in float64 (`sides`); a pair then costs one pass over the operations (`sweep`), without branches inside.
"""

import math

import numpy as np
from numba import njit

from .._angle import __file__ as _angle_file
from . import _native_duals as duals
from ._native_code import ADD, DUAL, LINEAR, LOAD, NORM, SAVE, SCALE
from ._native_duals import RELU, SERIES
from ._native_math import __file__ as _math_file
from ._native_math import loop
from ._native_series import __file__ as _series_file
from ._native_series import expand, series_block
from ._on_disk import on_disk
from ._simd import WIDTH, load, pointer, store
from ._simd import __file__ as _simd_file

BLOCK = 1024
"""Partners in a block: gaps and kernels of it are a few kilobytes."""

SMALL = 1 / 32
"""Gaps below this part of the variances are computed anew from differences."""


@loop
def _counts(p):
    return int(p[1]), int(p[2]), int(p[3])


# --- what is known of one input


@loop
def _sides(code, q, m, out):
    """Fill ``out`` (rows, n) from the variances and means (n,) of inputs, which are overwritten; n is padded."""
    table, numbers, series = code
    n = q.shape[0]
    slots = table.shape[0] + 1
    kept_q, kept_m = np.empty((slots, n)), np.empty((slots, n))
    for k in range(table.shape[0]):
        code, row, slot, flag = table[k]
        p = (numbers[k, 0], numbers[k, 1], numbers[k, 2], numbers[k, 3])
        if code == LINEAR:
            for i in range(n):
                out[row, i] = q[i]
                q[i] = p[0] * q[i] + p[1]
                m[i] = 0.0
        elif code == SCALE:
            for i in range(n):
                q[i] *= p[0] * p[0]
                m[i] *= p[0]
        elif code == SAVE:
            kept_q[slot], kept_m[slot] = q, m
        elif code == LOAD:
            q[:], m[:] = kept_q[slot], kept_m[slot]
        elif code == ADD:
            for i in range(n):
                both = 2.0 * m[i] * kept_m[slot, i] if flag else 0.0
                out[row, i], out[row + 1, i] = m[i], kept_m[slot, i]
                q[i] += kept_q[slot, i] + both
                m[i] += kept_m[slot, i]
        elif code == NORM:
            for i in range(n):
                mean = m[i] if flag else 0.0
                variance = max(q[i] - mean * mean, 0.0)
                scale = math.sqrt(variance + p[0])
                out[row, i], out[row + 1, i], out[row + 2, i] = mean, math.sqrt(variance), 1.0 / scale
                q[i], m[i] = variance / (variance + p[0]), 0.0
        elif code == DUAL + SERIES:
            for i in range(0, n, WIDTH):
                values = load(pointer(q, 0), i)
                rows = pointer(out, row * n + i)
                moments, means = expand(pointer(series, int(p[0])), _counts(p), values, rows, n)
                store(pointer(q, 0), i, moments)
                store(pointer(m, 0), i, means)
        else:
            for i in range(n):
                out[row, i], out[row + 1, i], out[row + 2, i] = duals.prepare(code - DUAL, p, q[i])
                m[i] = duals.mean(code - DUAL, p, q[i])
                q[i] = duals.moment(code - DUAL, p, q[i])
    out[out.shape[0] - 1] = q


# --- one block of pairs


@loop
def _relu(p, x, y, gap, ntk):
    a, b, c = y
    for j in range(gap.shape[0]):
        g, slope = duals.relu_pair(p, x, (a[j], b[j], c[j]), gap[j])
        gap[j] = g
        ntk[j] *= slope


@loop
def _linear(p, q, others, gap, ntk):
    R = type(q)
    gain, _, weight, bias, tangent = p
    for j in range(gap.shape[0]):
        both = R(0.5) * (q + others[j]) - gap[j]
        ntk[j] = weight * both + bias + tangent * ntk[j]
        gap[j] *= gain


@loop
def _norm(p, x, y, gap, ntk):
    # The rule of `arch.LayerNorm`: x and y are mean, standard deviation, and the inverse of what divides.
    R = type(x[0])
    means, lengths, inverses = y
    for j in range(gap.shape[0]):
        shift, apart, both = x[0] - means[j], x[1] - lengths[j], x[2] * inverses[j]
        g = gap[j] - R(0.5) * (shift * shift + apart * apart)
        g = min(max(g, R(0)), R(2) * x[1] * lengths[j])
        first, second = x[1] * x[2], lengths[j] * inverses[j]
        g = R(0.5) * (first - second) ** 2 + g * both
        ntk[j] = ntk[j] * both + p[1] * (R(0.5) * (first * first + second * second) - g + R(1))
        gap[j] = g


@loop
def _run(code, one, others, kept, state):
    """Pass gaps and kernels through the program: ``one`` = (sides, i), ``others`` = (sides, low, high)."""
    table, numbers, _ = code
    x_sides, i = one
    y_sides, low, high = others
    gap, ntk = state
    n = high - low
    for k in range(table.shape[0]):
        op, row, slot, flag = table[k]
        p = (numbers[k, 0], numbers[k, 1], numbers[k, 2], numbers[k, 3], numbers[k, 4])
        if op == LINEAR:
            _linear(p, x_sides[row, i], y_sides[row, low:high], gap, ntk)
        elif op == SCALE:
            for j in range(n):
                gap[j] *= p[0] * p[0]
                ntk[j] *= p[0] * p[0]
        elif op == SAVE:
            kept[0, slot, :n], kept[1, slot, :n] = gap, ntk
        elif op == LOAD:
            gap[:], ntk[:] = kept[0, slot, :n], kept[1, slot, :n]
        elif op == ADD:
            for j in range(n):
                gap[j] += kept[0, slot, j]
                ntk[j] += kept[1, slot, j]
            if flag:
                for j in range(n):
                    apart = x_sides[row, i] - y_sides[row, low + j]
                    gap[j] += apart * (x_sides[row + 1, i] - y_sides[row + 1, low + j])
        else:
            if op > DUAL + RELU:
                xs, ys = pointer(x_sides, row * x_sides.shape[1] + i), pointer(y_sides, row * y_sides.shape[1] + low)
                g, t, across, down = pointer(gap, 0), pointer(ntk, 0), x_sides.shape[1], y_sides.shape[1]
                if op == DUAL + SERIES:
                    series_block(_counts(p), (xs, across, 0), (ys, down, 1), g, t, n)
                else:
                    duals.block(op - DUAL, p, (xs, across), (ys, down), (g, t), n)
                continue
            x = (x_sides[row, i], x_sides[row + 1, i], x_sides[row + 2, i])
            y = (y_sides[row, low:high], y_sides[row + 1, low:high], y_sides[row + 2, low:high])
            if op == NORM:
                _norm(p, x, y, gap, ntk)
            else:
                _relu(p, x, y, gap, ntk)


@loop
def _few(x, across, low, gap):
    # Gaps of inputs of few numbers: sums of squared differences, without products; ``across`` is (d, n).
    R = type(x[0])
    d, rest = x.shape[0], x.shape[0] % 4
    for j in range(gap.shape[0]):
        gap[j] = R(0)
    for k in range(rest):
        other = across[k, low : low + gap.shape[0]]
        for j in range(gap.shape[0]):
            gap[j] += (x[k] - other[j]) * (x[k] - other[j])
    for k in range(rest, d, 4):
        a, b = across[k, low : low + gap.shape[0]], across[k + 1, low : low + gap.shape[0]]
        c, e = across[k + 2, low : low + gap.shape[0]], across[k + 3, low : low + gap.shape[0]]
        for j in range(gap.shape[0]):
            one, two, three, four = x[k] - a[j], x[k + 1] - b[j], x[k + 2] - c[j], x[k + 3] - e[j]
            gap[j] += (one * one + two * two) + (three * three + four * four)
    for j in range(gap.shape[0]):
        gap[j] *= R(0.5) / R(d)


@loop
def _gaps(x, y, one, others, gap):
    # From half squares and products of centred inputs, per channel; where they are small, from differences.
    R = type(one)
    others, products = others
    few = np.int32(0)
    for j in range(gap.shape[0]):
        g = one + others[j] - products[j]
        gap[j] = g
        few += np.int32(1) if g < R(SMALL) * (one + others[j]) else np.int32(0)
    if few:
        scale = R(0.5) / R(x.shape[0])
        for j in range(gap.shape[0]):
            if gap[j] < R(SMALL) * (one + others[j]):
                gap[j] = scale * _square(x, y[j])


@njit(fastmath={"reassoc", "contract", "nsz"}, nogil=True)
def _square(x, y):
    total = type(x[0])(0)
    for k in range(x.shape[0]):
        apart = x[k] - y[k]
        total += apart * apart
    return total


# --- a panel of rows


@loop
def _sweep(code, one, others, out, tile):
    """Compute some rows of both kernels against some columns.

    Parameters
    ----------
    code
        (table, numbers, slots).
    one, others
        (inputs, half mean squares of centred inputs, sides (rows, n), products with the columns) of rows, and
        (..., inputs as (d, n)) of columns; either products or the latter are empty.
    out
        (nngp, ntk), the whole results; the one that is not wanted is empty.
    tile
        (first, last) row of ``one``, (begin, end) column of ``others``, (row, column) of the result at which both
        stand, column of the first product, whether the result is symmetric.
    """
    _, numbers, slots = code
    x, half, sides, products = one
    y, other_half, other_sides, across = others
    nngp, ntk = out
    first, last, begin, stop, row, column, shift, symmetric = tile
    R = numbers.dtype.type
    gap, theta = np.empty(BLOCK, numbers.dtype), np.empty(BLOCK, numbers.dtype)
    kept = np.empty((2, slots, BLOCK), numbers.dtype)
    end = sides.shape[0] - 1
    for low in range(begin, stop, BLOCK):
        high = min(low + BLOCK, stop)
        g, t = gap[: high - low], theta[: high - low]
        for i in range(first, last):
            if across.size:
                _few(x[i], across, low, g)
            else:
                _gaps(x[i], y[low:high], half[i], (other_half[low:high], products[i, low - shift : high - shift]), g)
            t[:] = R(0)
            _run(code, (sides, i), (other_sides, low, high), kept, (g, t))
            if ntk.size:
                for j in range(t.shape[0]):
                    ntk[row + i, column + low + j] = t[j]
            if nngp.size:
                covariance = nngp[row + i, column + low : column + high]
                for j in range(g.shape[0]):
                    covariance[j] = R(0.5) * (sides[end, i] + other_sides[end, low + j]) - g[j]
        if symmetric:
            corner = (row + first, row + last, column + low, column + high)
            if ntk.size:
                _mirror(ntk, corner)
            if nngp.size:
                _mirror(nngp, corner)


@loop
def _mirror(a, corner):
    first, last, low, high = corner
    for j in range(low, high):
        for i in range(first, min(last, j)):
            a[j, i] = a[i, j]


@loop
def _diagonal(code, sides, out):
    """Compute the kernels of each input with itself, from its sides; ``out`` = (nngp, ntk), both of shape (n,)."""
    _, numbers, slots = code
    nngp, ntk = out
    gap, theta = np.zeros(WIDTH, numbers.dtype), np.zeros(WIDTH, numbers.dtype)
    kept = np.empty((2, slots, 1), numbers.dtype)
    for i in range(nngp.shape[0]):
        gap[:], theta[:] = 0, 0
        _run(code, (sides, i), (sides, i, i + 1), kept, (gap[:1], theta[:1]))
        nngp[i], ntk[i] = sides[sides.shape[0] - 1, i] - gap[0], theta[0]


# --- what is compiled, once, and kept on disk


def _build(stamp, cache):
    # The stamp is a part of the key on disk, so that code of other versions of the files below is not taken.
    @njit(cache=cache, nogil=True)
    def sides(code, q, m, out):
        if stamp != 0:
            _sides(code, q, m, out)

    @njit(cache=cache, nogil=True)
    def sweep(code, one, others, out, tile):
        if stamp != 0:
            _sweep(code, one, others, out, tile)

    @njit(cache=cache, nogil=True)
    def diagonal(code, sides, out):
        if stamp != 0:
            _diagonal(code, sides, out)

    return sides, sweep, diagonal


_FILES = (__file__, duals.__file__, _angle_file, _math_file, _series_file, _simd_file)
sides, sweep, diagonal = on_disk(_build, _FILES)
