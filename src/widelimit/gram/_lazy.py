"""A Gram matrix that is never held: its tiles are computed anew from the kernel whenever they are needed."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._typing import Array, PyTree
from ..kernels import AbstractKernel
from ._dense import AbstractGram
from ._schedule import AbstractSchedule, InTurn, in_order
from ._source import Source, columns_of, entries_of, given, is_traced, tile_on_one_thread
from ._tiling import Products, Tiling, add_products, balanced, products, side_within

BYTES = 24
"""Of an entry of a tile: what the engine returns, and the same in float64 for the product."""


class Lazy(AbstractGram):
    r"""The matrix of a kernel on n inputs, of which a tile at a time is in memory.

    .. math:: (Kv)_i = \sum_j K_{ij} v_j

    over square tiles; each tile on or above the diagonal is computed once per product and used for its mirror image
    too. Sums run in float64, whatever the precision of the kernel. Under a transformation of JAX (jit, grad) the loop
    is compiled and differentiable, tiles come from an engine in XLA, and sums run in the widest precision that JAX
    allows.

    Parameters
    ----------
    kernel
        Any kernel with one number for two inputs.
    x
        n inputs, an array or a pytree of arrays.
    tile
        Rows and columns of a tile; n need not divide. None for what ``memory`` allows.
    memory
        Budget in bytes for tiles, those that are computed at once together.
    schedule
        Where tiles are computed: `InTurn`, with all threads for each, or `Distributed`, on the workers of a cluster.

    Raises
    ------
    ValueError
        If ``kernel`` is no kernel or gives several numbers for two inputs, ``x`` is no batch, or a number is not
        positive.
    """

    kernel: AbstractKernel
    x: PyTree
    tile_size: int | None = eqx.field(static=True)
    memory: int = eqx.field(static=True)
    schedule: AbstractSchedule

    def __init__(
        self,
        kernel: AbstractKernel,
        x: PyTree,
        tile: int | None = None,
        *,
        memory: int = 2**28,
        schedule: AbstractSchedule = InTurn(),
    ) -> None:
        if tile is not None:
            _check.positive_int(tile, "tile")
        _check.positive_int(memory, "memory")
        _check.instance(schedule, AbstractSchedule, "schedule", "gram.Distributed()")
        self.kernel, self.x = kernel, Source.of(kernel, x).x
        self.tile_size, self.memory, self.schedule = tile, memory, schedule

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (n, n)."""
        n = Source(self.kernel, self.x).n
        return n, n

    def matmat(self, v: Array) -> Array:
        """Return the product with a matrix of shape (n, k), in the wider of both dtypes."""
        source = Source(self.kernel, self.x)
        columns_of(v, source.n)
        tiling = self._tiling()
        if is_traced(source, v):
            return _traced_product(source, tiling, v)
        dtype = np.result_type(source.dtype, v.dtype)
        out = np.zeros(v.shape)
        places = tiling.pairs()
        shared = (source.ready(), tiling, np.asarray(v, np.float64), self.schedule.at_once > 1)
        # In one order, so that the sum does not depend on which tile came first.
        sink = in_order(places, lambda place, parts: add_products(out, tiling, place, parts))
        self.schedule.run(_product_of_tile, shared, places, sink)
        return given(out, dtype)

    def tile(self, rows: slice, columns: slice) -> Array:
        """Return a rectangular part."""
        source = Source(self.kernel, self.x)
        picked = [entries_of(part, source.n) for part in (rows, columns)]
        if is_traced(source):
            first, second = (jnp.asarray(part, int) for part in picked)
            return source.traced_part(first, second)
        if not all(picked):
            return given(np.empty((len(picked[0]), len(picked[1]))), source.dtype)
        return given(source.ready().part(*picked), source.dtype)

    def diagonal(self) -> Array:
        """Return the diagonal, (n,)."""
        return Source(self.kernel, self.x).diagonal()

    def _tiling(self) -> Tiling:
        n, _ = self.shape
        if self.tile_size is not None:
            return Tiling(n, min(self.tile_size, n))
        return balanced(n, side_within(self.memory / self.schedule.at_once, BYTES))


def _product_of_tile(shared: tuple, place: tuple[int, int]) -> Products:
    source, tiling, v, alone = shared
    spans = tiling.span(place[0]), tiling.span(place[1])
    return products(tiling, place, tile_on_one_thread(source, spans) if alone else source.part(*spans), v)


def _traced_product(source: Source, tiling: Tiling, v: Any) -> Array:
    # Tiles that end beyond n repeat the last input, which meets zeros of v, and rows that are cut off.
    wide = jnp.promote_types(jax.dtypes.canonicalize_dtype(source.dtype), v.dtype)
    kind = jax.dtypes.canonicalize_dtype(np.float64)
    fill = tiling.across * tiling.side - tiling.n
    padded = jnp.pad(jnp.asarray(v, kind), ((0, fill), (0, 0))).reshape(tiling.across, tiling.side, -1)

    @jax.checkpoint
    def step(out: Array, place: Array) -> tuple[Array, None]:
        i, j = place
        first, second = (jnp.minimum(a * tiling.side + jnp.arange(tiling.side), tiling.n - 1) for a in place)
        tile = source.traced_part(first, second).astype(kind)
        out = out.at[i].add(tile @ padded[j])
        return out.at[j].add(jnp.where(i == j, 0, 1) * (tile.T @ padded[i])), None

    out, _ = jax.lax.scan(step, jnp.zeros_like(padded), jnp.asarray(tiling.pairs()))
    return out.reshape(-1, v.shape[1])[: tiling.n].astype(wide)
