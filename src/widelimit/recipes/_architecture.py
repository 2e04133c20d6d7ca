"""Architectures named by a few numbers, as on the command line."""

import dataclasses
import difflib

from .. import _check, arch
from .._typing import Callable

ACTIVATIONS: dict[str, Callable[[], arch.Activation]] = {
    "erf": arch.Erf,
    "relu": arch.Relu,
    "leaky_relu": arch.LeakyRelu,
    "abs": arch.Abs,
    "sin": arch.Sin,
    "cos": arch.Cos,
    "gaussian": arch.Gaussian,
    "identity": arch.Identity,
    "tanh": arch.Tanh,
    "sigmoid": arch.Sigmoid,
    "silu": arch.Silu,
    "softplus": arch.Softplus,
    "gelu": arch.Gelu,
}

PARAMETERIZATIONS: dict[str, Callable[[], arch.AbstractParameterization]] = {
    "ntk": arch.NTKParameterization,
    "standard": arch.StandardParameterization,
    "mup": arch.MuP,
    "mean_field": arch.MeanField,
}


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A fully connected network described by a few numbers.

    Attributes
    ----------
    depth
        Number of hidden layers, one or more.
    activation
        A name of `ACTIVATIONS`.
    weight_std, bias_std
        Scales of all layers. The default is the one of Lee et al. 2019 for erf.
    parameterization
        A name of `PARAMETERIZATIONS`.
    """

    depth: int = 2
    activation: str = "erf"
    weight_std: float = 1.5
    bias_std: float = 0.1
    parameterization: str = "ntk"

    def __post_init__(self) -> None:
        """Check the names and the depth."""
        if isinstance(self.depth, bool) or not isinstance(self.depth, int) or not 1 <= self.depth <= 1000:
            raise ValueError(f"depth is {self.depth!r}; expected a number of hidden layers from 1 to 1000.")
        _check.nonnegative(self.weight_std, "weight_std")
        _check.nonnegative(self.bias_std, "bias_std")
        _known(self.activation, ACTIVATIONS, "activation")
        _known(self.parameterization, PARAMETERIZATIONS, "parameterization")

    def build(self, width: int, outputs: int) -> arch.Serial:
        """Return the network with hidden layers of ``width`` and ``outputs`` outputs."""
        parameterization = PARAMETERIZATIONS[self.parameterization]()

        def dense(channels: int) -> arch.Dense:
            return arch.Dense(channels, self.weight_std, self.bias_std, parameterization)

        layers: list[arch.AbstractLayer] = []
        for _ in range(self.depth):
            layers += [dense(width), ACTIVATIONS[self.activation]()]
        return arch.serial(*layers, dense(outputs))


def _known(name: str, table: dict, what: str) -> None:
    if name not in table:
        near = difflib.get_close_matches(name, table, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{what} is {name!r}; expected one of {', '.join(table)}.{hint}")
