"""The rows of a kernel on several devices, each of them computed by another engine in XLA."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import PyTree, Tracer
from ..arch import AbstractLayer, as_samples
from ._auto import Auto
from ._base import AbstractEngine, Block, Wanted

ROWS, WHOLE = PartitionSpec("rows"), PartitionSpec()


class Sharded(AbstractEngine):
    """Rows of a kernel spread over devices.

    Each device holds all of the second batch and its part of the first, and computes its rows by itself; nothing is
    exchanged. Rows need not divide. Of a symmetric kernel all entries are computed; in `widelimit.gram`, where it is
    cut into tiles, half of the tiles. The result stays where it was computed, sharded by rows where they divide.

    Parameters
    ----------
    engine
        How each device computes its part: `Planes`, `Reference`, or `Auto`, which takes one of both here. Loops of
        `Native` are for numbers in the memory of the CPU.
    devices
        Which devices; None for all of ``jax.devices()``.

    Raises
    ------
    ValueError
        If ``devices`` is empty, or ``engine`` is no engine.
    """

    engine: AbstractEngine = Auto()
    devices: tuple[Any, ...] | None = eqx.field(default=None, static=True)

    def __check_init__(self) -> None:
        """Check that there are devices."""
        _check.instance(self.engine, AbstractEngine, "engine", "engine.Planes()")
        if self.devices is not None and not self.devices:
            raise ValueError("devices is empty; expected at least one device, or None for all.")

    def block(self, net: AbstractLayer, x1: PyTree, x2: PyTree, *, wanted: Wanted = Wanted()) -> Block:
        """Return NNGP and NTK of two batches, (n1, n2) each, empty where not wanted.

        Raises
        ------
        NoNativeForm
            If ``engine`` has no form of the network in XLA; the message says why.
        """
        if _traced(net, x1, x2):
            return self.engine.block(net, x1, x2, wanted=wanted)
        return self._spread(lambda net, x1, x2: self.engine.block(net, x1, x2, wanted=wanted), net, x1, x2)

    def diagonal(self, net: AbstractLayer, x: PyTree) -> Block:
        """Return NNGP and NTK of each input with itself, (n,) each."""
        if _traced(net, x):
            return self.engine.diagonal(net, x)
        return self._spread(lambda net, x, _: self.engine.diagonal(net, x), net, x, None)

    def _spread(self, rows: Any, net: AbstractLayer, x1: PyTree, x2: PyTree) -> Block:
        mesh = Mesh(np.array(jax.devices() if self.devices is None else self.devices), ("rows",))
        x1, x2 = as_samples(x1), None if x2 is None else as_samples(x2)
        count = jax.tree.leaves(x1)[0].shape[0]
        # The last example fills up to a number that divides; NumPy, because slices of it compile nothing.
        fill = -count % mesh.size
        x1 = jax.tree.map(lambda a: jnp.concatenate([a, jnp.repeat(a[-1:], fill, 0)]) if fill else a, x1)
        dtype = result_dtype(*[a for a in jax.tree.leaves((x1, x2)) if jnp.issubdtype(a.dtype, jnp.floating)])

        def on_devices(net: AbstractLayer, x1: PyTree, x2: PyTree) -> Block:
            arrays = jax.device_put(jax.tree.map(jnp.asarray, (net, x2)), NamedSharding(mesh, WHOLE))
            return _by_rows(rows, mesh, arrays, jax.device_put(x1, NamedSharding(mesh, ROWS)))

        found = evaluate(on_devices, net, x1, x2, compute=dtype, result=dtype)
        return Block(*(a if not fill or not a.size else a[:count] for a in found))


@eqx.filter_jit
def _by_rows(rows: Any, mesh: Mesh, whole: tuple, x1: PyTree) -> Block:
    return jax.shard_map(
        lambda whole, x1: rows(whole[0], x1, whole[1]),
        mesh=mesh,
        in_specs=(WHOLE, ROWS),
        out_specs=ROWS,
        check_vma=False,
    )(whole, x1)


def _traced(*trees: PyTree) -> bool:
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((trees, jnp.zeros(()))))
