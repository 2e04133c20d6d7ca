"""Step sizes: what is stable, and where a wide network catapults."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import Array, Scalar, Tracer
from ..gram import AbstractGram
from ..solve import largest_eigenvalue
from ._loss import AbstractSquaredLoss, SumOfSquares
from ._matrix import as_matrix, checked
from ._method import AbstractFlowMethod
from ._optimizer import AbstractOptimizer, check_momentum


class CatapultBand(NamedTuple):
    """Step sizes between which a wide network first diverges, then settles at flatter parameters."""

    lower: Array
    upper: Array


def max_learning_rate(
    ntk: Any, *, loss: AbstractSquaredLoss = SumOfSquares(), outputs: int = 1, momentum: Scalar = 0.0
) -> Array:
    r"""Return the largest step size at which gradient descent on the linear model is stable.

    .. math:: \eta_{\max} = \frac{2(1 + m)}{s\,\lambda_{\max}(\Theta)}

    Above it the linear model diverges; a wide network in the NTK parameterization then first *catapults* to
    flatter parameters, see `catapult_band`. Fastest contraction without momentum is at
    :math:`2/(\lambda_{\min}+\lambda_{\max})` (Lee et al. 2019, arXiv 1902.06720).

    Parameters
    ----------
    ntk
        The NTK of the training inputs, (n, n), or (n, n, o, o) with outputs apart; or an `AbstractGram`, whose
        largest eigenvalue is found by Lanczos.
    loss
        Fixes :math:`s`: 1 for `SumOfSquares`, 1/(no) for `MeanSquares`.
    outputs
        Number of outputs o when ``ntk`` is (n, n); it matters for `MeanSquares` only.
    momentum
        :math:`0 \le m < 1`, of `Momentum`.

    Raises
    ------
    ValueError
        If ``ntk`` is not square and symmetric, has no positive eigenvalue, or the momentum is not in [0, 1).
    """
    _check.positive_int(outputs, "outputs")
    check_momentum(momentum)
    if isinstance(ntk, AbstractGram):
        top = evaluate(largest_eigenvalue, ntk, compute=jnp.float64, result=None)
        return _positive(2 * (1 + momentum) / (loss.scale(ntk.shape[0] * outputs) * top))
    ntk = checked(ntk)
    size = ntk.shape[0] * (outputs if ntk.ndim == 2 else ntk.shape[2])

    def largest(ntk: Array) -> Array:
        matrix = as_matrix(ntk)
        return jnp.linalg.eigvalsh((matrix + matrix.T) / 2)[-1]

    def step(ntk: Array) -> Array:
        return 2 * (1 + momentum) / (loss.scale(size) * largest(ntk))

    return _positive(evaluate(step, ntk, compute=jnp.float64, result=result_dtype(ntk)))


def catapult_band(ntk: Any, *, loss: AbstractSquaredLoss = SumOfSquares(), outputs: int = 1) -> CatapultBand:
    r"""Return the step sizes at which a wide network catapults: the loss rises first, and the kernel falls.

    .. math:: \frac{2}{s\,\lambda_{\max}} < \eta < \frac{4}{s\,\lambda_{\max}}

    Below, training is lazy; above, it diverges. Derived for two-layer linear networks in the NTK parameterization
    (Lewkowycz et al. 2020, arXiv 2003.02218, section 2); the upper end of other networks differs (ReLU: about
    12 in place of 4, measured there).

    Parameters
    ----------
    ntk, loss, outputs
        As in `max_learning_rate`.
    """
    lower = max_learning_rate(ntk, loss=loss, outputs=outputs)
    return CatapultBand(lower, 2 * lower)


def largest_step(method: AbstractFlowMethod, state: Any, optimizer: AbstractOptimizer, curvature: Scalar) -> Array:
    """Return the largest stable step size for a loss whose second derivative in the outputs is ``curvature``."""
    top = evaluate(method.largest, state, compute=jnp.float64, result=None)
    if not isinstance(top, Tracer) and not top > 0:
        return top + np.inf  # nothing moves, at any step size
    return optimizer.step_limit / (curvature * top)


def _positive(value: Array) -> Array:
    if not isinstance(value, Tracer) and not 0 < value < float("inf"):
        raise ValueError("ntk has no positive eigenvalue; expected a positive semi-definite kernel matrix.")
    return value
