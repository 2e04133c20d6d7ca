"""A kernel matrix on disk: planned, built, interrupted, gone on with, checked, and solved with products alone."""

import os
import pathlib
import tempfile

import numpy as np

import widelimit as wl
from widelimit import gram

small = os.environ.get("WIDELIMIT_EXAMPLE_SIZE") == "small"
n = 600 if small else 6000
rng = np.random.default_rng(0)
x = rng.standard_normal((n, 10)).astype(np.float32)
y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.1 * rng.standard_normal(n)
net = wl.serial(*[wl.Dense(512, 1.5, 0.1), wl.Relu()] * 2, wl.Dense(1))
kernel = wl.NTK(net)

path = pathlib.Path(tempfile.mkdtemp()) / "gram.zarr"
print(gram.plan_stored(kernel, x, path, tile=n // 6))


def interrupted(done, total, what):
    """Press Ctrl-C after some tiles."""
    if what == "tiles" and done == total // 3:
        raise KeyboardInterrupt


try:
    gram.build_stored(kernel, x, path, tile=n // 6, progress=interrupted)
except KeyboardInterrupt as interrupt:
    print(str(interrupt).replace(str(path), "gram.zarr"))
stored = gram.build_stored(kernel, x, path, tile=n // 6)
print(f"{gram.verify_stored(path)} tiles are as they were written")

# Ridge regression by conjugate gradients: one pass over the disk per iteration.
noise, alpha, residual = 1.0, np.zeros((n, 1)), y[:, None].copy()
direction, size = residual, float((residual**2).sum())
iterations = 0
while size > 1e-8 * float((y**2).sum()) and iterations < 300:
    iterations += 1
    image = np.asarray(stored.matmat(direction)) + noise * direction
    step = size / float((direction * image).sum())
    alpha, residual = alpha + step * direction, residual - step * image
    size, before = float((residual**2).sum()), size
    direction = residual + size / before * direction
test = rng.standard_normal((200, 10)).astype(np.float32)
truth = np.sin(2 * test[:, 0]) + test[:, 1] * test[:, 2]
error = np.asarray(kernel(test, x), np.float64) @ alpha - truth[:, None]
print(f"{iterations} iterations; test RMSE {np.sqrt((error**2).mean()):.2f}, of the mean alone {truth.std():.2f}")
