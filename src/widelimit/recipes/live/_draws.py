"""The initial parameters, from code that is compiled once for all networks."""

from __future__ import annotations

import jax
import numpy as np

from ..._typing import Array, Params
from ...arch import Dense, Serial
from ._config import MOST_DEPTH
from ._program import program

LEAST = 4096
LAYERS = 2 * MOST_DEPTH + 1


def draw(net: Serial, seed: int) -> Params:
    """Return what ``net.init(jax.random.key(seed), (1,))`` returns, up to rounding: `numbers` as `scaled`."""
    return scaled(net, numbers(net, seed))


def numbers(net: Serial, seed: int) -> Params:
    """Return the normal numbers of ``net.init(jax.random.key(seed), (1,))``, to be `scaled`.

    The i-th number that a key of JAX gives depends on key and i alone, not on how many are asked for. So a fixed number
    is drawn for every weight, and the first ones are taken: nothing is compiled anew for another width or depth. The
    way from the key of the network to those of its weights is that of `Serial` and `Dense`.
    """
    keys, short = vectors(LEAST, np.asarray(seed, np.int64))
    short = np.asarray(short)

    def part(layer: int, kind: int, shape: tuple[int, ...]) -> np.ndarray:
        size = int(np.prod(shape))
        found = short[layer // 2, kind] if size <= LEAST else matrix(_rounded_up(size), keys, np.asarray(layer // 2))
        return np.reshape(np.asarray(found)[:size], shape)

    shapes = shapes_of(net)
    return tuple(
        {name: part(i, kind, shapes[i][name]) for kind, name in enumerate(shapes[i])} for i in range(len(shapes))
    )


def shapes_of(net: Serial) -> tuple[dict[str, tuple[int, ...]], ...]:
    """Return the shapes of all parameters, layer by layer, weights first."""
    channels, found = 1, []
    for layer in net.layers:
        if isinstance(layer, Dense):
            found.append({"weight": (channels, layer.width), "bias": (layer.width,)})
            channels = layer.width
        else:
            found.append({})
    return tuple(found)


def scaled(net: Serial, numbers: Params) -> Params:
    """Return normal numbers, each times its standard deviation."""
    pairs = zip(net.layers, numbers, strict=True)
    return tuple(_scaled(layer, own) if isinstance(layer, Dense) else own for layer, own in pairs)


def _scaled(layer: Dense, own: dict[str, Array]) -> dict[str, Array]:
    assert layer.bias_std is not None  # All layers of `Architecture` have one.
    _, weight_std = layer.parameterization.weight(layer.weight_std, *own["weight"].shape)
    _, bias_std = layer.parameterization.bias(layer.bias_std, layer.width)
    return {"weight": weight_std * own["weight"], "bias": bias_std * own["bias"]}


def _rounded_up(size: int) -> int:
    found = LEAST
    while found < size:
        found *= 16
    return found


@program(1)
def vectors(size: int, seed: Array) -> tuple[Array, Array]:
    """Return the keys of weight and bias of each dense layer, as numbers, and ``size`` normal numbers of each.

    Dense layers are every other one.
    """
    keys = jax.vmap(jax.random.split)(jax.random.split(jax.random.key(seed), LAYERS)[::2])
    normal = jax.vmap(jax.vmap(lambda key: jax.random.normal(key, (size,))))(keys)
    return jax.random.key_data(keys), normal


@program(1)
def matrix(size: int, keys: Array, layer: Array) -> Array:
    """Return ``size`` normal numbers for the weight of a dense layer."""
    return jax.random.normal(jax.random.wrap_key_data(keys[layer, 0]), (size,))
