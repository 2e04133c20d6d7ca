"""The initial parameters, from code that is compiled once for all networks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ..._typing import Array, Params
from ...arch import Dense, Serial
from ._config import MOST_DEPTH
from ._options import compiled_at

LEAST = 4096
LAYERS = 2 * MOST_DEPTH + 1


def draw(net: Serial, seed: int) -> Params:
    """Return what ``net.init(jax.random.key(seed), (1,))`` returns, up to rounding.

    The i-th number that a key of JAX gives depends on key and i alone, not on how many are asked for. So a fixed number
    is drawn for every weight, and the first ones are taken: nothing is compiled anew for another width or depth. The
    way from the key of the network to those of its weights is that of `Serial` and `Dense`.
    """
    with jax.threefry_partitionable(True):
        keys, short = _vectors(LEAST, jnp.asarray(seed, jnp.int64))
        numbers, channels, params = np.asarray(short), 1, []
        for i, layer in enumerate(net.layers):
            if not isinstance(layer, Dense):
                params.append({})
                continue
            size = channels * layer.width
            weight = numbers[i // 2, 0] if size <= LEAST else _matrix(_rounded_up(size), keys, i // 2)
            params.append(_scaled(layer, np.asarray(weight)[:size].reshape(channels, layer.width), numbers[i // 2, 1]))
            channels = layer.width
    return tuple(params)


def _scaled(layer: Dense, weight: np.ndarray, bias: np.ndarray) -> Params:
    assert layer.bias_std is not None  # All layers of `Architecture` have one.
    _, weight_std = layer.parameterization.weight(layer.weight_std, *weight.shape)
    _, bias_std = layer.parameterization.bias(layer.bias_std, layer.width)
    return {
        "weight": jnp.asarray(float(weight_std) * weight),
        "bias": jnp.asarray(float(bias_std) * bias[: layer.width]),
    }


def _rounded_up(size: int) -> int:
    found = LEAST
    while found < size:
        found *= 16
    return found


@compiled_at(1)
def _vectors(size: int, seed: Array) -> tuple[Array, Array]:
    # Keys of weight and bias for each dense layer, which are every other one, and numbers of each.
    keys = jax.vmap(jax.random.split)(jax.random.split(jax.random.key(seed), LAYERS)[::2])
    return keys, jax.vmap(jax.vmap(lambda key: jax.random.normal(key, (size,))))(keys)


@compiled_at(1)
def _matrix(size: int, keys: Array, layer: int) -> Array:
    return jax.random.normal(keys[layer, 0], (size,))
