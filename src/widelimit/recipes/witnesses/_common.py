"""What several witnesses need: a small network, points, and the Jacobian written out."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._typing import Params
from ...arch import Serial
from .._architecture import Architecture
from .._witness import Witness


def network(width: int = 32) -> Serial:
    """Return a network with one hidden layer, one input and one output."""
    return Architecture(1, "erf", 1.2, 0.5).build(width, 1)


def points() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return training inputs (6, 1), targets (6,), and other inputs (5, 1)."""
    x = np.linspace(-1, 1, 6)[:, None]
    return x, np.sin(3 * x[:, 0]), np.linspace(-1.3, 1.3, 5)[:, None]


def jacobian(net: Serial, params: Params, x: Any) -> np.ndarray:
    """Return the derivatives of the outputs in all parameters, (n, p), by reverse-mode differentiation of each."""
    parts = jax.jacrev(lambda p: net.apply(p, jnp.asarray(x))[:, 0])(params)
    return np.concatenate([np.asarray(leaf).reshape(len(x), -1) for leaf in jax.tree.leaves(parts)], 1)


def compare(key: str, statement: str, left: tuple[str, Any], right: tuple[str, Any], tolerance: float) -> Witness:
    """Return the witness of an equation: the largest difference of two arrays, and their norms."""
    a, b = np.asarray(left[1], np.float64), np.asarray(right[1], np.float64)
    error = float(np.max(np.abs(a - b)))
    norms = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    return Witness(key, statement, (left[0], norms[0]), (right[0], norms[1]), error, tolerance, error <= tolerance)


def exceeds(key: str, statement: str, found: tuple[str, float], claimed: tuple[str, float], least: float) -> Witness:
    """Return a counter-witness: it passes where the difference from the claim is larger than ``least``."""
    error = abs(found[1] - claimed[1])
    return Witness(key, statement, found, claimed, error, least, error > least, counter=True)
