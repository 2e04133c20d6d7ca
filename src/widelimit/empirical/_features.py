r"""The gradients of a model in factored form, so that their inner products are cheap.

The gradient of output a in a weight that meets data in the products :math:`y_t = h_t W` is
:math:`\sum_t h_t\,g_{at}^\top` with the signals :math:`g_{at} = \partial f_a/\partial y_t` (Novak et al. 2022,
arXiv 2206.08720, "structured derivatives"). It is kept as the pair (h, g), or summed, whichever makes the inner
products cheaper. Parameters used in any other way keep their Jacobian.
"""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._jaxpr_cuts import Exposed, expose
from .._jaxpr_rules import Product
from .._typing import Array, PyTree
from ._outputs import AbstractOutputs
from ._problem import Flat


class Factored(eqx.Module):
    """Gradients of n examples and o outputs as products.

    Attributes
    ----------
    h
        Operands (n, B, T, C), or row numbers (n, B, T).
    g
        Signals (n, o, B, T, Q).
    rows
        0, or the number C of rows that h counts.
    """

    h: Array
    g: Array
    rows: int = eqx.field(static=True)

    def times(self, scale: Array | None) -> "Factored":
        """Return the gradients times a number; None for one."""
        return self if scale is None else Factored(self.h, self.g * scale.astype(self.g.dtype), self.rows)

    def overlaps(self, other: "Factored") -> Array:
        """Return the inner products of operands, (B, n, T, m, S)."""
        a, b = jnp.moveaxis(self.h, 1, 0), jnp.moveaxis(other.h, 1, 0)
        if self.rows:
            equal = a[..., None, None] == b[:, None, None]
            return jnp.where(equal & (a < self.rows)[..., None, None], 1, 0).astype(self.g.dtype)
        flat = [jnp.reshape(x, (x.shape[0], -1, x.shape[-1])) for x in (a, b)]
        if len(a) == 1:
            products = jnp.matmul(flat[0][0], flat[1][0].T, precision="highest")
        else:
            products = jnp.einsum("bnc,bmc->bnm", *flat, precision="highest")
        return jnp.reshape(products, (*a.shape[:3], *b.shape[1:3]))

    def own_overlaps(self) -> Array:
        """Return the inner products of operands of one example, (n, B, T, S)."""
        if self.rows:
            equal = (self.h[..., None] == self.h[:, :, None]) & (self.h < self.rows)[..., None]
            return equal.astype(self.g.dtype)
        return jnp.einsum("nbtc,nbsc->nbts", self.h, self.h, precision="highest")

    def summed(self) -> Array:
        """Return the gradients themselves, (n, o, B, Q, C)."""
        if not self.rows:
            return jnp.einsum("nbtc,nobtq->nobqc", self.h, self.g, precision="highest")

        def add(rows: Array, g: Array) -> Array:
            zeros = jnp.zeros((self.rows, g.shape[0], g.shape[2]), g.dtype)
            return zeros.at[rows].add(jnp.swapaxes(g, 0, 1), mode="drop")

        sums = jax.vmap(jax.vmap(add, (0, 1)))(self.h, self.g)
        return jnp.transpose(sums, (0, 3, 1, 4, 2))


class Group(NamedTuple):
    """Products of one part of a leaf that share a layout, and so add over positions.

    Attributes
    ----------
    uses
        Positions among all products.
    products
        The products with the part itself.
    sizes
        (B, T, C, Q) together.
    factored
        Whether the gradient stays a pair.
    """

    uses: list[int]
    products: list[Product]
    sizes: tuple[int, int, int, int]
    factored: bool


class Leaf(NamedTuple):
    """How the gradient in one leaf is had.

    Attributes
    ----------
    groups
        Parts of the leaf that meet data in products.
    direct
        Cuts that are read off the leaf and differentiated in.
    computed
        Whether instead the gradients in all cuts are pulled back to the leaf.
    size
        Its number of entries.
    """

    groups: list[Group]
    direct: list[int]
    computed: bool
    size: int


class Layout(NamedTuple):
    """A model of one example, and how the gradient in each leaf is had."""

    exposed: Exposed
    leaves: list[Leaf]
    outputs: int
    dtype: Any

    def depends(self) -> bool:
        """Return whether the outputs depend on any leaf."""
        return any(leaf.groups or leaf.direct or leaf.computed for leaf in self.leaves)


def layout(flat: Flat, x: PyTree) -> Layout:
    """Return the layout of a problem for a batch ``x``, with every gradient summed."""
    one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(jnp.shape(a)[1:], jnp.result_type(a)), x)
    exposed = expose(flat.one, flat.leaves, one)
    out = exposed.closed.jaxpr.outvars[0].aval
    # Rates that differ within a leaf need its gradient entry by entry.
    entrywise = [jnp.ndim(rate) > 0 for rate in flat.rates]
    leaves = [_leaf(exposed, i, leaf.shape, entrywise[i]) for i, leaf in enumerate(flat.leaves)]
    return Layout(exposed, leaves, out.shape[0], out.dtype)


def features(plan: Layout, leaves: list[Array], x: PyTree) -> list[list[Factored | Array]]:
    """Return the gradients of n examples in each leaf: parts that add, each `Factored` or a Jacobian (n, o, p)."""
    exposed = plan.exposed
    operands, signals, jacobians = _differentiate(plan, exposed.values(leaves), x)
    pulled = _pulled(plan, leaves, (operands, signals, jacobians))
    scales = [exposed.scale(cut, leaves) for cut in exposed.cuts for _ in cut.uses]
    found: list[list[Factored | Array]] = []
    for i, leaf in enumerate(plan.leaves):
        parts: list[Factored | Array] = []
        for group in leaf.groups:
            pieces = [
                _factored(plan, product, operands[k], signals[k]).times(scales[k])
                for k, product in zip(group.uses, group.products, strict=True)
            ]
            whole = pieces[0]
            if len(pieces) > 1:
                h, g = jnp.concatenate([p.h for p in pieces], 2), jnp.concatenate([p.g for p in pieces], 3)
                whole = Factored(h, g, pieces[0].rows)
            parts.append(whole if group.factored else _flat(whole.summed()))
        for c in leaf.direct:
            scale = exposed.scale(exposed.cuts[c], leaves)
            j = jacobians[c].astype(_wide(jacobians[c].dtype))
            parts.append(_flat(j if scale is None else j * scale.astype(j.dtype)))
        found.append([*parts, _flat(pulled[i])] if leaf.computed else parts)
    return found


def inner(outputs: AbstractOutputs, a: list, b: list) -> list[Array]:
    """Return the inner products of the parts of a leaf: each (n, m, *outputs.shape(o))."""
    return [
        outputs.weigh(p.overlaps(q), p.g, q.g) if isinstance(p, Factored) else outputs.contract(p, q)
        for p, q in zip(a, b, strict=True)
    ]


def inner_each(outputs: AbstractOutputs, a: list, b: list) -> list[Array]:
    """Return the inner products of matching examples: each (n, *outputs.shape(o))."""
    return [
        outputs.weigh_each(p.own_overlaps(), p.g, q.g) if isinstance(p, Factored) else outputs.contract_each(p, q)
        for p, q in zip(a, b, strict=True)
    ]


def _leaf(exposed: Exposed, index: int, shape: tuple[int, ...], entrywise: bool) -> Leaf:
    touching = [(c, cut) for c, cut in enumerate(exposed.cuts) if index in cut.leaves and cut.floating]
    whole = Leaf([], [], True, math.prod(shape))
    views = {c: cut.view for c, cut in touching if cut.view is not None}
    if touching and (entrywise or len(views) < len(touching)):
        return whole
    parts: dict[tuple, list[int]] = {}
    for c, seen in views.items():
        parts.setdefault(seen.key, []).append(c)
    if len(parts) > 1 and _overlap([views[members[0]].entries(shape) for members in parts.values()]):
        return whole
    first = exposed.first_uses()
    groups, direct = [], []
    for members in parts.values():
        cuts = [exposed.cuts[c] for c in members]
        products = [u.product.of_transposed(views[c].order) for c in members for u in exposed.cuts[c].uses]
        if not all(cut.uses for cut in cuts):
            if len(cuts) > 1:
                return whole
            direct.append(members[0])
            continue
        if len({p.layout() for p in products}) > 1:
            return whole
        uses = [first[c] + k for c in members for k in range(len(exposed.cuts[c].uses))]
        batch, _, summed, free = products[0].shape()
        sizes = (batch, sum(p.shape()[1] for p in products), summed, free)
        groups.append(Group(uses, products, sizes, False))
    return Leaf(groups, direct, False, math.prod(shape))


def _overlap(entries: list[np.ndarray | None]) -> bool:
    there = [e for e in entries if e is not None]
    every = np.concatenate([np.zeros(0, int), *there])
    return len(there) < len(entries) or len(np.unique(every)) < len(every)


def _differentiate(plan: Layout, values: list[Array], x: PyTree) -> tuple[list[Array], list[Array], dict[int, Array]]:
    # Operands (n, ...) and signals (n, o, ...) of all products, and Jacobians (n, o, ...) in the other cuts.
    exposed, uses = plan.exposed, plan.exposed.uses()
    direct = [c for c, cut in enumerate(exposed.cuts) if cut.floating and not cut.uses]

    def example(data: list[Array]) -> tuple[list[Array], list[Array], list[Array]]:
        def outputs(given: list[Array], shifts: list[Array]) -> tuple[Array, list[Array]]:
            full = list(values)
            for c, value in zip(direct, given, strict=True):
                full[c] = value
            return exposed.run(full, data, shifts)

        shifts = [jnp.zeros(u.shape, u.dtype) for u in uses]
        out, pull, operands = jax.vjp(outputs, [values[c] for c in direct], shifts, has_aux=True)
        jacobians, signals = jax.vmap(pull)(jnp.eye(out.size, dtype=out.dtype))
        return operands, signals, jacobians

    operands, signals, jacobians = jax.vmap(example)(jax.tree.leaves(x))
    return operands, signals, dict(zip(direct, jacobians, strict=True))


def _pulled(plan: Layout, leaves: list[Array], found: tuple) -> dict[int, Array]:
    # Gradients in the leaves that are not read off by views: those in the cuts, pulled back.
    operands, signals, jacobians = found
    mine = [i for i, leaf in enumerate(plan.leaves) if leaf.computed]
    exposed = plan.exposed
    touching = [c for c, cut in enumerate(exposed.cuts) if cut.floating and cut.leaves & set(mine)]
    if not touching:
        return {}
    first = exposed.first_uses()
    gradients = []
    for c in touching:
        cut = exposed.cuts[c]
        if cut.uses:
            sums = [
                u.product.weight(_factored(plan, u.product, operands[k], signals[k]).summed())
                for k, u in enumerate(cut.uses, first[c])
            ]
            gradients.append(sum(sums[1:], sums[0]))
        else:
            gradients.append(jacobians[c])

    def values(chosen: list[Array]) -> list[Array]:
        full = list(leaves)
        for i, leaf in zip(mine, chosen, strict=True):
            full[i] = leaf
        every = exposed.values(full)
        return [every[c] for c in touching]

    at, pull = jax.vjp(values, [leaves[i] for i in mine])
    gradients = [g.astype(v.dtype) for g, v in zip(gradients, at, strict=True)]
    (back,) = jax.vmap(jax.vmap(pull))(gradients)
    return dict(zip(mine, back, strict=True))


def _factored(plan: Layout, product: Product, operand: Array, signal: Array) -> Factored:
    rows = product.shape()[2] if product.rows else 0
    dtype = _wide(jnp.promote_types(signal.dtype, plan.dtype))
    h = product.operand(operand)
    return Factored(h if rows else h.astype(dtype), product.signal(signal).astype(dtype), rows)


def _wide(dtype: Any) -> Any:
    # Inner products of half-precision gradients are accumulated in single precision.
    return jnp.promote_types(dtype, jnp.float32)


def _flat(a: Array) -> Array:
    return jnp.reshape(a, (*a.shape[:2], -1))
