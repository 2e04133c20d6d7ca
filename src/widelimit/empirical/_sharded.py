"""Rows of an empirical kernel on several devices."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from .._typing import Array, PyTree, Tracer
from ._auto import Auto
from ._method import AbstractMethod
from ._outputs import AbstractOutputs
from ._problem import Problem
from ._tiles import length


class Sharded(AbstractMethod):
    """Another method, with the rows of the kernel spread over devices.

    Each device holds the parameters, all of the second batch and its part of the first, and computes its rows by
    itself, under the memory budget of the method; nothing is exchanged. The number of examples need not divide. The
    result stays where it was computed, sharded by rows where the rows divide.

    Parameters
    ----------
    method
        How each device computes its part.
    devices
        Which devices; None for all of ``jax.devices()``.

    Raises
    ------
    ValueError
        If ``devices`` is empty.
    """

    method: AbstractMethod = Auto()
    devices: tuple[Any, ...] | None = eqx.field(default=None, static=True)

    def __check_init__(self) -> None:
        """Check that there are devices."""
        if self.devices is not None and not self.devices:
            raise ValueError("devices is empty; expected at least one device, or None for all.")

    def block(self, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs) -> Array:
        """Return the kernel of two batches."""
        return _block(self, problem, x1, x1 if x2 is None else x2, outputs)

    def diagonal(self, problem: Problem, x: PyTree, outputs: AbstractOutputs) -> Array:
        """Return the kernel of each input with itself."""
        return _diagonal(self, problem, x, outputs)


def spread(method: AbstractMethod, problem: Problem, *batches: PyTree) -> tuple:
    """Return method, problem and batches, on the devices of the method or of the batches.

    Where a batch is sharded over devices and the method is not, the method becomes `Sharded` over these devices.
    """
    if not isinstance(method, Sharded):
        devices = _devices(batches)
        if len(devices) < 2:
            return method, problem, *batches
        method = Sharded(method, devices)
    everywhere = NamedSharding(_mesh(method.devices), PartitionSpec())

    def put(leaf: Any) -> Any:
        return jax.device_put(leaf, everywhere) if eqx.is_array(leaf) and not isinstance(leaf, Tracer) else leaf

    return jax.tree.map(put, (method, problem, *batches))


def _devices(batches: tuple) -> tuple[Any, ...]:
    """Return the devices of the concrete arrays that are spread over the most devices, in their order."""
    found: tuple[Any, ...] = ()
    for leaf in jax.tree.leaves(batches):
        if isinstance(leaf, jax.Array) and not isinstance(leaf, Tracer) and len(leaf.sharding.device_set) > len(found):
            found = tuple(sorted(leaf.sharding.device_set, key=lambda device: device.id))
    return found


def _mesh(devices: tuple[Any, ...] | None) -> Mesh:
    return Mesh(np.array(jax.devices() if devices is None else devices), ("rows",))


@eqx.filter_jit
def _block(sharded: Sharded, problem: Problem, x1: PyTree, x2: PyTree, outputs: AbstractOutputs) -> Array:
    def rows(whole: tuple, x1: PyTree) -> Array:
        method, problem, outputs, x2 = whole
        return method.block(problem, x1, x2, outputs)

    return _by_rows(sharded.devices, rows, (sharded.method, problem, outputs, x2), x1)


@eqx.filter_jit
def _diagonal(sharded: Sharded, problem: Problem, x: PyTree, outputs: AbstractOutputs) -> Array:
    def rows(whole: tuple, x: PyTree) -> Array:
        method, problem, outputs = whole
        return method.diagonal(problem, x, outputs)

    return _by_rows(sharded.devices, rows, (sharded.method, problem, outputs), x)


def _by_rows(devices: tuple[Any, ...] | None, rows: Any, whole: tuple, x: PyTree) -> Array:
    """Return ``rows(whole, x)`` with ``whole`` on every device and ``x`` cut by its first axis."""
    mesh = _mesh(devices)
    arrays, rest = eqx.partition(whole, eqx.is_array)
    n = length(x)
    # The last example fills up to a number that divides.
    fill = -n % mesh.size
    x = jax.tree.map(lambda a: jnp.concatenate([a, jnp.repeat(a[-1:], fill, 0)]) if fill else jnp.asarray(a), x)
    part = jax.shard_map(
        lambda arrays, x: rows(eqx.combine(arrays, rest), x),
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec("rows")),
        out_specs=PartitionSpec("rows"),
        check_vma=False,
    )
    out = part(arrays, x)
    return out[:n] if fill else out
