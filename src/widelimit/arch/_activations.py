"""The other activations as layers: smooth ones by series, piecewise linear ones, polynomials, kernels."""

import math

import jax
import jax.numpy as jnp

from .. import dual
from .._typing import Array, Callable, Scalar, Tracer
from ._activation import Activation


def Tanh() -> Activation:
    r"""Return the layer :math:`\tanh u`."""
    return Activation(dual.Series(jnp.tanh))


def Sigmoid() -> Activation:
    r"""Return the layer :math:`\sigma(u) = 1/(1 + e^{-u})`. `SigmoidLike` is close to it and in closed form."""
    return Activation(dual.Series(jax.nn.sigmoid))


def Silu() -> Activation:
    r"""Return the layer :math:`u\,\sigma(u)`, also known as swish."""
    return Activation(dual.Series(jax.nn.silu))


def Swish(beta: Scalar = 1.0) -> Activation:
    r"""Return the layer :math:`u\,\sigma(\beta u)`."""
    return Activation(dual.Series(dual.functions.swish, (beta,)))


def Softplus(beta: Scalar = 1.0) -> Activation:
    r"""Return the layer :math:`\tfrac1\beta\log(1 + e^{\beta u})`."""
    return Activation(dual.Series(dual.functions.scaled_softplus, (beta,)))


def Mish() -> Activation:
    r"""Return the layer :math:`u\tanh\log(1 + e^u)`."""
    return Activation(dual.Series(jax.nn.mish))


def Gelu(approximate: bool = False) -> Activation:
    r"""Return the layer :math:`u\,\Phi(u)`, in closed form; or its approximation by tanh, as in `jax.nn.gelu`."""
    return Activation(dual.Series(jax.nn.gelu) if approximate else dual.Gelu())


def Snake(a: Scalar = 1.0) -> Activation:
    r"""Return the layer :math:`u + \tfrac1a\sin^2(au)`."""
    return Activation(dual.Snake(a))


def Elu(alpha: Scalar = 1.0) -> Activation:
    r"""Return the layer :math:`u` above zero and :math:`\alpha(e^u - 1)` below."""
    return Activation(dual.TwoSided(dual.functions.elu_below, dual.functions.elu_above, (alpha, 1.0)))


def Selu() -> Activation:
    r"""Return the layer :math:`1.0507\,u` above zero and :math:`1.0507\cdot1.6733\,(e^u - 1)` below.

    The numbers are those of Klambauer et al. 2017 (arXiv 1706.02515), which keep mean 0 and variance 1.
    """
    parameters = (1.6732632423543772, 1.0507009873554805)
    return Activation(dual.TwoSided(dual.functions.elu_below, dual.functions.elu_above, parameters))


def HardTanh(low: Scalar = -1.0, high: Scalar = 1.0) -> Activation:
    r"""Return the layer that keeps u between ``low`` and ``high``."""
    at_zero = jnp.clip(0.0, low, high) if isinstance(low, Tracer | Array) else max(low, min(0.0, high))
    return Activation(dual.Kinked((low, high), (0.0, 1.0, 0.0), at_zero))


def Relu6() -> Activation:
    r"""Return the layer :math:`\min(\max(u, 0), 6)`."""
    return HardTanh(0.0, 6.0)


def HardSigmoid() -> Activation:
    r"""Return the layer :math:`\min(\max(\tfrac u6 + \tfrac12, 0), 1)`."""
    return Activation(dual.Kinked((-3.0, 3.0), (0.0, 1 / 6, 0.0), 0.5))


def Exp(a: Scalar = 1.0, b: Scalar = 1.0) -> Activation:
    r"""Return the layer :math:`a\,e^{bu}`."""
    return Activation(dual.Exp(a, b))


def Sign() -> Activation:
    r"""Return the layer :math:`\mathrm{sign}\,u`, through which no NTK passes."""
    return Activation(dual.Sign())


def Rbf(gamma: Scalar = 1.0) -> Activation:
    r"""Return the layer :math:`\sqrt2\sin(\sqrt{2\gamma}\,u + \tfrac\pi4)`, whose kernel is :math:`e^{-2\gamma g}`."""
    b = math.sqrt(2 * gamma) if isinstance(gamma, int | float) else jnp.sqrt(2 * gamma)
    return Activation(dual.Sin(math.sqrt(2), b, math.pi / 4))


def Gabor() -> Activation:
    r"""Return the layer :math:`e^{-u^2}\sin u`."""
    return Activation(dual.Gabor())


def SigmoidLike() -> Activation:
    r"""Return the layer :math:`\tfrac12(1 + \mathrm{erf}(u/2.402))`, within 0.02 of the sigmoid."""
    return Activation(dual.Erf(0.5, 1 / 2.4020563531719796, 0.5))


def Hermite(degree: int) -> Activation:
    r"""Return the layer :math:`\mathrm{He}_n(u)/\sqrt{n!}`, right under any variance."""
    return Activation(dual.Hermite(degree))


def Monomial(degree: int) -> Activation:
    r"""Return the layer :math:`u^n`."""
    return Activation(dual.Monomial(degree))


def RectifiedMonomial(degree: int) -> Activation:
    r"""Return the layer :math:`\max(u, 0)^n`; degree 0 is the step."""
    return Activation(dual.RectifiedMonomial(degree))


def Polynomial(*coefficients: Scalar) -> Activation:
    r"""Return the layer :math:`\sum_d c_d u^d`."""
    return Activation(dual.Polynomial(coefficients))


def ExpNormalized(gamma: Scalar = 1.0, shift: Scalar = -1.0) -> Activation:
    r"""Return the kernel :math:`\sqrt{q_1q_2}\,e^{\gamma(\rho + s)}`; there is no finite network."""
    return Activation(dual.ExpNormalized(gamma, shift))


def KernelFunction(
    nngp_fn: Callable, d_nngp_fn: Callable | None = None, fn: Callable | None = None, mean_fn: Callable | None = None
) -> Activation:
    """Return an activation given by its kernel; see `widelimit.dual.KernelFunction`."""
    return Activation(dual.KernelFunction(nngp_fn, d_nngp_fn, fn, mean_fn))


def PiecewiseLinear(kinks: tuple[Scalar, ...], slopes: tuple[Scalar, ...], at_zero: Scalar = 0.0) -> Activation:
    """Return a continuous, piecewise linear layer with any number of kinks; see `widelimit.dual.Kinked`."""
    return Activation(dual.Kinked(kinks, slopes, at_zero))


def Elementwise(
    fn: Callable[..., Array], parameters: tuple[Scalar, ...] = (), terms: int = 65536, tolerance: float = 1e-10
) -> Activation:
    r"""Return any smooth activation ``fn(u, *parameters)``, its kernel by a series with a bound of its error.

    Parameters
    ----------
    fn
        The activation :math:`\varphi`, such as `jax.numpy.tanh` or `jax.nn.silu`.
    parameters
        Further arguments of ``fn``, differentiable through every kernel.
    terms
        The most terms of the series.
    tolerance
        Largest relative remainder accepted; beyond it the kernel raises. See `widelimit.dual.Series`.
    """
    return Activation(dual.Series(fn, parameters, terms, tolerance))
