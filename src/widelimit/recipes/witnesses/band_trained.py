r"""Trained networks have the mean and the spread of the band: that of Lee et al. (arXiv 1902.06720, eqs. 14-16).

S networks of width n are trained, each from a random start of its own, and their mean :math:`m` and standard deviation
:math:`s` at each test input are compared with :math:`\mu` and :math:`\sigma` of the limit. What may be off, by theory:

- chance: the mean has the standard error :math:`\sigma/\sqrt S`, the standard deviation
  :math:`\sigma/\sqrt{2(S-1)}`; four of them are granted, since 18 numbers are judged at once;
- width: kernels of random networks scatter around their limit with a relative variance of order 1/n, and the outputs
  with them, around what was learnt, which is of order one here. That adds up to c/n to the variance and moves the
  mean by up to c/n, with c = 10 granted: about twice the relative variance of :math:`v^2\phi'(u)^2`
  for Gaussian v, to which solving with the kernel matrix adds.

The step is half of the largest stable one, so that no mode stands at the edge of stability, where a small change of
the kernel grows in the outputs. There are four points with gaps between them and the weight scale is 1.5, so that
:math:`\sigma` (0.01 to 0.11 here) is not everywhere small beside what width adds. All of this was set before the first
network was trained.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ...arch import Serial
from ...dynamics import GradientDescent, infinite_ensemble
from ...kernels import NTK
from .._architecture import Architecture
from .._descent import descent, largest_step
from .._witness import Witness

WIDTH = 4096
NETWORKS = 100
STEPS = 100
SHARE = 0.5
FIRST_SEED = 7001
ERRORS = 4.0
SCATTER = 10.0


def run() -> Witness:
    """Train the networks and compare their mean and spread with the limit, in units of what is granted."""
    x, other = np.linspace(-1, 1, 4)[:, None], np.linspace(-1.5, 1.5, 9)[:, None]
    y = np.sin(3 * x[:, 0])
    net = Architecture(1, "erf", 1.5, 0.3).build(WIDTH, 1)
    rate = SHARE * largest_step(NTK(net)(x))
    with jax.enable_x64(True):
        limit = infinite_ensemble(net, x, y[:, None], optimizer=GradientDescent(rate)).at(STEPS, other)
        mean, std = np.asarray(limit.mean)[:, 0], np.asarray(limit.std)[:, 0]
    outputs = np.array([_trained(net, seed, x, y, other, rate) for seed in range(FIRST_SEED, FIRST_SEED + NETWORKS)])
    error = furthest(outputs, mean, std)
    spread = outputs.std(0, ddof=1)
    words = (
        f"{NETWORKS} networks of width {WIDTH}, trained from starts of their own, have the mean and the spread of the "
        f"limit to within {ERRORS:g} standard errors and what the width accounts for. The error is a share of that."
    )
    left, right = ("mean spread of the networks", float(spread.mean())), ("mean spread of the limit", float(std.mean()))
    return Witness("band_trained", words, left, right, error, 1.0, error <= 1.0)


def furthest(outputs: np.ndarray, mean: np.ndarray, std: np.ndarray) -> float:
    """Return the largest difference of mean or spread from those of the limit, as a share of what is granted."""
    count, scatter = len(outputs), SCATTER / WIDTH
    of_mean = ERRORS * std / math.sqrt(count) + scatter
    chance = ERRORS * std / math.sqrt(2 * (count - 1))
    spread = outputs.std(0, ddof=1)
    # Width adds to the variance and never takes away; chance goes both ways.
    of_spread = np.where(spread > std, np.sqrt(std**2 + scatter) - std, 0.0) + chance
    return float(np.max([np.abs(outputs.mean(0) - mean) / of_mean, np.abs(spread - std) / of_spread]))


def _trained(net: Serial, seed: int, x: np.ndarray, y: np.ndarray, other: np.ndarray, rate: float) -> np.ndarray:
    model = descent(net, jax.random.key(seed), jnp.asarray(x, jnp.float32), y)
    (end,) = model.at(rate, [STEPS])
    return model.outputs(end, jnp.asarray(other, jnp.float32))
