"""The solver that chooses: a factorisation where the matrix fits into memory, else iterations."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._typing import AnyArray, Scalar, Tracer
from .._units import memory_in_words, time_in_words
from ..gram import AbstractGram, Dense
from ._base import AbstractSolver, Solution
from ._cg import CG, Preconditioned
from ._cholesky import Cholesky, in_numpy
from ._eigen import Eigen, Spectrum
from ._preconditioner import PivotedCholesky

FLOPS = 1.5e10
"""Operations per second and thread of a factorisation in float64 in LAPACK; in JAX on a CPU a third of that."""

ITERATIONS = 100
"""Iterations that an estimate of the time counts for `CG`."""


class Wants(eqx.Module):
    """What a solve is for.

    Parameters
    ----------
    columns
        Right-hand sides.
    determinant
        Whether the determinant is asked for, as in the evidence.
    ridges
        How many values of one noise variance are to be tried on the same matrix.
    """

    columns: int = eqx.field(default=1, static=True)
    determinant: bool = eqx.field(default=False, static=True)
    ridges: int = eqx.field(default=1, static=True)

    def __check_init__(self) -> None:
        """Check the numbers."""
        _check.positive_int(self.columns, "columns")
        _check.positive_int(self.ridges, "ridges")


@dataclasses.dataclass(frozen=True)
class Selection:
    """The choice of `Auto`; print it to read it.

    Attributes
    ----------
    solver
        The solver that runs.
    reason
        Why, as a sentence.
    seconds, bytes
        Estimates of the time, within a factor of about three, and of the memory beside the matrix that is given.
    """

    solver: AbstractSolver
    reason: str
    seconds: float
    bytes: float

    def __str__(self) -> str:
        """Return solver, reason and estimates as a sentence or two."""
        size = f"About {time_in_words(self.seconds)} and {memory_in_words(self.bytes)}"
        return f"{type(self.solver).__name__}: {self.reason}. {size}."


class Auto(AbstractSolver):
    """`Cholesky` where the matrix fits into memory or is being traced, `Eigen` for many ridges, else `CG`.

    Parameters
    ----------
    memory
        Bytes that may be taken beside what the matrix itself holds.
    tolerance
        Relative residual at which iterations end.
    """

    memory: int = eqx.field(default=2**33, static=True)
    tolerance: float = eqx.field(default=1e-8, static=True)

    def __check_init__(self) -> None:
        """Check the numbers."""
        _check.positive_int(self.memory, "memory")
        _check.nonnegative(self.tolerance, "tolerance")

    def select(self, gram: AbstractGram, wants: Wants = Wants()) -> Selection:
        """Return which solver runs, why, and what it will take.

        Parameters
        ----------
        gram
            The matrix.
        wants
            What the solve is for.

        Raises
        ------
        ValueError
            If the determinant or many ridges are wanted of a matrix that does not fit into ``memory``.
        """
        n, _ = gram.shape
        traced = any(isinstance(leaf, Tracer) for leaf in [*jax.tree.leaves(gram), jnp.zeros(())])
        rate = FLOPS * _threads() / (1 if not traced and in_numpy(gram) else 3)
        whole = 8.0 * n**2
        sides = 4.0 * n**2 * wants.columns / rate
        if 3 * whole <= self.memory and wants.ridges > 1:
            reason = f"one decomposition serves {wants.ridges} ridges"
            return Selection(Eigen(), reason, 9 * n**3 / rate + sides, 3 * whole)
        if whole <= self.memory or traced:
            size = memory_in_words(whole)
            reason = "the matrix is being traced" if traced else f"a copy of the matrix, {size}, fits into memory"
            count = wants.ridges * (n**3 / 3 / rate + sides)
            return Selection(Cholesky(), reason, count, whole)
        limit = f"{memory_in_words(whole)} for a copy of the matrix are more than memory={memory_in_words(self.memory)}"
        if wants.determinant or wants.ridges > 1:
            raise ValueError(
                f"{limit}, and iterations give neither determinants nor all ridges at once. Give more memory, or use "
                "a feature map (widelimit.features), whose matrices are small."
            )
        rank = min(n, 2 * round(n**0.5))
        product = 2.0 * n**2 * wants.columns
        cost = Selection(CG(PivotedCholesky(rank), self.tolerance), limit, 0, 8.0 * n * (rank + 6 * wants.columns))
        # Entries that are computed anew in each product cost about as much as twenty operations each.
        made = 0.0 if isinstance(gram, Dense) else 20.0 * n**2
        seconds = (ITERATIONS * (product + made) + 2.0 * n * rank**2) / rate
        return dataclasses.replace(cost, reason=f"{limit}, so that it is only multiplied with", seconds=seconds)

    def init(self, gram: AbstractGram, noise: Scalar | AnyArray) -> Any:
        """Return the state of the solver that is chosen."""
        return self.select(gram).solver.init(gram, noise)

    def compute(self, state: Any, y: AnyArray) -> Solution:
        """Solve for right-hand sides of shape (n,) or (n, k)."""
        if isinstance(state, Preconditioned):
            return CG(tolerance=self.tolerance).compute(state, y)
        return Eigen().compute(state, y) if isinstance(state, Spectrum) else Cholesky().compute(state, y)


def _threads() -> int:
    from ..engine._threads import thread_count

    return thread_count()
