"""The identity: a linear network."""

from typing import ClassVar

import jax.numpy as jnp

from .._typing import Array
from ._base import AbstractDual


class Identity(AbstractDual):
    r""":math:`\varphi(u) = u`: moment :math:`q`, gap :math:`g`, slope 1."""

    linear: ClassVar[bool] = True

    def value(self, u: Array) -> Array:
        """Return ``u``."""
        return u

    def mean(self, q: Array) -> Array:
        r"""Return zero."""
        return jnp.zeros_like(q)

    def moment(self, q: Array) -> Array:
        """Return ``q``."""
        return q

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:  # noqa: ARG002
        """Return ``g``."""
        return g

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:  # noqa: ARG002
        """Return one."""
        return jnp.ones_like(g)
