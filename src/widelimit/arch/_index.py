"""Parts of space, by index."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import equinox as eqx

from .._typing import Array, Params, Shape
from . import _plainly
from ._base import AbstractLayer
from ._pair import Pair
from ._sample import Sample

Entry = int | tuple


class Index(AbstractLayer):
    r"""Keep some positions of space, as NumPy indexing does: :math:`u'_P = u_{p(P)}`.

    Parameters
    ----------
    entries
        Integers, slices and at most one ellipsis for the axes of space, such as ``Slice[1:10, ..., 0]``; an integer
        removes its axis. Channels cannot be indexed, and axes that are not named stay.

    Raises
    ------
    ValueError
        If an entry is something else, or out of range for the input.
    """

    entries: tuple[Entry, ...] = eqx.field(static=True, converter=lambda value: _entries(value))

    init = _plainly.no_params
    learning_rates = _plainly.no_rates
    resized = _plainly.same_width
    transmit = _plainly.same_signal
    spatial_needed = _plainly.same_space

    def out_shape(self, shape: Shape) -> Shape:
        r"""Return (\*space that is kept, channels)."""
        found = []
        for size, entry in zip(shape[:-1], self._expanded(len(shape) - 1), strict=True):
            if isinstance(entry, slice):
                found.append(len(range(*entry.indices(size))))
            elif not -size <= entry < size:
                raise ValueError(f"index {entry} is out of range for an axis of {size} positions of {shape[:-1]}.")
        if 0 in found:
            raise ValueError(f"the index keeps no position of space {shape[:-1]}; expected at least one.")
        return (*found, *shape[-1:])

    def forward(self, params: Params, x: Sample) -> Sample:  # noqa: ARG002
        """Return the output for one example."""
        at = self._expanded(x.values.ndim - 1)
        # Sums over neighbours would miss those that are gone: the graph is dropped.
        return Sample(x.values[at], None if x.mask is None else x.mask[at], None, x.key)

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        at = self._expanded(pair.xx.ndim)
        both = at if pair.gap_x is None else at + at

        def some(a: Array | None, at: tuple) -> Array | None:
            return None if a is None else a[at]

        once = {n: some(getattr(pair, n), at) for n in ("xx", "yy", "mean_x", "mean_y", "mask_x", "mask_y")}
        twice = {n: some(getattr(pair, n), at + at) for n in ("gap_x", "gap_y")}
        if not pair.xx[at].ndim:
            twice["gap_x"] = twice["gap_y"] = None
        gone = {"graph_x": None, "graph_y": None}
        return dataclasses.replace(pair, gap=pair.gap[both], ntk=pair.ntk[both], **once, **twice, **gone)

    def _expanded(self, depth: int) -> tuple[int | slice, ...]:
        # One integer or slice per axis of space.
        named = [entry for entry in self.entries if entry != ()]
        if len(named) > depth:
            raise ValueError(
                f"the index has {len(named)} entries and the input {depth} axes of space; expected at most one entry "
                "per axis. Channels cannot be indexed."
            )
        rest = [slice(None)] * (depth - len(named))
        where = self.entries.index(()) if () in self.entries else len(named)
        one = [entry if isinstance(entry, int) else slice(*entry) for entry in named]
        return tuple(one[:where] + rest + one[where:])


class _Slice:
    """Write an index as one writes it in brackets: ``Slice[1:3, 0]``."""

    def __getitem__(self, index: Any) -> tuple:
        return index if isinstance(index, tuple) else (index,)


Slice = _Slice()
"""Writes an index for `Index` as one writes it in brackets: ``Index(Slice[1:3, ..., 0])``."""


def _entries(value: Any) -> tuple[Entry, ...]:
    # Slices become (start, stop, step) and the ellipsis (): both can be hashed and written as JSON.
    value = value if isinstance(value, tuple) else (value,)
    found: list[Entry] = []
    for entry in value:
        if isinstance(entry, slice):
            entry = (entry.start, entry.stop, entry.step)
        entry = () if entry is Ellipsis else entry
        parts = entry if isinstance(entry, tuple) else (entry,)
        numbers = all(isinstance(p, int) and not isinstance(p, bool) for p in parts if p is not None)
        form = entry is not None and len(parts) in ((0, 3) if isinstance(entry, tuple) else (1,))
        if not (numbers and form) or parts[2:] == (0,):
            raise ValueError(f"an entry of the index is {entry!r}; expected an integer, a slice or an ellipsis.")
        found.append(cast(Entry, entry))
    if found.count(()) > 1:
        raise ValueError("the index has more than one ellipsis; expected at most one.")
    return tuple(found)
