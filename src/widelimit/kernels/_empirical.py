"""The kernels of a finite model."""

from typing import Any

import equinox as eqx
import jax

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import ApplyFn, Params, PyTree
from ..empirical import (
    AbstractMethod,
    AbstractOutputs,
    Auto,
    NTKOperator,
    Problem,
    Trace,
    flatten,
    ntk_operator,
    output_shapes,
    outputs_of,
    require_independent,
    require_trainable,
    spread,
    structured_parts,
    unflatten_block,
)
from ._base import AbstractKernel


class EmpiricalNTK(AbstractKernel):
    r"""The neural tangent kernel of a finite model at given parameters.

    .. math:: \Theta_{ab}(x, x') = \sum_\theta \eta_\theta\,\partial_\theta f_a(x)\,\partial_\theta f_b(x')

    Parameters
    ----------
    f
        Any ``f(params, batch) -> outputs`` that treats examples independently. Batch and outputs are arrays or pytrees
        of arrays with the batch axis first; inputs of any dtype.
    params
        A pytree with floating arrays. Other leaves (integers, functions) are passed to ``f`` as they are.
    outputs
        `Trace` (default): the mean over all outputs, (n1, n2), which converges to `NTK` with width;
        `Diagonal`: each output with itself, for an output array (n, \*s) of shape (n1, n2, \*s);
        `Full`: all pairs, (n1, n2, \*s, \*s). An output of shape (n,) counts as (n, 1). For a pytree of outputs,
        `Diagonal` gives a pytree like it, and `Full` a pytree of pytrees like `jax.hessian`, with the terms between
        different leaves.
    method
        How it is computed; all methods but a `Sketch` give the same numbers.
    learning_rates
        Factors :math:`\eta_\theta \ge 0`: a pytree prefix of ``params`` whose leaves are numbers, booleans (trainable
        or not) or arrays that broadcast against the parameter. None: all one.

    Raises
    ------
    ValueError
        If learning rates do not match the parameters or are negative, no parameter is trainable, or a parameter is
        NaN or infinite; on evaluation, if inputs are no batch, outputs are not floating arrays with the batch axis
        first, or ``f`` mixes the examples of a batch.
    """

    f: ApplyFn
    params: Params
    outputs: AbstractOutputs = Trace()
    method: AbstractMethod = Auto()
    learning_rates: PyTree = None

    def __check_init__(self) -> None:
        """Check the parameters, their learning rates and the strategies."""
        _check.instance(self.outputs, AbstractOutputs, "outputs", "Trace(), Diagonal() or Full()")
        _check.instance(self.method, AbstractMethod, "method", "Auto()")
        require_trainable(self.problem())
        _check.parameters(self.params)

    def problem(self) -> Problem:
        """Return what a method is asked."""
        return Problem(self.f, self.params, self.learning_rates)

    def block(self, x1: Any, x2: Any = None) -> PyTree:
        """Return the kernel of two batches."""
        require_independent(self.problem(), x1)
        method, problem, x1, x2 = spread(self.method, self.problem(), x1, None if x2 is x1 else x2)
        return _ntk_block(method, problem, x1, x2, self.outputs)

    def diagonal(self, x: Any) -> PyTree:
        r"""Return the kernel of each input with itself: (n,), (n, \*s) or (n, \*s, \*s)."""
        method, problem, x = spread(self.method, self.problem(), x)
        return _ntk_diagonal(method, problem, x, self.outputs)

    def contributions(self, x1: Any, x2: Any = None, *, memory: int = 2**30) -> PyTree:
        r"""Return the terms of the sum over parameters: which layer makes how much of the kernel.

        Parameters
        ----------
        x1, x2
            Batches; ``x2=None`` for ``x1`` again.
        memory
            Budget in bytes for gradients and what is needed to contract them.

        Returns
        -------
        PyTree
            Like ``params``, with a block (as from calling the kernel) in place of each trainable leaf and None in place
            of all others. The blocks sum to the kernel.

        Raises
        ------
        ValueError
            If an input is no batch, holds NaN or infinity, or the two do not match.
        """
        _check.positive_int(memory, "memory")
        x1 = _check.batch(x1, "x1")
        if x2 is not None:
            x2 = _check.batch(x2, "x2")
            _check.same_batch(x1, x2)
        dtype = result_dtype(*jax.tree.leaves((x1, x2)))
        _, problem, x1, x2 = spread(self.method, self.problem(), x1, x2)
        return evaluate(_ntk_parts, problem, x1, x2, self.outputs, memory, compute=dtype, result=dtype)

    def operator(self, x1: Any, x2: Any = None, *, memory: int = 2**30) -> NTKOperator:
        """Return the kernel matrix of two batches as a linear operator, never formed; see `ntk_operator`."""
        return ntk_operator(self.f, self.params, x1, x2, self.learning_rates, outputs=self.outputs, memory=memory)


class EmpiricalNNGP(AbstractKernel):
    r"""The products of the outputs of a finite model, whose mean over parameters is the NNGP kernel.

    .. math:: \hat K_{ab}(x, x') = f_a(x)\,f_b(x')

    Parameters
    ----------
    f
        As for `EmpiricalNTK`: ``f(params, batch) -> outputs``.
    params
        Anything that ``f`` accepts.
    outputs
        `Trace` (default): the mean over all outputs, (n1, n2), which for a wide last layer converges to `NNGP`;
        `Diagonal`: each output with itself; `Full`: all pairs. Shapes as for `EmpiricalNTK`.

    Raises
    ------
    ValueError
        If a parameter is NaN or infinite; on evaluation, if inputs are no batch or outputs are not floating arrays with
        the batch axis first.
    """

    f: ApplyFn
    params: Params
    outputs: AbstractOutputs = Trace()

    def __check_init__(self) -> None:
        """Check the parameters and the strategy."""
        _check.instance(self.outputs, AbstractOutputs, "outputs", "Trace(), Diagonal() or Full()")
        _check.parameters(self.params)

    def block(self, x1: Any, x2: Any = None) -> PyTree:
        """Return the kernel of two batches."""
        return _nngp_block(self.f, self.params, x1, None if x2 is x1 else x2, self.outputs)

    def diagonal(self, x: Any) -> PyTree:
        r"""Return the kernel of each input with itself: (n,), (n, \*s) or (n, \*s, \*s)."""
        return _nngp_diagonal(self.f, self.params, x, self.outputs)


@eqx.filter_jit
def _ntk_block(method: AbstractMethod, problem: Problem, x1: PyTree, x2: PyTree, outputs: AbstractOutputs) -> PyTree:
    return unflatten_block(method.block(problem, x1, x2, outputs), 2, output_shapes(problem, x1))


@eqx.filter_jit
def _ntk_diagonal(method: AbstractMethod, problem: Problem, x: PyTree, outputs: AbstractOutputs) -> PyTree:
    return unflatten_block(method.diagonal(problem, x, outputs), 1, output_shapes(problem, x))


@eqx.filter_jit
def _ntk_parts(problem: Problem, x1: PyTree, x2: PyTree, outputs: AbstractOutputs, memory: int) -> PyTree:
    shapes = output_shapes(problem, x1)
    leaves, treedef = jax.tree.flatten(problem.params)
    blocks: list[Any] = [None] * len(leaves)
    parts = structured_parts(problem, x1, x2, outputs, memory=memory)
    for i, part in zip(flatten(problem).index, parts, strict=True):
        blocks[i] = unflatten_block(part, 2, shapes)
    return jax.tree.unflatten(treedef, blocks)


@eqx.filter_jit
def _nngp_block(f: ApplyFn, params: Params, x1: PyTree, x2: PyTree, outputs: AbstractOutputs) -> PyTree:
    first, shapes = outputs_of(f, params, x1)
    second, _ = (first, shapes) if x2 is None else outputs_of(f, params, x2)
    return unflatten_block(outputs.contract(first[:, :, None], second[:, :, None]), 2, shapes)


@eqx.filter_jit
def _nngp_diagonal(f: ApplyFn, params: Params, x: PyTree, outputs: AbstractOutputs) -> PyTree:
    out, shapes = outputs_of(f, params, x)
    return unflatten_block(outputs.contract_each(out[:, :, None], out[:, :, None]), 1, shapes)
