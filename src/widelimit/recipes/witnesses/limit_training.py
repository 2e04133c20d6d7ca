r"""Training moves the kernel ever less: :math:`\|\Theta_t - \Theta_0\|` falls at least as :math:`n^{-1/2}` with width.

That is the rate of the theorem of Lee et al. 2019 (arXiv 1902.06720, theorem 2.1); what is measured may fall faster.
"""

import jax

from ..._slope import fit_slope
from .._descent import descent, largest_step, relative
from .._witness import Witness
from ._common import network, points

WIDTHS = (64, 512, 4096)
SEEDS = 6
STEPS = 200


def run() -> Witness:
    """Fit a power of the width to the movement of the kernel in training."""
    moved = [[_moved(width, seed) for seed in range(SEEDS)] for width in WIDTHS]
    slope = fit_slope(WIDTHS, moved).exponent
    words = (
        f"From width {WIDTHS[0]} to {WIDTHS[-1]} the movement of the kernel in {STEPS} steps falls at least as fast "
        "with the width as the theorem says."
    )
    error = max(0.0, slope + 0.5)
    left, right = ("measured power of the width", slope), ("slowest power the theorem allows", -0.5)
    return Witness("limit_training", words, left, right, error, 0.05, error <= 0.05)


def _moved(width: int, seed: int) -> float:
    x, y, _ = points()
    model = descent(network(width), jax.random.key(seed), x, y)
    before = model.kernel()(model.x)
    (end,) = model.at(0.5 * largest_step(before), [STEPS])
    return relative(model.kernel(end)(model.x), before)
