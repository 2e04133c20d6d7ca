"""Small networks as triples of functions, as neural-tangents has them, from native ones."""

import collections
import functools

import jax
import jax.numpy as jnp

import widelimit as wl

Both = collections.namedtuple("Both", "nngp ntk")


def dense(width, outputs=1):
    return triple(wl.serial(wl.Dense(width, 1.2, 0.05), wl.Erf(), wl.Dense(outputs, 1.2, 0.05)))


def triple(net):
    """Return init_fn, apply_fn and kernel_fn of a network on vectors."""
    kernels = {"nngp": wl.NNGP(net), "ntk": wl.NTK(net)}

    def init_fn(key, shape):
        return (*shape[:-1], 1), net.init(key, shape[1:])

    def apply_fn(params, x, **kwargs):
        return net.apply(params, x)

    def kernel_fn(x1, x2=None, get=("nngp", "ntk")):
        get = ("nngp", "ntk") if get is None else get
        if isinstance(get, str):
            return jnp.asarray(kernels[get](x1, x2))
        return tuple_of(get)(*[jnp.asarray(kernels[g](x1, x2)) for g in get])

    return init_fn, apply_fn, kernel_fn


@functools.cache
def tuple_of(names):
    return collections.namedtuple("AnalyticKernel", names)


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)
