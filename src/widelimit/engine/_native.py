"""The native engine: loops compiled for the CPU, in place of JAX where an architecture has a native form."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._typing import PyTree, Tracer
from ..arch import AbstractLayer, Sample, as_samples
from ._base import AbstractEngine, Block, Wanted
from ._cost import Size, native_cost
from ._lowering import NoNativeForm, lowered
from ._on_disk import fixed
from ._program import Flatten, Program
from ._threads import thread_count


class Native(AbstractEngine):
    r"""Compiled CPU loops: all layers on a few numbers while they are in the cache.

    On vectors products of inputs come first, and a few rows at a time pass all layers. On images and sequences a plane
    of pairs of positions of one offset does, of one input with 16 partners (DESIGN.md, "Offset planes"); local pooling
    begins a new stage, whose planes are sums of those in front.

    Of a symmetric kernel half is computed. In float32 the gap is carried (DESIGN.md), so that results are within 1e-5
    of float64, and both kernels come from one pass; where an activation follows a pooling of positions, inputs that
    nearly agree are within 1e-4. Nothing is compiled per network; the loops are compiled once per precision and kept on
    disk. It is not differentiable.

    Parameters
    ----------
    threads
        Number of threads; None for NUMBA_NUM_THREADS or OMP_NUM_THREADS, else the number of cores. Matrix products
        run in them too: NumPy's BLAS is held to one thread for the time of an evaluation.
    """

    threads: int | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        """Check the number of threads."""
        if self.threads is not None:
            _check.positive_int(self.threads, "threads")

    def block(self, net: AbstractLayer, x1: PyTree, x2: PyTree, *, wanted: Wanted = Wanted()) -> Block:
        """Return NNGP and NTK, each of shape (n1, n2), empty where not wanted.

        Raises
        ------
        NoNativeForm
            If the network or its input has no native form; the message says why.
        ValueError
            If an input is not finite.
        """
        return self.together([net], x1, x2, wanted=wanted)[0]

    def together(
        self, nets: Sequence[AbstractLayer], x1: PyTree, x2: PyTree, *, wanted: Wanted = Wanted()
    ) -> list[Block]:
        """Return NNGP and NTK of several networks on the same inputs, as `block` does for each.

        Networks on images that are the same up to a global pooling of each one's own (such as those of several depths)
        are computed in one pass, in the time of the one with most layers.

        Raises
        ------
        NoNativeForm
            If one of the networks or their input has no native form; the message says why.
        ValueError
            If an input is not finite.
        """
        from ._native_conv import Images, blocks
        from ._native_run import Task

        x, y = values_of(x1), values_of(x2)
        programs, threads = [lowered(net, x.shape[1:]) for net in nets], self.threads or thread_count()
        forms = [form_of(program) for program in programs]
        kind, symmetric = np.promote_types(x.dtype, y.dtype), x2 is x1
        size = Size(len(x), len(y), kind, symmetric)
        tasks = [Task(wanted, symmetric, threads, native_cost(program, size, threads).seconds) for program in programs]
        x = fixed(x.astype(kind, copy=False))
        y = x if symmetric else fixed(y.astype(kind, copy=False))
        if len(forms) > 1 and all(isinstance(form, Images) for form in forms):
            return blocks(programs, x, y, max(tasks, key=lambda task: task.seconds))
        return [form.block(x, y, task) for form, task in zip(forms, tasks, strict=True)]

    def diagonal(self, net: AbstractLayer, x: PyTree) -> Block:
        """Return NNGP and NTK of each input with itself, each of shape (n,).

        Raises
        ------
        NoNativeForm
            If the network or its input has no native form; the message says why.
        ValueError
            If an input is not finite.
        """
        values = values_of(x)
        return form_of(lowered(net, values.shape[1:])).diagonal(values)


def form_of(program: Program) -> Any:
    """Return a program in a form that has compiled loops, with methods `block` and `diagonal`.

    Raises
    ------
    NoNativeForm
        If there is none; the message says why.
    """
    # Numba is imported when it is needed: it takes longer than all the rest.
    from ._native_conv import Images
    from ._native_run import Vectors

    for op, path in zip(program.operations, program.paths, strict=True):
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(op)):
            raise NoNativeForm(f"layer {path or '0'} has a hyperparameter that JAX traces (grad, jit or vmap)")
    return Images(program) if on_planes(program) else Vectors(program)


def on_planes(program: Program) -> bool:
    """Whether inputs have space, which is not flattened at once."""
    flat = len(program.shapes[0]) == 1 or (program.operations and isinstance(program.operations[0], Flatten))
    return not flat


def values_of(x: PyTree) -> np.ndarray:
    r"""Return a batch as an array (n, \*shape) of float32 or float64, refusing what the native engine does not read.

    Raises
    ------
    NoNativeForm
        Saying what the input is.
    """
    sample = as_samples(x)
    if not isinstance(sample, Sample):
        raise NoNativeForm("the network has several inputs")
    if any(isinstance(leaf, Tracer) for leaf in (*jax.tree.leaves(sample), jnp.zeros(()))):
        raise NoNativeForm("JAX is tracing (grad, jit or vmap), and compiled loops need numbers")
    if sample.mask is not None or sample.graph is not None:
        raise NoNativeForm("the inputs have a mask or a graph")
    values: Any = sample.values
    if isinstance(values, jax.Array) and any(d.platform != "cpu" for d in values.devices()):
        raise NoNativeForm("the inputs are in the memory of another device than the CPU")
    values = np.asarray(values)
    if values.dtype not in (np.float32, np.float64):
        raise NoNativeForm(f"the inputs are of dtype {values.dtype}, neither float32 nor float64")
    # Not to be written, whatever comes in: compiled loops have one type for it.
    return fixed(np.ascontiguousarray(values))
