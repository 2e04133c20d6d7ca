r"""Parameterizations: where the width goes, into the initial weights or into the forward pass."""

import abc

import equinox as eqx
import jax.numpy as jnp

from .._typing import Array, Scalar


class AbstractParameterization(eqx.Module):
    r"""How a linear layer with fan-in :math:`n` writes its weights.

    .. math:: z = m_W\,W u + m_b\,b,\qquad W_{ij}\sim N(0, v_W^2),\quad b_i\sim N(0, v_b^2),

    with :math:`m_W v_W = \sigma_W/\sqrt{n}` and :math:`m_b v_b = \sigma_b`, so that all parameterizations start as
    the same function; they differ in how fast gradient descent moves it. In the NTK,

    .. math:: \Theta' = s_W E[uu'] + s_b + \sigma_W^2\,\Theta,\qquad s_W = n\,m_W^2,\quad s_b = m_b^2.

    The width scaling is part of it: `rescaled` returns the parameterization of the same limit at another fan-in.
    """

    @abc.abstractmethod
    def weight(self, weight_std: Scalar, fan_in: int) -> tuple[Array, Array]:
        """Return (multiplier, standard deviation) of the weights."""

    @abc.abstractmethod
    def bias(self, bias_std: Scalar) -> tuple[Array, Array]:
        """Return (multiplier, standard deviation) of the biases."""

    @abc.abstractmethod
    def rescaled(self, factor: float) -> "AbstractParameterization":
        """Return the parameterization whose limit is the same when the fan-in grows by ``factor``."""


class NTKParameterization(AbstractParameterization):
    r"""NTK parameterization: :math:`W, b\sim N(0, 1)` and :math:`z = \sigma_W W u/\sqrt n + \sigma_b b`.

    Then :math:`s_W = \sigma_W^2,\ s_b = \sigma_b^2`, whatever the width (Jacot et al. 2018, arXiv 1806.07572).
    """

    def weight(self, weight_std: Scalar, fan_in: int) -> tuple[Array, Array]:
        """Return (multiplier, standard deviation) of the weights."""
        return jnp.asarray(weight_std) / fan_in**0.5, jnp.asarray(1.0)

    def bias(self, bias_std: Scalar) -> tuple[Array, Array]:
        """Return (multiplier, standard deviation) of the biases."""
        return jnp.asarray(bias_std), jnp.asarray(1.0)

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

    def weight(self, weight_std: Scalar, fan_in: int) -> tuple[Array, Array]:
        """Return (multiplier, standard deviation) of the weights."""
        return jnp.asarray(self.scale**-0.5), jnp.asarray(weight_std) / (fan_in / self.scale) ** 0.5

    def bias(self, bias_std: Scalar) -> tuple[Array, Array]:
        """Return (multiplier, standard deviation) of the biases."""
        return jnp.asarray(1.0), jnp.asarray(bias_std)

    def rescaled(self, factor: float) -> "StandardParameterization":
        """Return the parameterization with the scale multiplied, so that the base fan-in stays."""
        return StandardParameterization(self.scale * factor)
