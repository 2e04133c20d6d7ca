r"""What becomes of the output axes of an empirical kernel.

Gradients come in two forms. A Jacobian is an array j of shape (n, o, p). A factored gradient is
:math:`\sum_t h_{btc}\,g_{abtq}` with signals g of shape (n, o, B, T, Q); the inner products of two of them are
:math:`\sum_b\sum_{ts} k_{bts}\,(g_{abt}\cdot g'_{a'bs})` with the overlaps :math:`k_{bts} = h_{bt}\cdot h'_{bs}`.
"""

import abc

import equinox as eqx
import jax.numpy as jnp
from jax import lax

from .._typing import Array, Shape


class AbstractOutputs(eqx.Module):
    """What becomes of the output axes of an empirical kernel, of o outputs per example in flat form."""

    @abc.abstractmethod
    def shape(self, o: int) -> Shape:
        """Return the shape of the output axes in the kernel."""

    @abc.abstractmethod
    def contract(self, j1: Array, j2: Array) -> Array:
        """Return the inner products of gradients (n, o, p) and (m, o, p): (n, m, *shape)."""

    @abc.abstractmethod
    def weigh(self, overlaps: Array, g1: Array, g2: Array) -> Array:
        """Return those of factored gradients: overlaps (B, n, T, m, S), signals (n, o, B, T, Q) and (m, o, B, S, Q)."""

    @abc.abstractmethod
    def contract_each(self, j1: Array, j2: Array) -> Array:
        """Return the inner products of matching gradients (n, o, p): (n, *shape)."""

    @abc.abstractmethod
    def weigh_each(self, overlaps: Array, g1: Array, g2: Array) -> Array:
        """Return those of matching factored gradients: overlaps (n, B, T, S)."""

    @abc.abstractmethod
    def mirror(self, block: Array) -> Array:
        """Return the kernel of (x', x) from that of (x, x'): (m, n, *shape) from (n, m, *shape)."""


class Trace(AbstractOutputs):
    r"""The mean over outputs, :math:`\frac1o\sum_a\Theta_{aa}(x, x')`: shape (n1, n2).

    For a readout of any width it converges to the infinite kernel.
    """

    def shape(self, o: int) -> Shape:  # noqa: ARG002
        """Return ()."""
        return ()

    def contract(self, j1: Array, j2: Array) -> Array:
        """Contract over parameters and outputs."""
        return _rows(_flat(j1, 1), _flat(j2, 1)) / j1.shape[1]

    def weigh(self, overlaps: Array, g1: Array, g2: Array) -> Array:
        """Contract signals over outputs first."""
        a, b = (jnp.moveaxis(g, (2, 3), (0, 2)) for g in (g1, g2))
        products = _batched(_flat(a, 3), _flat(b, 3))
        return jnp.sum(overlaps * products, (0, 2, 4)) / g1.shape[1]

    def contract_each(self, j1: Array, j2: Array) -> Array:
        """Contract over parameters and outputs."""
        return jnp.sum(j1 * j2, (1, 2)) / j1.shape[1]

    def weigh_each(self, overlaps: Array, g1: Array, g2: Array) -> Array:
        """Contract signals over outputs first."""
        a, b = (jnp.moveaxis(g, 1, 3) for g in (g1, g2))
        products = jnp.einsum("nbtp,nbsp->nbts", _flat(a, 3), _flat(b, 3), precision="highest")
        return jnp.sum(overlaps * products, (1, 2, 3)) / g1.shape[1]

    def mirror(self, block: Array) -> Array:
        """Swap the inputs."""
        return jnp.swapaxes(block, 0, 1)


class Diagonal(AbstractOutputs):
    r"""Each output with itself, :math:`\Theta_{aa}(x, x')`: shape (n1, n2, o)."""

    def shape(self, o: int) -> Shape:
        """Return (o,)."""
        return (o,)

    def contract(self, j1: Array, j2: Array) -> Array:
        """Contract over the parameters."""
        return jnp.einsum("nap,map->nma", j1, j2, precision="highest")

    def weigh(self, overlaps: Array, g1: Array, g2: Array) -> Array:
        """Contract the signals of each output."""
        a, b = (jnp.moveaxis(g, (1, 2), (0, 1)) for g in (g1, g2))
        products = jnp.einsum("abntq,abmsq->abntms", a, b, precision="highest")
        return jnp.moveaxis(jnp.sum(overlaps * products, (1, 3, 5)), 0, 2)

    def contract_each(self, j1: Array, j2: Array) -> Array:
        """Contract over the parameters."""
        return jnp.sum(j1 * j2, 2)

    def weigh_each(self, overlaps: Array, g1: Array, g2: Array) -> Array:
        """Contract the signals of each output."""
        products = jnp.einsum("nabtq,nabsq->nabts", g1, g2, precision="highest")
        return jnp.sum(overlaps[:, None] * products, (2, 3, 4))

    def mirror(self, block: Array) -> Array:
        """Swap the inputs."""
        return jnp.swapaxes(block, 0, 1)


class Full(AbstractOutputs):
    r"""All pairs of outputs, :math:`\Theta_{ab}(x, x')`: shape (n1, n2, o, o)."""

    def shape(self, o: int) -> Shape:
        """Return (o, o)."""
        return (o, o)

    def contract(self, j1: Array, j2: Array) -> Array:
        """Contract over the parameters."""
        rows = _rows(jnp.reshape(j1, (-1, j1.shape[2])), jnp.reshape(j2, (-1, j2.shape[2])))
        return jnp.swapaxes(jnp.reshape(rows, (*j1.shape[:2], *j2.shape[:2])), 1, 2)

    def weigh(self, overlaps: Array, g1: Array, g2: Array) -> Array:
        """Contract the signals of all pairs of outputs."""
        a, b = (jnp.moveaxis(g, 2, 0) for g in (g1, g2))
        lead1, lead2 = a.shape[1:4], b.shape[1:4]
        products = _batched(
            jnp.reshape(a, (a.shape[0], -1, a.shape[-1])), jnp.reshape(b, (b.shape[0], -1, b.shape[-1]))
        )
        products = jnp.reshape(products, (-1, *lead1, *lead2))
        return jnp.swapaxes(jnp.sum(overlaps[:, :, None, :, :, None] * products, (0, 3, 6)), 1, 2)

    def contract_each(self, j1: Array, j2: Array) -> Array:
        """Contract over the parameters."""
        return jnp.einsum("nap,nbp->nab", j1, j2, precision="highest")

    def weigh_each(self, overlaps: Array, g1: Array, g2: Array) -> Array:
        """Contract the signals of all pairs of outputs."""
        a, b = (jnp.moveaxis(g, 2, 1) for g in (g1, g2))
        products = jnp.einsum("nxatq,nxbsq->nxatbs", a, b, precision="highest")
        return jnp.sum(overlaps[:, :, None, :, None] * products, (1, 3, 5))

    def mirror(self, block: Array) -> Array:
        """Swap the inputs, and with them the outputs."""
        return jnp.transpose(block, (1, 0, 3, 2))


def _flat(a: Array, axes: int) -> Array:
    return jnp.reshape(a, (*a.shape[:axes], -1))


def _rows(a: Array, b: Array) -> Array:
    return lax.dot_general(a, b, (((1,), (1,)), ((), ())), precision="highest")


def _batched(a: Array, b: Array) -> Array:
    # (B, ..., p) and (B, ..., p) -> (B, ..., ...)
    flat1, flat2 = (jnp.reshape(x, (x.shape[0], -1, x.shape[-1])) for x in (a, b))
    if flat1.shape[0] == 1:
        products = _rows(flat1[0], flat2[0])[None]
    else:
        products = lax.dot_general(flat1, flat2, (((2,), (2,)), ((0,), (0,))), precision="highest")
    return jnp.reshape(products, (a.shape[0], *a.shape[1:-1], *b.shape[1:-1]))
