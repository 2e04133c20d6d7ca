r"""The band is Lee et al.'s: mean :math:`B_k y`, variance :math:`K - 2BK + BKB^\top` (arXiv 1902.06720, eqs. 14-16)."""

import jax
import numpy as np

from ...dynamics import GradientDescent, infinite_ensemble
from .._architecture import Architecture
from .._witness import Witness
from ..live import LiveConfig, measure
from ._common import compare

STEPS = 60


def run() -> Witness:
    """Compare mean and deviation of the demo with the closed form of the library."""
    config = LiveConfig()
    frame = measure(config, STEPS).frame
    net = Architecture(config.depth, config.activation, config.weight_std, config.bias_std).build(config.width, 1)
    x = np.linspace(-1, 1, config.points)[:, None]
    descent = GradientDescent(frame.numbers["learning_rate"] or 0.0)
    with jax.enable_x64(True):
        expected = infinite_ensemble(net, x, np.sin(3 * x), optimizer=descent).at(
            STEPS, np.linspace(-1.5, 1.5, 161)[:, None]
        )
        right = np.concatenate([expected.mean[:, 0], expected.std[:, 0]])
    left = np.concatenate([frame.arrays["mean"], frame.arrays["std"]])
    words = f"Mean and spread of the demo after {STEPS} steps are those of the ensemble in closed form."
    # Frames carry float32; a variance that is small by cancellation loses half of its digits in the root.
    return compare("band_lee", words, ("norm in the demo", left), ("norm in closed form", right), 1e-5)
