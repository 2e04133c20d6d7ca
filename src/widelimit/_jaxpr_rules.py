r"""Products of a weight with data, as one Einstein sum ``y = h·w`` over labelled axes.

Labels fall in four groups by the arrays that carry them: B (all three: heads, groups, stacked layers), T (operand and
result: positions), C (operand and weight: summed) and Q (weight and result). With them every product has the form
:math:`y_{btq} = \sum_c h_{btc} w_{bcq}`, and the derivative of a function of y in w is
:math:`\sum_t h_{btc}\,g_{btq}`.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ._typing import Array, Callable, Shape

Labels = tuple[tuple[str, ...], ...]


class Product(NamedTuple):
    """A product with a weight, ``y = h·w``.

    Attributes
    ----------
    other
        Which operand of the equation holds the data.
    prepare
        Makes the operand h out of it: None, the patches of a convolution, or the row numbers of a look-up.
    rank
        Number of axes that ``prepare`` expects.
    h, w, y
        The labels of each axis: several, where an axis is split (slowest first).
    sizes
        Length of each label.
    rows
        Whether h holds row numbers, of an axis C that does not appear in it.
    """

    other: int
    prepare: Callable[[Array], Array] | None
    rank: int
    h: Labels
    w: Labels
    y: Labels
    sizes: dict[str, int]
    rows: bool = False

    def nested(self, label: str, length: int, stacked: bool) -> "Product":
        """Return the product of all steps of a scan, the weight constant or ``stacked`` over steps."""
        w = ((label,), *self.w) if stacked else self.w
        sizes = {**self.sizes, label: length}
        return self._replace(h=((label,), *self.h), w=w, y=((label,), *self.y), sizes=sizes)

    def of_transposed(self, order: tuple[int, ...]) -> "Product":
        """Return the product with v where the weight is ``v.transpose(order)``."""
        w: list[tuple[str, ...]] = [()] * len(order)
        for labels, axis in zip(self.w, order, strict=True):
            w[axis] = labels
        return self._replace(w=tuple(w))

    def groups(self) -> tuple[list[str], list[str], list[str], list[str]]:
        """Return the labels of the groups B, T, C, Q; those of the weight in the order of its axes."""
        h, w, y = ([label for axis in labels for label in axis] for labels in (self.h, self.w, self.y))
        batch = [a for a in w if a in y and a in h]
        summed = [a for a in w if a not in y]
        return batch, [a for a in y if a not in w], summed, [a for a in w if a in y and a not in batch]

    def shape(self) -> tuple[int, int, int, int]:
        """Return the sizes (B, T, C, Q)."""
        batch, positions, summed, free = (math.prod(self.sizes[a] for a in group) for group in self.groups())
        return batch, positions, summed, free

    def layout(self) -> tuple:
        """Return what two uses of one weight must share for their (B, C, Q) to mean the same."""
        groups = self.groups()
        role = {label: k for k, group in enumerate(groups) for label in group}
        return self.rows, tuple(tuple((role[a], self.sizes[a]) for a in axis) for axis in self.w)

    def operand(self, raw: Array) -> Array:
        """Return h as (n, B, T, C) from the operand of n examples; as row numbers (n, B, T)."""
        prepare = self.prepare
        if prepare is not None:
            for _ in range(raw.ndim - self.rank):
                prepare = jax.vmap(prepare)
            raw = prepare(raw)
        batch, positions, summed, _ = self.groups()
        groups = [batch, positions] if self.rows else [batch, positions, summed]
        return _arranged(raw, self.h, groups, self.sizes)

    def signal(self, raw: Array) -> Array:
        """Return g as (n, o, B, T, Q) from the derivatives in y."""
        batch, positions, _, free = self.groups()
        return _arranged(raw, self.y, [batch, positions, free], self.sizes)

    def weight(self, gradient: Array) -> Array:
        """Return (..., B, Q, C) in the shape of the weight, (..., *shape)."""
        batch, _, summed, free = self.groups()
        order = [*batch, *free, *summed]
        lead = gradient.shape[:-3]
        split = jnp.reshape(gradient, (*lead, *(self.sizes[a] for a in order)))
        flat = [a for axis in self.w for a in axis]
        axes = [*range(len(lead)), *(len(lead) + order.index(a) for a in flat)]
        shape = [math.prod(self.sizes[a] for a in axis) for axis in self.w]
        return jnp.reshape(jnp.transpose(split, axes), (*lead, *shape))


def match(eqn: Any, position: int) -> Product | None:
    """Return the product that an equation is of its operand ``position`` with data, None if it is none."""
    rules = {"dot_general": _dot, "conv_general_dilated": _conv, "gather": _gather, "dynamic_slice": _row}
    rule = rules.get(eqn.primitive.name)
    floating = all(jnp.issubdtype(v.aval.dtype, jnp.floating) for v in [eqn.invars[position], *eqn.outvars])
    return rule(eqn, position) if rule is not None and floating else None


def _arranged(raw: Array, labels: Labels, groups: list[list[str]], sizes: dict[str, int]) -> Array:
    flat = [a for axis in labels for a in axis]
    lead = raw.shape[: raw.ndim - len(labels)]
    split = jnp.reshape(raw, (*lead, *(sizes[a] for a in flat)))
    axes = [*range(len(lead)), *(len(lead) + flat.index(a) for group in groups for a in group)]
    return jnp.reshape(jnp.transpose(split, axes), (*lead, *(math.prod(sizes[a] for a in g) for g in groups)))


def _dot(eqn: Any, position: int) -> Product:
    contracting, batch = eqn.params["dimension_numbers"]
    names: list[list[str]] = [[""] * len(v.aval.shape) for v in eqn.invars]
    for prefix, pair in (("c", contracting), ("b", batch)):
        for k, (i, j) in enumerate(zip(*pair, strict=True)):
            names[0][i] = names[1][j] = f"{prefix}{k}"
    free: list[list[str]] = [[], []]
    for side in (0, 1):
        for axis, name in enumerate(names[side]):
            if not name:
                names[side][axis] = f"{'lr'[side]}{axis}"
                free[side].append(names[side][axis])
    y = [*(f"b{k}" for k in range(len(batch[0]))), *free[0], *free[1]]
    sizes = {a: n for side in (0, 1) for a, n in zip(names[side], eqn.invars[side].aval.shape, strict=True)}
    h, w, y = (tuple((a,) for a in labels) for labels in (names[1 - position], names[position], y))
    return Product(1 - position, None, len(h), h, w, y, sizes)


def _conv(eqn: Any, position: int) -> Product | None:
    params = eqn.params
    if position != 1 or params["batch_group_count"] != 1:
        return None
    numbers, groups = params["dimension_numbers"], params["feature_group_count"]
    data, weight, out = eqn.invars[0].aval.shape, eqn.invars[1].aval.shape, eqn.outvars[0].aval.shape
    space = range(len(data) - 2)
    window = [weight[a] for a in numbers.rhs_spec[2:]]
    sizes = {"n": data[numbers.lhs_spec[0]], "g": groups, "i": weight[numbers.rhs_spec[1]]}
    sizes |= {"q": weight[numbers.rhs_spec[0]] // groups}
    sizes |= {f"k{s}": window[s] for s in space} | {f"t{s}": out[numbers.out_spec[2 + s]] for s in space}
    channels = ("g", "q") if groups > 1 else ("q",)
    w: list[tuple[str, ...]] = [()] * len(weight)
    y: list[tuple[str, ...]] = [()] * len(out)
    w[numbers.rhs_spec[0]], w[numbers.rhs_spec[1]] = channels, ("i",)
    y[numbers.out_spec[0]], y[numbers.out_spec[1]] = ("n",), channels
    for s in space:
        w[numbers.rhs_spec[2 + s]], y[numbers.out_spec[2 + s]] = (f"k{s}",), (f"t{s}",)
    features = ("g", "i") if groups > 1 else ("i",)
    h = (("n",), *((f"t{s}",) for s in space), *((f"k{s}",) for s in space), features)
    lengths = [sizes[f"t{s}"] for s in space]

    def patches(x: Array) -> Array:
        return conv_patches(jnp.transpose(x, _last(numbers.lhs_spec)), params, window, lengths)

    return Product(0, patches, len(data), h, tuple(w), tuple(y), sizes)


def _last(spec: Shape) -> tuple[int, ...]:
    return (spec[0], *spec[2:], spec[1])


def conv_patches(x: Array, params: dict, window: list[int], lengths: list[int]) -> Array:
    """Return what each position of a convolution sees: (n, *out_space, *window, channels) from (n, *space, channels).

    One dimension after the other, so that a window of k by k takes 2k slices, not k².
    """
    space = len(window)
    edges = [
        (low, high, inner - 1) for (low, high), inner in zip(params["padding"], params["lhs_dilation"], strict=True)
    ]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *edges, (0, 0, 0)])
    for s in range(space):
        stride, dilation, axis = params["window_strides"][s], params["rhs_dilation"][s], 1 + s
        span = stride * (lengths[s] - 1) + 1
        starts = [k * dilation for k in range(window[s])]
        parts = [lax.slice_in_dim(x, k, k + span, stride, axis) for k in starts]
        x = jnp.stack(parts, 1 + space + s)
    return x


def _gather(eqn: Any, position: int) -> Product | None:
    numbers, weight = eqn.params["dimension_numbers"], eqn.invars[0].aval.shape
    axes, collapsed = tuple(numbers.start_index_map), tuple(numbers.collapsed_slice_dims)
    drops = str(eqn.params["mode"]).rsplit(".", maxsplit=1)[-1] in ("FILL_OR_DROP", "1")
    whole = tuple(eqn.params["slice_sizes"]) == (1, *weight[1:])
    plain = not (numbers.operand_batching_dims or numbers.start_indices_batching_dims)
    # Where slices are whole, indices of other axes than the first can only be clipped to zero.
    rows = 0 in axes and collapsed in ((), (0,)) and (len(axes) == 1 or not drops)
    if position != 0 or not (whole and plain and rows):
        return None
    out, count, which = eqn.outvars[0].aval.shape, weight[0], axes.index(0)
    offsets = dict(zip(numbers.offset_dims, range(len(collapsed), len(weight)), strict=True))
    # An axis of the result of length one may stand for the row itself.
    y = tuple((f"q{offsets[a]}",) if offsets.get(a) else (f"t{a}",) for a in range(len(out)))
    sizes = {labels[0]: n for labels, n in zip(y, out, strict=True)} | {"v": count}
    h = tuple(labels for a, labels in enumerate(y) if a not in offsets)
    w = (("v",), *((f"q{k}",) for k in range(1, len(weight))))
    extra = [a for a, k in offsets.items() if k == 0]

    def indices(raw: Array) -> Array:
        return _rows(raw[..., which], count, clip=not drops)

    h = (*h, *((f"t{a}",) for a in extra))
    return Product(
        1, indices if not extra else lambda raw: indices(raw)[..., None], eqn.invars[1].aval.ndim, h, w, y, sizes, True
    )


def _row(eqn: Any, position: int) -> Product | None:
    weight = eqn.invars[0].aval.shape
    if position != 0 or not weight or tuple(eqn.params["slice_sizes"]) != (1, *weight[1:]):
        return None
    sizes = {"v": weight[0], "t": 1} | {f"q{k}": n for k, n in enumerate(weight[1:])}
    free = tuple((f"q{k}",) for k in range(len(weight) - 1))

    def index(raw: Array) -> Array:
        return _rows(raw[None], weight[0], clip=True)

    return Product(1, index, 0, (("t",),), (("v",), *free), (("t",), *free), sizes, rows=True)


def _rows(raw: Array, count: int, clip: bool) -> Array:
    # A row number of ``count`` stands for a row that does not exist.
    if clip:
        return jnp.clip(raw, 0, count - 1).astype(jnp.int32)
    return jnp.where((raw >= 0) & (raw < count), raw, count).astype(jnp.int32)
