"""The record of everything about a limit that neural-tangents' kernel functions pass on."""

from __future__ import annotations

import builtins
import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ..._typing import Array, Shape
from ._kernel_axes import common_part, doubled, full_index, masked_pairs, sliced_shape

ARRAYS = ("nngp", "ntk", "cov1", "cov2")


def _static(**kwargs: Any) -> Any:
    return eqx.field(static=True, metadata={"pytree_node": False}, **kwargs)


class Kernel(eqx.Module):
    r"""Kernels of two batches of random functions, with what a next layer needs of them.

    Attributes
    ----------
    nngp, ntk
        Covariances and tangent kernel, (n1, n2, h, h', w, w', ...), or (n1, n2, h, w, ...) if ``diagonal_spatial``; the
        tangent kernel is None where it was not asked for.
    cov1, cov2
        Covariances within a batch, (n, ...), or (n, n, ...) without ``diagonal_batch``; None for a second batch that
        is the first.
    x1_is_x2
        Whether the batches are equal; of parts of equal batches that overlap, which entries are of one example.
    is_gaussian
        Whether the functions are Gaussian.
    is_reversed
        Whether the spatial axes stand in reversed order.
    is_input
        Kept for code that reads it.
    diagonal_batch, diagonal_spatial
        Whether covariances of different examples of a batch, of different positions, are left out.
    shape1, shape2
        Shapes of the functions' values.
    batch_axis, channel_axis
        Axes of the examples and of the infinitely many channels in these shapes.
    mask1, mask2
        True where a value is masked, of shapes that broadcast to ``shape1`` and ``shape2``; None for no mask.
    """

    nngp: Array
    ntk: Array | None
    cov1: Array
    cov2: Array | None
    x1_is_x2: Any
    is_gaussian: bool = _static()
    is_reversed: bool = _static()
    is_input: bool = _static()
    diagonal_batch: bool = _static()
    diagonal_spatial: bool = _static()
    shape1: Shape = _static()
    shape2: Shape = _static()
    batch_axis: int = _static()
    channel_axis: int = _static()
    mask1: Array | None = None
    mask2: Array | None = None

    def replace(self, **changes: Any) -> Kernel:
        """Return the kernel with other values of some fields."""
        return dataclasses.replace(self, **changes)

    def asdict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def astuple(self) -> tuple[Any, ...]:
        """Return the fields in their order."""
        return tuple(self.asdict().values())

    def slice(self, n1_slice: builtins.slice, n2_slice: builtins.slice) -> Kernel:
        """Return the kernel of some examples of the first and of the second batch."""
        cov1, mask1 = self.cov1[n1_slice], self.mask1
        cov2 = self.cov1 if self.cov2 is None else self.cov2
        # A second batch that is the first has its mask as well.
        mask2 = self.mask1 if self.cov2 is None and self.mask2 is None else self.mask2
        cov2 = cov2[n2_slice]
        if not self.diagonal_batch:
            cov1, cov2 = cov1[:, n1_slice], cov2[:, n2_slice]
        return self.replace(
            nngp=self.nngp[n1_slice, n2_slice],
            ntk=self.ntk if self.ntk is None or self.ntk.ndim == 0 else self.ntk[n1_slice, n2_slice],
            cov1=cov1,
            cov2=cov2,
            x1_is_x2=common_part(self.x1_is_x2, self.nngp.shape[:2], n1_slice, n2_slice),
            shape1=self._with_examples(self.shape1, len(cov1)),
            shape2=self._with_examples(self.shape2, len(cov2)),
            mask1=self._examples(mask1, n1_slice),
            mask2=self._examples(mask2, n2_slice),
        )

    def reverse(self) -> Kernel:
        """Return the kernel with its spatial axes in reversed order."""
        count = len(self.shape1) - 2
        return self.transpose(tuple(range(count))[::-1]).replace(is_reversed=not self.is_reversed)

    def transpose(self, axes: tuple[int, ...] | None = None) -> Kernel:
        """Return the kernel with its spatial axes, numbered from zero, in the order ``axes``."""
        order = range(len(self.shape1) - 2) if axes is None else axes

        def permuted(k: Array | None, lead: int) -> Array | None:
            if k is None or k.ndim == 0:
                return k
            if self.diagonal_spatial:
                return jnp.transpose(k, (*range(lead), *[lead + a for a in order]))
            return jnp.transpose(k, (*range(lead), *[lead + 2 * a + side for a in order for side in (0, 1)]))

        return self.replace(**{name: permuted(k, lead) for name, k, lead in self._arrays()})

    def mask(self, mask1: Array | None, mask2: Array | None) -> Kernel:
        """Return the kernel with zeros where a value is masked; a second batch that is the first has its mask."""
        first = self._reduced(mask1)
        second = first if self.cov2 is None and mask2 is None else self._reduced(mask2)
        pairs = {"nngp": (first, second), "ntk": (first, second), "cov1": (first, first), "cov2": (second, second)}

        def zeroed(name: str, k: Array | None, lead: int) -> Array | None:
            if k is None or k.ndim == 0:
                return k
            where = masked_pairs(*pairs[name], each=lead == 1, diagonal=self.diagonal_spatial)
            return k if where is None else jnp.where(where, jnp.zeros((), k.dtype), k)

        arrays = {name: zeroed(name, k, lead) for name, k, lead in self._arrays()}
        return self.replace(**arrays, mask1=mask1, mask2=mask2)

    def __mul__(self, other: float) -> Kernel:
        """Return the kernel of the functions times a number."""
        return self.replace(**{name: None if k is None else other**2 * k for name, k, _ in self._arrays()})

    def __add__(self, other: float) -> Kernel:
        """Return the kernel of the functions plus a number, whose sign is random: covariances grow by its square."""
        return self.replace(
            **{name: k if k is None or name == "ntk" else other**2 + k for name, k, _ in self._arrays()}
        )

    def __truediv__(self, other: float) -> Kernel:
        """Return the kernel of the functions over a number."""
        return self * (1.0 / other)

    def __neg__(self) -> Kernel:
        """Return the kernel itself: that of a function is that of its negative."""
        return self

    __rmul__ = __mul__
    __sub__ = __add__
    __pos__ = __neg__

    def __getitem__(self, idx: Any) -> Kernel:
        """Return the kernel of a part of the values: slices of examples, slices and numbers of positions.

        Raises
        ------
        NotImplementedError
            If channels are indexed, or the axis of the examples by a number.
        """
        idx = full_index(idx, len(self.shape1))
        if idx[self.channel_axis] != builtins.slice(None):
            raise NotImplementedError(f"channels (axis {self.channel_axis}) are infinitely many and cannot be indexed.")
        examples = idx[self.batch_axis]
        if isinstance(examples, int):
            raise NotImplementedError(
                f"the examples (axis {self.batch_axis}) are indexed by a number, which would remove the axis; "
                "expected a slice."
            )
        spatial = tuple(s for i, s in enumerate(idx) if i not in (self.batch_axis, self.channel_axis))
        spatial = spatial[::-1] if self.is_reversed else spatial
        spatial = spatial if self.diagonal_spatial else doubled(spatial)
        arrays = {
            name: k if k is None or k.ndim == 0 else k[(*[examples] * lead, *spatial)]
            for name, k, lead in self._arrays()
        }
        numbers = [i for i, s in enumerate(idx) if isinstance(s, int)]
        return self.replace(
            **arrays,
            batch_axis=self.batch_axis - sum(i < self.batch_axis for i in numbers),
            channel_axis=self.channel_axis - sum(i < self.channel_axis for i in numbers),
            shape1=sliced_shape(self.shape1, idx),
            shape2=sliced_shape(self.shape2, idx),
            mask1=None if self.mask1 is None else _sliced_mask(self.mask1, idx),
            mask2=None if self.mask2 is None else _sliced_mask(self.mask2, idx),
        )

    def _arrays(self) -> list[tuple[str, Array | None, int]]:
        own = 1 if self.diagonal_batch else 2
        return [(name, getattr(self, name), own if name.startswith("cov") else 2) for name in ARRAYS]

    def _with_examples(self, shape: Shape, n: int) -> Shape:
        return (*shape[: self.batch_axis], n, *shape[self.batch_axis + 1 :])

    def _examples(self, mask: Array | None, part: builtins.slice) -> Array | None:
        if mask is None or mask.shape[self.batch_axis] == 1:
            return mask
        return mask[(*[builtins.slice(None)] * self.batch_axis, part)]

    def _reduced(self, mask: Array | None) -> Array | None:
        # (n, h, w, ...) in the order in which the spatial axes stand.
        if mask is None:
            return None
        if mask.shape[self.channel_axis] != 1:
            raise NotImplementedError(
                f"mask has shape {mask.shape}, with more than one entry along the channels (axis {self.channel_axis}); "
                "expected 1: masks of single channels have no infinite-width kernel here."
            )
        moved = jnp.moveaxis(mask, (self.batch_axis, self.channel_axis), (0, -1))[..., 0]
        return jnp.transpose(moved, (0, *range(moved.ndim - 1, 0, -1))) if self.is_reversed else moved


def _sliced_mask(mask: Array, idx: tuple) -> Array:
    # Axes of length one stand for all entries.
    kept = [s if n != 1 or isinstance(s, int) else builtins.slice(None) for s, n in zip(idx, mask.shape, strict=True)]
    return mask[tuple(0 if isinstance(s, int) and n == 1 else s for s, n in zip(kept, mask.shape, strict=True))]
