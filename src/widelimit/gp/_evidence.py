"""How likely data are under a kernel, in closed form and differentiable in every hyperparameter."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import Array, PyTree, Scalar, Tracer
from ..kernels import AbstractKernel
from ..solve import Result
from ._posterior import check_noise


class LeaveOneOut(eqx.Module):
    r"""Predictions of each target from all the others.

    Attributes
    ----------
    mean
        Shape (n, o), or (n,) if the targets were a vector.
    variance
        Of the left-out *observation*, noise included, (n,).
    log_density
        Sum over examples and outputs of :math:`\log p(y_i \mid y_{-i})`, a number.
    """

    mean: Array
    variance: Array
    log_density: Array


def log_marginal_likelihood(kernel: AbstractKernel, x: PyTree, y: Any, *, noise: Any) -> Array:
    r"""Return the evidence of a Gaussian process, summed over outputs.

    .. math::
        \log p(y) = -\tfrac12\, y^\top (K + N)^{-1} y - \tfrac12 \log\det(K + N) - \tfrac n2 \log 2\pi

    Parameters
    ----------
    kernel
        The covariance. Its hyperparameters (``weight_std``, ``bias_std``, parameters of activations, scales of
        inputs) are leaves of the object, so that the result is differentiable in them by `gradients` or ``jax.grad``.
    x, y
        Inputs (n, \*input_shape) and targets (n,) or (n, o).
    noise
        Variance of the noise, one number or (n,).

    Returns
    -------
    Array
        A number, in nats.

    Raises
    ------
    ValueError
        If shapes do not match, data are not finite, or :math:`K + N` is singular to working precision.

    References
    ----------
    Rasmussen and Williams 2006, eq. 5.8.
    """
    return _scored(_evidence, kernel, x, y, noise)


def leave_one_out(kernel: AbstractKernel, x: PyTree, y: Any, *, noise: Any) -> LeaveOneOut:
    r"""Return what each target is predicted to be from all the others, without refitting.

    .. math::
        \mu_i = y_i - \frac{[A y]_i}{A_{ii}}, \qquad \sigma_i^2 = \frac1{A_{ii}}, \qquad A = (K + N)^{-1}

    Parameters
    ----------
    kernel, x, y, noise
        As for `log_marginal_likelihood`.

    References
    ----------
    Rasmussen and Williams 2006, eqs. 5.10 to 5.12 (Sundararajan and Keerthi 2001).
    """
    return _scored(_leave_one_out, kernel, x, y, noise)


def gradients(score: Any, kernel: AbstractKernel, x: PyTree, y: Any, *, noise: Scalar) -> tuple[Any, Any, Any]:
    """Return a score, and its derivatives in every hyperparameter of the kernel and in the noise.

    Parameters
    ----------
    score
        ``log_marginal_likelihood``, or any function of the same arguments that returns a number.
    kernel, x, y, noise
        As for `log_marginal_likelihood`.

    Returns
    -------
    tuple
        The score; an object like ``kernel`` that holds derivatives where that has hyperparameters, None elsewhere; and
        the derivative in the noise.
    """
    free, fixed = eqx.partition(kernel, is_hyperparameter)
    free = jax.tree.map(np.float64, free)
    with jax.enable_x64():
        x, y = (np.asarray(a, np.float64) for a in (x, y))
        value, (slopes, slope) = _value_and_slopes(score, (free, jnp.asarray(noise, float)), fixed, x, y)
        return np.asarray(value), jax.tree.map(np.asarray, slopes), np.asarray(slope)


@eqx.filter_jit
def _value_and_slopes(score: Any, variables: tuple, fixed: AbstractKernel, x: Array, y: Array) -> tuple:
    def of(variables: tuple) -> Array:
        return score(eqx.combine(variables[0], fixed), x, y, noise=variables[1])

    return jax.value_and_grad(of)(variables)


def is_hyperparameter(leaf: Any) -> bool:
    """Return whether a leaf of a kernel is a real number, or an array of them."""
    if isinstance(leaf, jax.Array | np.ndarray | np.generic):
        return bool(jnp.issubdtype(leaf.dtype, jnp.floating))
    return isinstance(leaf, float)


def _scored(fn: Any, kernel: AbstractKernel, x: PyTree, y: Any, noise: Any) -> Any:
    _check.instance(kernel, AbstractKernel, "kernel", "NNGP(net)")
    x = _check.inputs(x, "x")
    targets = _check.targets(y, x.shape[0], "y")
    noise = check_noise(noise, x.shape[0])
    out = evaluate(fn, kernel, x, targets, noise, compute=jnp.float64, result=result_dtype(targets))
    if not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(out)) and not all(
        np.isfinite(leaf).all() for leaf in jax.tree.leaves(out)
    ):
        raise ValueError(Result[Result.not_positive_definite])
    if isinstance(out, LeaveOneOut) and jnp.ndim(y) == 1:
        return LeaveOneOut(out.mean[:, 0], out.variance, out.log_density)
    return out


def _factor(kernel: AbstractKernel, x: PyTree, noise: Any) -> Array:
    matrix = kernel.block(x)
    return jnp.linalg.cholesky(matrix + noise * jnp.eye(len(matrix), dtype=matrix.dtype))


def _evidence(kernel: AbstractKernel, x: PyTree, y: Array, noise: Any) -> Array:
    n, outputs = y.shape
    factor = _factor(kernel, x, noise)
    white = jsl.solve_triangular(factor, y, lower=True)
    log_determinant = 2 * jnp.sum(jnp.log(jnp.diagonal(factor)))
    return -0.5 * (jnp.sum(white**2) + outputs * (log_determinant + n * jnp.log(2 * jnp.pi)))


def _leave_one_out(kernel: AbstractKernel, x: PyTree, y: Array, noise: Any) -> LeaveOneOut:
    factor = _factor(kernel, x, noise)
    inverse = jsl.solve_triangular(factor, jnp.eye(len(factor), dtype=factor.dtype), lower=True)
    variance = 1 / jnp.sum(inverse**2, 0)
    rest = inverse.T @ (inverse @ y) * variance[:, None]
    density = -0.5 * jnp.sum(rest**2 / variance[:, None] + jnp.log(2 * jnp.pi * variance)[:, None])
    return LeaveOneOut(y - rest, variance, density)
