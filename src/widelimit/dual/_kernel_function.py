r"""Duals that are given as kernels: normalised exponential, and any function of three moments."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array, Callable, Scalar
from ._base import AbstractDual
from ._math import haversine, safe_sqrt

NO_ACTIVATION = "has a kernel but no activation, so there is no finite network. "


class ExpNormalized(AbstractDual):
    r"""The kernel :math:`\sqrt{q_1q_2}\,e^{\gamma(\rho + s)}` of the correlation :math:`\rho`; no activation is known.

    .. math::
        \mathrm{gap} = e^{\gamma(1+s)}\Big[\tfrac12(\sqrt{q_1}-\sqrt{q_2})^2 + \sqrt{q_1q_2}\,(1 - e^{-\gamma h})\Big],
        \qquad \mathrm{slope} = \gamma\,e^{\gamma(1 + s - h)}

    Parameters
    ----------
    gamma, shift
        Inverse length scale of the correlation, and its shift s.
    """

    gamma: Scalar = 1.0
    shift: Scalar = -1.0

    @property
    def has_mean(self) -> bool:
        """Whether the mean is known: no."""
        return False

    def value(self, u: Array) -> Array:  # noqa: ARG002
        """Raise: no activation is known."""
        raise ValueError("ExpNormalized " + NO_ACTIVATION + "Use it in NNGP and NTK alone.")

    def mean(self, q: Array) -> Array:
        """Return NaN: no activation is known. Compositions that need the mean are refused (`has_mean`)."""
        return jnp.full_like(q, jnp.nan)

    def moment(self, q: Array) -> Array:
        r"""Return :math:`q\,e^{\gamma(1+s)}`."""
        return q * self._top(q)

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        scale, h = haversine(q1, q2, g)
        lengths = (safe_sqrt(q1) - safe_sqrt(q2)) ** 2 / 2
        return self._top(g) * (lengths - scale * jnp.expm1(-self.gamma * h))

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        _, h = haversine(q1, q2, g)
        return self.gamma * self._top(g) * jnp.exp(-self.gamma * h)

    def _top(self, like: Array) -> Array:
        return jnp.exp(jnp.asarray(self.gamma * (1 + self.shift), like.dtype))


class KernelFunction(AbstractDual):
    r"""A kernel given by the user as a function of three numbers, :math:`K(q_{12}, q_1, q_2)`.

    .. math:: \mathrm{moment} = K(q,q,q),\qquad \mathrm{gap} = \tfrac12\big(K(q_1,q_1,q_1) + K(q_2,q_2,q_2)\big) - K,
              \qquad \mathrm{slope} = \partial K/\partial q_{12}

    The gap is a difference here, so in single precision close inputs lose digits that the other duals keep.

    Parameters
    ----------
    nngp_fn
        :math:`K`, a JAX function of three real numbers.
    d_nngp_fn
        Its derivative in the first argument, of the same three numbers. By default from JAX.
    fn
        The activation, needed for finite networks alone.
    mean_fn
        :math:`E\,\varphi(u)` as a function of the variance, needed by layers that use a mean.
    """

    nngp_fn: Callable = eqx.field(static=True)
    d_nngp_fn: Callable | None = eqx.field(static=True, default=None)
    fn: Callable | None = eqx.field(static=True, default=None)
    mean_fn: Callable | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        """Check that the kernel is a function of three numbers."""
        if not callable(self.nngp_fn):
            raise ValueError(f"nngp_fn is {self.nngp_fn!r}; expected a function (q12, q1, q2) -> number.")
        number = jax.ShapeDtypeStruct((), jnp.float32)
        out = jax.eval_shape(self.nngp_fn, number, number, number)
        if getattr(out, "shape", None) != ():
            raise ValueError(f"nngp_fn maps three numbers to {out}; expected one number.")

    @property
    def has_mean(self) -> bool:
        """Whether ``mean_fn`` is given."""
        return self.mean_fn is not None

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        if self.fn is None:
            raise ValueError("KernelFunction " + NO_ACTIVATION + "Give fn=, the activation of one real array.")
        return self.fn(u)

    def mean(self, q: Array) -> Array:
        """Return the mean of the activation under variance ``q``; NaN where ``mean_fn`` is not given."""
        return jnp.full_like(q, jnp.nan) if self.mean_fn is None else self.mean_fn(q)

    def moment(self, q: Array) -> Array:
        """Return the second moment of the activation under variance ``q``."""
        return _each(self.nngp_fn, q, q, q)

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        joint = _each(self.nngp_fn, (q1 + q2) / 2 - g, q1, q2)
        return (self.moment(q1) + self.moment(q2)) / 2 - joint

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        fn = jax.grad(self.nngp_fn) if self.d_nngp_fn is None else self.d_nngp_fn
        return _each(fn, (q1 + q2) / 2 - g, q1, q2)


def _each(fn: Callable, *arrays: Array) -> Array:
    # fn of numbers, element by element.
    same = jnp.broadcast_arrays(*arrays)
    flat = jax.vmap(fn)(*(a.ravel() for a in same))
    return flat.reshape(same[0].shape)
