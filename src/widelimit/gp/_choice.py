"""Which kernel, and which ridge: every candidate scored in closed form."""

from __future__ import annotations

import abc
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from .. import _check
from .._precision import evaluate
from .._typing import Callable
from ..arch import AbstractLayer, Dense, Erf, Relu, serial
from ..kernels import NNGP, NTK, AbstractKernel
from ._path import RidgePath, ridge_path

RIDGES = np.geomspace(1e-6, 10, 29)
"""Ridges that are tried, as multiples of the mean of the kernel's diagonal."""
ROWS = 2000
"""Rows on which candidates are compared, drawn at random where there are more."""
SHUFFLE = 20250101
ACTIVATIONS: Mapping[str, AbstractLayer] = MappingProxyType({"ReLU": Relu(), "erf": Erf()})


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A kernel to be compared with others.

    Attributes
    ----------
    name
        What a report calls it.
    kernel
        The kernel.
    """

    name: str
    kernel: AbstractKernel


class AbstractCriterion(abc.ABC):
    """What makes one kernel and ridge better than another, from a path of ridges."""

    @abc.abstractmethod
    def scores(self, path: RidgePath, matrix: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return a score for each ridge, (k,); the largest is best."""


@dataclasses.dataclass(frozen=True)
class Evidence(AbstractCriterion):
    r"""The log marginal likelihood per target, :math:`\log p(y)/(no)`, at the kernel's best scale."""

    def scores(self, path: RidgePath, matrix: np.ndarray, y: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the evidence per target."""
        return path.evidence / y.size


@dataclasses.dataclass(frozen=True)
class LeaveOneOutDensity(AbstractCriterion):
    r"""The mean log density of targets left out one at a time, :math:`\frac1{no}\sum\log p(y_i\mid y_{-i})`."""

    def scores(self, path: RidgePath, matrix: np.ndarray, y: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the log density per target."""
        return path.loo_density / y.size


@dataclasses.dataclass(frozen=True)
class LeaveOneOutError(AbstractCriterion):
    """The mean squared error of targets left out one at a time, with its sign turned."""

    def scores(self, path: RidgePath, matrix: np.ndarray, y: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return minus the mean squared error."""
        return -path.loo_error


@dataclasses.dataclass(frozen=True)
class LeaveOneOutAccuracy(AbstractCriterion):
    """The share of examples whose class is right when they are left out.

    The class is the sign of one output, or the largest of many. Of equal accuracies, the smaller squared error wins.
    """

    def scores(self, path: RidgePath, matrix: np.ndarray, y: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Return the accuracy, less a small share of the squared error."""
        left_out = y - path.residual
        right = (left_out[..., 0] > 0) == (y[:, 0] > 0) if y.shape[1] == 1 else left_out.argmax(-1) == y.argmax(-1)
        return right.mean(1) - path.loo_error / (1 + path.loo_error) / len(y)


@dataclasses.dataclass(frozen=True)
class CrossValidation(AbstractCriterion):
    """The mean squared error over folds that are left out whole, with its sign turned.

    Attributes
    ----------
    folds
        How many; rows are dealt out at random, by a fixed seed.
    """

    folds: int = 5

    def __post_init__(self) -> None:
        """Check the number of folds."""
        _check.positive_int(self.folds, "folds")
        if self.folds < 2:
            raise ValueError("folds is 1; expected at least 2.")

    def scores(self, path: RidgePath, matrix: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return minus the mean squared error."""
        if self.folds > len(y):
            raise ValueError(f"folds is {self.folds}, but there are {len(y)} rows; expected at most as many folds.")
        order = np.random.default_rng(SHUFFLE).permutation(len(y))
        total = np.zeros(len(path.ridges))
        for fold in np.array_split(order, self.folds):
            rest = np.setdiff1d(order, fold)
            values, vectors = np.linalg.eigh(matrix[np.ix_(rest, rest)])
            projected, cross = vectors.T @ y[rest], matrix[np.ix_(fold, rest)] @ vectors
            for i, ridge in enumerate(path.ridges):
                outputs = cross @ (projected / (values.clip(0) + ridge)[:, None])
                total[i] += ((outputs - y[fold]) ** 2).sum()
        return -total / y.size


@dataclasses.dataclass(frozen=True)
class Scored:
    """A candidate at its best ridge.

    Attributes
    ----------
    name, kernel
        The candidate.
    score
        Of the criterion.
    ridge, scale
        The best ridge, and the best scale of the kernel there: the noise has the variance ``ridge`` times ``scale``.
    evidence, loo_error
        Log marginal likelihood in nats, and mean squared error of left-out targets.
    degrees
        Effective degrees of freedom of the fit.
    at_border
        ``smallest`` or ``largest`` where the ridge is at an end of its grid, else empty.
    seconds
        What the kernel and its decomposition took.
    """

    name: str
    kernel: AbstractKernel
    score: float
    ridge: float
    scale: float
    evidence: float
    loo_error: float
    degrees: float
    at_border: str
    seconds: float

    @property
    def noise(self) -> float:
        """The variance of the noise where the kernel is multiplied by ``scale``."""
        return self.ridge * self.scale


@dataclasses.dataclass(frozen=True)
class Choice:
    """What `choose` found.

    Attributes
    ----------
    table
        All candidates, best first.
    path
        The ridges of the best one, on the rows that were compared.
    rows
        Indices of these rows.
    """

    table: tuple[Scored, ...]
    path: RidgePath
    rows: np.ndarray

    @property
    def best(self) -> Scored:
        """The best candidate."""
        return self.table[0]

    def __str__(self) -> str:
        """Return the table as text, best first."""
        lines = [f"{'candidate':<44} {'score':>10} {'ridge':>9} {'LOO RMSE':>9} {'degrees':>8}"]
        for row in self.table:
            mark = {"": " ", "smallest": "<", "largest": ">"}[row.at_border]
            numbers = f"{row.score:>10.4f} {row.ridge:>9.2g}{mark}{row.loo_error**0.5:>9.4g} {row.degrees:>8.1f}"
            lines.append(f"{row.name:<44} {numbers}")
        if any(row.at_border for row in self.table):
            lines.append("< and >: at the smallest or the largest ridge that was tried.")
        return "\n".join(lines)


def candidates(
    *,
    depths: Sequence[int] = (1, 2, 3, 5),
    activations: Mapping[str, AbstractLayer] = ACTIVATIONS,
    weight_stds: Sequence[float] = (2**0.5,),
    bias_stds: Sequence[float] = (0.1, 1.0),
) -> list[Candidate]:
    """Return NTK and NNGP of dense networks of every combination.

    Parameters
    ----------
    depths
        Numbers of hidden layers.
    activations
        Layers that act on each unit, by the names a report calls them.
    weight_stds, bias_stds
        Scales of all layers' weights and biases.
    """
    found = []
    for depth in depths:
        _check.positive_int(depth, "depths")
        for name, activation in activations.items():
            for weight_std in weight_stds:
                for bias_std in bias_stds:
                    net = dense_network(depth, activation, weight_std, bias_std)
                    label = f"{name} x {depth}, weights {weight_std:.3g}, biases {bias_std:.3g}"
                    found += [Candidate(f"NTK {label}", NTK(net)), Candidate(f"NNGP {label}", NNGP(net))]
    if not found:
        raise ValueError("there is no candidate; expected at least one depth, activation, weight_std and bias_std.")
    return found


def dense_network(depth: int, activation: AbstractLayer, weight_std: float, bias_std: float) -> AbstractLayer:
    """Return a network of ``depth`` hidden layers and a readout; no kernel depends on its width."""
    hidden = (Dense(512, weight_std, bias_std), activation)
    return serial(*hidden * depth, Dense(1, weight_std, bias_std))


def unheard(done: int, total: int) -> None:
    """Take no notice of progress."""
    del done, total


def choose(
    candidates: Sequence[Candidate],
    x: np.ndarray,
    y: np.ndarray,
    *,
    criterion: AbstractCriterion = Evidence(),
    ridges: np.ndarray = RIDGES,
    rows: int = ROWS,
    progress: Callable[[int, int], object] = unheard,
) -> Choice:
    r"""Return candidates at their best ridge, best first.

    One kernel matrix and one eigendecomposition for each candidate; every ridge is then read off (`ridge_path`), with
    the scale of the kernel where the evidence is largest. NNGP and NTK of one network come from one pass.

    Parameters
    ----------
    candidates
        What is compared.
    x, y
        Inputs (n, \*input_shape) and targets (n,) or (n, o), which should have mean zero.
    criterion
        `Evidence`, `LeaveOneOutDensity`, `LeaveOneOutError`, `LeaveOneOutAccuracy` or `CrossValidation`.
    ridges
        Positive numbers, as multiples of the mean of the kernel's diagonal.
    rows
        Most rows that are compared; of more, this many are drawn by a fixed seed.
    progress
        Called with the number of candidates done and the number of all.

    Raises
    ------
    ValueError
        If there is no candidate, shapes do not match, data are not finite, or no target varies.
    """
    if not candidates:
        raise ValueError("candidates is empty; expected at least one.")
    x = np.asarray(_check.inputs(x, "x"))
    targets = varying(y, len(x))
    _check.positive_int(rows, "rows")
    chosen = drawn_rows(len(x), rows)
    x, targets = x[chosen].astype(np.float64), targets[chosen]
    found: list[Scored] = []
    best, last = None, time.perf_counter()
    for candidate, matrix in _matrices(candidates, x):
        tried = np.asarray(ridges, np.float64) * matrix.diagonal().mean()
        path = ridge_path(matrix, targets, tried)
        scores = criterion.scores(path, matrix, targets)
        found.append(_scored(candidate, path, scores, time.perf_counter() - last))
        last = time.perf_counter()
        if best is None or found[-1].score > max(row.score for row in found[:-1]):
            best = path
        progress(len(found), len(candidates))
    assert best is not None
    return Choice(tuple(sorted(found, key=lambda row: -row.score)), best, chosen)


def varying(y: np.ndarray, n: int) -> np.ndarray:
    """Return targets as (n, o) in float64.

    Raises
    ------
    ValueError
        If they are not n, not finite, or all alike, so that every kernel says the same.
    """
    targets = np.asarray(_check.targets(y, n, "y"), np.float64)
    if n > 1 and not np.ptp(targets, axis=0).any():
        raise ValueError("y is constant; expected targets that vary. A constant needs no kernel: predict it as it is.")
    return targets


def drawn_rows(n: int, most: int) -> np.ndarray:
    """Return the indices of all n rows, or of ``most`` of them that a fixed seed draws."""
    return np.arange(n) if n <= most else np.sort(np.random.default_rng(SHUFFLE).choice(n, most, replace=False))


def _scored(candidate: Candidate, path: RidgePath, scores: np.ndarray, seconds: float) -> Scored:
    i = int(np.nanargmax(scores))
    ends = {int(np.argmin(path.ridges)): "smallest", int(np.argmax(path.ridges)): "largest"}
    return Scored(
        candidate.name,
        candidate.kernel,
        float(scores[i]),
        float(path.ridges[i]),
        float(path.scale[i]),
        float(path.evidence[i]),
        float(path.loo_error[i]),
        float(path.degrees[i]),
        ends.get(i, ""),
        seconds,
    )


def _matrices(candidates: Sequence[Candidate], x: np.ndarray) -> Iterator[tuple[Candidate, np.ndarray]]:
    """Yield each candidate with its matrix; neighbours that are both kernels of one network share a pass."""
    kept: dict[type, np.ndarray] = {}
    net = None
    for candidate in candidates:
        kernel = candidate.kernel
        if not isinstance(kernel, NTK | NNGP):
            yield candidate, np.asarray(kernel(x))
            continue
        if net is not kernel.net:
            net, kept = kernel.net, both_kernels(kernel, x)
        yield candidate, kept[type(kernel)]


def both_kernels(kernel: NTK | NNGP, x: np.ndarray) -> dict[type, np.ndarray]:
    """Return both kernel matrices of a network, in float64, from one pass where one may be had."""

    def pass_of(net: AbstractLayer, x: np.ndarray) -> tuple:
        block = kernel.engine.block(net, x, x)
        return block.nngp, block.ntk

    nngp, ntk = evaluate(pass_of, kernel.net, x, compute=np.dtype(np.float64), result=np.dtype(np.float64))
    matrices = {NNGP: np.asarray(nngp), NTK: np.asarray(ntk)}
    if all(np.isfinite(matrix).all() for matrix in matrices.values()):
        return matrices
    # The kernel itself names the layer that overflows.
    return {NNGP: np.asarray(NNGP(kernel.net, kernel.engine)(x)), NTK: np.asarray(NTK(kernel.net, kernel.engine)(x))}
