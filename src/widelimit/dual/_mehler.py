r"""Gaussian expectations of smooth functions by Mehler's series, element by element.

With :math:`h_k` the normalised Hermite polynomials and :math:`c_k(f, q) = E\,f(\sqrt q z)h_k(z)`,

.. math:: E\,f_1(u)f_2(v) = \sum_k c_k(f_1,q_1)\,c_k(f_2,q_2)\,\rho^k .

The coefficients are one-dimensional trapezoidal sums per variance, never per pair, and the series is summed block by
block, so that memory is that of the kernel. The neglected terms are bounded by Cauchy and Schwarz from
:math:`E\,f^2 - \sum_{k<n} c_k^2` (Parseval), which is known at every n: the sum runs until it is small enough.
"""

import dataclasses
import functools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Callable
from ._math import haversine, safe_sqrt

REACH = 12.0
"""Deviations covered by the grids; the density beyond is 2e-32."""

GRIDS = (513, 8193)
"""Nodes of the grids, odd numbers: the first that is fine enough is taken."""

BLOCK = 16
"""Terms between two looks at the remainder."""


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """How far a series is summed.

    Attributes
    ----------
    terms
        The most terms.
    tolerance
        Largest relative remainder accepted.
    name
        Of the activation, for the message.
    """

    terms: int
    tolerance: float
    name: str

    def limit(self, dtype: np.dtype) -> float:
        """Return the tolerance, never below a hundred units of rounding."""
        return max(self.tolerance, 100 * float(jnp.finfo(dtype).eps))


@functools.lru_cache(maxsize=512)
def derivative(fn: Callable) -> Callable:
    """Return the element-wise derivative of ``fn(u, *parameters)`` in ``u``."""
    return lambda u, *p: jax.jvp(lambda v: fn(v, *p), (u,), (jnp.ones_like(u),))[1]


@functools.lru_cache(maxsize=512)
def square(fn: Callable) -> Callable:
    """Return the function ``fn(u, *parameters)`` squared."""
    return lambda u, *p: fn(u, *p) ** 2


@functools.lru_cache(maxsize=512)
def by_parameter(fn: Callable, j: int) -> Callable:
    """Return the derivative of ``fn(u, *parameters)`` in parameter ``j``."""

    def slope(u: Array, *p: Array) -> Array:
        return jax.jvp(lambda x: fn(u, *p[:j], x, *p[j + 1 :]), (p[j],), (jnp.ones_like(p[j]),))[1]

    return slope


@functools.lru_cache(maxsize=512)
def _combined(f1: Callable, f2: Callable, sign: int) -> Callable:
    return lambda u, *p: f1(u, *p) + sign * f2(u, *p)


def _tangent(value: Array, parts: list[tuple[Callable[[], Array], Any]]) -> Array:
    # The sum of derivative() * direction; derivatives along directions that are zero by structure are not computed.
    total = jnp.zeros_like(value)
    for part, direction in parts:
        if not isinstance(direction, jax.custom_derivatives.SymbolicZero):
            total = total + part() * direction
    return total


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def expectation(fn: Callable, accuracy: Accuracy, p: tuple, q: Array) -> Array:
    r"""Return :math:`E\,f(\sqrt q z)`."""
    return _elementwise(_mean, (fn,), accuracy)(p, q)


def _expectation_jvp(fn: Callable, accuracy: Accuracy, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    # d/dq E f(sqrt(q) z) = E f'' / 2
    (p, q), (dp, dq) = primals, tangents
    parts = [(lambda: expectation(derivative(derivative(fn)), accuracy, p, q) / 2, dq)]
    for j, d in enumerate(dp):
        parts.append((lambda j=j: expectation(by_parameter(fn, j), accuracy, p, q), d))
    value = expectation(fn, accuracy, p, q)
    return value, _tangent(value, parts)


expectation.defjvp(_expectation_jvp, symbolic_zeros=True)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def product(fns: tuple[Callable, Callable], accuracy: Accuracy, p: tuple, q1: Array, q2: Array, g: Array) -> Array:
    r"""Return :math:`E\,f_1(u)f_2(v)`."""
    return _elementwise(_product, fns, accuracy)(p, q1, q2, g)


def _product_jvp(fns: tuple, accuracy: Accuracy, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    # Price: d/dq12 E f1 f2 = E f1' f2', d/dq1 = E f1'' f2 / 2, with q12 = (q1 + q2)/2 - g.
    (p, *at), (dp, dq1, dq2, dg) = primals, tangents
    f1, f2 = fns
    d1, d2 = derivative(f1), derivative(f2)

    def mean(*fns: Callable) -> Array:
        return product(fns, accuracy, p, *at)

    parts = [
        (lambda: (mean(derivative(d1), f2) + mean(d1, d2)) / 2, dq1),
        (lambda: (mean(f1, derivative(d2)) + mean(d1, d2)) / 2, dq2),
        (lambda: -mean(d1, d2), dg),
    ]
    for j, d in enumerate(dp):
        parts.append((lambda j=j: mean(by_parameter(f1, j), f2) + mean(f1, by_parameter(f2, j)), d))
    value = mean(f1, f2)
    return value, _tangent(value, parts)


product.defjvp(_product_jvp, symbolic_zeros=True)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def half_difference(fn: Callable, accuracy: Accuracy, p: tuple, q1: Array, q2: Array, g: Array) -> Array:
    r"""Return :math:`\tfrac12 E(f(u) - f(v))^2`."""
    return _elementwise(_half_difference, (fn, derivative(fn)), accuracy)(p, q1, q2, g)


def _half_difference_jvp(fn: Callable, accuracy: Accuracy, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (p, q1, q2, g), (dp, dq1, dq2, dg) = primals, tangents
    first = derivative(fn)
    second, curvature = derivative(first), derivative(derivative(square(fn)))

    def mean(*fns: Callable) -> Array:
        return product(fns, accuracy, p, q1, q2, g)

    def along(j: int) -> Array:
        # E (f(u) - f(v))(d(u) - d(v)) for d = df/dp_j, from the squares of f + d and f - d
        both = [half_difference(_combined(fn, by_parameter(fn, j), s), accuracy, p, q1, q2, g) for s in (1, -1)]
        return (both[0] - both[1]) / 2

    def by_variance(q: Array, *fns: Callable) -> Array:
        return (expectation(curvature, accuracy, p, q) / 2 - mean(*fns) - mean(first, first)) / 2

    parts = [
        (lambda: by_variance(q1, second, fn), dq1),
        (lambda: by_variance(q2, fn, second), dq2),
        (lambda: mean(first, first), dg),
    ]
    for j, d in enumerate(dp):
        parts.append((lambda j=j: along(j), d))
    value = half_difference(fn, accuracy, p, q1, q2, g)
    return value, _tangent(value, parts)


half_difference.defjvp(_half_difference_jvp, symbolic_zeros=True)


def _equal_ranks(arrays: tuple) -> tuple[Array, ...]:
    rank = max(jnp.ndim(a) for a in arrays)
    return tuple(jnp.reshape(a, (1,) * (rank - jnp.ndim(a)) + jnp.shape(a)) for a in arrays)


@functools.lru_cache(maxsize=1024)
def _elementwise(sums: Callable, fns: tuple, accuracy: Accuracy) -> Callable:
    # Under vmap, one call on arrays of one rank more: coefficients stay one per variance, the loop one for all.
    @jax.custom_batching.custom_vmap
    def op(p: tuple, *at: Array) -> Array:
        return sums(fns, accuracy, p, *at)

    @op.def_vmap
    def _(size: int, batched: list, p: tuple, *at: Array) -> tuple[Array, bool]:
        if any(jax.tree.leaves(batched[0])):

            def one(index: Array) -> Array:
                def pick(x: Array, is_batched: bool) -> Array:
                    return x[index] if is_batched else x

                return op(jax.tree.map(pick, p, batched[0]), *map(pick, at, batched[1:]))

            return jax.lax.map(one, jnp.arange(size)), True
        at = tuple(a if is_batched else a[None] for a, is_batched in zip(at, batched[1:], strict=True))
        out = op(p, *at)
        return jnp.broadcast_to(out, (size, *out.shape[1:])), True

    @jax.jit
    def call(p: tuple, *at: Array) -> Array:
        shape = jnp.broadcast_shapes(*map(jnp.shape, at))
        return jnp.broadcast_to(op(p, *_equal_ranks(at)), shape)

    return call


def _grid(nodes: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    # Trapezoidal nodes of the standard normal, and the square roots of their weights.
    z, step = np.linspace(-REACH, REACH, nodes, retstep=True)
    root = np.sqrt(step / math.sqrt(2 * math.pi)) * np.exp(-(z**2) / 4)
    return z.astype(dtype), root.astype(dtype)


def _on_grid(fn: Callable, nodes: int, p: tuple, q: Array) -> Array:
    # f(sqrt(q) z), times the square root of the weights: the last axis is the grid.
    z, root = _grid(nodes, q.dtype)
    return fn(safe_sqrt(q)[..., None] * z, *p) * root


def _grid_error(fn: Callable, nodes: int, p: tuple, q: Array) -> Array:
    # The relative error of E f^2 on every other node and beyond the ends. That of the whole grid is its square. Values
    # near the rounding of a function of order one are not looked at: f'' is one at small variances.
    squares = _on_grid(fn, nodes, p, q) ** 2
    total = jnp.sum(squares, -1)
    error = abs(total - 2 * jnp.sum(squares[..., ::2], -1)) + (squares[..., 0] + squares[..., -1]) * nodes
    return jnp.max(error / (total + (1e4 * float(jnp.finfo(total.dtype).eps)) ** 2))


def _relative(part: Array, total: Array) -> Array:
    return jnp.where(total > 0, part / jnp.where(total > 0, total, 1), 0)


def _on_a_fine_grid(fns: list, accuracy: Accuracy, p: tuple, qs: list, run: Callable) -> Array:
    # run(nodes) on the coarsest grid of which half would do, or on the finest; refused where even that is too coarse.
    limit = accuracy.limit(qs[0].dtype)

    def error(nodes: int) -> Array:
        return functools.reduce(jnp.maximum, [_grid_error(f, nodes, p, q) for f, q in zip(fns, qs, strict=True)])

    def finest() -> tuple[Array, Array]:
        # A kink shows on the grid, before any term of a series that would be summed to its end for nothing.
        out, rest = jax.eval_shape(functools.partial(run, GRIDS[-1]))
        refused = jnp.full(out.shape, jnp.nan, out.dtype), jnp.full(rest.shape, jnp.inf, rest.dtype)
        return jax.lax.cond(error(GRIDS[-1]) <= enough, functools.partial(run, GRIDS[-1]), lambda: refused)

    enough = limit**0.7
    index = sum(jnp.where(error(nodes) <= enough, 0, 1) for nodes in GRIDS[:-1])
    out, rest = jax.lax.switch(index, [*(functools.partial(run, nodes) for nodes in GRIDS[:-1]), finest])
    return eqx.error_if(
        out,
        ~(rest <= limit),
        f"The series of the activation {accuracy.name} with {accuracy.terms} terms is not accurate to its "
        f"tolerance of {limit:.1g}. If the activation is smooth, give more terms, a larger tolerance or smaller weight "
        "scales; if it has kinks, use PiecewiseLinear (straight between them) or widelimit.dual.TwoSided (smooth on "
        "both sides of zero).",
    )


def _mean(fns: tuple, accuracy: Accuracy, p: tuple, q: Array) -> Array:
    def run(nodes: int) -> tuple[Array, Array]:
        return _on_grid(fns[0], nodes, p, q) @ _grid(nodes, q.dtype)[1], jnp.zeros((), q.dtype)

    return _on_a_fine_grid([fns[0]], accuracy, p, [q], run)


def _product(fns: tuple, accuracy: Accuracy, p: tuple, q1: Array, q2: Array, g: Array) -> Array:
    _, h = haversine(q1, q2, g)

    def term(k: Array, c1: Array, c2: Array, power: Array) -> tuple[Array, Array]:  # noqa: ARG001
        return c1 * c2 * power, power * (1 - h)

    def run(nodes: int) -> tuple[Array, Array]:
        sides = [_on_grid(fn, nodes, p, q) for fn, q in zip(fns, (q1, q2), strict=True)]
        # Cauchy and Schwarz: the terms left out of f1 f2 are below the root of those left out of f1^2 and of f2^2.
        return _sum(term, accuracy, sides, jnp.ones_like(h), lambda r1, r2: jnp.sqrt(r1 * r2))

    return _on_a_fine_grid(list(fns), accuracy, p, [q1, q2], run)


def _half_difference(fns: tuple, accuracy: Accuracy, p: tuple, q1: Array, q2: Array, g: Array) -> Array:
    # The coefficients of f are those of f', c_(k+1)(f) = sqrt(q / (k + 1)) c_k(f'), which keep their digits at small
    # variances; d_k = 1 - rho^(k+1) follows from h = 1 - rho by d_k = h + rho d_(k-1).
    fn, first = fns
    s1, s2 = safe_sqrt(q1), safe_sqrt(q2)
    _, h = haversine(q1, q2, g)

    def term(k: Array, c1: Array, c2: Array, drop: Array) -> tuple[Array, Array]:
        a1, a2 = s1 * c1, s2 * c2
        return ((a1 - a2) ** 2 / 2 + a1 * a2 * drop) / (k + 1), h + (1 - h) * drop

    def run(nodes: int) -> tuple[Array, Array]:
        _, root = _grid(nodes, q1.dtype)
        means = [(_on_grid(fn, nodes, p, q) - fn(jnp.zeros_like(q), *p)[..., None] * root) @ root for q in (q1, q2)]
        total, rest = _sum(term, accuracy, [_on_grid(first, nodes, p, q) for q in (q1, q2)], h, jnp.maximum)
        return total + (means[0] - means[1]) ** 2 / 2, rest

    return _on_a_fine_grid([first, first], accuracy, p, [q1, q2], run)


def _sum(term: Callable, accuracy: Accuracy, sides: list, power: Array, joint: Callable) -> tuple[Array, Array]:
    # Sum term(k, c1_k, c2_k, power_k) until the joint relative remainder is below the tolerance, or all terms are in.
    dtype, nodes = power.dtype, sides[0].shape[-1]
    z, root = (jnp.asarray(a) for a in _grid(nodes, dtype))
    norms = [jnp.sum(side**2, -1) for side in sides]
    blocks = -(-accuracy.terms // BLOCK)

    def block(state: tuple) -> tuple:
        index, last, now, power, total, rests = state
        ks = (index * BLOCK + jnp.arange(BLOCK)).astype(dtype)
        (last, now), basis = jax.lax.scan(row, (last, now), ks)
        cs = tuple(jnp.moveaxis(jnp.matmul(s, basis.T, precision=jax.lax.Precision.HIGHEST), -1, 0) for s in sides)
        (power, total), _ = jax.lax.scan(step, (power, total), (ks, *cs), unroll=4)
        rests = tuple(rest - jnp.sum(c**2, 0) for rest, c in zip(rests, cs, strict=True))
        return index + 1, last, now, power, total, rests

    def row(state: tuple, k: Array) -> tuple[tuple, Array]:
        last, now = state
        return (now, (z * now - jnp.sqrt(k) * last) / jnp.sqrt(k + 1)), now

    def step(state: tuple, coefficients: tuple) -> tuple[tuple, None]:
        power, total = state
        added, power = term(*coefficients, power)
        return (power, total + added), None

    def remainder(rests: tuple) -> Array:
        return joint(*(jnp.max(_relative(abs(rest), norm)) for rest, norm in zip(rests, norms, strict=True)))

    def goes_on(state: tuple) -> Array:
        return (state[0] < blocks) & (remainder(state[-1]) > accuracy.limit(dtype))

    shape = jnp.broadcast_shapes(power.shape, norms[0].shape, norms[1].shape)
    power = jnp.broadcast_to(power, shape)
    state = (jnp.zeros((), jnp.int32), jnp.zeros_like(root), root, power, jnp.zeros(shape, dtype), tuple(norms))
    state = jax.lax.while_loop(goes_on, block, state)
    return state[4], remainder(state[5])
