"""Kernels of wide networks without a closed form, as means over random networks: recurrent, max-pool, batch-norm."""

import os

import jax
import jax.numpy as jnp
import numpy as np

from widelimit import kernels

small = os.environ.get("WIDELIMIT_EXAMPLE_SIZE") == "small"
width, samples = (32, 16) if small else (256, 200)
rng = np.random.default_rng(0)
reference = jnp.asarray(rng.standard_normal((32, 5)), jnp.float32)


def weights(key, *shapes):
    """Return standard normal arrays."""
    return [jax.random.normal(k, shape) for k, shape in zip(jax.random.split(key, len(shapes)), shapes, strict=True)]


def recurrent(params, x):
    """Return the last output of a recurrent network, the same weights at every step of x (n, steps)."""
    read, mix, out = params

    def step(hidden, now):
        return jnp.tanh(now[:, None] * read + hidden @ mix / width**0.5), None

    hidden, _ = jax.lax.scan(step, jnp.zeros((x.shape[0], width)), x.T)
    return hidden @ out / width**0.5


def max_pooled(params, x):
    """Return a convolution of width 3 over x (n, steps), the largest value of each channel, and a readout."""
    window, out = params
    patches = jnp.stack([x[:, i : x.shape[1] - 2 + i] for i in range(3)], -1)
    return jnp.max(jax.nn.relu(patches @ window / 3**0.5), 1) @ out / width**0.5


def batch_normed(params, x):
    """Return a network normalised by the statistics of a fixed batch, as at test time: examples stay independent."""
    first, second, out = params

    def normed(h, of):
        return (h - of.mean(0)) / jnp.sqrt(of.var(0) + 1e-5)

    h, r = x @ first / x.shape[1] ** 0.5, reference @ first / x.shape[1] ** 0.5
    h, r = jax.nn.relu(normed(h, r)), jax.nn.relu(normed(r, r))
    h, r = h @ second / width**0.5, r @ second / width**0.5
    return jax.nn.relu(normed(h, r)) @ out / width**0.5


MODELS = {
    "recurrent": (recurrent, [(width,), (width, width), (width, 1)]),
    "max-pool": (max_pooled, [(3, width), (width, 1)]),
    "batch-norm": (batch_normed, [(5, width), (width, width), (width, 1)]),
}

x = rng.standard_normal((2, 5)).astype(np.float32)
for name, (apply, shapes) in MODELS.items():
    kernel = kernels.MonteCarloNTK(lambda key, s=shapes: weights(key, *s), apply, samples, jax.random.key(0), chunk=4)
    found = kernel.estimate(x)
    cells = "  ".join(
        f"{found.mean[i, j]:.3f} +- {found.standard_error[i, j]:.3f}" for i, j in ((0, 0), (0, 1), (1, 1))
    )
    print(f"{name:10s} NTK of {found.samples} networks of width {width}: {cells}")
