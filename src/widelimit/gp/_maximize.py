"""Hyperparameters where a score is largest."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.optimize

from .. import _check
from .._blas import blas_threads
from .._typing import Array, Callable, PyTree
from ..kernels import AbstractKernel, pullback
from ._evidence import gradients, is_hyperparameter, log_marginal_likelihood
from ._posterior import check_noise
from ._weighted import inverse_of

POSITIVE = ("weight_std", "bias_std", "scales", "variance")
"""Hyperparameters that are scales: they move by factors, and one that is zero stays."""
REACH = 8.0
"""How far the logarithm of a scale may move from where it starts."""
UNHELD: Mapping[str, float] = MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Maximum:
    """Where a score is largest; see `maximize`.

    Attributes
    ----------
    kernel, noise
        The hyperparameters there.
    value, start
        The score there, with what ``held`` adds, and where the search began.
    steps
        Iterations.
    converged
        Whether the search ended by its own rule rather than by running out of steps.
    """

    kernel: AbstractKernel
    noise: float
    value: float
    start: float
    steps: int
    converged: bool


def maximize(
    kernel: AbstractKernel,
    x: PyTree,
    y: Any,
    *,
    noise: float,
    score: Callable[..., Array] = log_marginal_likelihood,
    free: Sequence[str] = POSITIVE,
    held: Mapping[str, float] = UNHELD,
    least_noise: float = 0.0,
    steps: int = 100,
) -> Maximum:
    r"""Return the hyperparameters of a kernel, and the noise, at which data are most likely (L-BFGS).

    Scales move in their logarithm, all other hyperparameters as they are. What is found is never worse than the start.
    With ``held`` the score is the log density of data and scales together, up to a constant: the logarithms of the
    scales are normal around the start, and :math:`-(\log s-\log s_0)^2/2\tau^2` is added for each.

    Parameters
    ----------
    kernel
        Where the search starts. Give it `ScaledInputs` to find the relevance of each feature.
    x, y
        Inputs (n, d) and targets (n,) or (n, o).
    noise
        Variance of the noise at the start, positive.
    score
        `log_marginal_likelihood`, or another function of the same arguments that returns a number.
    free
        Names of the fields that may move; all others stay.
    held
        Names of fields that are scales, with the standard deviation τ of their logarithms; others are free.
    least_noise
        Where the variance of the noise stops, zero or more; no more than ``noise``.
    steps
        Most iterations.

    Raises
    ------
    ValueError
        If the noise is not positive or below the least, no field has such a name, or the score cannot be evaluated at
        the start.
    """
    _check.instance(kernel, AbstractKernel, "kernel", "NNGP(net)")
    _check.positive_int(steps, "steps")
    for name, deviation in held.items():
        if name not in POSITIVE or not 0 < deviation < np.inf:
            raise ValueError(f"held has {name!r}: {deviation}; expected positive numbers for some of {POSITIVE}.")
    x, y = np.asarray(_check.inputs(x, "x"), np.float64), np.asarray(_check.real(y, "y"), np.float64)
    if jnp.ndim(noise) or not noise > 0:
        raise ValueError(f"noise is {noise}; expected one positive number at which the search starts.")
    check_noise(noise, len(x))
    if not 0 <= least_noise <= noise:
        raise ValueError(f"least_noise is {least_noise}; expected a number from zero to noise, {noise}.")
    places = _places(kernel, free)
    start = places.point(kernel, noise)
    precision = places.precision(held)
    value = float(score(kernel, x, y, noise=noise))
    slopes = functools.partial(_by_jax, score)
    if score in SLOPES and all(places.logarithmic):
        slopes = SLOPES[score]

    def negative(point: np.ndarray) -> tuple[float, np.ndarray]:
        try:
            found, in_leaves, in_noise = slopes(*places.at(kernel, point), x, y)
        except (ValueError, np.linalg.LinAlgError):
            # Too little noise, or an overflow: worse than the start by a finite number, from which a search turns back.
            return len(x) - value, np.zeros_like(point)
        pull = precision * (point - start)
        return 0.5 * float(pull @ (point - start)) - found, pull - places.chained(in_leaves, in_noise, point)

    reach = np.where(places.logarithmic_entries, REACH, np.inf)
    # Where every bound is finite, the first step of L-BFGS-B is the whole slope and not of length one.
    lower, upper = start - reach, np.append(start[:-1] + reach[:-1], np.inf)
    lower[-1] = max(lower[-1], math.log(least_noise) if least_noise else -math.inf)
    with blas_threads(len(x)):
        found = scipy.optimize.minimize(
            negative,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(lower, upper, strict=True)),
            options={"maxiter": steps},
        )
    if not -found.fun >= value:
        return Maximum(kernel, float(noise), value, value, found.nit, bool(found.success))
    best, best_noise = places.at(kernel, found.x)
    return Maximum(best, best_noise, -float(found.fun), value, found.nit, bool(found.success))


@dataclasses.dataclass(frozen=True)
class _Places:
    # The leaves of a kernel that move, and the noise behind them, as one point of the search.
    paths: tuple[str, ...]
    names: tuple[str, ...]
    indices: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    logarithmic: tuple[bool, ...]

    @property
    def logarithmic_entries(self) -> np.ndarray:
        sizes = [math.prod(shape) for shape in self.shapes]
        return np.concatenate([np.repeat(self.logarithmic, sizes), [True]])

    def point(self, kernel: AbstractKernel, noise: float) -> np.ndarray:
        leaves = jax.tree.leaves(kernel)
        values = np.concatenate([*(np.ravel(np.asarray(leaves[i], float)) for i in self.indices), [noise]])
        logarithmic = self.logarithmic_entries
        return np.where(logarithmic, np.log(np.where(logarithmic, values, 1)), values)

    def precision(self, held: Mapping[str, float]) -> np.ndarray:
        each = [held[name] ** -2.0 if name in held else 0.0 for name in self.names]
        return np.concatenate([np.repeat(each, [math.prod(shape) for shape in self.shapes]), [0.0]])

    def values(self, point: np.ndarray) -> np.ndarray:
        logarithmic = self.logarithmic_entries
        return np.where(logarithmic, np.exp(np.where(logarithmic, point, 0)), point)

    def at(self, kernel: AbstractKernel, point: np.ndarray) -> tuple[AbstractKernel, float]:
        leaves, structure = jax.tree.flatten(kernel)
        values = self.values(point)
        start = 0
        for i, shape in zip(self.indices, self.shapes, strict=True):
            end = start + math.prod(shape)
            leaves[i] = np.reshape(values[start:end], shape) if shape else float(values[start])
            start = end
        return jax.tree.unflatten(structure, leaves), float(values[-1])

    def chained(self, in_leaves: dict[str, Any], in_noise: float, point: np.ndarray) -> np.ndarray:
        slopes = np.concatenate([*(np.ravel(in_leaves[path]) for path in self.paths), [in_noise]])
        return slopes * np.where(self.logarithmic_entries, self.values(point), 1)


def _places(kernel: AbstractKernel, free: Sequence[str]) -> _Places:
    flat, _ = jax.tree_util.tree_flatten_with_path(kernel)
    names = [str(getattr(path[-1], "name", "")) for path, _ in flat]
    missing = set(free) - set(names) - set(POSITIVE)
    if missing:
        raise ValueError(f"free names {sorted(missing)}, which the kernel has not; it has {sorted(set(names))}.")
    moving = [
        i
        for i, (name, (_, leaf)) in enumerate(zip(names, flat, strict=True))
        if name in free and is_hyperparameter(leaf) and not (name in POSITIVE and not np.all(np.asarray(leaf) > 0))
    ]
    return _Places(
        tuple(jax.tree_util.keystr(flat[i][0]) for i in moving),
        tuple(names[i] for i in moving),
        tuple(moving),
        tuple(np.shape(flat[i][1]) for i in moving),
        tuple(names[i] in POSITIVE for i in moving),
    )


Slopes = tuple[float, dict[str, Any], float]
"""A score, its derivatives in the kernel's numbers by their path, and that in the noise."""


def _of_evidence(kernel: AbstractKernel, noise: float, x: np.ndarray, y: np.ndarray) -> Slopes:
    # d log p / dK = (α αᵀ - o (K + N)⁻¹)/2, summed over the o outputs (Rasmussen and Williams 2006, eq. 5.9).
    matrix, back = pullback(kernel, x)
    targets = y[:, None] if y.ndim == 1 else y
    n, outputs = targets.shape
    factor = scipy.linalg.cholesky(matrix + noise * np.eye(n), lower=True, overwrite_a=True)
    log_determinant = 2 * np.log(factor.diagonal()).sum()
    weights = scipy.linalg.cho_solve((factor, True), targets)
    inverse = inverse_of(factor)
    value = -0.5 * (np.vdot(targets, weights) + outputs * (log_determinant + n * np.log(2 * np.pi)))
    slopes = 0.5 * (weights @ weights.T - outputs * inverse)
    return float(value), back(slopes)[0], float(np.trace(slopes))


def _by_jax(score: Callable, kernel: AbstractKernel, noise: float, x: np.ndarray, y: np.ndarray) -> Slopes:
    value, slopes, in_noise = gradients(score, kernel, x, y, noise=noise)
    named, _ = jax.tree_util.tree_flatten_with_path(slopes)
    if not np.isfinite(value):
        raise ValueError("the score is not finite.")
    return float(value), {jax.tree_util.keystr(path): leaf for path, leaf in named}, float(in_noise)


SLOPES: dict[Callable, Callable[..., Slopes]] = {log_marginal_likelihood: _of_evidence}
"""Scores whose slopes in scales are known; others are differentiated by JAX, which compiles for each shape."""
