r"""Taylor coefficients of a jaxpr along a curve, equation by equation.

With :math:`x(s) = \sum_j x_j s^j` at the inputs, every value of the program gets its own coefficients
:math:`y_0, \dots, y_k`. Linear primitives act on each, bilinear ones by
:math:`(a b)_j = \sum_i a_i b_{j-i}` (coefficients known to be zero are skipped), common elementary functions by the
rules of ``jax.experimental.jet``, loops and branches by their own bodies. Everything else, custom derivative rules
included, is differentiated k times by itself: exact, at :math:`2^k` evaluations of that one equation.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.jet import jet
from jax.extend import core

from ._jaxpr import CALLS, bind, called, is_literal, read
from ._typing import Array, Callable

Coefficients = list[Array | None] | None
"""The coefficients 1 … k of a value; None stands for one that is zero, or for all of them."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


LINEAR = _names(
    "neg add add_any sub convert_element_type reduce_sum reshape broadcast_in_dim transpose squeeze expand_dims slice "
    "concatenate pad rev copy copy_p dynamic_slice dynamic_update_slice gather select_n reduce_window_sum cumsum split "
    "stack unstack optimization_barrier reduce_precision"
)
BILINEAR = _names("mul dot_general conv_general_dilated")
ELEMENTARY = _names("exp log sin cos sinh cosh tanh logistic div integer_pow erf")


def coefficients(closed: core.ClosedJaxpr, inputs: list, first: list, order: int) -> list[list[Array]]:
    """Return the Taylor coefficients 0 … k of every output along the line ``inputs + s · first``.

    Parameters
    ----------
    closed
        The program.
    inputs
        Its inputs at s = 0.
    first
        Direction of each input; None where it does not move.
    order
        The order k ≥ 1.
    """
    moves = [None if d is None else [d, *[None] * (order - 1)] for d in first]
    values, moved = _run(closed.jaxpr, closed.consts, inputs, moves, order)
    return [[v, *_dense(v, c, order)] for v, c in zip(values, moved, strict=True)]


def _run(jaxpr: core.Jaxpr, consts: Any, inputs: list, moves: list, order: int) -> tuple[list, list]:
    known: dict = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))
    moved: dict = dict(zip(jaxpr.invars, moves, strict=True))
    for eqn in jaxpr.eqns:
        values = [read(known, v) for v in eqn.invars]
        terms = [None if is_literal(v) else moved.get(v) for v in eqn.invars]
        if all(c is None for c in terms):
            out, new = bind(eqn, values), [None] * len(eqn.outvars)
        else:
            out, new = _rule(eqn.primitive.name)(eqn, values, terms, order)
        known.update(zip(eqn.outvars, out, strict=True))
        # Integers and booleans do not move.
        new = [c if jnp.issubdtype(v.dtype, jnp.inexact) else None for v, c in zip(out, new, strict=True)]
        moved.update(zip(eqn.outvars, new, strict=True))
    return [read(known, v) for v in jaxpr.outvars], [None if is_literal(v) else moved.get(v) for v in jaxpr.outvars]


def _rule(name: str) -> Callable:
    if name in LINEAR:
        return _linear
    if name in BILINEAR:
        return _bilinear
    if name in ELEMENTARY:
        return _elementary
    if name in CALLS:
        return _call
    return {"scan": _scan, "cond": _cond}.get(name, _repeated)


def _linear(eqn: Any, values: list, terms: list, order: int) -> tuple[list, list]:
    out = bind(eqn, values)
    moves: list[list] = [[None] * order for _ in out]
    for j in range(order):
        if any(c is not None and c[j] is not None for c in terms):
            inputs = [
                v
                if not jnp.issubdtype(v.dtype, jnp.inexact)
                else jnp.zeros_like(v)
                if c is None or c[j] is None
                else c[j]
                for v, c in zip(map(jnp.asarray, values), terms, strict=True)
            ]
            for move, value in zip(moves, bind(eqn, inputs), strict=True):
                move[j] = value
    return out, moves


def _bilinear(eqn: Any, values: list, terms: list, order: int) -> tuple[list, list]:
    left, right = ([v, *(c or [None] * order)] for v, c in zip(values, terms, strict=True))
    out: list = []
    for j in range(order + 1):
        pairs = [(left[i], right[j - i]) for i in range(j + 1)]
        products = [bind(eqn, [a, b])[0] for a, b in pairs if a is not None and b is not None]
        out.append(sum(products[1:], start=products[0]) if products else None)
    return out[:1], [out[1:]]


def _elementary(eqn: Any, values: list, terms: list, order: int) -> tuple[list, list]:
    moving = [i for i, c in enumerate(terms) if c is not None]
    if eqn.primitive.name == "div" and moving == [0]:
        return _linear_in_first(eqn, values, terms[0], order)

    def alone(*moved: Array) -> Array:
        full = list(values)
        for i, value in zip(moving, moved, strict=True):
            full[i] = value
        return bind(eqn, full)[0]

    series = [_dense(values[i], terms[i], order) for i in moving]
    _, out = jet(alone, [values[i] for i in moving], series, factorial_scaled=False)
    return bind(eqn, values), [list(out)]


def _linear_in_first(eqn: Any, values: list, terms: list, order: int) -> tuple[list, list]:
    out = bind(eqn, values)
    return out, [[None if terms[j] is None else bind(eqn, [terms[j], *values[1:]])[0] for j in range(order)]]


def _call(eqn: Any, values: list, terms: list, order: int) -> tuple[list, list]:
    inner = called(eqn)
    return _run(inner.jaxpr, inner.consts, values, terms, order)


def _scan(eqn: Any, values: list, terms: list, order: int) -> tuple[list, list]:
    params, inner = eqn.params, called(eqn)
    a, b = params["num_consts"], params["num_consts"] + params["num_carry"]

    def step(carry: tuple, x: tuple) -> tuple:
        (c, moved_c), (x, moved_x) = carry, x
        moves = [*terms[:a], *map(_restored, moved_c), *map(_restored, moved_x)]
        out, moved = _run(inner.jaxpr, inner.consts, [*values[:a], *c, *x], moves, order)
        dense = [_optional(v, m, order) for v, m in zip(out, moved, strict=True)]
        n = params["num_carry"]
        return (out[:n], dense[:n]), (out[n:], dense[n:])

    carry = (values[a:b], [_optional(v, m, order) for v, m in zip(values[a:b], terms[a:b], strict=True)])
    settings = {"length": params["length"], "reverse": params["reverse"], "unroll": params["unroll"]}
    # A coefficient that is None is an empty pytree: it stays None inside the loop.
    (carry, moved_c), (ys, moved_y) = jax.lax.scan(step, carry, (values[b:], terms[b:]), **settings)
    return [*carry, *ys], [*moved_c, *moved_y]


def _cond(eqn: Any, values: list, terms: list, order: int) -> tuple[list, list]:
    def branch(closed: Any) -> Callable:
        def run(inputs: list, moves: list) -> tuple[list, list]:
            out, moved = _run(closed.jaxpr, closed.consts, inputs, list(map(_restored, moves)), order)
            return out, [_optional(v, m, order) for v, m in zip(out, moved, strict=True)]

        return run

    branches = [branch(closed) for closed in eqn.params["branches"]]
    out, moved = jax.lax.switch(values[0], branches, values[1:], terms[1:])
    return list(out), list(moved)


def _repeated(eqn: Any, values: list, terms: list, order: int) -> tuple[list, list]:
    def along(s: Array) -> list:
        return bind(eqn, [v if c is None else _curve(v, c, s) for v, c in zip(values, terms, strict=True)])

    towers = derivatives(along, order)(jnp.zeros((), jnp.result_type(float)))
    moves: list[list] = [[] for _ in towers[0]]
    for j, tower in enumerate(towers[1:], start=1):
        for move, value in zip(moves, tower, strict=True):
            # Not a division of the float0 that stands for the derivative of an integer.
            move.append(value / math.factorial(j) if jnp.issubdtype(value.dtype, jnp.inexact) else None)
    return towers[0], [None if move[0] is None else move for move in moves]


def derivatives(g: Callable, order: int) -> Callable:
    """Return the function of a number that gives g and its derivatives up to ``order`` by nested forward passes."""
    if order == 0:
        return lambda s: [g(s)]
    below = derivatives(g, order - 1)

    def tower(s: Array) -> list:
        values, slopes = jax.jvp(below, (s,), (jnp.ones_like(s),))
        return [*values, slopes[-1]]

    return tower


def _curve(value: Array, terms: list, s: Array) -> Array:
    total = jnp.zeros_like(value)
    for term in reversed(terms):
        total = (total if term is None else total + term) * s.astype(value.dtype)
    return value + total


def _dense(value: Any, terms: Coefficients, order: int) -> list[Array]:
    value = jnp.asarray(value)
    return [jnp.zeros_like(value) if c is None else c for c in terms or [None] * order]


def _optional(value: Any, terms: Coefficients, order: int) -> list[Array] | None:
    return _dense(value, terms, order) if jnp.issubdtype(jnp.result_type(value), jnp.inexact) else None


def _restored(terms: Any) -> Coefficients:
    return None if terms is None or all(c is None for c in terms) else list(terms)
