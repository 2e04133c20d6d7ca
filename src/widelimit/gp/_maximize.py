"""Hyperparameters where a score is largest."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from .. import _check
from .._blas import blas_threads
from .._typing import Array, Callable, PyTree
from ..kernels import AbstractKernel
from ._evidence import is_hyperparameter, log_marginal_likelihood
from ._posterior import check_noise

POSITIVE = ("weight_std", "bias_std", "scales", "variance")
"""Hyperparameters that are scales: they move by factors, and one that is zero stays."""
REACH = 8.0
"""How far the logarithm of a scale may move from where it starts."""


@dataclasses.dataclass(frozen=True)
class Maximum:
    """Where a score is largest; see `maximize`.

    Attributes
    ----------
    kernel, noise
        The hyperparameters there.
    value, start
        The score there, and where the search began.
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
    steps: int = 100,
) -> Maximum:
    """Return the hyperparameters of a kernel, and the noise, at which data are most likely (L-BFGS).

    Scales move in their logarithm, all other hyperparameters as they are. What is found is never worse than the start.

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
    steps
        Most iterations.

    Raises
    ------
    ValueError
        If the noise is not positive, no field has such a name, or the score cannot be evaluated at the start.
    """
    _check.instance(kernel, AbstractKernel, "kernel", "NNGP(net)")
    _check.positive_int(steps, "steps")
    x, y = np.asarray(_check.inputs(x, "x"), np.float64), np.asarray(_check.real(y, "y"), np.float64)
    if jnp.ndim(noise) or not noise > 0:
        raise ValueError(f"noise is {noise}; expected one positive number at which the search starts.")
    check_noise(noise, len(x))
    moving, fixed, logarithmic = _moving(kernel, free)
    leaves, structure = jax.tree.flatten(moving)
    with jax.enable_x64():
        first = [np.asarray(leaf, np.float64) for leaf in [*leaves, noise]]
        logs = [*logarithmic, True]
        start = np.concatenate([(np.log(leaf) if log else leaf).ravel() for leaf, log in zip(first, logs, strict=True)])
        unravel = _Unravel(structure, tuple(leaf.shape for leaf in first), tuple(logs))
        value = float(score(kernel, x, y, noise=noise))

        def negative(point: np.ndarray) -> tuple[float, np.ndarray]:
            found, slope = _value_and_slope(score, unravel, jnp.asarray(point), fixed, x, y)
            if not np.isfinite(found) or not np.isfinite(slope).all():
                return np.inf, np.zeros_like(point)
            return -float(found), -np.asarray(slope)

        reach = np.concatenate(
            [np.full(leaf.size, REACH if log else np.inf) for leaf, log in zip(first, logs, strict=True)]
        )
        bounds = list(zip(start - reach, start + reach, strict=True))
        with blas_threads(len(x)):
            found = scipy.optimize.minimize(
                negative, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": steps}
            )
        if not -found.fun >= value:
            return Maximum(kernel, float(noise), value, value, found.nit, found.success)
        best, best_noise = unravel(np.asarray(found.x), np)
    best = jax.tree.map(lambda leaf: float(leaf) if leaf.ndim == 0 else leaf, best)
    return Maximum(
        eqx.combine(best, fixed), float(best_noise), -float(found.fun), value, found.nit, bool(found.success)
    )


class _Unravel(eqx.Module):
    # From a point of the search to the moving part of the kernel, and the noise.
    structure: Any = eqx.field(static=True)
    shapes: tuple = eqx.field(static=True)
    logarithmic: tuple = eqx.field(static=True)

    def __call__(self, point: Any, module: Any = jnp) -> tuple[Any, Any]:
        leaves, at = [], 0
        for shape, log in zip(self.shapes, self.logarithmic, strict=True):
            size = int(np.prod(shape))
            leaf = module.reshape(point[at : at + size], shape)
            leaves.append(module.exp(leaf) if log else leaf)
            at += size
        return jax.tree.unflatten(self.structure, leaves[:-1]), leaves[-1]


@eqx.filter_jit
def _value_and_slope(
    score: Callable, unravel: _Unravel, point: Array, fixed: AbstractKernel, x: Array, y: Array
) -> tuple[Array, Array]:
    def of(point: Array) -> Array:
        moving, noise = unravel(point)
        return score(eqx.combine(moving, fixed), x, y, noise=noise)

    return jax.value_and_grad(of)(point)


def _moving(kernel: AbstractKernel, free: Sequence[str]) -> tuple[Any, Any, list[bool]]:
    """Return the part of a kernel that moves, the part that stays, and which of the leaves move in their logarithm."""
    flat, structure = jax.tree_util.tree_flatten_with_path(kernel)
    names = [str(getattr(path[-1], "name", "")) for path, _ in flat]
    missing = set(free) - set(names) - set(POSITIVE)
    if missing:
        raise ValueError(f"free names {sorted(missing)}, which the kernel has not; it has {sorted(set(names))}.")
    mask = [
        name in free and is_hyperparameter(leaf) and not (name in POSITIVE and not np.all(np.asarray(leaf) > 0))
        for name, (_, leaf) in zip(names, flat, strict=True)
    ]
    moving, fixed = eqx.partition(kernel, jax.tree.unflatten(structure, mask))
    return moving, fixed, [name in POSITIVE for name, moves in zip(names, mask, strict=True) if moves]
