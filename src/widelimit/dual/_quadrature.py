r"""Any smooth activation, by quadrature with an error estimate."""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Callable
from ._base import AbstractDual
from ._math import haversine, safe_sqrt


class Quadrature(AbstractDual):
    r"""Any smooth :math:`\varphi`, its expectations by the trapezoidal rule in one and two dimensions.

    The Gaussian pair is written symmetrically in two independent normals,

    .. math:: u = \sqrt{q_1}\,(\cos\tfrac\theta2\,z_1 + \sin\tfrac\theta2\,z_2),\qquad
              v = \sqrt{q_2}\,(\cos\tfrac\theta2\,z_1 - \sin\tfrac\theta2\,z_2),

    so that the gap is a sum of squares. For an analytic :math:`\varphi` the trapezoidal rule with step :math:`\Delta`
    converges like :math:`e^{-2\pi d/\Delta}`, with :math:`d` the distance of the nearest singularity of
    so that the gap is a sum of squares. For an analytic :math:`\varphi` the trapezoidal rule with step
    :math:`\Delta` converges like :math:`e^{-2\pi d/\Delta}`, with :math:`d` the distance of the nearest singularity of
    the square roots; they are exact at coincident and zero inputs.

    The leading error of the rule turns with the offset of its grid, so the error is estimated, for every input, by
    computing :math:`E\varphi^2` and :math:`E\varphi'^2` once more on a grid moved by a third of a step.

    Parameters
    ----------
    fn
        The activation, element-wise on a JAX array. A kink or a jump makes the rule converge slowly, and the
        estimate says so; derivatives of the kernel ask for a smooth activation.
    nodes
        Nodes per dimension, spread over eight and a half standard deviations to each side.
    tolerance
        Largest estimate accepted, relative to :math:`1 + E\varphi^2 + E\varphi'^2` (and never below 200 units of
        the dtype's rounding). Beyond it the evaluation raises; `error` gives the estimate itself.
    """

    fn: Callable[[Array], Array] = eqx.field(static=True)
    nodes: int = eqx.field(static=True, default=64)
    tolerance: float = eqx.field(static=True, default=1e-6)

    def __check_init__(self) -> None:
        """Check that ``fn`` is a function of one real number."""
        if not callable(self.fn):
            raise ValueError(f"fn is {self.fn!r}; expected a function of one real JAX array, such as jnp.tanh.")
        if self.nodes < 4:
            raise ValueError(f"nodes is {self.nodes}; expected at least 4.")
        out = jax.eval_shape(self.fn, jax.ShapeDtypeStruct((), jnp.float32))
        if getattr(out, "shape", None) != () or not jnp.issubdtype(out.dtype, jnp.floating):
            raise ValueError(f"fn maps a real number to {out}; expected a function to real numbers.")

    def value(self, u: Array) -> Array:
        """Return the activation itself."""
        return self.fn(u)

    def mean(self, q: Array) -> Array:
        """Return the mean of the activation under variance ``q``."""
        return _expectation1(self.fn, self.nodes, jnp.asarray(q))

    def moment(self, q: Array) -> Array:
        """Return the second moment, after checking the error estimate at this variance."""
        q = jnp.asarray(q)
        limit = max(self.tolerance, 200 * float(jnp.finfo(q.dtype).eps))
        bad = jnp.any(~(jax.lax.stop_gradient(self.error(q)) <= limit))
        q = eqx.error_if(
            q,
            bad,
            f"The quadrature of the activation {_name(self.fn)} with {self.nodes} nodes has an estimated error "
            f"above its tolerance of {limit:.1g}. If the activation is smooth, give more nodes or smaller weight "
            "scales; if it has a kink or a jump, use a closed form or accept a larger tolerance.",
        )
        return _expectation1(_square(self.fn), self.nodes, q)

    def gap(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return half the mean squared difference of the activations."""
        return _expectation2(_half_squared_difference(self.fn), self.nodes, q1, q2, g)

    def slope(self, q1: Array, q2: Array, g: Array) -> Array:
        """Return the expected product of the derivatives."""
        return _expectation2(_product(derivative(self.fn)), self.nodes, q1, q2, g)

    def error(self, q: Array) -> Array:
        r"""Return the estimated error at variances ``q``, relative to :math:`1 + E\varphi^2 + E\varphi'^2`."""
        q = jnp.asarray(q)
        difference, scale = jnp.zeros_like(q), jnp.ones_like(q)
        for fn in (_square(self.fn), _square(derivative(self.fn))):
            value = _expectation1(fn, self.nodes, q)
            difference += abs(value - _expectation1(fn, self.nodes, q, 1 / 3))
            scale += abs(value)
        return difference / scale


@functools.lru_cache(maxsize=256)
def derivative(fn: Callable) -> Callable:
    """Return the element-wise derivative of ``fn``."""
    return lambda u: jax.jvp(fn, (u,), (jnp.ones_like(u),))[1]


@functools.lru_cache(maxsize=256)
def _square(fn: Callable) -> Callable:
    return lambda u: fn(u) ** 2


@functools.lru_cache(maxsize=256)
def _half_squared_difference(fn: Callable) -> Callable:
    return lambda u, v: (fn(u) - fn(v)) ** 2 / 2


@functools.lru_cache(maxsize=256)
def _product(fn: Callable) -> Callable:
    return lambda u, v: fn(u) * fn(v)


@functools.lru_cache(maxsize=256)
def _partial(fn: Callable, first: int, second: int) -> Callable:
    def once(f: Callable, argument: int) -> Callable:
        def along(u: Array, v: Array) -> Array:
            tangents = [jnp.zeros_like(u), jnp.zeros_like(v)]
            tangents[argument] = jnp.ones_like(u)
            return jax.jvp(f, (u, v), tuple(tangents))[1]

        return along

    return once(once(fn, first), second)


def _normal(nodes: int, dtype: np.dtype, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    # Trapezoidal nodes and weights of the standard normal; the mass beyond 8.5 deviations is 2e-17.
    z, step = np.linspace(-8.5, 8.5, nodes, retstep=True)
    z = z + offset * step
    return z.astype(dtype), (step / math.sqrt(2 * math.pi) * np.exp(-(z**2) / 2)).astype(dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 3))
def _expectation1(fn: Callable, nodes: int, q: Array, offset: float = 0.0) -> Array:
    # E fn(sqrt(q) z)
    z, w = _normal(nodes, q.dtype, offset)
    return fn(safe_sqrt(q)[..., None] * z) @ w


@_expectation1.defjvp
def _(fn: Callable, nodes: int, offset: float, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    # d/dq E F(sqrt(q) z) = E F'' / 2
    (q,), (dq,) = primals, tangents
    second = _expectation1(derivative(derivative(fn)), nodes, q, offset)
    return _expectation1(fn, nodes, q, offset), second * dq / 2


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _expectation2(fn: Callable, nodes: int, q1: Array, q2: Array, g: Array) -> Array:
    # E fn(u, v), one row of nodes at a time so that memory stays at that of the kernel.
    q1, q2, g = jnp.broadcast_arrays(q1, q2, g)
    z, w = _normal(nodes, g.dtype)
    _, h = haversine(q1, q2, g)
    s1, s2 = safe_sqrt(q1)[..., None], safe_sqrt(q2)[..., None]
    together, apart = safe_sqrt(1 - h / 2)[..., None], safe_sqrt(h / 2)[..., None]

    def add_row(total: Array, row: tuple[Array, Array]) -> tuple[Array, None]:
        z1, w1 = row
        u, v = s1 * (together * z1 + apart * z), s2 * (together * z1 - apart * z)
        return total + w1 * (fn(u, v) @ w), None

    total, _ = jax.lax.scan(add_row, jnp.zeros_like(g), (jnp.asarray(z), jnp.asarray(w)))
    return total


@_expectation2.defjvp
def _(fn: Callable, nodes: int, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    # Price: d/dq12 E F = E F_uv and d/dq_i E F = E F_ii / 2, with q12 = (q1 + q2)/2 - g.
    def mean(first: int, second: int) -> Array:
        return _expectation2(_partial(fn, first, second), nodes, *primals)

    dq1, dq2, dg = tangents
    mixed = mean(0, 1)
    tangent = (mean(0, 0) + mixed) * dq1 / 2 + (mean(1, 1) + mixed) * dq2 / 2 - mixed * dg
    return _expectation2(fn, nodes, *primals), tangent


def _name(fn: Callable) -> str:
    return getattr(fn, "__name__", repr(fn))
