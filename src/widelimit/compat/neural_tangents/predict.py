"""Predictions of training in function space, with the arguments and conventions of neural-tangents.

The loss is half the mean squared error over all entries of the targets, and ``learning_rate * t`` is the time; kernels
have their axes in pairs, (n1, n2, h, h', ...), without ``trace_axes``. Everything is computed in float64 and has the
dtype of the kernels.
"""

from typing import Any

import jax.numpy as jnp

from ..._typing import Array, Scalar
from ...dynamics import max_learning_rate as _max_learning_rate
from ._layout import as_matrix
from ._predict_ensemble import Gaussian as Gaussian
from ._predict_ensemble import gp_inference as gp_inference
from ._predict_ensemble import gradient_descent_mse_ensemble as gradient_descent_mse_ensemble
from ._predict_network import ODEState as ODEState
from ._predict_network import gradient_descent as gradient_descent
from ._predict_network import gradient_descent_mse as gradient_descent_mse


def max_learning_rate(
    ntk_train_train: Any, y_train_size: int | None = None, momentum: Scalar = 0.0, eps: float = 1e-12
) -> Array:
    r"""Return the largest stable step size, :math:`2(1+m)N/(\lambda_{\max}+\epsilon)`.

    Parameters
    ----------
    ntk_train_train
        Kernel of the training inputs, axes in pairs.
    y_train_size
        Number N of all targets; None for as many as the kernel has rows.
    momentum
        :math:`0 \le m < 1`.
    eps
        Keeps the result finite for a kernel of zeros.
    """
    matrix = as_matrix(jnp.asarray(ntk_train_train))
    size = len(matrix) if y_train_size is None else y_train_size
    step = _max_learning_rate(matrix + eps * jnp.eye(len(matrix), dtype=matrix.dtype), momentum=momentum)
    return size * step
