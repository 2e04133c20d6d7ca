"""The kernels between the positions of one input, such as the nodes of one graph."""

import math

import jax
import jax.numpy as jnp

from .._precision import evaluate, result_dtype
from ..arch import (
    AbstractLayer,
    Pair,
    Sample,
    Space,
    batch,
    check_kernel_limit,
    example_shape,
    input_pair,
    input_signal,
)
from ..engine import Block


def node_kernels(net: AbstractLayer, sample: Sample) -> Block:
    r"""Return NNGP and NTK between all positions of one input, for a network that keeps space.

    .. math:: K_{pp'} = E\,f(x)_p f(x)_{p'},\qquad \Theta_{pp'} = \nabla_\theta f(x)_p\cdot\nabla_\theta f(x)_{p'}

    With a graph this is node classification: every node is an input, and the kernel of some nodes with others is a
    part of these matrices.

    Parameters
    ----------
    net
        A network that ends with space, as ``serial(Aggregate(), Dense(64), Relu(), Aggregate(), Dense(1))``.
    sample
        ONE input: values (\*space, channels), with its graph and mask without a batch axis. An array counts as a
        sample without a graph.

    Returns
    -------
    Block
        ``(nngp, ntk)``, each (N, N) with N the number of positions, counted along flattened space; zeros in rows
        and columns of missing positions. The dtype is that of the values.

    Raises
    ------
    ValueError
        If the network has no kernel limit or ends without space, or the sample does not fit.
    """
    net.transmit(input_signal(net))
    check_kernel_limit(net)
    one = sample if isinstance(sample, Sample) else Sample(sample)
    # The checks of a batch of one.
    one = batch(jax.tree.map(lambda a: a[None], one), "sample")
    net.out_shape(example_shape(one))
    one = jax.tree.map(lambda a: a[0], one)
    if not input_signal(net).tokens and not jnp.issubdtype(one.values.dtype, jnp.floating):
        one = one.with_values(jnp.asarray(one.values, float))
    dtype = result_dtype(*_floats(one))
    return evaluate(_nodes, net, one, compute=dtype, result=dtype)


def _floats(one: Sample) -> list:
    # Token numbers and masks say nothing of the precision.
    floats = [a for a in jax.tree.leaves(one) if jnp.issubdtype(a.dtype, jnp.floating)]
    return floats or [jnp.zeros(())]


def _nodes(net: AbstractLayer, one: Sample) -> Block:
    net = jax.tree.map(jnp.asarray, net)
    pair = net.propagate(input_pair(one, one, Space.FULL))
    if not isinstance(pair, Pair) or not pair.xx.ndim:
        raise ValueError(
            "the network ends without space; expected one vector per position. Leave out Flatten and global pooling."
        )
    n = math.prod(pair.xx.shape)
    return Block(pair.xy.reshape(n, n), pair.ntk.reshape(n, n))
