"""What a kernel learns first: its eigenmodes, their share of the target, and the time each one takes."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import Array
from ..gram import Dense
from ..solve import Eigen
from ._loss import AbstractSquaredLoss, SumOfSquares
from ._matrix import as_matrix, checked
from ._optimizer import AbstractOptimizer, GradientFlow


class LearningModes(eqx.Module):
    r"""Eigenmodes of a kernel, largest eigenvalue first; see `learning_modes`. N = n, or no with outputs apart.

    Attributes
    ----------
    eigenvalues
        Shape (N,); those that are zero to working precision, and negative ones, are zero.
    vectors
        Unit eigenvectors as columns, (N, N).
    coefficients
        The target in each mode, (N, o), or (N,) for a vector of targets and for outputs apart.
    shares
        Share of the target's square in each mode, (N,), summed over outputs; they sum to one.
    rates
        Decay of the residual per unit of time or per step, (N,): zero where nothing is learned, negative where it
        grows.
    times
        Time, or number of steps as a real number, until a residual has shrunk to each fraction, (len(fractions), N);
        infinite for modes that are not learned.
    fractions
        Those fractions.
    """

    eigenvalues: Array
    vectors: Array
    coefficients: Array
    shares: Array
    rates: Array
    times: Array
    fractions: tuple[float, ...] = eqx.field(static=True)


def learning_modes(
    ntk: Any,
    y: Any,
    *,
    loss: AbstractSquaredLoss = SumOfSquares(),
    optimizer: AbstractOptimizer = GradientFlow(),
    fractions: tuple[float, ...] = (math.exp(-1), 0.01),
) -> LearningModes:
    r"""Return the eigenmodes of a kernel with what each holds of the target, and how fast it is learned.

    With :math:`\Theta = V\Lambda V^\top` the residual in mode i is :math:`\rho_t(s\lambda_i)\,v_i^\top(y - f_0)`: under
    gradient flow :math:`\rho_t = e^{-s\lambda_i t}`, and a fraction :math:`\epsilon` is reached at
    :math:`t = \log(1/\epsilon)/(s\lambda_i)` (Jacot et al. 2018, arXiv 1806.07572, section 5). For `GradientDescent`
    the rate is :math:`-\log|1 - \eta s\lambda_i|` per step. With momentum the rate is that of the slowest root, and the
    times are those of the envelope.

    Parameters
    ----------
    ntk
        The NTK of the training inputs, (n, n), or (n, n, o, o) with outputs apart.
    y
        What is to be learned, (n,) or (n, o): the targets, or targets minus initial outputs.
    loss
        Fixes :math:`s`: 1 for `SumOfSquares`, 1/(no) for `MeanSquares`.
    optimizer
        Fixes the unit of time.
    fractions
        Fractions of the residual, each in (0, 1).

    Raises
    ------
    ValueError
        If shapes do not match or a fraction is not in (0, 1).
    """
    ntk = checked(ntk)
    target = _check.targets(y, ntk.shape[0], "y")
    if ntk.ndim == 4 and target.shape[1] != ntk.shape[2]:
        raise ValueError(f"y has shape {jnp.shape(y)}; expected ({ntk.shape[0]}, {ntk.shape[2]}) to match ntk.")
    if not isinstance(fractions, tuple | list) or not fractions or not all(0 < f < 1 for f in fractions):
        raise ValueError(f"fractions is {fractions}; expected a tuple of numbers between zero and one.")
    fractions = tuple(fractions)
    vector = jnp.ndim(y) == 1 or ntk.ndim == 4
    dtype, scale = result_dtype(ntk, target), loss.scale(target.size)

    def modes(ntk: Array, target: Array, optimizer: AbstractOptimizer) -> LearningModes:
        values, vectors, coefficients, shares, rates, times = _modes(ntk, target, optimizer, scale, fractions)
        coefficients = coefficients[:, 0] if vector else coefficients
        return LearningModes(values, vectors, coefficients, shares, rates, times, fractions)

    return evaluate(modes, ntk, target, optimizer, compute=jnp.float64, result=dtype)


@eqx.filter_jit
def _modes(ntk: Array, target: Array, optimizer: AbstractOptimizer, scale: float, fractions: tuple) -> tuple:
    spectrum = Eigen().init(Dense(as_matrix(ntk)), 0.0)
    values, vectors = spectrum.values[::-1], spectrum.vectors[:, ::-1]
    target = jnp.asarray(target, values.dtype)
    coefficients = vectors.T @ jnp.reshape(target, (values.shape[0], -1))
    squares = jnp.sum(coefficients**2, 1)
    shares = squares / jnp.where(jnp.sum(squares) > 0, jnp.sum(squares), 1)
    rates = jax.vmap(optimizer.rate)(scale * values)
    logs = jnp.asarray([-math.log(f) for f in fractions], values.dtype)[:, None]
    times = jnp.where(rates > 0, logs / jnp.where(rates > 0, rates, 1), jnp.inf)
    return values, vectors, coefficients, shares, rates, times
