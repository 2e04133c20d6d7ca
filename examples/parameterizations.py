"""The same network at growing width: where it becomes a kernel machine, and where it keeps learning features."""

import os

from widelimit import recipes
from widelimit.arch import MuP
from widelimit.theory import stability

print(stability(MuP(), depth=1), "\n")

small = os.environ.get("WIDELIMIT_EXAMPLE_SIZE") == "small"
config = recipes.WidthsConfig(
    recipes.Architecture(depth=1 if small else 2),
    parameterizations=("ntk", "mup") if small else ("ntk", "standard", "mean_field", "mup"),
    widths=(16, 64, 256) if small else (64, 128, 256, 512, 1024),
    seeds=2 if small else 5,
    steps=24,
)
print(recipes.width_sweep(recipes.load("sine", n_train=6, n_test=8), config).table())
