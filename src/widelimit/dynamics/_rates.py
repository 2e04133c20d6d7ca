"""Step sizes."""

from typing import Any

import jax.numpy as jnp

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import Array, Tracer
from ._loss import AbstractSquaredLoss, SumOfSquares


def max_learning_rate(ntk: Any, *, loss: AbstractSquaredLoss = SumOfSquares(), outputs: int = 1) -> Array:
    r"""Return the largest step size at which gradient descent on the linear model is stable.

    .. math:: \eta_{\max} = \frac{2}{s\,\lambda_{\max}(\Theta)}

    Above it the linear model diverges; a wide network in the NTK parameterization then first *catapults* to
    flatter parameters, up to about :math:`4/(s\lambda_{\max})` (Lewkowycz et al. 2020, arXiv 2003.02218). Fastest
    contraction is at :math:`2/(\lambda_{\min}+\lambda_{\max})` (Lee et al. 2019, arXiv 1902.06720).

    Parameters
    ----------
    ntk
        The NTK of the training inputs, (n, n), or (n, n, o, o) with outputs apart.
    loss
        Fixes :math:`s`: 1 for `SumOfSquares`, 1/(no) for `MeanSquares`.
    outputs
        Number of outputs o when ``ntk`` is (n, n); it matters for `MeanSquares` only.

    Raises
    ------
    ValueError
        If ``ntk`` is not square or has no positive eigenvalue.
    """
    ntk = _check.real(ntk, "ntk")
    if ntk.ndim not in (2, 4) or ntk.shape[0] != ntk.shape[1] or (ntk.ndim == 4 and ntk.shape[2] != ntk.shape[3]):
        raise ValueError(f"ntk has shape {ntk.shape}; expected (n, n) or (n, n, o, o).")
    _check.positive_int(outputs, "outputs")
    size = ntk.shape[0] * (outputs if ntk.ndim == 2 else ntk.shape[2])

    def largest(ntk: Array) -> Array:
        if ntk.ndim == 4:
            ntk = jnp.reshape(jnp.swapaxes(ntk, 1, 2), (size, size))
        return jnp.linalg.eigvalsh((ntk + ntk.T) / 2)[-1]

    dtype = result_dtype(ntk)
    value = evaluate(lambda k: 2 / (loss.scale(size) * largest(k)), ntk, compute=jnp.float64, result=dtype)
    if not isinstance(value, Tracer) and not 0 < value < float("inf"):
        raise ValueError("ntk has no positive eigenvalue; expected a positive semi-definite kernel matrix.")
    return value
