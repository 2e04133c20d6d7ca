"""Second moments of one pair of inputs, and what a composition must know of a signal."""

import dataclasses
import enum

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array


class Pair(eqx.Module):
    r"""Second moments of a signal on one pair of inputs (x, y), per channel, in gap form.

    Attributes
    ----------
    xx, yy
        :math:`E\,u(x)^2` and :math:`E\,u(y)^2`, of shape (\*space,); () for vectors.
    gap
        :math:`\tfrac12 E(u(x) - u(y))^2`, same shape. The covariance `xy` follows from it; see DESIGN.md for why
        the gap is the one that is carried.
    ntk
        :math:`\Theta(x, y)` of the layers so far, same shape.
    channels
        Number of channels of the signal in the finite network (static).
    """

    xx: Array
    yy: Array
    gap: Array
    ntk: Array
    channels: int = eqx.field(static=True)

    @property
    def xy(self) -> Array:
        r"""The covariance :math:`E\,u(x)u(y)`."""
        return (self.xx + self.yy) / 2 - self.gap


@jax.jit
def input_pair(x: Array, y: Array) -> Pair:
    r"""Return the moments of two inputs of shape (\*space, channels): inner products divided by ``channels``."""
    channels = x.shape[-1]
    return Pair(
        xx=jnp.sum(x * x, -1) / channels,
        yy=jnp.sum(y * y, -1) / channels,
        gap=jnp.sum((x - y) ** 2, -1) / (2 * channels),
        ntk=jnp.zeros(x.shape[:-1], x.dtype),
        channels=channels,
    )


class Gaussianity(enum.Enum):
    """Whether a signal is a Gaussian process in the limit of infinite width."""

    GAUSSIAN = "Gaussian"
    NOT_GAUSSIAN = "not Gaussian"
    UNKNOWN = "not known until composed"


@dataclasses.dataclass(frozen=True)
class Signal:
    """What a composition tracks to know whether the architecture has a limit.

    Attributes
    ----------
    gaussianity
        Whether the signal is Gaussian.
    fresh
        Whether it comes out of weights that nothing else depends on, so that it has mean zero and is uncorrelated
        with every other branch.
    """

    gaussianity: Gaussianity
    fresh: bool


DATA = Signal(Gaussianity.NOT_GAUSSIAN, fresh=False)
"""The signal at the input of a network: given numbers."""

UNKNOWN = Signal(Gaussianity.UNKNOWN, fresh=False)
"""The signal at the input of a part that is not yet composed into a network."""
