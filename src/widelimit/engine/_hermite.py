r"""Smooth activations as tables of Hermite coefficients over the variance, for compiled loops.

With :math:`b_k(s) = E\,\varphi'(s z)h_k(z)` a smooth dual is (see `dual.Series`)

.. math::
    \mathrm{slope} = \sum_k b_k(s_1)b_k(s_2)\rho^k,\qquad
    \mathrm{gap} = L(s_1, s_2) + s_1s_2\sum_k \tfrac1{k+1}b_k(s_1)b_k(s_2)(1-\rho^{k+1}),

where :math:`L = \tfrac12\|a(s_1) - a(s_2)\|^2` for the Hermite coefficients a of :math:`\varphi` itself, the gap of two
signals of correlation one. All of them are functions of :math:`s = \sqrt q` alone: Chebyshev interpolants, whose errors
and numbers of terms are known when they are made. The curve a(s) lies in a few dimensions, found by a singular value
decomposition; even and odd k stand apart, because most activations have one of them only.
"""

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from threadpoolctl import threadpool_limits

from .. import dual
from ..dual import AbstractDual
from ..dual._mehler import GRIDS, REACH
from . import _program as program
from ._lowering import NoNativeForm
from ._program import Program

SMOOTH = (dual.Series, dual.Exp, dual.Gaussian, dual.Gabor, dual.Snake, dual.Polynomial, dual.Hermite)
"""Duals that are expanded."""

NODES = (65, 257)
"""Degrees of interpolation that are tried, plus one; coefficients that are negligible are left out."""

BLOCK = 32
"""Terms between two looks at the remainder."""

MOST = 4096
"""The most terms; beyond, the reference is faster."""

HEADER = 4
"""Numbers in front of a table: middle of the interval, inverse of half its length, nodes, the least that counts."""

KNOWN = 4
"""Numbers of one input in front of those that are interpolated."""

LARGEST = 2**24
"""Numbers of all tables together: positions in them are exact in float32."""


class Accuracy(NamedTuple):
    """Errors that are accepted: relative ones of sums and of interpolation, and the size of dimensions left out."""

    terms: float
    interpolation: float
    dimensions: float

    @staticmethod
    def of(dtype: Any) -> "Accuracy":
        """Return the errors that leave results within 1e-5, or 1e-9, of exact ones also at depth."""
        return Accuracy(1e-8, 1e-13, 1e-5) if dtype == np.float32 else Accuracy(1e-11, 1e-13, 1e-7)


class Expansion(NamedTuple):
    """The table of one activation over an interval of s.

    Attributes
    ----------
    lengths, even, odd
        Numbers of dimensions of the curve, and of coefficients with even and odd k.
    table
        The header, and behind it rows (value at zero, Chebyshev coefficients): moment, mean, lengths, even, odd.
    moments
        Smallest and largest second moment behind the activation.
    """

    lengths: int
    even: int
    odd: int
    table: np.ndarray
    moments: tuple[float, float]

    @property
    def rows(self) -> int:
        """Numbers of one input that pairs need."""
        return KNOWN + self.lengths + self.even + self.odd


def is_smooth(activation: AbstractDual) -> bool:
    """Whether an activation is one that is expanded."""
    return isinstance(activation, SMOOTH)


def second_moments(batches: Iterator[np.ndarray] | list[np.ndarray]) -> tuple[float, float]:
    r"""Return the smallest and largest mean square over channels in batches (n, \*space, channels)."""
    found = []
    for x in batches:
        q = np.einsum("...c,...c->...", x, x, dtype=np.float64) / x.shape[-1]
        found += [float(np.min(q, initial=np.inf)), float(np.max(q, initial=0.0))]
    return min(found), max(found)


def expansions(source: Program, q: tuple[float, float], dtype: Any) -> dict[int, Expansion]:
    """Return the expansions of all smooth activations of a program, by the number of the operation.

    Parameters
    ----------
    source
        The program.
    q
        Smallest and largest second moment of the inputs. What follows of them behind each operation is bounded.
    dtype
        Of the evaluation.

    Raises
    ------
    NoNativeForm
        If a series does not converge, as those of functions with kinks, or is too long.
    """
    found, saved = {}, {}
    for i, op in enumerate(source.operations):
        if isinstance(op, program.Save):
            saved[op.slot] = q
        elif isinstance(op, program.Load):
            q = saved[op.slot]
        elif isinstance(op, program.Add):
            other = saved[op.slot]
            apart, both = (0.0, 2 * math.sqrt(q[1] * other[1])) if op.means else (q[0] + other[0], 0.0)
            q = apart, q[1] + other[1] + both
        elif isinstance(op, program.Dual) and is_smooth(op.dual):
            # Products of a few hundred rows: threads of a BLAS would wait for each other.
            with threadpool_limits(1, "blas"):
                found[i] = expansion(op.dual, q, Accuracy.of(dtype))
            q = found[i].moments
        else:
            q = _behind(op, q)
    if sum(e.table.size for e in found.values()) > LARGEST:
        raise NoNativeForm(f"the series of all activations have more than {LARGEST} coefficients")
    return found


def joined(found: dict[int, Expansion]) -> tuple[np.ndarray, dict[int, tuple[float, float, float, float]]]:
    """Return all tables in one array, and of each where it begins and its counts: lengths, even, odd."""
    series, at = [np.zeros(1)], {}
    for place, e in found.items():
        at[place] = (float(sum(map(len, series))), float(e.lengths), float(e.even), float(e.odd))
        series.append(e.table)
    return np.concatenate(series), at


def _behind(op: Any, q: tuple[float, float]) -> tuple[float, float]:
    # Bounds of the second moments behind an operation that has no slot.
    low, high = q
    if isinstance(op, program.Linear):
        padded = op.window is not None and not op.window.circular and max(map(max, op.window.pads)) > 0
        return (0.0 if padded else op.gain * low) + op.offset, op.gain * high + op.offset
    if isinstance(op, program.Dual):
        # Those that are not expanded rise with the variance.
        with jax.enable_x64(True):
            moment = np.asarray(op.dual.moment(jnp.asarray([low, high], jnp.float64)))
        return float(moment.min()), float(moment.max())
    if isinstance(op, program.Norm):
        alone = not op.means and not op.axes
        return (low / (low + op.eps) if alone and low + op.eps else 0.0), high / (high + op.eps) if high else 0.0
    if isinstance(op, program.Scale):
        return op.constant**2 * low, op.constant**2 * high
    if isinstance(op, program.Pool):
        return 0.0, high * (math.prod(op.window.shape) ** 2 if op.total else 1)
    if isinstance(op, program.GlobalPool):
        return 0.0, high * (math.prod(op.space) ** 2 if op.total else 1)
    return low, high


def expansion(activation: AbstractDual, q: tuple[float, float], accuracy: Accuracy) -> Expansion:
    """Return the expansion of an activation for variances in an interval.

    Raises
    ------
    NoNativeForm
        If the variances are not finite, or no number of terms is enough; the message says why.
    """
    if not np.isfinite(q).all():
        raise NoNativeForm(f"variances in front of {activation!r} are not finite")
    low, high = (math.sqrt(max(a, 0.0)) for a in q)
    middle, half = (low + high) / 2, max((high - low) / 2, 1e-5 * high, 1e-30)
    for nodes in NODES:
        angles = math.pi * (np.arange(nodes) + 0.5) / nodes
        s = np.append(np.maximum(middle + half * np.cos(angles), 0.0), 0.0)
        parts, least = _parts(activation, s, accuracy)
        series = [_series(rows[:, :-1], angles) for rows in parts]
        degree = max(_degree(rows, accuracy) for rows in series)
        if degree < nodes - 3:
            break
    else:
        raise NoNativeForm(f"{activation!r} is no smooth function of a variance between {q[0]:.3g} and {q[1]:.3g}")
    moments = np.polynomial.chebyshev.chebval(np.linspace(-1, 1, 8 * nodes), series[0][0])
    rows = [np.column_stack([a[:, -1], c[:, : degree + 1]]) for a, c in zip(parts, series, strict=True)]
    table = np.concatenate([[middle, 1 / half, degree + 1, least], *(a.ravel() for a in rows)])
    _, lengths, even, odd = (len(rows) for rows in parts)
    return Expansion(lengths, even, odd, table, (max(float(moments.min()), 0.0), float(moments.max())))


def _series(values: np.ndarray, angles: np.ndarray) -> np.ndarray:
    # Chebyshev coefficients from values at the nodes cos(angles).
    count = len(angles)
    basis = np.cos(np.outer(angles, np.arange(count))) * 2 / count
    basis[:, 0] /= 2
    return values @ basis


def _degree(series: np.ndarray, accuracy: Accuracy) -> int:
    # The last coefficient of several Chebyshev series that is not negligible.
    if not len(series):
        return 1
    large = np.abs(series) > accuracy.interpolation * np.abs(series).sum(1).max()
    return max(1, int(np.nonzero(large.any(0))[0].max(initial=0)))


def _parts(activation: AbstractDual, s: np.ndarray, accuracy: Accuracy) -> tuple[list[np.ndarray], float]:
    # Rows of functions at standard deviations: (moment, mean), lengths, even and odd coefficients; and the least
    # coefficient that counts.
    b, mean, moment = _coefficients(activation, s, accuracy)
    curve = np.concatenate([mean[None], s * b / np.sqrt(np.arange(1, len(b) + 1))[:, None]])
    size = math.sqrt(moment.max()) or 1.0
    directions, singular, _ = np.linalg.svd(curve[:, :-1] - curve[:, :1], full_matrices=False)
    lengths = directions[:, singular > accuracy.dimensions * size].T @ curve
    least = 1e-2 * math.sqrt(accuracy.terms) * math.sqrt(np.sum(b**2, 0).max())
    return [np.stack([moment, mean]), lengths, *(_trimmed(b[k::2], least) for k in (0, 1))], least


def _trimmed(rows: np.ndarray, least: float) -> np.ndarray:
    # Without the last rows that are negligible.
    large = np.nonzero(np.abs(rows).max(1, initial=0.0) > least)[0]
    return rows[: large[-1] + 1 if large.size else 0]


def _coefficients(
    activation: AbstractDual, s: np.ndarray, accuracy: Accuracy
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Coefficients (terms, n) of the derivative, and means and second moments (n,), on a grid that is fine enough.
    for nodes in GRIDS:
        z, root, basis = _basis(nodes)
        with jax.enable_x64(True):
            value, slope = (np.asarray(a, np.float64) * root for a in _both(activation, jnp.asarray(s[:, None] * z)))
        if max(_grid_error(value), _grid_error(slope)) <= accuracy.terms**0.7:
            break
    else:
        raise NoNativeForm(f"{activation!r} is too steep or too large for a series at a variance of {s.max() ** 2:.3g}")
    rows, rest = [], np.sum(slope**2, 1)
    norm = rest
    for block in itertools.islice(basis, MOST // BLOCK):
        rows.append(block @ slope.T)
        left = rest - np.cumsum(rows[-1] ** 2, 0)
        enough = np.nonzero(np.all(left <= accuracy.terms * norm, 1))[0]
        if enough.size:
            return np.concatenate(rows)[: len(rows) * BLOCK - BLOCK + enough[0] + 1], value @ root, np.sum(value**2, 1)
        rest = left[-1]
    raise NoNativeForm(f"the series of {activation!r} needs more than {MOST} terms at a variance of {s.max() ** 2:.3g}")


@jax.jit
def _both(activation: AbstractDual, u: Any) -> tuple[Any, Any]:
    return jax.jvp(activation.value, (u,), (jnp.ones_like(u),))


def _grid_error(rows: np.ndarray) -> float:
    # The relative error of sums of squares on every other node and beyond the ends; that of all is its square.
    squares = rows**2
    total = squares.sum(1)
    error = abs(total - 2 * squares[:, ::2].sum(1)) + (squares[:, 0] + squares[:, -1]) * rows.shape[1]
    return float(np.max(error / (total + 1e-24)))


@functools.lru_cache(maxsize=2)
def _grid(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    z, step = np.linspace(-REACH, REACH, nodes, retstep=True)
    return z, np.sqrt(step / math.sqrt(2 * math.pi)) * np.exp(-(z**2) / 4)


def _basis(nodes: int) -> tuple[np.ndarray, np.ndarray, Iterator[np.ndarray]]:
    # The nodes, the roots of their weights, and Hermite functions block by block, (BLOCK, nodes).
    z, root = _grid(nodes)

    def blocks() -> Iterator[np.ndarray]:
        last, now = np.zeros_like(root), root
        for start in itertools.count(0, BLOCK):
            rows = []
            for k in range(start, start + BLOCK):
                rows.append(now)
                last, now = now, (z * now - math.sqrt(k) * last) / math.sqrt(k + 1)
            yield np.array(rows)

    return z, root, blocks()
