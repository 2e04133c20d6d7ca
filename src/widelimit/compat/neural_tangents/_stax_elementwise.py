"""Activations of neural-tangents' ``stax``."""

from __future__ import annotations

from typing import Any

from ... import arch
from ..._typing import Array, Callable
from ._layer import Layer
from ._stax_core import plain


def ABRelu(a: float, b: float, do_stabilize: bool = False) -> Layer:
    """Return ``a min(x, 0) + b max(x, 0)``; ``do_stabilize`` is not needed here and ignored."""
    del do_stabilize
    return plain("ABRelu", arch.ABRelu(a, b))


def Relu(do_stabilize: bool = False) -> Layer:
    """Return ``max(x, 0)``."""
    del do_stabilize
    return plain("Relu", arch.Relu())


def LeakyRelu(alpha: float, do_stabilize: bool = False) -> Layer:
    """Return ``alpha min(x, 0) + max(x, 0)``."""
    del do_stabilize
    return plain("LeakyRelu", arch.LeakyRelu(alpha))


def Abs(do_stabilize: bool = False) -> Layer:
    """Return ``|x|``."""
    del do_stabilize
    return plain("Abs", arch.Abs())


def Erf(a: float = 1.0, b: float = 1.0, c: float = 0.0) -> Layer:
    """Return ``a erf(b x) + c``."""
    return plain("Erf", arch.Erf(a, b, c))


def Sigmoid_like() -> Layer:
    """Return ``erf(x / 2.4020563531719796) / 2 + 1/2``, close to a sigmoid."""
    return plain("Sigmoid_like", arch.Erf(0.5, 1 / 2.4020563531719796, 0.5))


def Sin(a: float = 1.0, b: float = 1.0, c: float = 0.0) -> Layer:
    """Return ``a sin(b x + c)``."""
    return plain("Sin", arch.Sin(a, b, c))


def Cos(a: float = 1.0, b: float = 1.0, c: float = 0.0) -> Layer:
    """Return ``a cos(b x + c)``."""
    return plain("Cos", arch.Cos(a, b, c))


def Rbf(gamma: float = 1.0) -> Layer:
    """Return ``sqrt(2) sin(sqrt(2 gamma) x + pi / 4)``, whose kernel is a Gaussian of the distance."""
    return plain("Rbf", arch.Sin(2**0.5, (2 * gamma) ** 0.5, 3.141592653589793 / 4))


def Gaussian(a: float = 1.0, b: float = -1.0) -> Layer:
    """Return ``a exp(b x^2)``."""
    return plain("Gaussian", arch.Gaussian(a, b))


def Gelu(approximate: bool = False) -> Layer:
    """Return GELU; with ``approximate`` the network uses the tanh form and the kernel the exact one."""
    del approximate
    return plain("Gelu", arch.Gelu())


def Gabor() -> Layer:
    """Return ``exp(-x^2) sin(x)``."""
    return plain("Gabor", arch.Gabor())


def Exp(a: float = 1.0, b: float = 1.0) -> Layer:
    """Return ``a exp(b x)``."""
    return plain("Exp", arch.Exp(a, b))


def Sign() -> Layer:
    """Return the sign; its tangent kernel counts as zero."""
    return plain("Sign", arch.Sign())


def ExpNormalized(gamma: float = 1.0, shift: float = -1.0, do_clip: bool = False) -> Layer:
    """Return the layer of the kernel ``|x||y| exp(gamma (cos + shift))``; it has no finite network."""
    del do_clip
    return plain("ExpNormalized", arch.ExpNormalized(gamma, shift))


def Hermite(degree: int) -> Layer:
    """Return the normalised Hermite polynomial; right for any variance, not only one."""
    return plain("Hermite", arch.Hermite(degree))


def Monomial(degree: int) -> Layer:
    """Return ``x^degree``, of any degree."""
    return plain("Monomial", arch.Monomial(degree))


def RectifiedMonomial(degree: int) -> Layer:
    """Return ``x^degree`` for positive ``x``, else 0; right for equal inputs."""
    return plain("RectifiedMonomial", arch.RectifiedMonomial(degree))


def Polynomial(coef: Any) -> Layer:
    """Return the polynomial with coefficients of rising powers; right for zero inputs."""
    return plain("Polynomial", arch.Polynomial(*(float(c) for c in coef)))


def Elementwise(
    fn: Callable[[Array], Array] | None = None,
    nngp_fn: Callable[[Array, Array, Array], Array] | None = None,
    d_nngp_fn: Callable[[Array, Array, Array], Array] | None = None,
) -> Layer:
    """Return any activation, with its kernel ``nngp_fn(cov12, var1, var2)`` and that function's derivative in cov12.

    Parameters
    ----------
    fn
        The activation; None for kernels alone.
    nngp_fn, d_nngp_fn
        Functions of three numbers; without ``nngp_fn`` the kernel is that of ``fn``, by the native method.
    """
    if nngp_fn is None:
        if fn is None:
            raise NotImplementedError("Elementwise got neither fn nor nngp_fn; expected at least one of them.")
        return plain("Elementwise", arch.Elementwise(fn))
    return plain("Elementwise", arch.KernelFunction(nngp_fn, d_nngp_fn, fn))


def ElementwiseNumerical(
    fn: Callable[[Array], Array], deg: int = 25, df: Callable[[Array], Array] | None = None
) -> Layer:
    """Return any smooth activation; ``deg`` and ``df`` are not needed, because the native error is controlled."""
    del deg, df
    return plain("ElementwiseNumerical", arch.Elementwise(fn))
