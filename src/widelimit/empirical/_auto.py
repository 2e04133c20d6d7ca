r"""The method that should be fastest, by a model of its cost in operations and in bytes.

.. math:: \text{time} \propto \text{flops} + \beta\cdot\text{bytes moved}

with the machine balance :math:`\beta`: operations in the time of moving one byte.
"""

from typing import Any

import equinox as eqx
import jax

from .. import _check
from .._typing import Array, Callable, PyTree
from ._cost import FLOPS_PER_BYTE, Cost
from ._estimates import jacobian_cost, structured, vector_products_cost
from ._jacobian import JacobianContraction
from ._method import AbstractMethod
from ._outputs import AbstractOutputs
from ._problem import Problem
from ._structured import StructuredDerivatives
from ._vector_products import NTKVectorProducts

COSTS: dict[type, Callable[..., Cost]] = {
    StructuredDerivatives: structured,
    JacobianContraction: jacobian_cost,
    NTKVectorProducts: vector_products_cost,
}
"""How the cost of a block by each method is counted."""


class Estimate(eqx.Module):
    """What one method is estimated to cost.

    Attributes
    ----------
    method
        The method.
    flops, bytes
        Operations, and bytes moved to and from memory.
    peak
        Bytes held at a time beside parameters, inputs and the result.
    time
        flops + balance · bytes.
    fits
        Whether ``peak`` is within the budget of the method.
    """

    method: AbstractMethod
    flops: float
    bytes: float
    peak: float
    time: float
    fits: bool


class Choice(eqx.Module):
    """The method chosen by `Auto`, with the estimates of all candidates, best first; print it to read them."""

    method: AbstractMethod
    estimates: tuple[Estimate, ...]

    def __repr__(self) -> str:
        """Return a table of the estimates."""
        best = self.estimates[0].time
        rows = [f"{type(self.method).__name__} is chosen; estimates:"]
        rows.append(f"  {'method':<24}{'time':>8}{'flops':>10}{'bytes':>10}{'peak':>10}")
        for e in self.estimates:
            name = type(e.method).__name__ + ("" if e.fits else " (exceeds its memory)")
            numbers = f"{e.time / best:>7.2f}x{e.flops:>10.2e}{e.bytes:>10.2e}{e.peak:>10.2e}"
            rows.append(f"  {name:<24}{numbers}")
        return "\n".join(rows)


class Auto(AbstractMethod):
    r"""The candidate with the least estimated time among those that fit into memory.

    The estimate is counted on the traced model and on the blocks that the budget allows, when the kernel is compiled;
    nothing is measured or printed. `select` shows it.

    Parameters
    ----------
    memory
        Budget in bytes for the default candidates.
    candidates
        Methods to choose from; None for `StructuredDerivatives`, `JacobianContraction` and `NTKVectorProducts` with
        this budget.
    balance
        :math:`\beta`, floating-point operations in the time of moving one byte: about 10 to 20 for processors and 20
        to 60 for accelerators, in single precision.

    Raises
    ------
    ValueError
        If there are no candidates, the cost of one is not known, the budget is no positive whole number of
        bytes, or the balance is negative.
    """

    memory: int = eqx.field(default=2**30, static=True)
    candidates: tuple[AbstractMethod, ...] | None = None
    balance: float = eqx.field(default=FLOPS_PER_BYTE, static=True)

    def __check_init__(self) -> None:
        """Check the budget and the candidates."""
        _check.positive_int(self.memory, "memory")
        _check.nonnegative(self.balance, "balance")
        for method in self._candidates():
            if type(method) not in COSTS:
                raise ValueError(
                    f"candidates holds {method}, of unknown cost; expected {', '.join(m.__name__ for m in COSTS)}. "
                    "Other methods can be given to the kernel directly."
                )
        if not self._candidates():
            raise ValueError("candidates is empty; expected at least one method, or None for the default ones.")

    def select(self, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs) -> Choice:
        """Return the method for two batches, with the estimates of all candidates."""
        estimates = [self._estimate(method, problem, x1, x2, outputs) for method in self._candidates()]
        # Those that fit by time; then, should none fit, the others by what they need.
        estimates.sort(key=lambda e: (not e.fits, e.time if e.fits else e.peak))
        return Choice(estimates[0].method, tuple(estimates))

    def block(self, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs) -> Array:
        """Return the kernel of two batches."""
        return _block(self, problem, x1, x2, outputs)

    def diagonal(self, problem: Problem, x: PyTree, outputs: AbstractOutputs) -> Array:
        """Return the kernel of each input with itself."""
        return _diagonal(self, problem, x, outputs)

    def _candidates(self) -> tuple[AbstractMethod, ...]:
        if self.candidates is None:
            return (
                StructuredDerivatives(self.memory),
                JacobianContraction(self.memory),
                NTKVectorProducts(self.memory),
            )
        return self.candidates

    def _estimate(self, method: Any, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: Any) -> Estimate:
        cost = COSTS[type(method)](method, problem, x1, x2, outputs)
        time = cost.flops + self.balance * cost.bytes
        return Estimate(method, cost.flops, cost.bytes, cost.peak, time, cost.peak <= method.memory)


@eqx.filter_jit
def _block(auto: Auto, problem: Problem, x1: PyTree, x2: PyTree | None, outputs: AbstractOutputs) -> Array:
    return auto.select(problem, x1, x2, outputs).method.block(problem, x1, x2, outputs)


@eqx.filter_jit
def _diagonal(auto: Auto, problem: Problem, x: PyTree, outputs: AbstractOutputs) -> Array:
    # One input with itself says which method is best for each.
    one = jax.tree.map(lambda a: a[:1], x)
    return auto.select(problem, one, None, outputs).method.diagonal(problem, x, outputs)
