"""Which engine evaluates a kernel, why, and that all of them agree: compiled loops against the reference."""

import os
import time

import numpy as np

import widelimit as wl
from widelimit.engine import Native, Reference

small = os.environ.get("WIDELIMIT_EXAMPLE_SIZE") == "small"
n = 100 if small else 2000
x = np.random.default_rng(0).standard_normal((n, 32)).astype(np.float32)


def network(activation):
    """Return a network of three hidden layers."""
    return wl.serial(*[wl.Dense(512, 1.5, 0.1), activation] * 3, wl.Dense(1))


for name, net in {"relu": network(wl.Relu()), "erf": network(wl.Erf()), "tanh": network(wl.Tanh())}.items():
    print(f"{name}: {wl.Auto().select(net, x)}")

net = network(wl.Relu())
seconds, kernels = {}, {}
for engine in (Native(), Reference()):
    kernel = wl.NTK(net, engine=engine)
    kernel(x)  # the first call compiles
    start = time.perf_counter()
    kernels[type(engine).__name__] = np.asarray(kernel(x))
    seconds[type(engine).__name__] = time.perf_counter() - start

error = np.abs(kernels["Native"] - kernels["Reference"]).max() / kernels["Reference"].max()
print(f"n = {n}: " + ", ".join(f"{name} {1e3 * s:.0f} ms" for name, s in seconds.items()))
print(f"largest difference, relative to the largest entry: {error:.0e}")
