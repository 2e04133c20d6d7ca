"""A million rows: regression on Nyström features of a network's kernel, in one pass and little memory."""

import os
import resource
import sys
import time

import numpy as np

import widelimit as wl
from widelimit import features

small = os.environ.get("WIDELIMIT_EXAMPLE_SIZE") == "small"
n, count = (4000, 100) if small else (1_000_000, 500)


def draw(n, seed):
    """Return inputs and noisy targets: a function of five of twenty numbers (Friedman 1991)."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 20), np.float32)
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return (x - 0.5) * 12**0.5, y + rng.standard_normal(n, np.float32)


x, y = draw(n, 0)
test, truth = draw(2000, 1)
center = y.mean()
net = wl.serial(wl.Dense(512, 2**0.5, 0.5), wl.Relu(), wl.Dense(1))
feature_map = features.NystromFeatures(wl.NNGP(net), features.Pivots(count))

# Which inputs matter, from a few rows: the kernel of the scaled inputs learns from that.
few = features.regress(feature_map, x[:4000], y[:4000] - center)
scales = features.input_scales(few.mean, x[:500]).astype(np.float32)
print("scales of the inputs:", np.round(scales, 2))

for name, factor in (("as they are", np.ones_like(scales)), ("scaled", scales)):
    start = time.perf_counter()
    model = features.regress(feature_map, x * factor, y - center)
    mean, std = model.marginals(test * factor)
    seconds = time.perf_counter() - start
    error = np.sqrt(np.mean((mean + center - truth) ** 2))
    inside = np.mean(np.abs(mean + center - truth) < 1.96 * np.sqrt(std**2 + model.noise))
    print(f"inputs {name}: RMSE {error:.3f} (noise has 1), {100 * inside:.0f} % inside 95 % bands, {seconds:.1f} s")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(f"{n:,} rows, {count} features, peak memory {peak / 2**30:.2f} GiB")
