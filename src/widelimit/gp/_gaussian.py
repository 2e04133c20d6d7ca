"""A Gaussian over function values."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import Array, Key


class Gaussian(eqx.Module):
    r"""A Gaussian over function values, independent and equal in covariance for every output.

    Attributes
    ----------
    mean
        Shape (\*times, m) or (\*times, m, o).
    covariance
        Shape (\*times, m, m).
    """

    mean: Array
    covariance: Array

    @property
    def std(self) -> Array:
        r"""Standard deviations, (\*times, m) or (\*times, m, 1): they broadcast against ``mean``."""
        variance = self.covariance.diagonal(axis1=-2, axis2=-1)
        std = variance.clip(0) ** 0.5
        return std if self.mean.ndim < self.covariance.ndim else std[..., None]

    def sample(self, key: Key, count: int) -> Array:
        r"""Return draws of the function values, (count, \*times, m) or (count, \*times, m, o).

        With :math:`\Sigma = V\Lambda V^\top` a draw is :math:`\mu + V\Lambda_+^{1/2}\xi`, which also covers singular
        covariances, such as on the training inputs at the end of training. Values at different times are drawn
        independently. In float64, rounded to the dtype of the mean.
        """
        _check.positive_int(count, "count")
        draw = functools.partial(_draw, count=count)
        return evaluate(draw, self, key, compute=jnp.float64, result=result_dtype(self.mean))


def _draw(gaussian: Gaussian, key: Key, count: int) -> Array:
    mean, covariance = gaussian.mean, gaussian.covariance
    vector = mean.ndim < covariance.ndim
    mean = mean[..., None] if vector else mean
    values, vectors = jnp.linalg.eigh(covariance)
    factor = vectors * jnp.sqrt(values.clip(0))[..., None, :]
    draws = mean + factor @ jax.random.normal(key, (count, *mean.shape), mean.dtype)
    return draws[..., 0] if vector else draws
