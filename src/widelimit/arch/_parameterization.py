r"""Parameterizations: where the width goes, into the initial weights, the forward pass, or the learning rate."""

import abc
import enum
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from .._typing import Array, Scalar
from ._exponents import Exponents


class Role(enum.Enum):
    """Where a layer with weights stands; `serial` and `parameterize` give it by position."""

    INPUT = "input"
    """Sees the data: its width is the fan-out, and its fan-in is a property of the data."""
    HIDDEN = "hidden"
    """Its width is the fan-in."""
    OUTPUT = "output"
    """The readout: its width is the fan-in."""
    ALONE = "alone"
    """The only layer with weights: nothing is wide."""


class Limit(NamedTuple):
    r"""One layer in the limit of infinite width.

    .. math:: K' = g K + o,\qquad \Theta' = s_W K + s_b + t\,\Theta

    Attributes
    ----------
    gain, offset
        :math:`g` and :math:`o`.
    weight, bias
        The shares :math:`s_W` and :math:`s_b` of weights and biases, their learning rates included.
    tangent
        :math:`t`. Where the readout vanishes with width it stays finite, and the shares below carry the difference.
    """

    gain: Scalar
    offset: Scalar
    weight: Scalar
    bias: Scalar
    tangent: Scalar


class AbstractParameterization(eqx.Module):
    r"""How a linear layer with fan-in :math:`n` writes its weights, and how fast they learn.

    .. math:: z = m_W\,W u + m_b\,b,\qquad W_{ij}\sim N(0, v_W^2),\quad b_i\sim N(0, v_b^2),

    with learning rates :math:`\eta r_W,\ \eta r_b`. The width scaling is part of it: `rescaled` returns the
    parameterization of the same limit at another fan-in.
    """

    @abc.abstractmethod
    def weight(self, weight_std: Scalar, fan_in: int, fan_out: int) -> tuple[Array, Array]:
        """Return (multiplier, standard deviation) of the weights."""

    @abc.abstractmethod
    def bias(self, bias_std: Scalar, fan_out: int) -> tuple[Array, Array]:
        """Return (multiplier, standard deviation) of the biases."""

    @abc.abstractmethod
    def rates(self, fan_in: int, fan_out: int) -> tuple[Scalar, Scalar]:
        """Return the factors of the learning rate of (weights, biases)."""

    @abc.abstractmethod
    def limit(self, weight_std: Scalar, bias_std: Scalar, fan_in: int) -> Limit:
        """Return what the layer does to kernels in the limit of infinite width."""

    @abc.abstractmethod
    def exponents(self) -> Exponents:
        """Return the exponents (a, b, c) of (input, hidden, output) layers as `at_width` widens the network."""

    @abc.abstractmethod
    def at_role(self, role: Role) -> "AbstractParameterization":
        """Return the parameterization for a layer that stands at ``role``."""

    @abc.abstractmethod
    def rescaled(self, factor: float) -> "AbstractParameterization":
        """Return the parameterization whose limit is the same when the fan-in grows by ``factor``."""


class NTKParameterization(AbstractParameterization):
    r"""NTK parameterization: :math:`W, b\sim N(0, 1)` and :math:`z = \sigma_W W u/\sqrt n + \sigma_b b`.

    Then :math:`s_W = \sigma_W^2,\ s_b = \sigma_b^2`, whatever the width (Jacot et al. 2018, arXiv 1806.07572).
    """

    def weight(self, weight_std: Scalar, fan_in: int, fan_out: int) -> tuple[Array, Array]:  # noqa: ARG002
        """Return (multiplier, standard deviation) of the weights."""
        return jnp.asarray(weight_std) / fan_in**0.5, jnp.asarray(1.0)

    def bias(self, bias_std: Scalar, fan_out: int) -> tuple[Array, Array]:  # noqa: ARG002
        """Return (multiplier, standard deviation) of the biases."""
        return jnp.asarray(bias_std), jnp.asarray(1.0)

    def rates(self, fan_in: int, fan_out: int) -> tuple[Scalar, Scalar]:  # noqa: ARG002
        """Return the factors of the learning rate of (weights, biases)."""
        return 1.0, 1.0

    def limit(self, weight_std: Scalar, bias_std: Scalar, fan_in: int) -> Limit:  # noqa: ARG002
        """Return what the layer does to kernels in the limit of infinite width."""
        return Limit(weight_std**2, bias_std**2, weight_std**2, bias_std**2, weight_std**2)

    def exponents(self) -> Exponents:
        """Return those of the NTK parameterization."""
        return Exponents((0.0, 0.5, 0.5), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))

    def at_role(self, role: Role) -> "NTKParameterization":  # noqa: ARG002
        """Return itself: every layer divides by its own fan-in."""
        return self

    def rescaled(self, factor: float) -> "NTKParameterization":  # noqa: ARG002
        """Return itself: the limit does not know the width."""
        return self


class StandardParameterization(AbstractParameterization):
    r"""Standard parameterization with width scaling: :math:`W\sim N(0, \sigma_W^2/N)`, :math:`z = W u/\sqrt s + b`.

    A layer of fan-in :math:`n = sN` at width scale :math:`s`; at :math:`s = 1` this is the usual initialisation.
    Then :math:`s_W = N` and :math:`s_b = 1`: the NTK of the layer at its *base* fan-in :math:`N`, whatever :math:`s`
    (Sohl-Dickstein et al. 2020, arXiv 2001.07301).

    Parameters
    ----------
    scale
        Width scale :math:`s` of the fan-in; `at_width` sets it.
    """

    scale: float = eqx.field(static=True, default=1.0)

    def __check_init__(self) -> None:
        """Refuse a scale that is not positive."""
        if not self.scale > 0:
            raise ValueError(f"scale is {self.scale}; expected a positive number.")

    def weight(self, weight_std: Scalar, fan_in: int, fan_out: int) -> tuple[Array, Array]:  # noqa: ARG002
        """Return (multiplier, standard deviation) of the weights."""
        return jnp.asarray(self.scale**-0.5), jnp.asarray(weight_std) / (fan_in / self.scale) ** 0.5

    def bias(self, bias_std: Scalar, fan_out: int) -> tuple[Array, Array]:  # noqa: ARG002
        """Return (multiplier, standard deviation) of the biases."""
        return jnp.asarray(1.0), jnp.asarray(bias_std)

    def rates(self, fan_in: int, fan_out: int) -> tuple[Scalar, Scalar]:  # noqa: ARG002
        """Return the factors of the learning rate of (weights, biases)."""
        return 1.0, 1.0

    def limit(self, weight_std: Scalar, bias_std: Scalar, fan_in: int) -> Limit:
        """Return what the layer does to kernels in the limit of infinite width."""
        return Limit(weight_std**2, bias_std**2, fan_in / self.scale, 1.0, weight_std**2)

    def exponents(self) -> Exponents:
        """Return those of the NTK parameterization: growing the scale with the width makes them the same."""
        return Exponents((0.0, 0.5, 0.5), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))

    def at_role(self, role: Role) -> "StandardParameterization":  # noqa: ARG002
        """Return itself: every layer divides by its own fan-in."""
        return self

    def rescaled(self, factor: float) -> "StandardParameterization":
        """Return the parameterization with the scale multiplied, so that the base fan-in stays."""
        return StandardParameterization(self.scale * factor)
