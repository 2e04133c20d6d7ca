"""What a torch module computes for one example, as a list of operations of PyTorch that compares by value.

``torch.export`` writes the list down and takes composite operations apart; one that has a rule in `_aten` stays whole.
"""

import operator
import warnings
from typing import Any, NamedTuple

from ._aten import RULES
from ._library import Module, Tensor, torch

# Where the values of these are kept, or how, is of no consequence for what they are.
PLACEMENT = ("layout", "device", "pin_memory", "memory_format", "non_blocking")
CREATION = ("arange", "empty", "full", "full_like", "ones", "ones_like", "scalar_tensor", "zeros", "zeros_like")
CHECKS = ("_assert_async", "_assert_scalar", "_assert_tensor_metadata", "sym_constrain_range_for_size")
RANDOM = ("bernoulli", "multinomial", "native_dropout", "normal_functional", "rand", "randn", "randint", "rand_like")
# These stop gradients, which the decomposed list would not show.
STOPS = ("detach", "detach_", "wrap_with_set_grad_enabled", "_set_grad_enabled")


class Slot(NamedTuple):
    """The result of the step of that name, a parameter or an input."""

    name: str


class Dtype(NamedTuple):
    """A dtype by its name; floating ones stand for that of the parameters."""

    name: str


class Step(NamedTuple):
    """One operation: the slot it fills, its name in `RULES`, and its arguments."""

    result: str
    operation: str
    arguments: tuple
    options: tuple[tuple[str, Any], ...]


class Program(NamedTuple):
    """The operations of a module on a batch of one example.

    Attributes
    ----------
    listing
        All of it as text. It tells 1 from 1.0 and True, which Python takes for equal.
    steps
        The operations in their order.
    inputs
        Slots of the inputs.
    bound
        Slots of parameters, buffers and constants, each with its name in the module.
    output
        Slot of the outputs.
    """

    listing: str
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    bound: tuple[tuple[str, str], ...]
    output: str


def program_of(module: Module, x: tuple[Tensor, ...]) -> tuple[Program, dict[str, Tensor]]:
    """Return the program of a module for examples such as those of the batch ``x``, and all that it is bound to.

    Raises
    ------
    ValueError
        If ``torch.export`` cannot follow the module, or it has an operation without a rule.
    """
    exported = _exported(module, tuple(a[:1] for a in x))
    kinds, signature = torch.export.graph_signature.InputKind, exported.graph_signature
    inputs, bound, tensors = [], [], {}
    for spec in signature.input_specs:
        if spec.kind == kinds.USER_INPUT:
            inputs.append(spec.arg.name)
        else:
            bound.append((spec.arg.name, spec.target))
            tensors[spec.target] = exported.state_dict.get(spec.target, exported.constants.get(spec.target))
    outputs = [spec.arg.name for spec in signature.output_specs if spec.kind.name == "USER_OUTPUT"]
    steps = _steps(module, exported.graph)
    used = {s.name for step in steps for s in _slots((step.arguments, step.options))}
    bound = [(slot, name) for slot, name in bound if slot in used]
    parts = (tuple(steps), tuple(inputs), tuple(bound), outputs[0])
    return Program(repr(parts), *parts), {name: tensors[name] for _, name in bound}


def _exported(module: Module, x: tuple[Tensor, ...]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exported = torch.export.export(module, x)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(
                f"module cannot be turned into a list of operations for one example: torch.export says {reason!r}. "
                "Expected one whose operations do not depend on the values of the inputs; kernels of others are in "
                "widelimit.torch.empirical_ntk."
            ) from error
        _check_gradients(module, exported)
        table = torch.export.default_decompositions()
        for target in list(table):
            if _operation(target) in RULES:
                table.pop(target)
        return exported.run_decompositions(table)


def _check_gradients(module: Module, exported: Any) -> None:
    kinds = torch.export.graph_signature.InputKind
    specs = exported.graph_signature.input_specs
    trained = {name for name, p in module.named_parameters(remove_duplicate=False) if p.requires_grad}
    moving = {s.arg.name for s in specs if s.kind == kinds.PARAMETER and s.target in trained}
    for node in exported.graph.nodes:
        if moving.isdisjoint(source.name for source in node.all_input_nodes):
            continue
        moving.add(node.name)
        if node.op == "call_function" and _operation(node.target) in STOPS:
            raise ValueError(
                f"{_place(module, node)} stops gradients (detach or no_grad), which the list of operations of "
                "torch.export does not keep; use widelimit.torch.empirical_ntk, or freeze parameters with "
                "requires_grad_(False)."
            )


def _steps(module: Module, graph: Any) -> list[Step]:
    steps, missing = [], []
    for node in graph.nodes:
        if node.op != "call_function" or _operation(node.target) in CHECKS:
            continue
        name = _operation(node.target)
        if name in RANDOM:
            raise ValueError(f"{_place(module, node)} draws random numbers ({node.target}); call module.eval().")
        if name not in RULES:
            missing.append(f"{node.target} in {_place(module, node)}")
            continue
        options = {k: _frozen(v) for k, v in node.kwargs.items() if k not in PLACEMENT}
        if name in CREATION:
            options["dtype"] = _frozen(node.meta["val"].dtype)
        steps.append(Step(node.name, name, tuple(_frozen(a) for a in node.args), tuple(sorted(options.items()))))
    if missing:
        raise ValueError(
            f"module uses {'; '.join(dict.fromkeys(missing))}: no rule turns that into JAX. Expected the operations of "
            "widelimit.torch.OPERATIONS and what PyTorch makes of them; the kernels of "
            "widelimit.torch.empirical_ntk need no rule."
        )
    return steps


def _operation(target: Any) -> str:
    if target is operator.getitem:
        return "getitem"
    if isinstance(target, torch._ops.OpOverload):
        space, _, name = target._schema.name.partition("::")
        return name if space == "aten" else f"{space}.{name}"
    return getattr(target, "__name__", str(target))


def _place(module: Module, node: Any) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    name = stack[-1][0] if stack else ""
    return f"module {name or type(module).__name__!r}"


def _frozen(value: Any) -> Any:
    if isinstance(value, torch.fx.Node):
        return Slot(value.name)
    if isinstance(value, torch.dtype):
        return Dtype(str(value).removeprefix("torch."))
    if isinstance(value, list | tuple):
        return tuple(_frozen(v) for v in value)
    return value


def _slots(value: Any) -> list[Slot]:
    if isinstance(value, Slot):
        return [value]
    return [slot for v in value for slot in _slots(v)] if isinstance(value, tuple) else []
