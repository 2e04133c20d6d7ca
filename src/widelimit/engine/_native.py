"""The native engine: loops compiled for the CPU, in place of JAX where an architecture has a native form."""

from typing import Any

import equinox as eqx
import jax
import numpy as np

from .. import _check
from .._typing import PyTree, Tracer
from ..arch import AbstractLayer, Sample, as_samples
from ._base import AbstractEngine, Block, Wanted
from ._lowering import NoNativeForm, lowered
from ._program import Program
from ._threads import thread_count


class Native(AbstractEngine):
    r"""Compiled CPU loops for networks on vectors: one GEMM, then all layers on a few rows while they are in the cache.

    Of a symmetric kernel half is computed. In float32 the gap is carried (DESIGN.md), so that results are within 1e-5
    of float64, and both kernels come from one pass. Nothing is compiled per network; the loops are compiled once per
    precision and kept on disk. It is not differentiable.

    Parameters
    ----------
    threads
        Number of threads; None for NUMBA_NUM_THREADS or OMP_NUM_THREADS, else the number of cores. The GEMM runs on
        the threads of NumPy's BLAS, which reads OMP_NUM_THREADS when Python starts.
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
        # Numba is imported when it is needed: it takes longer than all the rest.
        from ._native_run import Job, kernels

        x, y = vectors(x1), vectors(x2)
        program, threads = lowered(net, x.shape[1:]), self.threads or thread_count()
        if x.dtype != y.dtype:
            x, y = (a.astype(np.promote_types(x.dtype, y.dtype)) for a in (x, y))
        code = code_of(program)
        x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
        return kernels(Job(code, x, y, wanted, x2 is x1, threads, 0.0))

    def diagonal(self, net: AbstractLayer, x: PyTree) -> Block:
        """Return NNGP and NTK of each input with itself, each of shape (n,).

        Raises
        ------
        NoNativeForm
            If the network or its input has no native form; the message says why.
        ValueError
            If an input is not finite.
        """
        from ._native_run import diagonals

        values = vectors(x)
        return diagonals(code_of(lowered(net, values.shape[1:])), values.reshape(len(values), -1))


def code_of(program: Program) -> Any:
    """Return the code of a program for the compiled loops."""
    from ._native_code import encoded

    return encoded(program)


def vectors(x: PyTree) -> np.ndarray:
    r"""Return a batch as an array (n, \*shape) of float32 or float64, refusing what the native engine does not read.

    Raises
    ------
    NoNativeForm
        Saying what the input is.
    """
    sample = as_samples(x)
    if not isinstance(sample, Sample):
        raise NoNativeForm("the network has several inputs")
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(sample)):
        raise NoNativeForm("the inputs are traced by JAX (under grad, jit or vmap), and compiled loops need numbers")
    if sample.mask is not None or sample.graph is not None:
        raise NoNativeForm("the inputs have a mask or a graph")
    values: Any = sample.values
    if isinstance(values, jax.Array) and any(d.platform != "cpu" for d in values.devices()):
        raise NoNativeForm("the inputs are in the memory of another device than the CPU")
    values = np.asarray(values)
    if values.dtype not in (np.float32, np.float64):
        raise NoNativeForm(f"the inputs are of dtype {values.dtype}, neither float32 nor float64")
    return np.ascontiguousarray(values)
