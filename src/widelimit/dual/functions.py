"""Activations with parameters that JAX has no name for; the first argument is the signal."""

import jax
import jax.numpy as jnp

from .._typing import Array, Scalar


def swish(u: Array, beta: Scalar) -> Array:
    r"""Return :math:`u\,\sigma(\beta u)`."""
    return u * jax.nn.sigmoid(beta * u)


def scaled_softplus(u: Array, beta: Scalar) -> Array:
    r"""Return :math:`\tfrac1\beta\log(1 + e^{\beta u})`."""
    return jax.nn.softplus(beta * u) / beta


def elu_below(u: Array, alpha: Scalar, scale: Scalar) -> Array:
    r"""Return :math:`\lambda\alpha(e^u - 1)`, what ELU is below zero."""
    return scale * alpha * jnp.expm1(u)


def elu_above(u: Array, alpha: Scalar, scale: Scalar) -> Array:  # noqa: ARG001
    r"""Return :math:`\lambda u`, what ELU is above zero."""
    return scale * u
