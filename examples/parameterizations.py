"""The same network at growing width: where it becomes a kernel machine, and where it keeps learning features."""

import os

import widelimit as wl
from widelimit import recipes

print(wl.stability(wl.MuP(), depth=1), "\n")

small = os.environ.get("WIDELIMIT_EXAMPLE_SIZE") == "small"
config = recipes.WidthsConfig(
    recipes.Architecture(depth=1 if small else 2),
    parameterizations=("ntk", "mup") if small else ("ntk", "standard", "mup"),
    widths=(16, 64, 256) if small else (32, 64, 128, 256, 512),
    seeds=16 if small else 64,
    steps=16,
)
print(recipes.width_sweep(recipes.load("sine", n_train=6, n_test=8), config).table())
