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
        return self._spread(wanted, net, x1, x2)

    def diagonal(self, net: AbstractLayer, x: PyTree) -> Block:
        """Return NNGP and NTK of each input with itself, (n,) each."""
        if _traced(net, x):
            return self.engine.diagonal(net, x)
        return self._spread(None, net, x, None)

    def _spread(self, wanted: Wanted | None, net: AbstractLayer, x1: PyTree, x2: PyTree) -> Block:
        mesh = Mesh(np.array(jax.devices() if self.devices is None else self.devices), ("rows",))
        x1, x2 = as_samples(x1), None if x2 is None else as_samples(x2)
        count = jax.tree.leaves(x1)[0].shape[0]
        # The last example fills up to a number that divides.
        filled = -(-count // mesh.size) * mesh.size
        dtype = result_dtype(*[a for a in jax.tree.leaves((x1, x2)) if jnp.issubdtype(a.dtype, jnp.floating)])

        def on_devices(net: AbstractLayer, x1: PyTree, x2: PyTree) -> Block:
            whole = jax.tree.map(jnp.asarray, (net, x2))
            x1 = jax.tree.map(lambda a: jnp.asarray(a)[jnp.minimum(jnp.arange(filled), count - 1)], x1)
            whole, x1 = (jax.device_put(a, NamedSharding(mesh, s)) for a, s in ((whole, WHOLE), (x1, ROWS)))
            return _by_rows(self.engine, wanted, mesh, whole, x1)

        found = evaluate(on_devices, net, x1, x2, compute=dtype, result=dtype)
        return Block(*(a[:count] if len(a) > count else a for a in found))


@eqx.filter_jit
def _by_rows(engine: AbstractEngine, wanted: Wanted | None, mesh: Mesh, whole: tuple, x1: PyTree) -> Block:
    def rows(whole: tuple, x1: PyTree) -> Block:
        net, x2 = whole
        return engine.diagonal(net, x1) if wanted is None else engine.block(net, x1, x2, wanted=wanted)

    return jax.shard_map(rows, mesh=mesh, in_specs=(WHOLE, ROWS), out_specs=ROWS, check_vma=False)(whole, x1)


def _traced(*trees: PyTree) -> bool:
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((trees, jnp.zeros(()))))
