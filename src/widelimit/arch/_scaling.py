"""Two ways to scale the products of queries and keys in attention, and their limits."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from .. import _check
from .._typing import Array, Scalar
from . import _weights
from ._join import multiply_pairs
from ._linear import SpatialMap, mix
from ._mechanism import AbstractMechanism, IdentityMechanism, Softmax
from ._pair import Pair
from ._parameterization import AbstractParameterization


class Weights(NamedTuple):
    """A set of weights of an attention layer."""

    weight_std: Scalar
    bias_std: Scalar | None
    parameterization: AbstractParameterization


class Sizes(NamedTuple):
    """The inner widths of an attention layer."""

    heads: int
    key_width: int
    value_width: int


class Seen(NamedTuple):
    """What the heads of an attention layer see, in the limit.

    Attributes
    ----------
    queries, keys
        Moments in front of their weights; the same positions where ``shared``.
    values
        Moments behind their weights.
    query, key
        The weights.
    shared
        Whether queries and keys are made of the same signal; otherwise of independent ones.
    allowed_x, allowed_y
        Where a query may look, (queries, keys), or (1, keys) if it is the same for all; None for everywhere.
    """

    queries: Pair
    keys: Pair
    values: Pair
    query: Weights
    key: Weights
    shared: bool
    allowed_x: Array | None
    allowed_y: Array | None


class AbstractScaling(eqx.Module):
    """How products of queries and keys of width d are scaled, and what the heads average in the limit."""

    tied: ClassVar[bool]
    """Whether queries and keys have the same weights."""
    mechanism: eqx.AbstractVar[AbstractMechanism]

    @abc.abstractmethod
    def scale(self, key_width: int) -> float:
        """Return the factor of the products."""

    @abc.abstractmethod
    def grown(self, width: int, sizes: Sizes) -> Sizes:
        """Return the sizes at another width: those grow that must do so for the limit."""

    @abc.abstractmethod
    def attend(self, seen: Seen) -> Pair:
        """Return the moments of the heads' outputs at the positions of the queries."""


class LinearScaling(AbstractScaling):
    r"""Products divided by d, queries and keys with the same weights (Hron et al. 2020, arXiv 2006.10540).

    They converge, :math:`s_{pq} \to \sigma_Q\sigma_K K(p, q)` within each input, so that attention becomes a fixed
    linear map of each input: with :math:`G = \mathrm{mechanism}(s)`

    .. math:: K' = \sigma_O^2\sigma_V^2\,G_x K G_y^\top + \sigma_b^2,\qquad
              \Theta' = \sigma_O^2\sigma_V^2\,G_x\Theta G_y^\top + 2(K' - \sigma_b^2) + \sigma_b^2

    (in the NTK parameterization). At finite width d must be large; `at_width` makes keys and values that wide.

    Parameters
    ----------
    mechanism
        `Softmax`, `IdentityMechanism`, `ReluMechanism` or `AbsMechanism`.
    """

    tied: ClassVar[bool] = True
    mechanism: AbstractMechanism = Softmax()

    def __check_init__(self) -> None:
        """Check the mechanism."""
        _check.instance(self.mechanism, AbstractMechanism, "mechanism", "Softmax()")

    def scale(self, key_width: int) -> float:
        """Return 1/d."""
        return 1 / key_width

    def grown(self, width: int, sizes: Sizes) -> Sizes:
        """Return the sizes with wider keys and values."""
        return Sizes(sizes.heads, width, width)

    def attend(self, seen: Seen) -> Pair:
        """Return the moments of the heads' outputs."""
        x = self._attention(seen, seen.keys.xx, seen.keys.gap_x, seen.allowed_x)
        y = self._attention(seen, seen.keys.yy, seen.keys.gap_y, seen.allowed_y)
        return mix(seen.values, _applied(x, seen), _applied(y, seen))

    def _attention(self, seen: Seen, q: Array, gap: Array | None, allowed: Array | None) -> Array:
        if seen.shared and gap is not None:
            covariance = (seen.keys.first(q) + q) / 2 - gap
            # Queries and keys have the same weights.
            gain = seen.key.parameterization.limit(seen.key.weight_std, 0.0, seen.keys.channels).gain
            logits = gain * covariance.reshape(q.size, q.size)
        else:
            logits = jnp.zeros((seen.queries.xx.size, q.size), q.dtype)
        return self.mechanism.weights(logits, allowed)


class SqrtScaling(AbstractScaling):
    r"""Products divided by :math:`\sqrt d`, queries and keys with weights of their own: the usual attention.

    They stay random, so that a limit in closed form is known for linear attention alone (Hron et al. 2020, arXiv
    2006.10540, with many heads), with the moments :math:`K_Q, K_K, K_V` behind the weights

    .. math:: K'(p, p') = \sigma_O^2\,K_Q(p, p') \sum_{q, q'} K_K(q, q')\,K_V(q, q') + \sigma_b^2

    and the NTK by the product rule. At finite width there must be many heads; `at_width` gives as many.

    Parameters
    ----------
    mechanism
        `IdentityMechanism`; any other for finite networks only, whose kernels `MonteCarloNTK` estimates.
    """

    tied: ClassVar[bool] = False
    mechanism: AbstractMechanism = IdentityMechanism()

    def __check_init__(self) -> None:
        """Check the mechanism."""
        _check.instance(self.mechanism, AbstractMechanism, "mechanism", "IdentityMechanism()")

    def scale(self, key_width: int) -> float:
        """Return 1/sqrt(d)."""
        return key_width**-0.5

    def grown(self, width: int, sizes: Sizes) -> Sizes:
        """Return the sizes with more heads."""
        return Sizes(width, sizes.key_width, sizes.value_width)

    def attend(self, seen: Seen) -> Pair:
        """Return the moments of the heads' outputs."""
        if not isinstance(self.mechanism, IdentityMechanism):
            raise ValueError(
                f"attention with SqrtScaling({self.mechanism!r}) has no limit in closed form. Use LinearScaling, or "
                "SqrtScaling(IdentityMechanism()), or estimate the kernel of finite networks by MonteCarloNTK."
            )
        queries = _weights.weigh(seen.query, seen.queries, seen.queries.channels, 1)
        keys = _weights.weigh(seen.key, seen.keys, seen.keys.channels, 1)
        maps = [_summed(a, seen) for a in (seen.allowed_x, seen.allowed_y)]
        looked = mix(multiply_pairs(keys, seen.values), *maps)
        return multiply_pairs(queries, _everywhere(looked))


def _applied(matrix: Array, seen: Seen) -> SpatialMap:
    # A matrix on the flattened positions of the keys; it gives those of the queries.
    depth, space = seen.keys.xx.ndim, seen.queries.xx.shape

    def on(a: Array) -> Array:
        flat = a.reshape(matrix.shape[1], *a.shape[depth:])
        return jnp.tensordot(matrix, flat, 1).reshape(*space, *a.shape[depth:])

    return on


def _summed(allowed: Array | None, seen: Seen) -> SpatialMap:
    # A sum over the positions that a query may look at: one number for all queries if that is the same for all.
    depth = seen.keys.xx.ndim
    if allowed is None:
        return lambda a: jnp.sum(a, tuple(range(depth)))
    mask = allowed.astype(seen.keys.xx.dtype)
    if mask.shape[0] == 1:
        return lambda a: jnp.tensordot(mask[0], a.reshape(mask.shape[1], *a.shape[depth:]), 1)
    return _applied(mask, seen)


def _everywhere(pair: Pair) -> Pair:
    # The moments of one vector as those of the same vector at every position.
    if pair.xx.ndim:
        return pair
    return dataclasses.replace(pair, gap_x=jnp.zeros_like(pair.xx), gap_y=jnp.zeros_like(pair.yy))
