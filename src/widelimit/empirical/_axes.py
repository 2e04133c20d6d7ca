r"""Output axes one by one: some averaged over, some kept on their diagonal, the others in pairs."""

import math

import equinox as eqx
import jax.numpy as jnp

from .._typing import Array, Shape
from ._outputs import AbstractOutputs


class Axes(AbstractOutputs):
    r"""Each output array with itself, axis by axis; different arrays are not paired.

    For an array with axes a, b, c, of which b is averaged and c kept once,

    .. math:: \frac1{|b|}\sum_b\Theta_{(a,b,c),(a',b,c)}(x, x'), \qquad\text{of shape } (|a|, |a'|, |c|).

    In the kernel the entries of all arrays stand in one axis, one array after the other: shape (n1, n2, entries).
    `entries` gives the shapes of the single arrays.

    Parameters
    ----------
    rows
        Shapes of the output arrays of one example, in the order of the flat form.
    columns
        Those of one example of the second batch, where they differ in axes that are neither averaged nor kept once;
        None: the same.
    trace
        For each array, the axes that are averaged over.
    diagonal
        For each array, the axes that are kept once.

    Raises
    ------
    ValueError
        If an axis does not exist, is in both lists, or is shared and of different lengths.
    """

    rows: tuple[Shape, ...] = eqx.field(static=True)
    columns: tuple[Shape, ...] | None = eqx.field(default=None, static=True)
    trace: tuple[Shape, ...] = eqx.field(default=(), static=True)
    diagonal: tuple[Shape, ...] = eqx.field(default=(), static=True)

    def __check_init__(self) -> None:
        """Check the axes of every array."""
        for name, axes in (("trace", self.trace), ("diagonal", self.diagonal)):
            if axes and len(axes) != len(self.rows):
                raise ValueError(f"{name} has {len(axes)} lists of axes; expected one for each of {self.rows}.")
        columns = self.rows if self.columns is None else self.columns
        if [len(s) for s in columns] != [len(s) for s in self.rows]:
            raise ValueError(f"columns are {columns}; expected arrays with as many axes as {self.rows}.")
        for one, two, trace, diagonal in self._arrays():
            shared = [*trace, *diagonal]
            if len(set(shared)) < len(shared) or not all(0 <= axis < len(one) for axis in shared):
                raise ValueError(
                    f"trace is {trace} and diagonal {diagonal} for an output of shape {one}; expected axes from 0 to "
                    f"{len(one) - 1}, each once."
                )
            if any(one[axis] != two[axis] for axis in shared):
                raise ValueError(f"outputs of shapes {one} and {two} differ along an axis of {shared}; expected one.")

    def entries(self) -> list[Shape]:
        """Return the shape of each array in the kernel."""
        return [_kept(one, two, trace, diagonal) for one, two, trace, diagonal in self._arrays()]

    def shape(self, o: int) -> Shape:  # noqa: ARG002
        """Return (entries,)."""
        return (sum(math.prod(shape) for shape in self.entries()),)

    def contract(self, j1: Array, j2: Array) -> Array:
        """Contract over the parameters."""
        return self._each_array(("n", "p"), ("m", "p"), ("n", "m"), (j1, j2))

    def weigh(self, overlaps: Array, g1: Array, g2: Array) -> Array:
        """Contract signals and overlaps in the cheapest order."""
        return self._each_array(("n", "btq"), ("m", "bsq"), ("n", "m"), (g1, g2), ("bntms", overlaps))

    def contract_each(self, j1: Array, j2: Array) -> Array:
        """Contract over the parameters."""
        return self._each_array(("n", "p"), ("n", "p"), ("n",), (j1, j2))

    def weigh_each(self, overlaps: Array, g1: Array, g2: Array) -> Array:
        """Contract signals and overlaps in the cheapest order."""
        return self._each_array(("n", "btq"), ("n", "bsq"), ("n",), (g1, g2), ("nbts", overlaps))

    def mirror(self, block: Array) -> Array:
        """Swap the inputs, and with them the outputs."""
        shapes, parts, start = self.entries(), [], 0
        for shape, (one, _, trace, diagonal) in zip(shapes, self._arrays(), strict=True):
            part = jnp.reshape(block[:, :, start : start + math.prod(shape)], (*block.shape[:2], *shape))
            order, axis = [1, 0], 2
            for i in range(len(one)):
                if i in diagonal:
                    order, axis = [*order, axis], axis + 1
                elif i not in trace:
                    order, axis = [*order, axis + 1, axis], axis + 2
            parts.append(jnp.reshape(jnp.transpose(part, order), (block.shape[1], block.shape[0], -1)))
            start += math.prod(shape)
        return jnp.concatenate(parts, -1)

    def _arrays(self) -> list[tuple[Shape, Shape, Shape, Shape]]:
        none = ((),) * len(self.rows)
        columns = self.rows if self.columns is None else self.columns
        return list(zip(self.rows, columns, self.trace or none, self.diagonal or none, strict=True))

    def _each_array(
        self,
        first: tuple[str, str],
        second: tuple[str, str],
        lead: tuple[str, ...],
        gradients: tuple[Array, Array],
        weights: tuple[str, Array] | None = None,
    ) -> Array:
        # Letters stand for axes of the gradients, whole numbers for those of the output arrays between them.
        parts, starts = [], [0, 0]
        for one, two, trace, diagonal in self._arrays():
            ids1, ids2, kept = _names(len(one), trace, diagonal)
            operands = []
            for side, (gradient, shape, ids, (before, after)) in enumerate(
                zip(gradients, (one, two), (ids1, ids2), (first, second), strict=True)
            ):
                end = starts[side] + math.prod(shape)
                part = gradient[:, starts[side] : end]
                operands += [jnp.reshape(part, (len(part), *shape, *gradient.shape[2:])), [*before, *ids, *after]]
                starts[side] = end
            if weights is not None:
                operands = [weights[1], [*weights[0]], *operands]
            out = _einsum(operands, [*lead, *kept])
            mean = math.prod(one[axis] for axis in trace)
            parts.append(jnp.reshape(out, (*out.shape[: len(lead)], -1)) / mean)
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, -1)


class Between(AbstractOutputs):
    """The first outputs with the rest: how a model that mixes its batch is asked for the kernel of two batches.

    Such a model is asked about one example, whose outputs are those of both batches, one after the other.

    Parameters
    ----------
    first
        How many outputs are the first.
    outputs
        What becomes of the axes.
    """

    first: int = eqx.field(static=True)
    outputs: AbstractOutputs

    def shape(self, o: int) -> Shape:
        """Return the shape for the first outputs and the rest."""
        return self.outputs.shape(o)

    def contract(self, j1: Array, j2: Array) -> Array:
        """Contract the first with the rest."""
        return self.outputs.contract(j1[:, : self.first], j2[:, self.first :])

    def weigh(self, overlaps: Array, g1: Array, g2: Array) -> Array:
        """Contract the first with the rest."""
        return self.outputs.weigh(overlaps, g1[:, : self.first], g2[:, self.first :])

    def contract_each(self, j1: Array, j2: Array) -> Array:
        """Contract the first with the rest."""
        return self.outputs.contract_each(j1[:, : self.first], j2[:, self.first :])

    def weigh_each(self, overlaps: Array, g1: Array, g2: Array) -> Array:
        """Contract the first with the rest."""
        return self.outputs.weigh_each(overlaps, g1[:, : self.first], g2[:, self.first :])

    def mirror(self, block: Array) -> Array:
        """Swap the inputs, of one example only: the block itself."""
        return block


def _names(ndim: int, trace: Shape, diagonal: Shape) -> tuple[list[int], list[int], list[int]]:
    first, second, kept = list(range(ndim)), list(range(ndim)), []
    for axis in range(ndim):
        if axis not in trace and axis not in diagonal:
            second[axis] = ndim + axis
        if axis not in trace:
            kept += [axis] if axis in diagonal else [axis, ndim + axis]
    return first, second, kept


def _kept(one: Shape, two: Shape, trace: Shape, diagonal: Shape) -> Shape:
    _, _, kept = _names(len(one), trace, diagonal)
    return tuple((*one, *two)[axis] for axis in kept)


def _einsum(operands: list, out: list) -> Array:
    numbers = {"n": 60, "m": 61, "p": 62, "b": 63, "t": 64, "s": 65, "q": 66}
    named = [[numbers.get(i, i) for i in part] if isinstance(part, list) else part for part in [*operands, out]]
    return jnp.einsum(*named, precision="highest")
