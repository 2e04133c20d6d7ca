r"""The kernel at the start goes to its limit: :math:`\|\Theta_0 - \Theta_\infty\| \propto n^{-1/2}` in the width n."""

import jax
import numpy as np

from ..._slope import fit_slope
from ...kernels import NTK
from .._descent import descent, relative
from .._witness import Witness
from ._common import network, points

WIDTHS = (64, 512, 4096)
SEEDS = 24


def run() -> Witness:
    """Fit a power of the width to the distance of random networks' kernels from that of the limit."""
    x, y, _ = points()
    limit = np.asarray(NTK(network())(x), np.float64)
    away = [[_away(width, seed, x, y, limit) for seed in range(SEEDS)] for width in WIDTHS]
    slope = fit_slope(WIDTHS, away)
    last = float(np.mean(away[-1]))
    words = (
        f"From width {WIDTHS[0]} to {WIDTHS[-1]} the kernel at the start comes within {last:.1%} of its limit, like "
        "one over the square root of the width."
    )
    error = abs(slope.exponent + 0.5)
    left, right = ("measured power of the width", slope.exponent), ("power in theory", -0.5)
    return Witness("limit_start", words, left, right, error, 0.1, error <= 0.1)


def _away(width: int, seed: int, x: np.ndarray, y: np.ndarray, limit: np.ndarray) -> float:
    model = descent(network(width), jax.random.key(seed), x, y)
    return relative(model.kernel()(model.x), limit)
