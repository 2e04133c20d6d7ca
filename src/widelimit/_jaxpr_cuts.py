"""Where parameters meet data in a jaxpr, and the same function with those products exposed.

A *cut* is a value computed from parameters alone that an equation with data uses. If it is used in products only
(`_jaxpr_rules`), each product y = h·w is replaced by y + shift: the derivative in the shift is the signal that reaches
y, and the operand h is returned beside the outputs. All other cuts are inputs to differentiate in. Scans are entered.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.extend import core

from ._convolution import convolve
from ._jaxpr import (
    DATA,
    PARAMETER,
    bind,
    called,
    colours,
    evaluate,
    inline,
    is_literal,
    live,
    read,
    rescan,
    scan_parts,
    trace,
)
from ._jaxpr_rules import Product, match
from ._jaxpr_views import View, view
from ._typing import Array, Callable, PyTree


class Use(NamedTuple):
    """One product of a cut with data.

    Attributes
    ----------
    path
        Where the equation is: positions in the jaxpr and in the bodies of scans.
    product
        The product, with the axes of the scans around it.
    inner
        Its data operand at that place.
    shape, dtype
        Of the result, with the axes of the scans in front.
    """

    path: tuple[int, ...]
    product: Product
    inner: int
    shape: tuple[int, ...]
    dtype: Any


class Cut(NamedTuple):
    """A value of parameters alone that meets data.

    Attributes
    ----------
    variable
        In the jaxpr.
    leaves
        Which leaves it depends on.
    uses
        Its products; empty if it is used in any other way.
    view
        How it is read off one leaf, None if it is computed in any other way.
    """

    variable: Any
    leaves: frozenset[int]
    uses: list[Use]
    view: View | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return self.variable.aval.shape

    @property
    def floating(self) -> bool:
        """Whether there is anything to differentiate in."""
        return jnp.issubdtype(self.variable.aval.dtype, jnp.floating)


class Exposed(NamedTuple):
    """A function of (leaves, data) with its cuts.

    Attributes
    ----------
    closed
        Its jaxpr.
    leaves
        Number of leaves.
    cuts
        Its cuts.
    """

    closed: core.ClosedJaxpr
    leaves: int
    cuts: list[Cut]

    def values(self, leaves: list[Array]) -> list[Array]:
        """Return the values of the cuts."""
        return self._from_leaves(leaves, [cut.variable for cut in self.cuts])

    def scale(self, cut: Cut, leaves: list[Array]) -> Array | None:
        """Return the number by which the view of a cut multiplies its leaf, None for one."""
        if cut.view is None or not (cut.view.factors or cut.view.divisors):
            return None
        atoms = [*cut.view.factors, *cut.view.divisors]
        numbers = [jnp.reshape(jnp.asarray(v), ()) for v in self._from_leaves(leaves, atoms)]
        scale, count = jnp.ones((), self.closed.jaxpr.outvars[0].aval.dtype), len(cut.view.factors)
        for k, number in enumerate(numbers):
            scale = scale * number if k < count else scale / number
        return scale

    def _from_leaves(self, leaves: list[Array], targets: list) -> list[Array]:
        jaxpr: Any = self.closed.jaxpr
        given = dict(zip([*jaxpr.constvars, *jaxpr.invars[: self.leaves]], [*self.closed.consts, *leaves], strict=True))
        return evaluate(jaxpr, given, targets)

    def uses(self) -> list[Use]:
        """Return the products of all cuts, in their order."""
        return [use for cut in self.cuts for use in cut.uses]

    def first_uses(self) -> list[int]:
        """Return the position of the first product of each cut among all."""
        counts = [len(cut.uses) for cut in self.cuts]
        return [sum(counts[:c]) for c in range(len(counts))]

    def run(self, values: list[Array], data: list[Array], shifts: list[Array]) -> tuple[Array, list[Array]]:
        """Return the output and the operand of each product, at values of the cuts and shifts of the products."""
        jaxpr: Any = self.closed.jaxpr
        given = dict(zip(jaxpr.constvars, self.closed.consts, strict=True))
        given.update(zip(jaxpr.invars[self.leaves :], data, strict=True))
        given.update((cut.variable, value) for cut, value in zip(self.cuts, values, strict=True))
        tint = colours(jaxpr, [PARAMETER] * self.leaves + [DATA] * len(data))
        uses = self.uses()
        operands: dict[int, Array] = {}
        skip = {i for i, eqn in enumerate(jaxpr.eqns) if tint[eqn.outvars[0]] == PARAMETER}
        (out,) = _run(jaxpr, given, uses, _Place((), dict(enumerate(shifts)), operands, skip))
        return out, [operands[k] for k in range(len(uses))]


class _Place(NamedTuple):
    path: tuple[int, ...]
    shifts: dict[int, Array]
    operands: dict[int, Array]
    skip: set[int]


def expose(fn: Callable, leaves: list, data: PyTree) -> Exposed:
    """Return ``fn(leaves, data) -> (o,)`` with its cuts; leaves and data are arrays or shapes."""
    closed = trace(fn, leaves, data)
    tints = [PARAMETER] * len(leaves) + [DATA] * (len(closed.jaxpr.invars) - len(leaves))
    closed = live(inline(closed, tints))
    jaxpr: Any = closed.jaxpr
    tint = colours(jaxpr, tints)
    met: dict[Any, None] = {}
    for eqn in jaxpr.eqns:
        if tint[eqn.outvars[0]] == DATA:
            met.update((v, None) for v in eqn.invars if not is_literal(v) and tint[v] == PARAMETER)
    met.update((v, None) for v in jaxpr.outvars if not is_literal(v) and tint[v] == PARAMETER)
    roots = _roots(jaxpr, len(leaves))
    skip = {i for i, eqn in enumerate(jaxpr.eqns) if tint[eqn.outvars[0]] == PARAMETER}
    cuts = []
    for variable in met:
        products = _products(jaxpr, variable, (), skip)
        cuts.append(Cut(variable, roots[variable], products or [], view(jaxpr, variable, len(leaves), tint)))
    return Exposed(closed, len(leaves), cuts)


def _roots(jaxpr: Any, count: int) -> dict:
    roots = {v: frozenset([i]) for i, v in enumerate(jaxpr.invars[:count])}
    for eqn in jaxpr.eqns:
        found = frozenset().union(*(roots.get(v, frozenset()) for v in eqn.invars if not is_literal(v)))
        roots.update(dict.fromkeys(eqn.outvars, found))
    return roots


def _products(jaxpr: Any, variable: Any, path: tuple[int, ...], skip: set[int]) -> list[Use] | None:
    # None: the variable is also used in another way.
    found: list[Use] = []
    if not jnp.issubdtype(variable.aval.dtype, jnp.floating):
        return None
    if any(v is variable for v in jaxpr.outvars):
        return None
    for i, eqn in enumerate(jaxpr.eqns):
        for position, operand in enumerate(eqn.invars):
            if operand is not variable or i in skip:
                continue
            uses = _scan_products(eqn, position, (*path, i)) if eqn.primitive.name == "scan" else None
            product = match(eqn, position)
            if product is not None:
                out = eqn.outvars[0].aval
                uses = [Use((*path, i), product, product.other, out.shape, out.dtype)]
            if uses is None:
                return None
            found += uses
    return found


def _scan_products(eqn: Any, position: int, path: tuple[int, ...]) -> list[Use] | None:
    consts, init, _ = scan_parts(eqn, list(eqn.invars))
    if len(consts) <= position < len(consts) + len(init):
        return None
    body: Any = called(eqn).jaxpr
    uses = _products(body, body.invars[position], path, set())
    if uses is None:
        return None
    length, label = eqn.params["length"], f"s{len(path)}"
    stacked = position >= len(consts)
    nested = []
    for use in uses:
        product = use.product.nested(label, length, stacked)
        nested.append(use._replace(product=product, shape=(length, *use.shape)))
    return nested


def _run(jaxpr: Any, values: dict, uses: list[Use], place: _Place) -> list:
    here = {use.path: k for k, use in enumerate(uses) if len(use.path) == len(place.path) + 1}
    for i, eqn in enumerate(jaxpr.eqns):
        if i in place.skip:
            continue
        path = (*place.path, i)
        inputs = [read(values, v) for v in eqn.invars]
        inside = [k for k, use in enumerate(uses) if len(use.path) > len(path) and use.path[: len(path)] == path]
        out = _run_scan(eqn, inputs, uses, (path, inside), place) if inside else _apply(eqn, inputs)
        if path in here:
            k = here[path]
            place.operands[k] = inputs[uses[k].inner]
            out = [out[0] + place.shifts[k]]
        values.update(zip(eqn.outvars, out, strict=True))
    return [read(values, v) for v in jaxpr.outvars]


def _apply(eqn: Any, inputs: list) -> list:
    convolution = eqn.primitive.name == "conv_general_dilated"
    return [convolve(inputs[0], inputs[1], eqn.params)] if convolution else bind(eqn, inputs)


def _run_scan(eqn: Any, inputs: list, uses: list[Use], where: tuple[tuple, list[int]], place: _Place) -> list:
    path, inside = where
    body = called(eqn)
    consts, init, xs = scan_parts(eqn, inputs)

    def step(carry: list, slices: tuple[list, dict]) -> tuple[list, tuple[list, dict]]:
        names = [*body.jaxpr.constvars, *body.jaxpr.invars]
        values = dict(zip(names, [*body.consts, *consts, *carry, *slices[0]], strict=True))
        operands: dict[int, Array] = {}
        out = _run(body.jaxpr, values, uses, _Place(path, slices[1], operands, set()))
        return out[: len(init)], (out[len(init) :], operands)

    carry, (ys, operands) = rescan(eqn, step, init, (xs, {k: place.shifts[k] for k in inside}))
    place.operands.update(operands)
    return [*carry, *ys]
