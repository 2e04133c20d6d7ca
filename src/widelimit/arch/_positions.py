"""Random positional embeddings: what attention knows of where a position stands."""

from __future__ import annotations

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._typing import Array, Callable, Scalar, Shape
from ._join import concatenate_pairs, sum_pairs
from ._pair import Pair
from ._parameterization import Limit


class AbstractCovariance(eqx.Module):
    """The covariance of the embeddings of two positions, the same in every channel."""

    @abc.abstractmethod
    def matrix(self, space: Shape) -> Array:
        """Return the covariance of all positions, (N, N), counted along flattened space."""

    @abc.abstractmethod
    def draw(self, noise: Array, space: Shape) -> Array:
        """Return embeddings (N, channels) of this covariance from independent ones."""


class Independent(AbstractCovariance):
    """Embeddings of different positions are independent."""

    def matrix(self, space: Shape) -> Array:
        """Return the identity."""
        return jnp.eye(math.prod(space))

    def draw(self, noise: Array, space: Shape) -> Array:  # noqa: ARG002
        """Return ``noise``."""
        return noise


class Decay(AbstractCovariance):
    r"""Embeddings of close positions are alike: covariance :math:`f(\sum_i |p_i - p'_i|^\nu)`.

    Parameters
    ----------
    fn
        :math:`f`, a function of an array, such as ``lambda d: jnp.exp(-d / 8)``.
    norm
        :math:`\nu`.

    Raises
    ------
    ValueError
        On use, if the covariance is not positive semi-definite.
    """

    fn: Callable[[Array], Array] = eqx.field(static=True)
    norm: float = eqx.field(static=True, default=2.0)

    def matrix(self, space: Shape) -> Array:
        """Return the covariance of all positions."""
        return jnp.asarray(self._checked(space)[0])

    def draw(self, noise: Array, space: Shape) -> Array:
        """Return embeddings of this covariance from independent ones."""
        return jnp.asarray(self._checked(space)[1], noise.dtype) @ noise

    def _checked(self, space: Shape) -> tuple[np.ndarray, np.ndarray]:
        # The covariance and its square root; both are numbers, also while a function around is traced.
        at = np.indices(space).reshape(len(space), -1)
        distances = (np.abs(at[:, :, None] - at[:, None]) ** float(self.norm)).sum(0)
        with jax.enable_x64(True), jax.ensure_compile_time_eval():
            matrix = np.asarray(self.fn(jnp.asarray(distances)), np.float64)
        values, vectors = np.linalg.eigh(matrix)
        if not (np.isfinite(matrix).all() and values[0] > -1e-9 * abs(values[-1])):
            raise ValueError(
                f"the covariance of positions by {self.fn} has an eigenvalue {values[0]:.3g}; expected a function "
                "whose matrix is positive semi-definite, such as exp(-d)."
            )
        return matrix, (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


class AbstractPositions(eqx.Module):
    r"""Embeddings :math:`\sigma E` with :math:`E` Gaussian, trained as the weights are."""

    std: eqx.AbstractVar[Scalar]
    covariance: eqx.AbstractVar[AbstractCovariance]
    values: eqx.AbstractVar[bool]

    @abc.abstractmethod
    def channels(self, incoming: int) -> int:
        """Return the number of channels of the embedding for so many channels of the signal."""

    @abc.abstractmethod
    def joined_channels(self, incoming: int) -> int:
        """Return the number of channels of signal and embedding together."""

    @abc.abstractmethod
    def join(self, u: Array, embedding: Array) -> Array:
        """Return signal and embedding together, from arrays (N, channels)."""

    @abc.abstractmethod
    def join_pairs(self, pair: Pair, embedding: Pair) -> Pair:
        """Return the moments of signal and embedding together."""

    @abc.abstractmethod
    def resized(self, factor: float) -> AbstractPositions:
        """Return the embedding whose share stays when the signal's channels grow by ``factor``."""


class SumPositions(AbstractPositions):
    r"""Embeddings are added to the signal: :math:`K + \sigma^2 R`.

    Parameters
    ----------
    std
        :math:`\sigma`.
    covariance
        :math:`R`: `Independent` or a `Decay` with distance.
    values
        Whether values see the embedding, besides queries and keys.
    """

    std: Scalar = 1.0
    covariance: AbstractCovariance = Independent()
    values: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        """Check the arguments."""
        _check_positions(self)

    def channels(self, incoming: int) -> int:
        """Return ``incoming``."""
        return incoming

    def joined_channels(self, incoming: int) -> int:
        """Return ``incoming``."""
        return incoming

    def join(self, u: Array, embedding: Array) -> Array:
        """Return the sum."""
        return u + embedding

    def join_pairs(self, pair: Pair, embedding: Pair) -> Pair:
        """Return the moments of the sum."""
        return sum_pairs((pair, embedding))

    def resized(self, factor: float) -> SumPositions:  # noqa: ARG002
        """Return itself."""
        return self


class ConcatPositions(AbstractPositions):
    r"""Embeddings stand beside the signal: with channels C and :math:`C_E`, :math:`(C K + C_E\sigma^2 R)/(C + C_E)`.

    Parameters
    ----------
    std
        :math:`\sigma`.
    covariance
        :math:`R`: `Independent` or a `Decay` with distance.
    values
        Whether values see the embedding, besides queries and keys.
    width
        Channels :math:`C_E`; None for as many as the signal has.
    """

    std: Scalar = 1.0
    covariance: AbstractCovariance = Independent()
    values: bool = eqx.field(static=True, default=False)
    width: int | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        """Check the arguments."""
        _check_positions(self)
        if self.width is not None:
            _check.positive_int(self.width, "width")

    def channels(self, incoming: int) -> int:
        """Return the width, or ``incoming``."""
        return incoming if self.width is None else self.width

    def joined_channels(self, incoming: int) -> int:
        """Return the sum of both."""
        return incoming + self.channels(incoming)

    def join(self, u: Array, embedding: Array) -> Array:
        """Return both beside each other."""
        return jnp.concatenate((u, embedding), -1)

    def join_pairs(self, pair: Pair, embedding: Pair) -> Pair:
        """Return the moments of both beside each other."""
        return concatenate_pairs((pair, embedding), pair.xx.ndim)

    def resized(self, factor: float) -> ConcatPositions:
        """Return the embedding with its width multiplied, as far as it is a whole number."""
        if self.width is None:
            return self
        new = self.width * factor
        if abs(new - round(new)) > 1e-9 * new or round(new) < 1:
            raise ValueError(
                f"the embedding of positions has width {self.width}, which grows to {new:g} with the signal; expected "
                "a whole number. Choose another width, or None for that of the signal."
            )
        return ConcatPositions(self.std, self.covariance, self.values, round(new))


def embed(positions: AbstractPositions | None, pair: Pair, limit: Limit) -> Pair:
    """Return the moments of signal and embedding together; ``limit`` is that of biases of scale 1."""
    if positions is None:
        return pair
    space = pair.xx.shape
    covariance = positions.covariance.matrix(space).astype(pair.xx.dtype)
    own = jnp.diagonal(covariance)
    gap = ((own[:, None] + own) / 2 - covariance).reshape(*space, *space)
    variance, power = own.reshape(space), limit.offset * positions.std**2
    embedding = Pair(
        xx=power * variance,
        yy=power * variance,
        gap=power * gap,
        ntk=limit.bias * positions.std**2 * covariance.reshape(*space, *space),
        channels=positions.channels(pair.channels),
        gap_x=power * gap,
        gap_y=power * gap,
        mask_x=pair.mask_x,
        mask_y=pair.mask_y,
    )
    return positions.join_pairs(pair, embedding).cleared()


def _check_positions(positions: AbstractPositions) -> None:
    _check.nonnegative(positions.std, "std")
    _check.instance(positions.covariance, AbstractCovariance, "covariance", "Independent()")
    if not isinstance(positions.values, bool):
        raise ValueError(f"values is {positions.values!r}; expected True or False.")
