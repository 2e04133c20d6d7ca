"""Exact kernels of images, texts, graphs and transformers: one line of architecture each.

Run it as it is: python examples/architectures.py
"""

import os

import numpy as np

import widelimit as wl
from widelimit import arch

SMALL = os.environ.get("WIDELIMIT_EXAMPLE_SIZE") == "small"
n, size = (3, 4) if SMALL else (6, 12)
random = np.random.default_rng(0)

images = random.standard_normal((n, size, size, 3)).astype(np.float32)
conv = wl.Conv(64, (3, 3), 2**0.5, 0.1, padding=arch.Zeros())
image_net = wl.serial(conv, wl.Relu(), arch.AvgPool((2, 2)), conv, wl.Relu(), wl.GlobalAvgPool(), wl.Dense(10))

texts = random.integers(0, 20, (n, size))
lengths = random.integers(2, size + 1, n)
present = np.arange(size) < lengths[:, None]
text_net = wl.serial(
    arch.Embedding(20, 64), wl.Conv(64, 2, 1.2, padding=arch.Zeros()), wl.Relu(), wl.GlobalAvgPool(), wl.Dense(2)
)

nodes = random.standard_normal((n, size, 5)).astype(np.float32)
edges = random.random((n, size, size)) < 0.3
adjacency = (edges | edges.transpose(0, 2, 1) | np.eye(size, dtype=bool)).astype(np.float32)
graph_net = wl.serial(
    arch.Aggregate(), wl.Dense(64, 1.4), wl.Relu(), arch.Aggregate(), wl.Dense(64), wl.GlobalAvgPool(), wl.Dense(1)
)

attention = arch.SelfAttention(64, heads=8, query_std=1.5, positions=arch.SumPositions(0.5))
block = wl.serial(
    wl.residual(arch.LayerNorm(), attention), wl.residual(arch.LayerNorm(), wl.Dense(64), wl.Relu(), wl.Dense(64))
)
transformer = wl.serial(wl.Dense(64), block, arch.LayerNorm(), wl.GlobalAvgPool(), wl.Dense(1))

for name, net, x in (
    ("images", image_net, images),
    ("texts of several lengths", text_net, arch.Sample(texts, present)),
    ("graphs", graph_net, arch.Sample(nodes, graph=adjacency)),
    ("transformer", transformer, nodes),
):
    kernel = np.asarray(wl.NTK(net)(x))
    values = np.linalg.eigvalsh(kernel)
    print(f"{name}: kernel {kernel.shape}, eigenvalues {values[0]:.3g} to {values[-1]:.3g}")
    assert values[0] > -1e-5 * values[-1]
