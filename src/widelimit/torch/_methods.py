"""How the gradients of a torch module are found: factored layer by layer, or as explicit Jacobians."""

import abc
import contextlib
from collections.abc import Iterator
from typing import Any

import equinox as eqx

from .. import _check
from ._library import Tensor, torch
from ._parts import Factors, Jacobian
from ._problem import Problem, outputs_of
from ._rules import rule_of

Parts = list[Factors | Jacobian]
Call = tuple[Tensor, Tensor, int]
"""Input and output of a layer in one forward pass, and the number of its calls in it."""


class AbstractMethod(eqx.Module):
    """How the gradients of a batch are found. All methods give the same numbers."""

    memory: eqx.AbstractVar[int]

    @abc.abstractmethod
    def gradients(self, problem: Problem, x: tuple[Tensor, ...]) -> Parts:
        """Return the gradients of a batch, parameter by parameter in an order that depends on the problem alone."""


class JacobianContraction(AbstractMethod):
    """Explicit Jacobians of every parameter, by ``torch.func``.

    Parameters
    ----------
    memory
        Budget in bytes for gradients and their products; examples are taken in blocks that fit.

    Raises
    ------
    ValueError
        If ``memory`` is not a positive whole number.
    """

    memory: int = eqx.field(default=2**30, static=True)

    def __check_init__(self) -> None:
        """Check the budget."""
        _check.positive_int(self.memory, "memory")

    def gradients(self, problem: Problem, x: tuple[Tensor, ...]) -> Parts:
        """Return Jacobians."""
        return [Jacobian(j, problem.rates[name]) for name, j in _jacobians(problem, list(problem.params), x).items()]


class StructuredDerivatives(AbstractMethod):
    """Inputs of layers times the signals that come back to them, for linear, convolution, embedding and norm layers.

    One forward pass and one backward pass per output give the gradients of a whole batch. A parameter that is used
    elsewhere too, or in a layer without a rule, keeps its Jacobian.

    Parameters
    ----------
    memory
        Budget in bytes for gradients and their products; examples are taken in blocks that fit.

    Raises
    ------
    ValueError
        If ``memory`` is not a positive whole number.
    """

    memory: int = eqx.field(default=2**30, static=True)

    def __check_init__(self) -> None:
        """Check the budget."""
        _check.positive_int(self.memory, "memory")

    def gradients(self, problem: Problem, x: tuple[Tensor, ...]) -> Parts:
        """Return factored gradients where the layers allow it."""
        layers, found = _layers(problem, x), {}
        if layers:
            with torch.enable_grad(), _recorded({name: layer for name, layer, _ in layers}) as calls:
                out = outputs_of(problem.module, x)
            signals = _signals(out, [calls[name][1] for name, _, _ in layers])
            for (name, layer, axis), signal in zip(layers, signals, strict=True):
                h = calls[name][0].movedim(axis, 0)
                # Signals come with the output axis first: (o, ..., n, ...) -> (n, o, ...).
                rule: Any = rule_of(layer)
                for own, part in rule(layer, h, signal.movedim(axis + 1, 0)).items():
                    full = f"{name}.{own}" if name else own
                    if full in problem.params and getattr(layer, own) is problem.params[full]:
                        found[full] = part._replace(rate=problem.rates[full])
        rest = [name for name in problem.params if name not in found]
        if rest:
            jacobians = _jacobians(problem, rest, x)
            found.update((name, Jacobian(jacobians[name], problem.rates[name])) for name in rest)
        return [found[name] for name in problem.params]


def _layers(problem: Problem, x: tuple[Tensor, ...]) -> list[tuple[str, Any, int]]:
    # Layers with a rule whose parameters occur once in the graph, and the axis of their examples: the one axis that
    # grows from one to two with the number of examples.
    candidates = {
        name: layer
        for name, layer in problem.module.named_modules()
        if rule_of(layer) is not None
        and any(_owns(name, own, problem) for own, _ in layer.named_parameters(recurse=False))
    }
    one, two = (tuple(torch.cat([a[:1]] * k) for a in x) for k in (1, 2))
    with torch.enable_grad(), _recorded(candidates) as first:
        out = outputs_of(problem.module, one)
    with torch.enable_grad(), _recorded(candidates) as second:
        outputs_of(problem.module, two)
    uses = _uses(out)
    layers = []
    for name, layer in candidates.items():
        if name not in first or first[name][2] != 1:
            continue
        if any(uses.get(p, 0) > 1 for p in layer.parameters(recurse=False)):
            continue
        axes = {_axis(a.shape, b.shape) for a, b in zip(first[name][:2], second[name][:2], strict=True)}
        axis = axes.pop()
        if not axes and axis is not None:
            layers.append((name, layer, axis))
    return layers


def _owns(layer: str, own: str, problem: Problem) -> bool:
    return (f"{layer}.{own}" if layer else own) in problem.params


def _axis(one: Any, two: Any) -> int | None:
    changed = [i for i, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]
    return changed[0] if len(changed) == 1 and one[changed[0]] == 1 else None


@contextlib.contextmanager
def _recorded(layers: dict[str, Any]) -> Iterator[dict[str, Call]]:
    calls: dict[str, Call] = {}

    def hook(name: str) -> Any:
        def record(layer: Any, args: tuple, out: Tensor) -> Tensor:  # noqa: ARG001
            count = calls[name][2] + 1 if name in calls else 1
            calls[name] = (args[0].detach().clone(), out, count)
            # What follows works on a copy, so that an operation in place leaves the recorded output alone.
            return out.clone()

        return record

    handles = [layer.register_forward_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _uses(out: Tensor) -> dict[Tensor, int]:
    # How often each parameter enters the graph.
    uses: dict[Tensor, int] = {}
    seen, stack = set(), [out.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        for following, _ in node.next_functions:
            variable = getattr(following, "variable", None)
            if variable is not None:
                uses[variable] = uses.get(variable, 0) + 1
            stack.append(following)
    return uses


def _signals(out: Tensor, at: list[Tensor]) -> list[Tensor]:
    # The gradient of each output, summed over examples, which do not depend on one another.
    size = out.shape[1]
    unit = torch.eye(size, dtype=out.dtype, device=out.device)[:, None, :].expand(size, *out.shape)
    if size == 1:
        signals = torch.autograd.grad(out, at, unit[0], allow_unused=True)
        signals = [None if s is None else s[None] for s in signals]
    else:
        signals = torch.autograd.grad(out, at, unit, is_grads_batched=True, allow_unused=True)
    return [y.new_zeros((size, *y.shape)) if s is None else s.detach() for y, s in zip(at, signals, strict=True)]


def _jacobians(problem: Problem, names: list[str], x: tuple[Tensor, ...]) -> dict[str, Tensor]:
    # (n, o, p) for each of the named parameters.
    fixed = {name: p.detach() for name, p in problem.module.named_parameters() if name not in names}
    moving = {name: problem.params[name].detach() for name in names}

    def one(moving: dict[str, Tensor], *x: Tensor) -> Tensor:
        def call(*x: Tensor) -> Tensor:
            return torch.func.functional_call(problem.module, {**fixed, **moving}, x)

        return outputs_of(call, tuple(a.unsqueeze(0) for a in x))[0]

    jacobian = torch.func.jacrev(one)
    try:
        found = torch.func.vmap(jacobian, in_dims=(None, *[0] * len(x)))(moving, *x)
    except RuntimeError:
        # A layer that cannot be mapped over examples, such as a recurrent one.
        rows = [jacobian(moving, *(a[i] for a in x)) for i in range(x[0].shape[0])]
        found = {name: torch.stack([row[name] for row in rows]) for name in names}
    return {name: found[name].flatten(2) if found[name].ndim > 2 else found[name].unsqueeze(2) for name in names}
