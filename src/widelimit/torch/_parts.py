r"""Gradients of a batch, in factored form where a weight meets data, and their inner products.

A weight that acts at t positions of an example, :math:`y_s = W h_s`, has the gradient
:math:`\sum_s g_{as} h_s^\top` with :math:`g_{as} = \partial f_a/\partial y_s`. Inner products of two such gradients are
:math:`\sum_{ss'} (h_s\cdot h'_{s'})(g_{as}\cdot g'_{bs'})` (Novak et al. 2022, arXiv 2206.08720): cheaper than the
gradients themselves where positions are few, and never larger than the kernel times t².
"""

from typing import NamedTuple

from ..empirical import AbstractOutputs, Diagonal, Full, Trace
from ._library import Tensor, torch


class Jacobian(NamedTuple):
    """Gradients (n, o, p), and the learning rate of the parameter."""

    values: Tensor
    rate: float


class Factors(NamedTuple):
    """Operands (n, t, c), or tokens (n, t) of an embedding, signals (n, o, t, q), and the learning rate."""

    operand: Tensor
    signal: Tensor
    rate: float


def expand(part: Factors) -> Jacobian:
    """Return the gradients of a weight that is no embedding."""
    values = torch.einsum("notq,ntc->noqc", part.signal, part.operand)
    return Jacobian(values.flatten(2), part.rate)


def expanding_is_cheaper(part: Factors, n1: int, n2: int, outputs: AbstractOutputs) -> bool:
    """Whether multiply-adds are saved by forming the gradients."""
    if part.operand.ndim == 2:
        return False
    (_, o, t, q), c = part.signal.shape, part.operand.shape[2]
    pairs = o * o if isinstance(outputs, Full) else o
    form, contract = (n1 + n2) * o * t * c * q, n1 * n2 * c * q * pairs
    return t > 1 and form + contract < n1 * n2 * t * t * (c + q * pairs)


def contract(outputs: AbstractOutputs, a: Jacobian | Factors, b: Jacobian | Factors) -> Tensor:
    """Return the part of the kernel that belongs to one parameter."""
    if isinstance(a, Factors) and isinstance(b, Factors):
        return _over_positions(outputs, a, b)
    # Batches of different numbers of positions may have been treated differently.
    first, second = (expand(part) if isinstance(part, Factors) else part for part in (a, b))
    return _products(outputs, first.values, second.values) * first.rate


def _over_positions(outputs: AbstractOutputs, a: Factors, b: Factors) -> Tensor:
    n1, o, t1, _ = a.signal.shape
    n2, _, t2, _ = b.signal.shape
    g1, g2 = a.signal.permute(0, 2, 1, 3), b.signal.permute(0, 2, 1, 3)
    if a.operand.ndim == 2:
        weight = (a.operand.reshape(-1, 1) == b.operand.reshape(1, -1)).to(g1.dtype)
    else:
        weight = a.operand.reshape(n1 * t1, -1) @ b.operand.reshape(n2 * t2, -1).T
    # Each position as an example of its own, then summed over positions.
    weight = weight.reshape(n1 * t1, n2 * t2, *[1] * (_axes(outputs)))
    every = weight * _products(outputs, g1.reshape(n1 * t1, o, -1), g2.reshape(n2 * t2, o, -1))
    return every.reshape(n1, t1, n2, t2, *every.shape[2:]).sum((1, 3)) * a.rate


def diagonal(outputs: AbstractOutputs, part: Jacobian | Factors) -> Tensor:
    """Return the same for each example with itself."""
    n = part[0].shape[0]
    rows = [contract(outputs, _row(part, i), _row(part, i))[0, 0] for i in range(n)]
    return torch.stack(rows)


def _row(part: Jacobian | Factors, i: int) -> Jacobian | Factors:
    if isinstance(part, Jacobian):
        return Jacobian(part.values[i : i + 1], part.rate)
    return Factors(part.operand[i : i + 1], part.signal[i : i + 1], part.rate)


def _products(outputs: AbstractOutputs, j1: Tensor, j2: Tensor) -> Tensor:
    if isinstance(outputs, Trace):
        return j1.flatten(1) @ j2.flatten(1).T / j1.shape[1]
    if isinstance(outputs, Diagonal):
        return torch.einsum("nap,map->nma", j1, j2)
    return torch.einsum("nap,mbp->nmab", j1, j2)


def _axes(outputs: AbstractOutputs) -> int:
    return 0 if isinstance(outputs, Trace) else 1 if isinstance(outputs, Diagonal) else 2
