r"""Sums over rows that arrive in chunks: :math:`\Phi^\top N^{-1}\Phi` and :math:`\Phi^\top N^{-1}Y`.

Products of features that are in float32 as they are (random ones) are taken in float32, of features minus the mean of
the first chunk, so that what rounding loses is of the size of their variance, and added up in float64. Blocks that are
mixed afterwards (Nyström) lose digits in the mixing, and are multiplied in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

from ..engine._progress import progress
from ..engine._threads import thread_count, workers
from ._base import AbstractFeatureMap

STRIP = 256
"""Columns of the sum that one task makes."""


class Moments(NamedTuple):
    r"""What linear regression needs of its rows; each row and its target divided by the root of its noise.

    Attributes
    ----------
    gram
        :math:`\Phi^\top N^{-1}\Phi`, (m, m).
    cross
        :math:`\Phi^\top N^{-1}Y`, (m, o).
    squares
        Sum of squared targets of each output, divided by their noise, (o,).
    log_noise
        :math:`\sum_i\log N_i`.
    rows
        Number of rows n.
    """

    gram: np.ndarray
    cross: np.ndarray
    squares: np.ndarray
    log_noise: float
    rows: int


class Rows(NamedTuple):
    """Where rows come from: inputs, targets (n, o), noise (n,) or None, and how many are taken at once."""

    x: np.ndarray
    y: np.ndarray
    noise: np.ndarray | None
    chunk: int

    def chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        """Yield inputs, targets in float64, and noise, chunk by chunk."""
        for i in range(0, len(self.x), self.chunk):
            part = slice(i, i + self.chunk)
            noise = None if self.noise is None else np.asarray(self.noise[part], np.float64)
            yield np.asarray(self.x[part]), np.asarray(self.y[part], np.float64), noise


def accumulate(feature_map: AbstractFeatureMap, state: Any, rows: Rows) -> Moments:
    """Return the sums over all rows; memory is of a chunk of features and a few (m, m) matrices.

    Raises
    ------
    ValueError
        If a feature is not finite.
    """
    mixing, total = feature_map.mixing(state), None
    with workers(thread_count()) as run, progress("features", len(rows.x), _seconds(rows)) as tell:
        for x, y, noise in rows.chunks():
            block = feature_map.block(state, x)
            if total is None:
                total = _Sums(block, y.shape[1], exact=mixing is not None)
            total.add(block, y, noise, run)
            tell(len(x))
    assert total is not None
    gram, cross = total.whole()
    if not np.isfinite(gram).all():
        raise ValueError(
            "features, or sums of their products, are not finite: they overflow. Bring inputs to a common scale."
        )
    if mixing is not None:
        gram, cross = mixing.T @ gram @ mixing, mixing.T @ cross
    log_noise = 0.0 if rows.noise is None else float(np.sum(np.log(np.asarray(rows.noise, np.float64))))
    return Moments((gram + gram.T) / 2, cross, total.squares, log_noise, len(rows.x))


class _Sums:
    """Running sums of products of features minus a pilot mean c, from which those of the features follow."""

    def __init__(self, first: np.ndarray, outputs: int, exact: bool) -> None:
        size = first.shape[1]
        self.kind = np.float64 if exact else first.dtype
        self.pilot = np.mean(first, 0, dtype=np.float64).astype(self.kind) if self.kind == np.float32 else None
        self.gram, self.cross = np.zeros((size, size)), np.zeros((size, outputs))
        self.moved, self.targets = np.zeros(size), np.zeros(outputs)
        self.weight, self.squares = 0.0, np.zeros(outputs)

    def add(self, block: np.ndarray, y: np.ndarray, noise: np.ndarray | None, run: Any) -> None:
        """Add the rows of a chunk."""
        block = block.astype(self.kind, copy=False)
        if self.pilot is not None:
            block = block - self.pilot
        one = np.ones(len(y)) if noise is None else noise**-0.5
        if noise is not None:
            block, y = block * one[:, None].astype(self.kind), y * one[:, None]
        self.cross += block.T @ y.astype(self.kind)
        weighed = block if noise is None else block * one[:, None].astype(self.kind)
        self.moved += weighed.sum(0, dtype=np.float64)
        self.targets += one @ y
        self.weight += float(one @ one)
        self.squares += (y**2).sum(0)
        strips = [(block, slice(i, i + STRIP), self.gram) for i in range(0, block.shape[1], STRIP)]
        with ThreadpoolController().limit(limits=1, user_api="blas"):
            run(_add_strip, strips, _nothing)

    def whole(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums of products of the features themselves."""
        gram = np.tril(self.gram)
        gram = gram + np.tril(gram, -1).T
        if self.pilot is None:
            return gram, self.cross
        c, s = self.pilot.astype(np.float64), self.moved
        gram = gram + np.outer(c, s) + np.outer(s, c) + self.weight * np.outer(c, c)
        return gram, self.cross + np.outer(c, self.targets)


def _add_strip(block: np.ndarray, columns: slice, gram: np.ndarray) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        gram[columns.start :, columns] += block[:, columns.start :].T @ block[:, columns]
    return 0.0


def _seconds(rows: Rows) -> float:
    # A bar is shown for what is more than a few chunks.
    return float(len(rows.x) / rows.chunk)


def _nothing(_: float) -> None:
    pass
