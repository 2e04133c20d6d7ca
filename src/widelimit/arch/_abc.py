r"""abc parameterizations: a power of the width in the forward pass, the initial weights and the learning rate."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._typing import Array, Scalar
from ._exponents import Exponents, limit_of_power, triple
from ._parameterization import AbstractParameterization, Limit, Role

INDEX = {Role.INPUT: 0, Role.HIDDEN: 1, Role.OUTPUT: 2}


def _as_role(role: Any) -> Role | None:
    return role if role is None else Role(role)


class ABC(AbstractParameterization):
    r"""abc parameterization with learning rates per layer (Yang & Hu 2021, arXiv 2011.14522, section 3).

    .. math:: W = n^{-a}\,w,\qquad w_{ij}\sim N(0, \sigma_W^2\,n^{-2b}),\qquad \eta_w = \eta\,n^{-c}

    with one (a, b, c) for each role:

    ======  ==================  ===================================================================
    role    width :math:`n`     note
    ======  ==================  ===================================================================
    input   fan-out             the forward pass is also divided by :math:`\sqrt{\text{fan-in}}`,
                                because the number of features of the data is no width
    hidden  fan-in
    output  fan-in
    ======  ==================  ===================================================================

    Biases are weights from one constant input: those of input and hidden layers take the exponents of the input
    layer with :math:`n` the fan-out; those of the readout see no width, and their exponents are 0. The scale
    :math:`\sigma` is in the initial weights, so that ``weight_std=0`` is a layer that starts at zero and learns.

    Gains of `LayerNorm` and embedded positions of attention take the exponents of biases of hidden layers. Where the
    readout vanishes (:math:`a + b > 1/2`) while layers below learn faster, powers of different layers cancel in the
    limit of one common width: networks whose layers differ in width have shares of the kernel that differ by powers of
    the ratio.

    Parameters
    ----------
    a, b, c
        Exponents for (input, hidden, output), or one number for all.
    role
        Where the layer stands. `serial` and `parameterize` set it; give it only to a layer that is used by itself.

    Raises
    ------
    ValueError
        If an exponent is not a finite number; on use, if the layer was never composed and has no role.
    """

    a: tuple[float, float, float] = eqx.field(static=True, converter=lambda v: triple(v, "a"))
    b: tuple[float, float, float] = eqx.field(static=True, converter=lambda v: triple(v, "b"))
    c: tuple[float, float, float] = eqx.field(static=True, default=(0.0, 0.0, 0.0), converter=lambda v: triple(v, "c"))
    role: Role | None = eqx.field(static=True, default=None, converter=_as_role)

    def weight(self, weight_std: Scalar, fan_in: int, fan_out: int) -> tuple[Array, Array]:
        """Return (multiplier, standard deviation) of the weights."""
        a, b, _ = self._weight_exponents()
        n = self._width(fan_in, fan_out)
        features = fan_in**0.5 if self.role in (Role.INPUT, Role.ALONE) else 1.0
        return jnp.asarray(n**-a / features), jnp.asarray(weight_std) * n**-b

    def bias(self, bias_std: Scalar, fan_out: int) -> tuple[Array, Array]:
        """Return (multiplier, standard deviation) of the biases."""
        a, b, _ = self._bias_exponents()
        return jnp.asarray(float(fan_out) ** -a), jnp.asarray(bias_std) * float(fan_out) ** -b

    def rates(self, fan_in: int, fan_out: int) -> tuple[Scalar, Scalar]:
        """Return the factors of the learning rate of (weights, biases)."""
        weight, bias = self._weight_exponents()[2], self._bias_exponents()[2]
        return self._width(fan_in, fan_out) ** -weight, float(fan_out) ** -bias

    def limit(self, weight_std: Scalar, bias_std: Scalar, fan_in: int) -> Limit:  # noqa: ARG002
        """Return what the layer does to kernels in the limit of infinite width."""
        a, b, c = self._weight_exponents()
        a_b, b_b, c_b = self._bias_exponents()
        wide = 1.0 if self.role in (Role.HIDDEN, Role.OUTPUT) else 0.0
        # Gradients that pass the readout shrink by this power; the layers below carry it.
        below = 2 * (self.a[2] + self.b[2]) - 1 if self.role in (Role.INPUT, Role.HIDDEN) else 0.0
        gain = limit_of_power(2 * (a + b) - wide)
        return Limit(
            gain=weight_std**2 * gain,
            offset=bias_std**2 * limit_of_power(2 * (a_b + b_b)),
            weight=limit_of_power(2 * a + c - wide + below),
            bias=limit_of_power(2 * a_b + c_b + below),
            tangent=weight_std**2 * (1.0 if self.role is Role.OUTPUT else gain),
        )

    def exponents(self) -> Exponents:
        """Return the exponents of (input, hidden, output) layers."""
        return Exponents(self.a, self.b, self.c)

    def at_role(self, role: Role) -> ABC:
        """Return the parameterization for a layer that stands at ``role``."""
        return ABC(self.a, self.b, self.c, role)

    def rescaled(self, factor: float) -> ABC:  # noqa: ARG002
        """Return itself: the exponents say what the width does."""
        return self

    def _weight_exponents(self) -> tuple[float, float, float]:
        role = self._known()
        if role is Role.ALONE:
            return 0.0, 0.0, 0.0
        i = INDEX[role]
        return self.a[i], self.b[i], self.c[i]

    def _bias_exponents(self) -> tuple[float, float, float]:
        if self._known() in (Role.OUTPUT, Role.ALONE):
            return 0.0, 0.0, 0.0
        return self.a[0], self.b[0], self.c[0]

    def _width(self, fan_in: int, fan_out: int) -> float:
        return {Role.INPUT: float(fan_out), Role.ALONE: 1.0}.get(self._known(), float(fan_in))

    def _known(self) -> Role:
        if self.role is None:
            raise ValueError(
                "a layer in an abc parameterization does not know whether it is the input, a hidden layer or the "
                "readout. Put it into serial(...), which says so by position."
            )
        return self.role


def MuP() -> ABC:
    r"""Return the maximal update parameterization (µP): every layer learns features as fast as stability allows.

    =====  ======  ======  ======
    role   a       b       c
    =====  ======  ======  ======
    input  -1/2    1/2     0
    hidden 0       1/2     0
    output 1/2     1/2     0
    =====  ======  ======  ======

    (Yang & Hu 2021, arXiv 2011.14522, Table 1.) Its limit learns features at any depth and is no kernel.
    """
    return ABC(a=(-0.5, 0.0, 0.5), b=0.5, c=0.0)


def MeanField() -> ABC:
    r"""Return the mean-field parameterization: the readout averages, and the learning rate grows as :math:`n`.

    .. math:: f(x) = \frac1n \sum_i v_i\,\varphi(w_i x/\sqrt d),\qquad \eta_n = \eta\,n

    =====  ======  ======  ======
    role   a       b       c
    =====  ======  ======  ======
    input  0       0       -1
    hidden 1/2     0       -1
    output 1       0       -1
    =====  ======  ======  ======

    With one hidden layer it is that of Mei et al. 2018 (arXiv 1804.06561). Deeper, hidden layers divided by
    :math:`\sqrt n` as here make it equivalent to `MuP`, by :math:`\theta = 1/2`; hidden layers divided by :math:`n`
    would start, and stay, at zero. The readout's bias learns at rate :math:`\eta`.
    """
    return ABC(a=(0.0, 0.5, 1.0), b=0.0, c=-1.0)
