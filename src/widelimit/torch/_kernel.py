r"""The empirical NTK of a torch module, on tensors and as a kernel object."""

import functools
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Tracer
from ..empirical import AbstractOutputs, Diagonal, Full, Trace
from ..kernels import AbstractKernel
from ._library import Module, Tensor, torch
from ._methods import AbstractMethod, Parts, StructuredDerivatives
from ._parts import Factors, contract, diagonal, expand, expanding_is_cheaper
from ._problem import LearningRates, Problem, batch, outputs_of, problem


def empirical_ntk(
    module: Module,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    outputs: AbstractOutputs = Trace(),
    learning_rates: LearningRates = None,
    method: AbstractMethod = StructuredDerivatives(),
) -> Tensor:
    r"""Return the empirical NTK :math:`\sum_\theta \eta_\theta\,\partial_\theta f(x)\,\partial_\theta f(x')`.

    Parameters
    ----------
    module
        A ``torch.nn.Module`` in evaluation mode that maps a batch to a tensor with one row per example. Parameters
        that do not require gradients are left out.
    x1, x2
        Batches: a tensor, or a tuple of tensors for a module of several inputs, with the batch axis first;
        ``x2=None`` for ``x1`` again.
    outputs
        `Trace` (mean over outputs), `Diagonal` or `Full`.
    learning_rates
        Factor of each parameter, by the name of the parameter or of a submodule; 0 or False leaves it out, what is
        not named has 1.
    method
        `StructuredDerivatives` or `JacobianContraction`.

    Returns
    -------
    Tensor
        (n1, n2), (n1, n2, o) or (n1, n2, o, o), of the dtype and on the device of the outputs.

    Raises
    ------
    ValueError
        If the module is not in evaluation mode, trains nothing or returns no tensor, or an input is not a batch.
    """
    task, first = _prepared(module, learning_rates, outputs), batch(x1, "x1")
    second = first if x2 is None else batch(x2, "x2")
    n1, n2 = first[0].shape[0], second[0].shape[0]
    size = _block_size(method, task, first, outputs, n1, n2)
    find = functools.partial(_gradients, method, task, outputs=outputs, counts=(n1, n2))
    blocks = [tuple(a[j : j + size] for a in second) for j in range(0, n2, size)]
    # What fits at once is found once.
    kept = [find(blocks[0])] if len(blocks) == 1 else None
    rows = []
    for i in range(0, n1, size):
        mine = kept[0] if kept and x2 is None else find(tuple(a[i : i + size] for a in first))
        theirs = kept or (find(block) for block in blocks)
        rows.append(torch.cat([_sum(outputs, mine, other) for other in theirs], 1))
    return torch.cat(rows)


def empirical_ntk_diagonal(
    module: Module,
    x: Tensor,
    *,
    outputs: AbstractOutputs = Trace(),
    learning_rates: LearningRates = None,
    method: AbstractMethod = StructuredDerivatives(),
) -> Tensor:
    """Return the empirical NTK of each input with itself, (n,), (n, o) or (n, o, o), as `empirical_ntk` would."""
    task, x = _prepared(module, learning_rates, outputs), batch(x, "x")
    n = x[0].shape[0]
    size = _block_size(method, task, x, outputs, 1, 1)
    rows = []
    for i in range(0, n, size):
        parts = _gradients(method, task, tuple(a[i : i + size] for a in x), outputs=outputs, counts=(1, 1))
        rows.append(functools.reduce(torch.add, [diagonal(outputs, part) for part in parts]))
    return torch.cat(rows)


def ntk_vector_product(
    module: Module,
    x1: Tensor,
    x2: Tensor,
    vector: Tensor,
    *,
    learning_rates: LearningRates = None,
    batch_size: int = 256,
) -> Tensor:
    r"""Return :math:`\Theta(x_1, x_2)\,v` without the matrix: one backward and one forward derivative per batch.

    Parameters
    ----------
    module, learning_rates
        As for `empirical_ntk`.
    x1, x2
        Batches.
    vector
        (n2, o), or (n2,) for one output.
    batch_size
        How many examples go through the module at a time.

    Returns
    -------
    Tensor
        (n1, o), or (n1,) as ``vector``.

    Raises
    ------
    ValueError
        As `empirical_ntk`, or if ``vector`` does not match the outputs of ``x2``.
    """
    task, x1, x2 = problem(module, learning_rates), batch(x1, "x1"), batch(x2, "x2")
    n2 = x2[0].shape[0]
    if vector.shape[0] != n2:
        raise ValueError(f"vector has shape {tuple(vector.shape)}; expected ({n2}, outputs), one row per row of x2.")
    columns = vector.reshape(n2, -1)
    params = {name: p.detach() for name, p in task.params.items()}
    fixed = {name: p.detach() for name, p in module.named_parameters() if name not in params}

    def apply(params: dict[str, Tensor], x: tuple[Tensor, ...]) -> Tensor:
        return outputs_of(lambda *x: torch.func.functional_call(module, {**fixed, **params}, x), x)

    pulled = {name: torch.zeros_like(p) for name, p in params.items()}
    for j in range(0, n2, batch_size):
        out, pull = torch.func.vjp(lambda p, j=j: apply(p, tuple(a[j : j + batch_size] for a in x2)), params)
        part = columns[j : j + batch_size]
        if part.shape != out.shape:
            raise ValueError(f"vector has {part.shape[1]} columns; expected one per output, {out.shape[1]}.")
        (gradient,) = pull(part)
        pulled = {name: total + task.rates[name] * gradient[name] for name, total in pulled.items()}
    rows = [
        torch.func.jvp(lambda p, i=i: apply(p, tuple(a[i : i + batch_size] for a in x1)), (params,), (pulled,))[1]
        for i in range(0, x1[0].shape[0], batch_size)
    ]
    product = torch.cat(rows)
    return product if vector.ndim > 1 else product[:, 0]


class TorchNTK(AbstractKernel):
    r"""The neural tangent kernel of a torch module, as a kernel of NumPy and JAX arrays.

    Everything that takes a kernel takes it; it cannot be traced by JAX.

    Parameters
    ----------
    module
        A ``torch.nn.Module`` in evaluation mode.
    outputs
        `Trace` (default), `Diagonal` or `Full`.
    learning_rates
        Factor of each parameter, by name.
    method
        `StructuredDerivatives` (default) or `JacobianContraction`.
    """

    module: Module = eqx.field(static=True)
    outputs: AbstractOutputs = Trace()
    learning_rates: Any = eqx.field(default=None, static=True)
    method: AbstractMethod = StructuredDerivatives()

    def block(self, x1: Array, x2: Array | None = None) -> Array:
        """Return the kernel of two batches; None for the first again."""
        tensors = (_tensor(self.module, x1), None if x2 is None or x2 is x1 else _tensor(self.module, x2))
        settings = {"outputs": self.outputs, "learning_rates": self.learning_rates, "method": self.method}
        return _array(empirical_ntk(self.module, *tensors, **settings))

    def diagonal(self, x: Array) -> Array:
        """Return the kernel of each input with itself."""
        settings = {"outputs": self.outputs, "learning_rates": self.learning_rates, "method": self.method}
        return _array(empirical_ntk_diagonal(self.module, _tensor(self.module, x), **settings))


def as_function(module: Module) -> Callable[[Array], np.ndarray]:
    """Return the outputs of a torch module as a function of NumPy or JAX arrays, as flows want them.

    Parameters
    ----------
    module
        A ``torch.nn.Module`` in evaluation mode.
    """

    def call(x: Array) -> np.ndarray:
        with torch.no_grad():
            return outputs_of(module, (_tensor(module, x),)).cpu().numpy()

    return call


def _prepared(module: Module, learning_rates: LearningRates, outputs: AbstractOutputs) -> Problem:
    if not isinstance(outputs, Trace | Diagonal | Full):
        raise ValueError(f"outputs is {outputs!r}; expected Trace(), Diagonal() or Full().")
    return problem(module, learning_rates)


def _gradients(
    method: AbstractMethod, task: Problem, x: tuple, *, outputs: AbstractOutputs, counts: tuple[int, int]
) -> Parts:
    parts = method.gradients(task, x)
    return [
        expand(part) if isinstance(part, Factors) and expanding_is_cheaper(part, *counts, outputs) else part
        for part in parts
    ]


def _sum(outputs: AbstractOutputs, first: Parts, second: Parts) -> Tensor:
    return functools.reduce(torch.add, [contract(outputs, a, b) for a, b in zip(first, second, strict=True)])


def _block_size(method: AbstractMethod, task: Problem, x: tuple, outputs: AbstractOutputs, n1: int, n2: int) -> int:
    # Gradients of two blocks of b examples, 2 b row bytes, and products of their positions, b² pair bytes.
    parts = _gradients(method, task, tuple(a[:1] for a in x), outputs=outputs, counts=(n1, n2))
    row = pair = 0
    for part in parts:
        tensors = part[:2] if isinstance(part, Factors) else part[:1]
        row += sum(t.numel() * t.element_size() for t in tensors)
        if isinstance(part, Factors):
            _, o, t, _ = part.signal.shape
            kept = o * o if isinstance(outputs, Full) else o if isinstance(outputs, Diagonal) else 1
            pair = max(pair, t * t * (2 + kept) * part.signal.element_size())
    linear, budget = 2 * row, method.memory
    if pair == 0:
        return max(1, int(budget // max(linear, 1)))
    return max(1, int((math.sqrt(linear**2 + 4 * pair * budget) - linear) / (2 * pair)))


def _tensor(module: Module, x: Array) -> Tensor:
    if isinstance(x, Tracer):
        raise ValueError(
            "a TorchNTK was called under a JAX transformation; call it on arrays, outside of jit and grad."
        )
    like = next(module.parameters())
    tensor = torch.from_numpy(np.array(x))
    return tensor.to(like.device, like.dtype) if tensor.is_floating_point() else tensor.to(like.device)


def _array(tensor: Tensor) -> Array:
    return jnp.asarray(tensor.detach().cpu().numpy())
