"""The contract of an engine: an architecture and two batches to blocks of numbers."""

import abc
from typing import NamedTuple

import equinox as eqx

from .._typing import Array, PyTree
from ..arch import AbstractLayer


class Block(NamedTuple):
    """Both kernels of a limit on the same inputs, of the same shape."""

    nngp: Array
    ntk: Array


class AbstractEngine(eqx.Module):
    """Evaluates the limit of an architecture on data. All engines give the same numbers."""

    @abc.abstractmethod
    def block(self, net: AbstractLayer, x1: PyTree, x2: PyTree) -> Block:
        r"""Return NNGP and NTK of two batches (arrays, `Sample` or tuples of them), (n1, n2) each."""

    @abc.abstractmethod
    def diagonal(self, net: AbstractLayer, x: PyTree) -> Block:
        """Return NNGP and NTK of each input with itself, (n,) each."""
