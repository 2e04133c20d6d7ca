"""A torch module as a function of its trainable parameters, checked for what a kernel needs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ._library import Module, Tensor, torch

LearningRates = Mapping[str, float] | None
DROPOUT = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")


class Problem(NamedTuple):
    """A module, its trainable parameters by name, and their learning rates.

    A parameter that occurs under several names (tied weights) is listed under its first.
    """

    module: Module
    params: dict[str, Tensor]
    rates: dict[str, float]


def problem(module: Module, learning_rates: LearningRates) -> Problem:
    """Return the problem of a module; raises ValueError for what has no kernel."""
    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"module is a {type(module).__name__}; expected a torch.nn.Module.")
    for name, part in module.named_modules():
        where = f"module {name or type(module).__name__!r}"
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm) and (part.training or part.running_mean is None):
            raise ValueError(f"{where} normalises over the batch, so examples are not independent; call module.eval().")
        if type(part).__name__ in DROPOUT and part.training and part.p > 0:
            raise ValueError(f"{where} draws random numbers; call module.eval().")
    every = dict(module.named_parameters())
    rates = {name: 1.0 for name, p in every.items() if p.requires_grad and p.is_floating_point()}
    for key, rate in (learning_rates or {}).items():
        names = [name for name in every if name == key or name.startswith(f"{key}.")]
        if not names:
            raise ValueError(
                f"learning_rates names {key!r}; expected names of parameters or submodules: {list(every)}."
            )
        if not isinstance(rate, bool | int | float) or not 0 <= rate < float("inf"):
            raise ValueError(f"learning_rates[{key!r}] is {rate!r}; expected a finite number of zero or more.")
        rates.update((name, float(rate)) for name in names if name in rates)
    rates = {name: rate for name, rate in rates.items() if rate != 0}
    if not rates:
        raise ValueError("no parameter is trained; expected one that requires_grad with a learning rate above zero.")
    return Problem(module, {name: every[name] for name in rates}, rates)


def batch(x: Any, name: str) -> tuple[Tensor, ...]:
    """Return the inputs of a batch as a tuple of tensors with the batch axis first."""
    x = x if isinstance(x, tuple) else (x,)
    lengths = [tuple(a.shape[:1]) if isinstance(a, torch.Tensor) else None for a in x]
    if not x or None in lengths or len(set(lengths)) != 1 or lengths[0] in ((), (0,)):
        raise ValueError(
            f"{name} is {[tuple(a.shape) if isinstance(a, torch.Tensor) else type(a).__name__ for a in x]}; expected a "
            "tensor, or a tuple of tensors, with one row per example."
        )
    for a in x:
        if a.is_floating_point() and not bool(torch.isfinite(a).all()):
            raise ValueError(f"{name} holds NaN or infinity; expected finite numbers.")
    return x


def outputs_of(module: Module, x: tuple[Tensor, ...]) -> Tensor:
    """Return the outputs of a batch as (n, o)."""
    out = module(*x)
    if not isinstance(out, torch.Tensor) or out.ndim == 0 or out.shape[0] != x[0].shape[0]:
        got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise ValueError(
            f"module returned {got} for {x[0].shape[0]} examples; expected a tensor with one row per example. Wrap "
            "it in a module that selects one."
        )
    return out.reshape(out.shape[0], -1)
