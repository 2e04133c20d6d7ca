r"""The empirical NTK of any function of parameters, in one call."""

from .._typing import ApplyFn, Array, Params, PyTree
from ._outputs import AbstractOutputs, Trace
from ._problem import Problem
from ._structured import MEMORY, StructuredDerivatives


def empirical_ntk(
    f: ApplyFn,
    params: Params,
    x1: PyTree,
    x2: PyTree | None = None,
    *,
    outputs: AbstractOutputs = Trace(),
    memory: int = MEMORY,
) -> Array:
    r"""Return the empirical NTK :math:`\Theta(x, x') = \sum_\theta \partial_\theta f(x)\,\partial_\theta f(x')`.

    Parameters
    ----------
    f
        ``f(params, batch) -> outputs``, treating the examples of a batch independently.
    params
        Its parameters, a pytree of arrays.
    x1, x2
        Batches; ``x2=None`` for ``x1`` again.
    outputs
        What becomes of the output axes.
    memory
        Budget in bytes.

    Returns
    -------
    Array
        Shape (n1, n2) for `Trace`, (n1, n2, o) for `Diagonal`, (n1, n2, o, o) for `Full`; dtype of the outputs.
    """
    return StructuredDerivatives(memory).block(Problem(f, params), x1, x2, outputs)


def empirical_ntk_diagonal(
    f: ApplyFn, params: Params, x: PyTree, *, outputs: AbstractOutputs = Trace(), memory: int = MEMORY
) -> Array:
    """Return the empirical NTK of each input with itself: (n,), (n, o) or (n, o, o)."""
    return StructuredDerivatives(memory).diagonal(Problem(f, params), x, outputs)
