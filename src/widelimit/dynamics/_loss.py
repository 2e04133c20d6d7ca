"""Squared losses: the convention that fixes what one unit of time or of learning rate means."""

import abc

import equinox as eqx
import jax.numpy as jnp

from .._typing import Array


class AbstractSquaredLoss(eqx.Module):
    r"""A multiple of :math:`\tfrac12\sum_{i,a}(f_a(x_i) - y_{ia})^2` over :math:`n` examples and :math:`o` outputs."""

    @abc.abstractmethod
    def scale(self, size: int) -> float:
        """Return the factor for ``size`` = n·o entries; gradients and kernels in the dynamics carry it."""

    def value(self, f: Array, y: Array) -> Array:
        """Return the loss of outputs ``f`` for targets ``y``, both of shape (n, o)."""
        return self.scale(y.size) / 2 * jnp.sum((f - y) ** 2)


class SumOfSquares(AbstractSquaredLoss):
    r""":math:`\tfrac12\sum_{i,a}(f_a(x_i) - y_{ia})^2`, the convention of Lee et al. 2019 (arXiv 1902.06720)."""

    def scale(self, size: int) -> float:  # noqa: ARG002
        """Return one."""
        return 1.0


class MeanSquares(AbstractSquaredLoss):
    r""":math:`\frac1{2no}\sum_{i,a}(f_a(x_i) - y_{ia})^2`, the convention of neural-tangents and of most training code.

    One unit of time here is :math:`1/(no)` units under `SumOfSquares`.
    """

    def scale(self, size: int) -> float:
        """Return ``1 / size``."""
        return 1.0 / size
