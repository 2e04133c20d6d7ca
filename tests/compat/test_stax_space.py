"""Layers of neural-tangents on space: constants, indices, images and graphs, against JAX on their outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit.compat.neural_tangents import stax

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)


def kernel_of_outputs(out, batch, channel):
    """Return the covariances of a fixed map from its outputs: (n, n, *space interleaved)."""
    out = np.moveaxis(np.asarray(out, np.float64), (batch, channel), (0, -1))
    n, *space, channels = out.shape
    flat = out.reshape(n, -1, channels)
    full = np.einsum("apc,bqc->abpq", flat, flat) / channels
    full = full.reshape(n, n, *space, *space)
    depth = len(space)
    return np.transpose(full, (0, 1, *[2 + d + depth * s for d in range(depth) for s in (0, 1)]))


def check(layer, x, expected, batch=0, channel=-1, **kwargs):
    """Outputs, shapes and covariances of a layer without parameters."""
    init_fn, apply_fn, kernel_fn = layer
    shape, params = init_fn(KEY, x.shape)
    out = apply_fn(params, x, **kwargs)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)
    assert shape == out.shape
    pattern = kwargs.get("pattern")
    kernel = kernel_fn(x, None, pattern=None if pattern is None else (pattern, pattern))
    assert kernel.shape1 == out.shape
    assert (kernel.batch_axis, kernel.channel_axis) == (batch, channel % out.ndim)
    np.testing.assert_allclose(kernel.nngp, kernel_of_outputs(out, batch, channel), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("lhs", "rhs", "numbers", "batch", "channel"),
    [
        (None, 0.7, (((), ()), ((), ())), 0, 3),
        (-0.2, None, (((), ()), ((), ())), 0, 3),
        (None, (4, 2), (((2,), (0,)), ((), ())), 0, 2),
        ((5, 3), None, (((1,), (1,)), ((), ())), 1, 3),
        (None, (3, 4), (((1, 2), (0, 1)), ((), ())), 0, 1),
        (None, (4,), (((), ()), ((2,), (0,))), 1, 3),
        (None, (4, 3), (((), ()), ((2, 1), (0, 1))), 2, 3),
    ],
)
def test_products_with_constants(lhs, rhs, numbers, batch, channel):
    x = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
    lhs, rhs = (RNG.standard_normal(s).astype(np.float32) if isinstance(s, tuple) else s for s in (lhs, rhs))
    if lhs is None:
        expected = jax.lax.dot_general(x, jnp.asarray(rhs, jnp.float32), numbers)
    else:
        expected = jax.lax.dot_general(jnp.asarray(lhs, jnp.float32), x, numbers)
    check(stax.DotGeneral(lhs=lhs, rhs=rhs, dimension_numbers=numbers), x, expected, batch, channel)


def test_products_that_have_no_kernel_are_refused():
    x = RNG.standard_normal((2, 3, 4))
    with pytest.raises(ValueError, match="channels are infinitely many"):
        stax.DotGeneral(rhs=np.ones(4), dimension_numbers=(((2,), (0,)), ((), ())))[2](x)
    summed = stax.DotGeneral(rhs=np.ones(2), dimension_numbers=(((0,), (0,)), ((), ())))
    with pytest.raises(ValueError, match="mixes examples"):
        summed[2](x, diagonal_batch=True)
    with pytest.raises(ValueError, match="expected two axes"):
        stax.serial(summed, stax.Dense(1))[2](x)
    with pytest.raises(ValueError, match="expected one of them"):
        stax.DotGeneral(lhs=1.0, rhs=1.0)


def test_indices():
    x = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
    check(stax.Index(stax.Slice[:, 1, ::2]), x, x[:, 1, ::2], 0, 2)
    check(stax.Index(stax.Slice[1:, :, -1], batch_axis=1, channel_axis=3), x, x[1:, :, -1], 1, 2)
    with pytest.raises(NotImplementedError, match="infinitely many"):
        stax.Index(stax.Slice[..., 0])[2](x)


@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_images_of_another_size(method):
    x = RNG.standard_normal((2, 4, 3, 5)).astype(np.float32)
    expected = jax.image.resize(x, (2, 6, 3, 5), method)
    check(stax.ImageResize((-1, 6, -1, -1), method), x, expected)
    with pytest.raises(ValueError, match="infinitely many"):
        stax.ImageResize((-1, 6, -1, 2), method)[2](x)


@pytest.mark.parametrize("axes", [None, (1,), (2, 1)])
def test_graphs_as_matrices(axes):
    x = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
    nodes = (3, 4) if axes is None else tuple(x.shape[a] for a in axes)
    pattern = RNG.random((2, *nodes, *nodes)).astype(np.float32)
    letters = {1: "p", 2: "q"}
    old = "".join(letters[a] for a in (axes or (1, 2)))
    result = "nPQc" if axes is None or len(axes) == 2 else "nPqc"
    expected = np.einsum(f"npqc,n{old}{old.upper()}->{result}", x, pattern)
    check(stax.Aggregate(aggregate_axis=axes), x, expected, pattern=pattern)


def test_graphs_as_edges_are_those_of_matrices():
    x = RNG.standard_normal((2, 4, 5)).astype(np.float32)
    edges = RNG.integers(0, 4, (2, 6, 1, 2))
    edges[0, 4:] = -10000
    dense = np.zeros((2, 4, 4), np.float32)
    for n, e in np.ndindex(2, 6):
        if edges[n, e].min() >= 0:
            dense[n, edges[n, e, 0, 0], edges[n, e, 0, 1]] += 1
    sparse = stax.Aggregate(implementation="SPARSE")
    expected = np.einsum("npc,npP->nPc", x, dense)
    check(sparse, x, expected, pattern=edges)
    net = stax.serial(stax.Dense(4), stax.Relu(), sparse, stax.Dense(1), stax.GlobalAvgPool())
    plain = stax.serial(stax.Dense(4), stax.Relu(), stax.Aggregate(), stax.Dense(1), stax.GlobalAvgPool())
    found = net[2](x, x, "ntk", pattern=(edges, edges))
    np.testing.assert_allclose(found, plain[2](x, x, "ntk", pattern=(dense, dense)), rtol=1e-5)
    np.testing.assert_allclose(stax.Aggregate()[2](x, None, "nngp"), stax.Identity()[2](x, None, "nngp"), rtol=1e-6)
    with pytest.raises(NotImplementedError, match="one of two patterns is None"):
        net[2](x, x, "ntk", pattern=(edges, None))
