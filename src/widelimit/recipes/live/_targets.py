"""The functions that are sampled, and the training points."""

import numpy as np

from ..._typing import Callable
from ._config import LiveConfig

TARGETS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sin3x": lambda x: np.sin(3 * x),
    "sine": lambda x: np.sin(np.pi * x),
    "step": lambda x: np.where(x < 0, -0.8, 0.8),
    "bump": lambda x: np.exp(-12 * x**2),
    "two_frequencies": lambda x: 0.7 * np.sin(2 * x) + 0.4 * np.sin(9 * x),
    "line": lambda x: 0.8 * x,
}
"""Functions of x in [-1, 1] by name."""


def grid() -> np.ndarray:
    """Return the inputs at which curves are drawn, (161,)."""
    return np.linspace(-1.5, 1.5, 161)


def training_points(config: LiveConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets (n,), sorted by input."""
    if config.target == "own":
        order = np.argsort(config.x, kind="stable")
        return np.asarray(config.x, np.float64)[order], np.asarray(config.y, np.float64)[order]
    x = np.linspace(-1, 1, config.points)
    return x, TARGETS[config.target](x)
