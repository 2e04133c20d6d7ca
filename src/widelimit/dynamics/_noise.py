"""Noise of stochastic gradients, from the kernel and the residuals alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import Array
from ._loss import AbstractSquaredLoss, MeanSquares
from ._matrix import as_matrix, checked


class NoiseScale(NamedTuple):
    r"""Noise of per-example gradients :math:`g_i` about their mean G; see `sgd_noise_scale`.

    Attributes
    ----------
    scale
        :math:`\mathrm{tr}\,\Sigma/|G|^2`, a number of examples; infinite where the mean gradient vanishes.
    variance
        :math:`\mathrm{tr}\,\Sigma = \frac1n\sum_i|g_i - G|^2`.
    gradient_square
        :math:`|G|^2`.
    """

    scale: Array
    variance: Array
    gradient_square: Array


def sgd_noise_scale(ntk: Any, residual: Any) -> NoiseScale:
    r"""Return the simple noise scale of stochastic gradients: the batch size at which noise and gradient are equal.

    .. math:: B_{\mathrm{simple}} = \frac{\mathrm{tr}\,\Sigma}{|G|^2},\qquad
              g_i\cdot g_j = \sum_{ab} r_{ia}\,\Theta_{ab}(x_i, x_j)\,r_{jb}

    (McCandlish et al. 2018, arXiv 1812.06162, eq. 2.9), with :math:`g_i = \sum_a r_{ia}\nabla_\theta f_a(x_i)`. A
    batch of B examples drawn with replacement has a gradient of covariance :math:`\Sigma/B`; much larger batches
    than :math:`B_{\mathrm{simple}}` buy little. Exact for the given examples and parameters; a common factor of the
    loss cancels in the scale.

    Parameters
    ----------
    ntk
        The empirical NTK of the training inputs at the parameters in question, (n, n, o, o), or (n, n) if it acts on
        each output alike. For `EmpiricalNTK` of several outputs use ``outputs=Full()``.
    residual
        Derivative of each example's loss in its outputs, (n,) or (n, o): :math:`f - y` for squares,
        :math:`\mathrm{softmax}(f) - y` for cross-entropy.

    Raises
    ------
    ValueError
        If shapes do not match.
    """
    ntk = checked(ntk)
    residual_ = _check.targets(residual, ntk.shape[0], "residual")
    if ntk.ndim == 4 and residual_.shape[1] != ntk.shape[2]:
        raise ValueError(f"residual has shape {residual_.shape}; expected ({ntk.shape[0]}, {ntk.shape[2]}).")

    def scale(ntk: Array, r: Array) -> NoiseScale:
        products = ntk * (r @ r.T) if ntk.ndim == 2 else jnp.einsum("ia,ijab,jb->ij", r, ntk, r)
        square = jnp.maximum(jnp.mean(products), 0)
        variance = jnp.maximum(jnp.mean(jnp.diagonal(products)) - square, 0)
        ratio = jnp.where(square > 0, variance / jnp.where(square > 0, square, 1), jnp.inf)
        return NoiseScale(jnp.where(variance > 0, ratio, 0), variance, square)

    return evaluate(scale, ntk, residual_, compute=jnp.float64, result=result_dtype(ntk, residual_))


def sgd_max_learning_rate(
    ntk: Any, batch_size: int, *, loss: AbstractSquaredLoss = MeanSquares(), outputs: int = 1
) -> Array:
    r"""Return a step size below which stochastic gradient descent on the interpolating linear model converges.

    .. math:: \eta < \frac{2}{s\,\big(\frac{n\beta}{B} + \frac{B-1}{B}\lambda_{\max}\big)},\qquad
              \beta = \max_i \lambda_{\max}\big(\Theta(x_i, x_i)\big)

    for batches of B examples drawn with replacement, whose gradient is n/B times that of their part of the loss.
    With :math:`H_i = J_i^\top J_i`, :math:`E[H_B^2] \preceq \frac{n\beta}{B}H + \frac{B-1}{B}H^2`, so that the mean
    square of the distance to the interpolating solution shrinks in every mode (Ma, Bassily & Belkin 2018, arXiv
    1712.06559). Sufficient for any B; at large B it is :math:`2/(s\lambda_{\max})`. As the noise vanishes with
    the residuals, nothing of it remains at the end.

    Parameters
    ----------
    ntk
        The NTK of the training inputs, (n, n), or (n, n, o, o) with outputs apart.
    batch_size
        B.
    loss
        Fixes :math:`s`: 1/(no) for `MeanSquares` (default), 1 for `SumOfSquares`.
    outputs
        Number of outputs o when ``ntk`` is (n, n); it matters for `MeanSquares` only.
    """
    ntk = checked(ntk)
    _check.positive_int(batch_size, "batch_size")
    _check.positive_int(outputs, "outputs")
    n = ntk.shape[0]
    scale = loss.scale(n * (outputs if ntk.ndim == 2 else ntk.shape[2]))

    def step(ntk: Array) -> Array:
        matrix = as_matrix(ntk)
        top = jnp.linalg.eigvalsh((matrix + matrix.T) / 2)[-1]
        own = jnp.moveaxis(jnp.diagonal(ntk), -1, 0)
        beta = jnp.max(own if ntk.ndim == 2 else jnp.linalg.eigvalsh(own))
        return 2 / (scale * (n * beta / batch_size + (1 - 1 / batch_size) * top))

    return evaluate(step, ntk, compute=jnp.float64, result=result_dtype(ntk))
