"""Matrices of several kernels on the same inputs."""

from collections.abc import Sequence
from typing import Any, TypeGuard

import jax

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import Array, PyTree
from ..arch import cleared, input_signal
from ..engine import Wanted, blocks
from ._base import AbstractKernel
from ._infinite import NNGP, NTK, finite, read


def together(kernels: Sequence[AbstractKernel], x1: Any, x2: Any = None) -> list[Array]:
    r"""Return the matrices of several kernels of ``x1`` against ``x2`` (against itself if that is None).

    The numbers are those of ``[kernel(x1, x2) for kernel in kernels]``. Infinite networks on images or sequences that
    `engine.Native` runs and that are the same up to their global pooling, such as those of depths 1 to L, or the NTK
    and the NNGP of one of them, are computed in one pass, in the time of the deepest.

    Parameters
    ----------
    kernels
        Any kernels. Those of infinite networks (`NTK`, `NNGP`) of the same engine are evaluated together.
    x1, x2
        Batches of shapes (n1, \*input_shape) and (n2, \*input_shape).

    Returns
    -------
    list
        Of each kernel what it returns for these batches.

    Raises
    ------
    ValueError
        If a kernel is none, or as a kernel does for these batches.
    """
    for i, kernel in enumerate(kernels):
        _check.instance(kernel, AbstractKernel, f"kernels[{i}]", "NTK(net)")
    x1 = _check.batch(cleared(x1), "x1")
    if x2 is not None:
        x2 = _check.batch(cleared(x2), "x2")
        _check.same_batch(x1, x2)
    dtype = result_dtype(*jax.tree.leaves((x1, x2)))
    return evaluate(_matrices, list(kernels), x1, x2, compute=dtype, result=dtype)


def _matrices(kernels: list[AbstractKernel], x1: PyTree, x2: PyTree) -> list[Array]:
    found: dict[int, Array] = {}
    for i, kernel in enumerate(kernels):
        if not isinstance(kernel, NTK | NNGP):
            found[i] = kernel.block(x1, x2)
        elif i not in found:
            alike = {k: other for k, other in enumerate(kernels) if _alike(other, kernel)}
            found.update(zip(alike, _of_networks([*alike.values()], x1, x2), strict=True))
    return [found[i] for i in range(len(kernels))]


def _alike(other: AbstractKernel, kernel: NTK | NNGP) -> TypeGuard[NTK | NNGP]:
    # Networks of one engine, on inputs that are read alike.
    if not isinstance(other, NTK | NNGP) or not bool(other.engine == kernel.engine):
        return False
    return input_signal(other.net).tokens == input_signal(kernel.net).tokens


def _of_networks(kernels: Sequence[NTK | NNGP], x1: PyTree, x2: PyTree) -> list[Array]:
    nets = [kernel.net for kernel in kernels]
    batches = [(read(net, x1, "x1"), None if x2 is None else read(net, x2, "x2")) for net in nets]
    x, other = batches[0]
    y = x if other is None else other
    tangent = [isinstance(kernel, NTK) for kernel in kernels]
    made = blocks(kernels[0].engine, nets, x, y, wanted=Wanted(nngp=not all(tangent), ntk=any(tangent)))
    found = [block.ntk if of_ntk else block.nngp for block, of_ntk in zip(made, tangent, strict=True)]
    return [finite(net, matrix, x, y) for net, matrix in zip(nets, found, strict=True)]
