r"""Any smooth activation, by Mehler's series with a bound of its error."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._typing import Array, Callable, Scalar
from . import _mehler
from ._base import AbstractDual


class Series(AbstractDual):
    r"""Any smooth :math:`\varphi`, its expectations by Mehler's series in the correlation.

    With the normalised Hermite coefficients :math:`b_k(q) = E\,\varphi'(\sqrt q z)h_k(z)`,

    .. math::
        \mathrm{gap} &= \tfrac12(m_1 - m_2)^2 + \sum_{k\ge0}\frac1{k+1}\Big[\tfrac12\big(\sqrt{q_1}\,b_k(q_1)
            - \sqrt{q_2}\,b_k(q_2)\big)^2 + \sqrt{q_1q_2}\,b_k(q_1)b_k(q_2)\big(1-\rho^{k+1}\big)\Big] \\
        \mathrm{slope} &= \sum_{k\ge0} b_k(q_1)\,b_k(q_2)\,\rho^k

    with :math:`m_i` the means. Coefficients are one-dimensional sums per variance; the number of terms is the smallest
    for which the neglected part, known from :math:`E\,\varphi'^2 - \sum b_k^2`, is below the tolerance. It grows in
    proportion to q (tanh in float64: 96 terms at q = 1, 840 at q = 10).

    Parameters
    ----------
    fn
        The activation ``fn(u, *parameters)``, element-wise on a JAX array. It has to be smooth: with a kink or a jump
        the series converges slowly and is refused.
    parameters
        Further arguments of ``fn``: numbers, differentiable through every kernel.
    terms
        The most terms.
    tolerance
        Largest relative remainder accepted (never below 100 units of the dtype's rounding, 1e-5 in float32). Beyond it
        the evaluation raises.
    """

    fn: Callable[..., Array] = eqx.field(static=True)
    parameters: tuple[Scalar, ...] = ()
    terms: int = eqx.field(static=True, default=65536)
    tolerance: float = eqx.field(static=True, default=1e-10)

    def __check_init__(self) -> None:
        """Check that ``fn`` is a function of one real number."""
        if not callable(self.fn):
            raise ValueError(f"fn is {self.fn!r}; expected a function of one real JAX array, such as jnp.tanh.")
        _check.positive_int(self.terms, "terms")
        if not self.tolerance > 0:
            raise ValueError(f"tolerance is {self.tolerance!r}; expected a positive number.")
        out = jax.eval_shape(self.fn, jax.ShapeDtypeStruct((), jnp.float32), *self.parameters)
        if getattr(out, "shape", None) != () or not jnp.issubdtype(out.dtype, jnp.floating):
            raise ValueError(f"fn maps a real number to {out}; expected a function to real numbers.")

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        return self.fn(u, *self.parameters)

    def mean(self, q: Array) -> Array:
        """Return the mean of the activation under variance ``q``."""
        q = jnp.asarray(q)
        return _mehler.expectation(self.fn, self._accuracy(), self._leaves(q), q)

    def moment(self, q: Array) -> Array:
        """Return the second moment of the activation under variance ``q``."""
        q = jnp.asarray(q)
        return _mehler.expectation(_mehler.square(self.fn), self._accuracy(), self._leaves(q), q)

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        q1, q2, g = (jnp.asarray(a) for a in (q1, q2, g))
        return _mehler.half_difference(self.fn, self._accuracy(), self._leaves(g), q1, q2, g)

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        first = _mehler.derivative(self.fn)
        q1, q2, g = (jnp.asarray(a) for a in (q1, q2, g))
        return _mehler.product((first, first), self._accuracy(), self._leaves(g), q1, q2, g)

    def _accuracy(self) -> _mehler.Accuracy:
        return _mehler.Accuracy(self.terms, self.tolerance, getattr(self.fn, "__name__", repr(self.fn)))

    def _leaves(self, like: Array) -> tuple[Array, ...]:
        return tuple(jnp.asarray(p, like.dtype) for p in self.parameters)
