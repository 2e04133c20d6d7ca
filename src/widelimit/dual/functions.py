"""Activations with parameters that JAX has no name for; the first argument is the signal."""

import jax

from .._typing import Array, Scalar


def swish(u: Array, beta: Scalar) -> Array:
    r"""Return :math:`u\,\sigma(\beta u)`."""
    return u * jax.nn.sigmoid(beta * u)


def scaled_softplus(u: Array, beta: Scalar) -> Array:
    r"""Return :math:`\tfrac1\beta\log(1 + e^{\beta u})`."""
    return jax.nn.softplus(beta * u) / beta
