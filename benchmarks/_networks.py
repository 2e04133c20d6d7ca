"""The networks that are measured, in plain JAX: every JAX side runs this very code on the same weights.

Parameters are a flat list ``[w1, b1, w2, b2, ...]``; no layer library is involved, and no release of JAX is assumed.
"""

import jax
import jax.numpy as jnp


def mlp(params, x):
    """Return the outputs (n, o) of a ReLU network on vectors (n, d)."""
    for w, b in zip(params[:-2:2], params[1:-2:2]):  # noqa: B905
        x = jax.nn.relu(x @ w + b)
    return x @ params[-2] + params[-1]


def cnn(params, x):
    """Return the outputs (n, o) of ReLU convolutions on images (n, h, w, c), then a global average and a readout."""
    for w, b in zip(params[:-2:2], params[1:-2:2]):  # noqa: B905
        x = jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.nn.relu(x + b)
    return jnp.mean(x, (1, 2)) @ params[-2] + params[-1]


NETWORKS = {"mlp": mlp, "cnn": cnn}
