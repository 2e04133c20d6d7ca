"""The posterior of a Gaussian process whose covariance is a kernel object."""

from __future__ import annotations

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import Array, Callable, PyTree, Tracer
from ..gram import Dense
from ..kernels import AbstractKernel
from ..solve import AbstractSolver, Cholesky, NoJitter, Result, Solution
from ._gaussian import Gaussian

CHUNK = 4096
"""Inputs whose mean and standard deviation are found at once."""


EXACT = Cholesky(NoJitter(), overwrite=True)
"""Factorises what it is given, or says that it cannot."""


class Posterior(eqx.Module):
    r"""A Gaussian process given data; see `posterior`.

    Attributes
    ----------
    kernel, solver, x_train, y_train, noise
        As given; targets (n, o).
    solution
        Weights :math:`\alpha` (n, o), and how the solve went.
    """

    kernel: AbstractKernel
    solver: AbstractSolver
    x_train: PyTree
    y_train: Array
    noise: Any
    solution: Solution
    vector: bool = eqx.field(static=True)

    def at(self, x: PyTree = None) -> Gaussian:
        r"""Return the distribution of the function at inputs (at the training inputs if None).

        .. math::
            \mu(x) &= K(x, X)\,(K + N)^{-1}\,y \\
            \Sigma(x, x') &= K(x, x') - K(x, X)\,(K + N)^{-1}\,K(X, x')

        Parameters
        ----------
        x
            Shape (m, \*input_shape).

        Returns
        -------
        Gaussian
            Mean (m, o), or (m,) if the targets were a vector, and covariance (m, m), without observation noise.
        """
        x = self.x_train if x is None else self._read(x)
        return _in_float64(_at, self, x, result=result_dtype(self.y_train))

    def marginals(self, x: PyTree, *, chunk: int = CHUNK) -> tuple[Any, Any]:
        r"""Return mean and standard deviation at each input alone, without the covariance between inputs.

        Parameters
        ----------
        x
            Shape (m, \*input_shape).
        chunk
            Inputs at once: memory is of ``chunk`` rows of the kernel with the training inputs.

        Returns
        -------
        tuple
            Mean (m, o) or (m,), and standard deviation (m,), without observation noise.
        """
        x = self._read(x)
        _check.positive_int(chunk, "chunk")
        dtype, n = result_dtype(self.y_train), x.shape[0]
        parts = [_in_float64(_marginals, self, x[i : i + chunk], result=dtype) for i in range(0, n, chunk)]
        if len(parts) == 1:
            return parts[0]
        mean, std = (np.concatenate(part) for part in zip(*parts, strict=True))
        return mean, std

    def _read(self, x: PyTree) -> PyTree:
        x = _check.inputs(x, "x")
        _check.same_features(x, self.x_train, ("x", "x_train"))
        return x


def posterior(
    kernel: AbstractKernel, x: PyTree, y: Any, *, noise: Any = 0.0, solver: AbstractSolver = EXACT
) -> Posterior:
    r"""Return the posterior of a Gaussian process.

    .. math:: f \sim \mathcal{GP}(0, k), \qquad y_i = f(x_i) + \varepsilon_i,\quad \varepsilon_i\sim\mathcal N(0, N_i)

    Parameters
    ----------
    kernel
        The covariance: `NNGP` for the Bayesian posterior of a wide network, `NTK` for kernel regression with what
        training at all layers converges to, or any other.
    x, y
        Inputs (n, \*input_shape) and targets (n,) or (n, o). Outputs are independent and share the kernel.
    noise
        Variance :math:`N \ge 0` of the noise: one number, or (n,) for noise of each observation's own.
    solver
        How :math:`K + N` is inverted; by default exactly, and a singular matrix is refused. `Cholesky()` adds what
        jitter it needs, and says so in ``solution.stats``.

    Returns
    -------
    Posterior
        Ask it with ``at(x)``. Evaluated in float64 whatever the JAX configuration.

    Raises
    ------
    ValueError
        If shapes do not match, data are not finite, or :math:`K + N` is singular to working precision.

    References
    ----------
    Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", eqs. 2.25 and 2.26.
    """
    _check.instance(kernel, AbstractKernel, "kernel", "NNGP(net)")
    _check.instance(solver, AbstractSolver, "solver", "Cholesky()")
    x = _check.inputs(x, "x")
    targets = _check.targets(y, x.shape[0], "y")
    noise = check_noise(noise, x.shape[0])
    solution = _in_float64(_solve, kernel, solver, x, targets, noise, result=None)
    succeeded(solution)
    return Posterior(kernel, solver, x, targets, noise, solution, vector=jnp.ndim(y) == 1)


def check_noise(noise: Any, n: int) -> Any:
    """Return a variance of noise: a number, or (n,) numbers that are zero or more."""
    if jnp.ndim(noise) == 0:
        _check.nonnegative(noise, "noise")
        return noise
    noise = _check.real(noise, "noise")
    if noise.shape != (n,):
        raise ValueError(f"noise has shape {noise.shape}; expected one number, or ({n},), one for each target.")
    if not isinstance(noise, Tracer) and (np.asarray(noise) < 0).any():
        raise ValueError(f"noise holds {np.asarray(noise).min()}; expected variances that are zero or more.")
    return noise


def succeeded(solution: Solution) -> None:
    """Raise a concrete outcome that is no success, as its sentence."""
    if isinstance(solution.value, Tracer) or bool(solution.result == Result.successful):
        return
    raise ValueError(Result[solution.result])


def _traced(*trees: Any) -> bool:
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(trees))


def _in_float64(fn: Callable, *args: Any, result: np.dtype | None) -> Any:
    """Return ``fn(block, *args)``: on tracers in JAX, else on NumPy arrays, of which none is copied."""
    if _traced(args):
        return evaluate(functools.partial(fn, AbstractKernel.block), *args, compute=jnp.float64, result=result)
    with jax.enable_x64():
        found = fn(_in_numpy, *args)
    return found if result is None else jax.tree.map(lambda leaf: np.asarray(leaf, result), found)


def _in_numpy(kernel: AbstractKernel, x1: Any, x2: Any = None) -> np.ndarray:
    return np.asarray(kernel(_double(x1), None if x2 is None else _double(x2)))


def _double(x: Any) -> np.ndarray:
    return np.asarray(x, np.float64)


def _solve(block: Callable, kernel: AbstractKernel, solver: AbstractSolver, x: Any, y: Any, noise: Any) -> Solution:
    targets = y if isinstance(y, Tracer) else _double(y)
    return solver.compute(solver.init(Dense(block(kernel, x)), noise), targets)


def _explained(posterior: Posterior, cross: Any) -> Any:
    return posterior.solver.compute(posterior.solution.state, cross.T).value


def _mean(posterior: Posterior, cross: Any) -> Any:
    mean = cross @ posterior.solution.value
    return mean[:, 0] if posterior.vector else mean


def _at(block: Callable, posterior: Posterior, x: Any) -> Gaussian:
    cross = block(posterior.kernel, x, posterior.x_train)
    covariance = block(posterior.kernel, x) - cross @ _explained(posterior, cross)
    return Gaussian(_mean(posterior, cross), (covariance + covariance.T) / 2)


def _marginals(block: Callable, posterior: Posterior, x: Any) -> tuple[Any, Any]:
    cross = block(posterior.kernel, x, posterior.x_train)
    variance = _diagonal(posterior.kernel, x) - (cross.T * _explained(posterior, cross)).sum(0)
    return _mean(posterior, cross), variance.clip(0) ** 0.5


def _diagonal(kernel: AbstractKernel, x: Any) -> Any:
    return evaluate(type(kernel).diagonal, kernel, x, compute=jnp.float64, result=None)
