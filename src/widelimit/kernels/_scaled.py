"""Kernels with scales of their inputs, or of their outputs."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from .. import _check
from .._typing import Array, Scalar, Tracer
from ._base import AbstractKernel


class ScaledInputs(AbstractKernel):
    r"""A kernel of inputs whose features are multiplied by numbers first: automatic relevance determination.

    .. math:: k(s \odot x,\; s \odot x')

    A feature of scale 0 is left out. With a stationary kernel, :math:`1/s` are length scales (MacKay 1994; Neal 1996,
    "Bayesian Learning for Neural Networks", section 4.3); in a network they are the scales of the weights of the first
    layer, one for each feature.

    Parameters
    ----------
    kernel
        The kernel of the scaled inputs.
    scales
        One number, or an array of the shape of an example.

    Raises
    ------
    ValueError
        If the scales are negative or not finite. On evaluation, if their shape is not that of an example.
    """

    kernel: AbstractKernel
    scales: Any

    def __check_init__(self) -> None:
        """Check the kernel and the scales."""
        _check.instance(self.kernel, AbstractKernel, "kernel", "NTK(net)")
        if isinstance(self.scales, Tracer):
            return
        values = np.asarray(_check.real(self.scales, "scales"))
        if (values < 0).any():
            raise ValueError(f"scales holds {values.min()}; expected numbers that are zero or more.")

    def block(self, x1: Array, x2: Array | None = None) -> Array:
        """Return the kernel of two batches, (n1, n2)."""
        return self.kernel.block(self._scaled(x1), None if x2 is None else self._scaled(x2))

    def diagonal(self, x: Array) -> Array:
        """Return the kernel of each input with itself, (n,)."""
        return self.kernel.diagonal(self._scaled(x))

    def _scaled(self, x: Array) -> Array:
        shape = jnp.shape(self.scales)
        if shape not in ((), tuple(x.shape[1:])):
            raise ValueError(
                f"scales has shape {shape}, examples have {tuple(x.shape[1:])}; expected one number for each feature."
            )
        return x * jnp.asarray(self.scales, x.dtype)


class ScaledOutputs(AbstractKernel):
    r"""A kernel times a number: the covariance of a function that is multiplied by a standard deviation.

    .. math:: \sigma^2\, k(x, x')

    Parameters
    ----------
    kernel
        The kernel.
    variance
        :math:`\sigma^2 \ge 0`.

    Raises
    ------
    ValueError
        If the variance is negative or not finite.
    """

    kernel: AbstractKernel
    variance: Scalar

    def __check_init__(self) -> None:
        """Check the kernel and the variance."""
        _check.instance(self.kernel, AbstractKernel, "kernel", "NTK(net)")
        _check.nonnegative(self.variance, "variance")

    def block(self, x1: Array, x2: Array | None = None) -> Array:
        """Return the kernel of two batches, (n1, n2)."""
        return self.variance * self.kernel.block(x1, x2)

    def diagonal(self, x: Array) -> Array:
        """Return the kernel of each input with itself, (n,)."""
        return self.variance * self.kernel.diagonal(x)
