"""What becomes of the output axes of an empirical kernel."""

import abc

import equinox as eqx
import jax.numpy as jnp

from .._typing import Array


class AbstractOutputs(eqx.Module):
    """What becomes of the output axes of an empirical kernel, of o outputs per example in flat form."""

    @abc.abstractmethod
    def contract(self, j1: Array, j2: Array, weight: Array) -> Array:
        """Contract gradients (n1, o, p) and (n2, o, p) over parameters, times ``weight`` (n1, n2) or a number."""


class Trace(AbstractOutputs):
    r"""The mean over outputs, :math:`\frac1o\sum_a\Theta_{aa}(x, x')`: shape (n1, n2).

    For a readout of any width it converges to the infinite kernel.
    """

    def contract(self, j1: Array, j2: Array, weight: Array) -> Array:
        """Contract over parameters and outputs."""
        flat1, flat2 = jnp.reshape(j1, (j1.shape[0], -1)), jnp.reshape(j2, (j2.shape[0], -1))
        return weight * (flat1 @ flat2.T) / j1.shape[1]


class Diagonal(AbstractOutputs):
    r"""Each output with itself, :math:`\Theta_{aa}(x, x')`: shape (n1, n2, o)."""

    def contract(self, j1: Array, j2: Array, weight: Array) -> Array:
        """Contract over the parameters."""
        return jnp.asarray(weight)[..., None] * jnp.einsum("nap,map->nma", j1, j2)


class Full(AbstractOutputs):
    r"""All pairs of outputs, :math:`\Theta_{ab}(x, x')`: shape (n1, n2, o, o)."""

    def contract(self, j1: Array, j2: Array, weight: Array) -> Array:
        """Contract over the parameters."""
        return jnp.asarray(weight)[..., None, None] * jnp.einsum("nap,mbp->nmab", j1, j2)
