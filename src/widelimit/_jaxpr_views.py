"""Values read off a parameter leaf by moves that keep inner products up to one factor: views.

Reshaping, transposing, reversing, slicing and multiplying by a constant number are such moves. The inner product of two
gradients in the leaf is the factor squared times that of the gradients in the view; two views of one leaf that share no
entry add.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ._jaxpr import NEUTRAL, PARAMETER, bind, is_literal

MOVES = (
    "reshape",
    "transpose",
    "squeeze",
    "expand_dims",
    "rev",
    "slice",
    "split",
    "broadcast_in_dim",
    "copy",
    "copy_p",
)
MOST_INDICES = 2**24
"""Overlaps of views of larger leaves are not looked for: they count as overlapping."""


class View(NamedTuple):
    """How a value is read off a leaf.

    Attributes
    ----------
    leaf
        Index of the leaf.
    moves
        Equations from the leaf on, without scaling and without the transposes at the end.
    key
        The same as a comparable value: two views with one key read the same entries in the same order.
    order
        The value is the moved leaf transposed by it.
    factors, divisors
        Constant numbers that multiply or divide it: operands of equations.
    """

    leaf: int
    moves: list[tuple[Any, int]]
    key: tuple
    order: tuple[int, ...]
    factors: list[Any]
    divisors: list[Any]

    def entries(self, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return the flat indices of the entries of the leaf that are read; None if there are too many to look at."""
        if np.prod(shape) > MOST_INDICES:
            return None
        with jax.ensure_compile_time_eval():
            value = jnp.arange(np.prod(shape, dtype=int), dtype=jnp.int32).reshape(shape)
            for eqn, out in self.moves:
                value = bind(eqn, [value])[out]
        return np.asarray(value).ravel()


def view(jaxpr: Any, variable: Any, count: int, tint: dict) -> View | None:
    """Return how a variable is read off one of the first ``count`` inputs, None if it is computed in any other way."""
    makers = {v: eqn for eqn in jaxpr.eqns for v in eqn.outvars}
    order = tuple(range(len(variable.aval.shape)))
    moves: list[tuple[Any, int]] = []
    factors: list[Any] = []
    divisors: list[Any] = []
    while variable in makers:
        eqn = makers[variable]
        name = eqn.primitive.name
        source = [v for v in eqn.invars if not is_literal(v) and tint[v] == PARAMETER]
        if len(source) != 1:
            return None
        if name in ("mul", "div") and source[0].aval.shape == variable.aval.shape:
            position = 1 if eqn.invars[0] is source[0] else 0
            number = _number(eqn.invars[position], makers, tint)
            if number is None or (name == "div" and position == 0):
                return None
            (factors if name == "mul" else divisors).append(number)
        elif name == "transpose" and not moves:
            order = tuple(eqn.params["permutation"][a] for a in order)
        elif name == "convert_element_type" and jnp.issubdtype(source[0].aval.dtype, jnp.floating):
            pass
        elif name in MOVES and _keeps_entries(eqn):
            moves.append((eqn, eqn.outvars.index(variable)))
        else:
            return None
        variable = source[0]
    leaf = next((i for i, v in enumerate(jaxpr.invars[:count]) if v is variable), None)
    if leaf is None:
        return None
    key = tuple((eqn.primitive.name, out, str(sorted(eqn.params.items(), key=str))) for eqn, out in moves[::-1])
    return View(leaf, moves[::-1], key, order, factors, divisors)


def _keeps_entries(eqn: Any) -> bool:
    if len(eqn.invars) != 1:
        return False
    same = eqn.invars[0].aval.size == eqn.outvars[0].aval.size
    return same or eqn.primitive.name in ("slice", "split")


def _number(atom: Any, makers: dict, tint: dict) -> Any | None:
    # A constant number, also where it is broadcast to the shape of the weight.
    while not is_literal(atom) and atom.aval.size != 1:
        eqn = makers.get(atom)
        if eqn is None or eqn.primitive.name != "broadcast_in_dim":
            return None
        atom = eqn.invars[0]
    return atom if is_literal(atom) or tint[atom] == NEUTRAL else None
