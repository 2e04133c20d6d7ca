"""The contract of a method for empirical kernels."""

import abc

import equinox as eqx

from .._typing import Array, PyTree
from ._outputs import AbstractOutputs
from ._problem import Problem


class AbstractMethod(eqx.Module):
    """How an empirical NTK is computed. All methods give the same numbers, but for a sketch.

    Arrays are in flat form: o counts all outputs of one example. Methods take the examples in blocks that fit their
    budget of memory and compile what they need; ``x2=None`` means ``x1`` again and is not computed twice.
    """

    @abc.abstractmethod
    def block(self, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs) -> Array:
        """Return the kernel of two batches: (n1, n2), (n1, n2, o) or (n1, n2, o, o) as ``outputs`` says."""

    @abc.abstractmethod
    def diagonal(self, problem: Problem, x: PyTree, outputs: AbstractOutputs) -> Array:
        """Return the kernel of each input with itself: (n,), (n, o) or (n, o, o)."""
