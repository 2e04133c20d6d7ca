"""What all stories share: sin(3x) at twelve points, and the network of the demo."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._architecture import Architecture
from .._descent import Descent, descent
from .._exhibit import Axis, Role, Series

INPUT = Axis("input x")


@dataclasses.dataclass(frozen=True)
class Setting:
    """Network and data.

    Attributes
    ----------
    activation, weight_std, bias_std
        Of one hidden layer, in the NTK parameterization.
    points
        Training inputs, evenly spread over [-1, 1], with targets sin(3x).
    seen
        Inputs at which functions are drawn, evenly spread over [-1.25, 1.25].
    """

    activation: str = "erf"
    weight_std: float = 2.0
    bias_std: float = 0.5
    points: int = 12
    seen: int = 61

    @property
    def x(self) -> np.ndarray:
        """Training inputs, (n,)."""
        return np.linspace(-1, 1, self.points)

    @property
    def y(self) -> np.ndarray:
        """Targets, (n,)."""
        return np.sin(3 * self.x)

    @property
    def grid(self) -> np.ndarray:
        """Inputs at which functions are drawn, (m,)."""
        return np.linspace(-1.25, 1.25, self.seen)

    @property
    def inputs(self) -> Any:
        """The same as a batch, (m, 1)."""
        return jnp.asarray(self.grid, float)[:, None]

    def network(self, width: int, seed: int) -> Descent:
        """Return a network of this width at its random start."""
        net = Architecture(1, self.activation, self.weight_std, self.bias_std).build(width, 1)
        return descent(net, jax.random.key(seed), self.x, self.y)

    def curve(self, name: str, role: Role, values: np.ndarray, mark: Any = "line") -> Series:
        """Return a function on the grid as a curve."""
        return Series(name, role, self.grid.tolist(), values.tolist(), mark=mark)

    def data(self) -> Series:
        """Return the training points."""
        return Series("training points", "data", self.x.tolist(), self.y.tolist(), mark="points")


def span(*values: Any, margin: float = 0.08) -> tuple[float, float]:
    """Return ends of an axis that shows all values."""
    low = min(float(np.min(v)) for v in values)
    high = max(float(np.max(v)) for v in values)
    space = margin * (high - low)
    return low - space, high + space


def rms(values: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))
