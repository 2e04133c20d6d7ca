"""Walking a jaxpr: where parameters meet data in a matrix product, and the same function with those products exposed.

The only file that touches ``jax.extend``.
"""

from collections import Counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from ._typing import Array, Callable, PyTree

CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr"}
"""Primitives that call a jaxpr with their own operands, and the name under which they hold it."""


class Product(NamedTuple):
    r"""A place where one parameter leaf, used nowhere else, is multiplied with data by ``dot_general``.

    Attributes
    ----------
    leaf
        Index of the leaf among the leading inputs of the jaxpr.
    path
        Where the equation is: positions in the nested jaxprs.
    weight_side
        Which operand is the leaf, 0 or 1.
    contracting
        Contracted axes of (left, right) operand.
    shape, dtype
        Of the result.
    """

    leaf: int
    path: tuple[int, ...]
    weight_side: int
    contracting: tuple[tuple[int, ...], tuple[int, ...]]
    shape: tuple[int, ...]
    dtype: Any


def trace(fn: Callable, *args: PyTree) -> core.ClosedJaxpr:
    """Return the jaxpr of ``fn`` on arguments (arrays or shapes) of which each leaf is one input."""
    return jax.make_jaxpr(fn)(*args)


def find_products(closed: core.ClosedJaxpr, leaves: int) -> list[Product]:
    """Return the products of parameters with data among the first ``leaves`` inputs.

    A leaf qualifies if its only use anywhere is as one operand of one ``dot_general`` without batch axes whose
    other operand is no parameter.
    """
    found: list[Product] = []
    other: Counter[int] = Counter()

    def visit(jaxpr: core.Jaxpr, known: dict, path: tuple[int, ...]) -> None:
        for i, eqn in enumerate(jaxpr.eqns):
            operands = [None if isinstance(v, core.Literal) else known.get(v) for v in eqn.invars]
            mine = [leaf for leaf in operands if leaf is not None]
            if not mine:
                continue
            if eqn.primitive.name in CALLS:
                inner = eqn.params[CALLS[eqn.primitive.name]].jaxpr
                visit(inner, _known(inner.invars, operands), (*path, i))
            elif _is_product(eqn, mine):
                out: Any = eqn.outvars[0].aval
                (left, right), _ = eqn.params["dimension_numbers"]
                side = 0 if operands[0] is not None else 1
                found.append(Product(mine[0], (*path, i), side, (tuple(left), tuple(right)), out.shape, out.dtype))
            else:
                other.update(mine)
        other.update(known[v] for v in jaxpr.outvars if not isinstance(v, core.Literal) and v in known)

    visit(closed.jaxpr, _known(closed.jaxpr.invars, range(leaves)), ())
    uses = Counter(product.leaf for product in found)
    return [product for product in found if uses[product.leaf] == 1 and not other[product.leaf]]


def expose(closed: core.ClosedJaxpr, products: list[Product]) -> Callable:
    """Return the function with its products exposed: ``(inputs, shifts) -> (outputs, operands)``.

    Each product y = h·W becomes y + shift, so that the derivative in the shift is the signal that reaches y; the
    operand h is returned beside the outputs.
    """
    index = {product.path: k for k, product in enumerate(products)}
    inside = {path[:depth] for path in index for depth in range(1, len(path))}

    def run(jaxpr: core.Jaxpr, consts: list, args: list, path: tuple, shifts: list, operands: dict) -> list:
        values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))
        for i, eqn in enumerate(jaxpr.eqns):
            here = (*path, i)
            inputs = [v.val if isinstance(v, core.Literal) else values[v] for v in eqn.invars]
            if here in inside:
                inner = eqn.params[CALLS[eqn.primitive.name]]
                out = run(inner.jaxpr, inner.consts, inputs, here, shifts, operands)
            else:
                out = _bind(eqn, inputs)
            if here in index:
                k = index[here]
                operands[k] = inputs[1 - products[k].weight_side]
                out = [out[0] + shifts[k]]
            values.update(zip(eqn.outvars, out, strict=True))
        return [v.val if isinstance(v, core.Literal) else values[v] for v in jaxpr.outvars]

    def exposed(inputs: list[Array], shifts: list[Array]) -> tuple[list[Array], list[Array]]:
        operands: dict[int, Array] = {}
        out = run(closed.jaxpr, closed.consts, list(inputs), (), shifts, operands)
        return out, [operands[k] for k in range(len(products))]

    return exposed


def _is_product(eqn: Any, leaves: list[int]) -> bool:
    if eqn.primitive.name != "dot_general" or len(leaves) != 1:
        return False
    _, batch = eqn.params["dimension_numbers"]
    same = all(v.aval.dtype == eqn.outvars[0].aval.dtype for v in eqn.invars)
    return not any(batch) and same and jnp.issubdtype(eqn.outvars[0].aval.dtype, jnp.floating)


def _known(variables: Any, leaves: Any) -> dict:
    return {v: leaf for v, leaf in zip(variables, leaves, strict=False) if leaf is not None}


def _bind(eqn: Any, inputs: list) -> list:
    bound = eqn.primitive.get_bind_params(eqn.params)
    # JAX has returned the parameters alone, or functions and parameters, depending on its version.
    functions, params = bound if isinstance(bound, tuple) else ((), bound)
    out = eqn.primitive.bind(*functions, *inputs, **params)
    return list(out) if eqn.primitive.multiple_results else [out]
