"""Why a kernel fits data badly, in words: each finding has its numbers and a remedy."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _check
from .._blas import blas_threads
from ..kernels import AbstractKernel
from ._choice import RIDGES, drawn_rows
from ._path import ridge_path

ROWS = 1000
"""Rows whose kernel matrix is taken apart, drawn at random where there are more."""
FEWEST = 20
DOMINANT = 0.99
ALIKE = 0.999
EXPLAINED = 0.1
NEGLIGIBLE = 1e-7
RISE = 2.0
"""Nats by which the evidence has to rise over the last decade of ridges for a smaller one to matter."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or may be.

    Attributes
    ----------
    name
        ``few_rows``, ``constant_columns``, ``unscaled_inputs``, ``far_from_zero``, ``conflicting_duplicates``,
        ``degenerate_kernel``, ``inputs_alike``, ``ridge_at_border`` or ``out_of_reach``.
    sentence
        What was found, with its numbers.
    remedy
        What to do.
    """

    name: str
    sentence: str
    remedy: str

    def __str__(self) -> str:
        """Return sentence and remedy."""
        return f"{self.sentence} {self.remedy}"


def diagnose(
    kernel: AbstractKernel, x: Any, y: Any, *, ridge: float | None = None, border: str | None = None
) -> tuple[Finding, ...]:
    r"""Return what is wrong with a kernel for data; nothing where nothing was found.

    Looked at are the inputs (number of rows, constant columns, columns of much larger scale, inputs far from zero,
    equal inputs of different targets), the kernel (its rank, cosines between inputs), the ridge, and how much of the
    targets left-out predictions explain, beside where the energy of the targets lies in the kernel's spectrum.

    Parameters
    ----------
    kernel
        The kernel.
    x, y
        Inputs (n, \*input_shape) and targets (n,) or (n, o). Classes are one indicator each.
    ridge
        The ridge that is used, in the units of the kernel; None for the best of a grid.
    border
        ``smallest`` or ``largest`` where that ridge is at an end of the grid it was chosen from, empty where it is not;
        None to see.

    Returns
    -------
    tuple
        Findings, those about the data first.

    Raises
    ------
    ValueError
        If shapes do not match, or data are not finite.
    """
    _check.instance(kernel, AbstractKernel, "kernel", "NTK(net)")
    x = np.asarray(_check.inputs(x, "x"), np.float64)
    y = np.asarray(_check.targets(y, len(x), "y"), np.float64)
    found = [*_data_findings(x.reshape(len(x), -1), y)]
    rows = drawn_rows(len(x), ROWS)
    x, y = x[rows], y[rows]
    matrix = np.asarray(kernel(x))
    with blas_threads(len(x)):
        return (*found, *_kernel_findings(matrix, x.reshape(len(x), -1)), *_fit_findings(matrix, y, ridge, border))


def _data_findings(x: np.ndarray, y: np.ndarray) -> Iterator[Finding]:
    n = len(x)
    if n < FEWEST:
        yield Finding(
            "few_rows",
            f"There are {n} rows: every number that is estimated from them, the ridge included, is uncertain by about "
            f"{np.sqrt(2 / n):.0%}.",
            f"Use at least {FEWEST} rows, better some hundred.",
        )
    constant = np.flatnonzero(np.ptp(x, axis=0) == 0)
    if len(constant) and n > 1:
        yield Finding(
            "constant_columns",
            f"{len(constant)} of {x.shape[1]} columns are constant (first: column {constant[0]}); they act as a "
            f"bias of size {np.abs(x[0, constant]).max():.3g} and say nothing else.",
            "Leave them out.",
        )
    variance = x.var(0)
    total = variance.sum()
    live = np.sort(variance[variance > 0])
    if len(live) > 1 and live[-1] > DOMINANT * total and live[-1] > 100 * np.median(live[:-1]):
        widest, others = int(variance.argmax()), float(np.sqrt(np.median(live[:-1])))
        yield Finding(
            "unscaled_inputs",
            f"Column {widest} holds {variance[widest] / total:.2%} of the variance of the inputs: its standard "
            f"deviation is {np.sqrt(variance[widest]):.3g}, that of the others {others:.3g}. The kernel sees hardly "
            "anything else.",
            "Standardise the columns, as by sklearn.preprocessing.StandardScaler.",
        )
    shift = float(np.sqrt((x.mean(0) ** 2)[variance > 0].sum() / total)) if total > 0 else 0.0
    if shift > 30:
        yield Finding(
            "far_from_zero",
            f"The inputs lie {shift:.0f} times their spread away from zero, so that all point the same way.",
            "Subtract the mean of each column, as by sklearn.preprocessing.StandardScaler.",
        )
    yield from _duplicates(x, y)


def _duplicates(x: np.ndarray, y: np.ndarray) -> Iterator[Finding]:
    _, group, counts = np.unique(x, axis=0, return_inverse=True, return_counts=True)
    group = group.ravel()
    if counts.max() == 1:
        return
    means = np.stack([np.bincount(group, column) / counts for column in y.T], 1)
    rest = ((y - means[group]) ** 2).sum(1)
    spread = ((y - y.mean(0)) ** 2).sum()
    differ = np.bincount(group, rest > 1e-20 * max(spread, 1e-300)) > 0
    rows = int(counts[differ].sum())
    if rows:
        floor = np.sqrt(rest.sum() / y.size)
        yield Finding(
            "conflicting_duplicates",
            f"{rows} of {len(x)} rows share their input with another row, but not their target ({int(differ.sum())} "
            f"inputs): no function has a training RMSE below {floor:.3g}, {rest.sum() / spread:.1%} of the variance.",
            "Keep a ridge above zero; add the column that tells such rows apart, or remove errors of measurement.",
        )


def _kernel_findings(matrix: np.ndarray, x: np.ndarray) -> Iterator[Finding]:
    distinct, dimensions = len(np.unique(x, axis=0)), x.shape[1]
    root = np.sqrt(matrix.diagonal().clip(np.finfo(np.float64).tiny))
    smallest = float((matrix / np.outer(root, root)).min())
    if distinct > 1 and smallest > ALIKE:
        yield Finding(
            "inputs_alike",
            f"To the kernel all inputs are alike: the smallest cosine between two of them is {smallest:.6f}.",
            "Use fewer layers, a smaller bias_std or a larger weight_std, and standardise the inputs.",
        )
        return
    values = np.linalg.eigvalsh(matrix)[::-1]
    # Angles near zero are known to the root of the precision.
    rank = int((values > NEGLIGIBLE * max(values[0], 0)).sum())
    if rank <= dimensions + 1 < distinct:
        one = " Inputs of one dimension without bias leave a·φ(x) + b·φ(−x) alone." if dimensions == 1 else ""
        yield Finding(
            "degenerate_kernel",
            f"The kernel matrix of {distinct} different inputs has rank {rank}: whatever the targets, no more numbers "
            f"than that are fitted.{one}",
            "Give the network a bias (bias_std > 0), and an activation that is not linear.",
        )


def _fit_findings(matrix: np.ndarray, y: np.ndarray, ridge: float | None, border: str | None) -> Iterator[Finding]:
    centred = y - y.mean(0)
    energy = float((centred**2).sum())
    if len(y) < 3 or not energy > 0 or not np.trace(matrix) > 0:
        return
    unit = matrix.diagonal().mean()
    given = [] if ridge is None else [max(ridge, 1e-12 * unit)]
    path = ridge_path(matrix, centred, np.concatenate([RIDGES * unit, given]))
    best = len(RIDGES) if given else int(np.argmax(path.evidence))
    if border is None:
        border = {0: "smallest", len(RIDGES) - 1: "largest"}.get(best, "")
    decade = int(np.searchsorted(RIDGES, 10 * RIDGES[0] * (1 - 1e-9)))
    # A kernel that is rough takes small noise for its own; then all small ridges are alike, and nothing is wrong.
    if border == "largest" or (border == "smallest" and path.evidence[0] > path.evidence[decade] + RISE):
        yield _at_border(border, float(path.ridges[best]))
    explained = 1 - float(path.loo_error[best]) * y.size / energy
    if explained < EXPLAINED:
        values, share = path.values[::-1], ((path.vectors.T @ centred) ** 2).sum(1)[::-1] / energy
        modes = int(np.searchsorted(np.cumsum(values), 0.95 * values.sum())) + 1
        yield Finding(
            "out_of_reach",
            f"Left-out predictions explain {max(explained, 0):.1%} of the variance of the targets. The {modes} modes "
            f"with 95 % of the kernel's trace hold {share[:modes].sum():.1%} of the targets' energy, where targets "
            f"without any relation to the inputs have {modes / len(y):.1%}.",
            "Add features or rows, compare other architectures with gp.choose, or accept that the inputs do not tell.",
        )


def _at_border(border: str, ridge: float) -> Finding:
    if border == "largest":
        return Finding(
            "ridge_at_border",
            f"The ridge is {ridge:.3g}, the largest that was tried: to this kernel the targets look like noise.",
            "Try other architectures, or look at what else was found.",
        )
    return Finding(
        "ridge_at_border",
        f"The ridge is {ridge:.3g}, the smallest that was tried: to this kernel the targets have no noise at all.",
        "If the data are measured, look for copies of the target among the columns; else give smaller ridges.",
    )
