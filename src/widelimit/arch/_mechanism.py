"""How attention turns products of queries and keys into weights."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array


class AbstractMechanism(eqx.Module):
    """A function of the logits of each query over all keys. Positions that must not be looked at get the weight 0."""

    @abc.abstractmethod
    def weights(self, logits: Array, allowed: Array | None) -> Array:
        """Return weights (..., queries, keys) for logits of that shape.

        ``allowed``, (queries, keys), is true where a query may look; None if everywhere.
        """


class Softmax(AbstractMechanism):
    r"""Weights :math:`e^{s_{pq}}/\sum_r e^{s_{pr}}` over the positions that may be looked at."""

    def weights(self, logits: Array, allowed: Array | None) -> Array:
        """Return weights that sum to one, or all zero for a query that may look nowhere."""
        if allowed is None:
            return jax.nn.softmax(logits)
        # A row without any position would be 0/0, also in derivatives.
        some = jnp.any(allowed, -1, keepdims=True)
        weights = jax.nn.softmax(jnp.where(allowed | ~some, logits, -jnp.inf))
        return jnp.where(allowed, weights, 0)


class IdentityMechanism(AbstractMechanism):
    """The logits themselves: linear attention."""

    def weights(self, logits: Array, allowed: Array | None) -> Array:
        """Return the logits."""
        return _only(logits, allowed)


class ReluMechanism(AbstractMechanism):
    r"""Weights :math:`\max(s, 0)`."""

    def weights(self, logits: Array, allowed: Array | None) -> Array:
        """Return the positive parts."""
        return _only(jax.nn.relu(logits), allowed)


class AbsMechanism(AbstractMechanism):
    r"""Weights :math:`|s|`."""

    def weights(self, logits: Array, allowed: Array | None) -> Array:
        """Return the absolute values."""
        return _only(jnp.abs(logits), allowed)


def _only(weights: Array, allowed: Array | None) -> Array:
    return weights if allowed is None else jnp.where(allowed, weights, 0)
