"""Which inputs stand for all others."""

from __future__ import annotations

import abc

import equinox as eqx
import numpy as np
import scipy.linalg

from .. import _check
from ..kernels import AbstractKernel
from ._base import eigh


class AbstractLandmarks(eqx.Module):
    """A choice of m inputs, or points between them, on which a kernel is known to all others."""

    @abc.abstractmethod
    def choose(self, kernel: AbstractKernel, x: np.ndarray) -> np.ndarray:
        r"""Return landmarks (m, \*input_shape) for inputs (n, \*input_shape); all inputs where n is no more than m."""


class Uniform(AbstractLandmarks):
    """Inputs drawn without replacement.

    Parameters
    ----------
    count
        Number m of landmarks.
    seed
        Of the random numbers.
    """

    count: int = eqx.field(static=True)
    seed: int = eqx.field(default=0, static=True)

    def __check_init__(self) -> None:
        """Check the number."""
        _check.positive_int(self.count, "count")

    def choose(self, kernel: AbstractKernel, x: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the landmarks."""
        return x[drawn(len(x), self.count, self.seed)]


class KMeans(AbstractLandmarks):
    """Centres of clusters: k-means++ and a few steps of Lloyd's, on a random part of the inputs.

    Parameters
    ----------
    count
        Number m of landmarks.
    seed
        Of the random numbers.
    steps
        Steps of Lloyd's algorithm.
    pool
        Inputs that are looked at, per landmark.
    """

    count: int = eqx.field(static=True)
    seed: int = eqx.field(default=0, static=True)
    steps: int = eqx.field(default=5, static=True)
    pool: int = eqx.field(default=20, static=True)

    def __check_init__(self) -> None:
        """Check the numbers."""
        _check.positive_int(self.count, "count")
        _check.positive_int(self.pool, "pool")

    def choose(self, kernel: AbstractKernel, x: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the landmarks."""
        rng = np.random.default_rng(self.seed)
        points = x[drawn(len(x), self.pool * self.count, self.seed)]
        flat = points.reshape(len(points), -1)
        if len(flat) <= self.count:
            return points
        centres = flat[_plus_plus(flat, self.count, rng)]
        for _ in range(self.steps):
            nearest = np.argmin((centres**2).sum(1) - 2 * flat @ centres.T, 1)
            sums = np.zeros_like(centres)
            np.add.at(sums, nearest, flat)
            counts = np.bincount(nearest, minlength=len(centres))[:, None]
            centres = np.where(counts > 0, sums / np.maximum(counts, 1).astype(flat.dtype), centres)
        return centres.reshape(-1, *x.shape[1:])


class Pivots(AbstractLandmarks):
    r"""Pivots of a Cholesky factorisation, drawn at random with the probability of the error on the diagonal.

    In rounds of many pivots, on a random part of the inputs: about ``pool`` :math:`m^2` entries of the kernel.

    Parameters
    ----------
    count
        Number m of landmarks.
    seed
        Of the random numbers.
    pool
        Inputs that are looked at, per landmark.
    rounds
        Rounds in which they are drawn.

    References
    ----------
    Chen, Epperly, Tropp and Webber 2022, arXiv 2207.06503, algorithm 2.
    """

    count: int = eqx.field(static=True)
    seed: int = eqx.field(default=0, static=True)
    pool: int = eqx.field(default=10, static=True)
    rounds: int = eqx.field(default=10, static=True)

    def __check_init__(self) -> None:
        """Check the numbers."""
        for name in ("count", "pool", "rounds"):
            _check.positive_int(getattr(self, name), name)

    def choose(self, kernel: AbstractKernel, x: np.ndarray) -> np.ndarray:
        """Return the landmarks."""
        rng = np.random.default_rng(self.seed)
        points = x[drawn(len(x), self.pool * self.count, self.seed)]
        if len(points) <= self.count:
            return points
        diagonal = np.asarray(kernel.diagonal(points), np.float64)
        rest, factor, chosen = diagonal.copy(), np.zeros((len(points), 0)), np.zeros(0, int)
        size = -(-self.count // self.rounds)
        while len(chosen) < self.count and rest.max() > len(rest) * np.finfo(x.dtype).eps * diagonal.max():
            likely = np.flatnonzero(rest > 0)
            wanted = min(size, self.count - len(chosen), len(likely))
            new = rng.choice(likely, wanted, replace=False, p=rest[likely] / rest[likely].sum())
            columns = np.asarray(kernel(points, points[new]), np.float64) - factor @ factor[new].T
            corner = columns[new]
            shift = len(new) * np.finfo(x.dtype).eps * np.trace(corner) * np.eye(len(new))
            lower = np.linalg.cholesky((corner + corner.T) / 2 + shift)
            part = scipy.linalg.solve_triangular(lower, columns.T, lower=True).T
            factor, chosen = np.concatenate([factor, part], 1), np.concatenate([chosen, new])
            rest = (rest - (part**2).sum(1)).clip(0)
            rest[chosen] = 0
        return points[chosen]


class RidgeLeverage(AbstractLandmarks):
    r"""Inputs drawn with the probability of their leverage :math:`[K(K + rI)^{-1}]_{ii}`.

    Leverages are estimated from ``count`` uniform landmarks, on a random part of the inputs.

    Parameters
    ----------
    count
        Number m of landmarks.
    seed
        Of the random numbers.
    ridge
        The ridge r, for the inputs that are looked at. None: the one for which leverages add up to m/2.
    pool
        Inputs that are looked at, per landmark.

    References
    ----------
    Alaoui and Mahoney 2015, arXiv 1411.0306; Musco and Musco 2017, arXiv 1605.07583.
    """

    count: int = eqx.field(static=True)
    seed: int = eqx.field(default=0, static=True)
    ridge: float | None = eqx.field(default=None, static=True)
    pool: int = eqx.field(default=10, static=True)

    def __check_init__(self) -> None:
        """Check the numbers."""
        _check.positive_int(self.count, "count")
        _check.positive_int(self.pool, "pool")
        if self.ridge is not None and not self.ridge > 0:
            raise ValueError(f"ridge is {self.ridge}; expected a positive number, or None.")

    def choose(self, kernel: AbstractKernel, x: np.ndarray) -> np.ndarray:
        """Return the landmarks."""
        rng = np.random.default_rng(self.seed)
        points = x[drawn(len(x), self.pool * self.count, self.seed)]
        if len(points) <= self.count:
            return points
        first = points[: self.count]
        values, vectors = eigh(np.asarray(kernel(first), np.float64))
        kept = values > len(values) * np.finfo(x.dtype).eps * values[-1]
        phi = np.asarray(kernel(points, first), np.float64) @ (vectors[:, kept] / values[kept] ** 0.5)
        missed = (np.asarray(kernel.diagonal(points), np.float64) - (phi**2).sum(1)).clip(0)
        values, vectors = eigh(phi.T @ phi)
        squares = (phi @ vectors) ** 2
        ridges = np.geomspace(1e-12, 1, 49) * values.sum() if self.ridge is None else np.array([self.ridge])
        each = squares @ (1 / (values.clip(0)[:, None] + ridges)) + missed[:, None] / (missed[:, None] + ridges)
        leverage = each[:, np.argmin(np.abs(each.sum(0) - self.count / 2))]
        return points[rng.choice(len(points), self.count, replace=False, p=leverage / leverage.sum())]


def drawn(n: int, count: int, seed: int) -> np.ndarray:
    """Return ``count`` numbers below n without repetition, in random order; all of them, in order, where n is less."""
    if count >= n:
        return np.arange(n)
    return np.random.default_rng([seed, n]).choice(n, count, replace=False, shuffle=True)


def _plus_plus(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    # k-means++ (Arthur and Vassilvitskii 2007); distances to the nearest centre so far.
    squares = (points.astype(np.float64) ** 2).sum(1)
    chosen = [int(rng.integers(len(points)))]
    nearest = np.full(len(points), np.inf)
    while len(chosen) < count:
        last = points[chosen[-1]]
        nearest = np.minimum(nearest, (squares - 2 * (points @ last) + squares[chosen[-1]]).clip(0))
        nearest[chosen] = 0
        total = nearest.sum()
        if not total > 0:
            break
        chosen.append(int(min(np.searchsorted(np.cumsum(nearest), rng.random() * total), len(points) - 1)))
    return np.array(chosen)
