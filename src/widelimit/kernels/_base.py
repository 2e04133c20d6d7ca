"""The contract of a kernel."""

import abc
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .. import _check
from .._precision import evaluate, result_dtype
from ..arch import cleared


class AbstractKernel(eqx.Module):
    """A positive semi-definite function of two inputs, evaluated on batches.

    Calling it checks the inputs, keeps their dtype and returns the matrix; `block` and `diagonal` are the bare
    functions of JAX arrays that engines, Gram matrices and flows use.
    """

    @abc.abstractmethod
    def block(self, x1: Any, x2: Any = None) -> Any:
        """Return the kernel of two batches, (n1, n2), or (n1, n2, o, o) where outputs are kept apart.

        ``x2=None``, or the very same object, stands for ``x1`` again.
        """

    @abc.abstractmethod
    def diagonal(self, x: Any) -> Any:
        """Return the kernel of each input with itself, (n,) or (n, o, o)."""

    def __call__(self, x1: Any, x2: Any = None) -> Any:
        r"""Return the kernel matrix of ``x1`` against ``x2`` (against itself if that is None).

        Parameters
        ----------
        x1, x2
            Batches of shapes (n1, \*input_shape) and (n2, \*input_shape); for models of other inputs, pytrees of
            such arrays of any dtype.

        Returns
        -------
        Array
            Shape (n1, n2), or (n1, n2, o, o) where outputs are kept apart. The dtype is that of the inputs.
            float64 NumPy input gives a float64 result even while JAX's x64 mode is off, then as a NumPy array.

        Raises
        ------
        ValueError
            If an input is not a batch, holds NaN or infinity, or the two do not match.
        """
        x1 = _check.batch(cleared(x1), "x1")
        if x2 is not None:
            x2 = _check.batch(cleared(x2), "x2")
            _check.same_batch(x1, x2)
        dtype = result_dtype(*jax.tree.leaves((x1, x2)))
        return evaluate(lambda k, a, b: k.block(a, b), self, x1, x2, compute=dtype, result=dtype)


def prior_variances(kernel: AbstractKernel, x: Any) -> np.ndarray:
    r"""Return :math:`k(x, x)` of each input in float64, (n,), whatever the dtype of x and JAX's configuration.

    Parameters
    ----------
    kernel
        A kernel that gives one number per pair.
    x
        Inputs (n, \*input_shape).
    """
    double = np.dtype(np.float64)
    return np.asarray(evaluate(lambda k, a: k.diagonal(a), kernel, x, compute=double, result=double))
