"""The contract of an engine: an architecture and two batches to blocks of numbers."""

import abc
from typing import NamedTuple

import equinox as eqx

from .._typing import Array, PyTree
from ..arch import AbstractLayer


class Wanted(NamedTuple):
    """Which of the two kernels of a limit are asked for."""

    nngp: bool = True
    ntk: bool = True


class Block(NamedTuple):
    """Both kernels of a limit on the same inputs, of the same shape; one that is not wanted may be left empty."""

    nngp: Array
    ntk: Array


class AbstractEngine(eqx.Module):
    """Evaluates the limit of an architecture on data. All engines give the same numbers."""

    @abc.abstractmethod
    def block(self, net: AbstractLayer, x1: PyTree, x2: PyTree, *, wanted: Wanted = Wanted()) -> Block:
        r"""Return NNGP and NTK of two batches (arrays, `Sample` or tuples of them), (n1, n2) each.

        Where ``x2`` is the very object ``x1``, the kernels are symmetric, and an engine may compute half of them.
        """

    @abc.abstractmethod
    def diagonal(self, net: AbstractLayer, x: PyTree) -> Block:
        """Return NNGP and NTK of each input with itself, (n,) each."""
