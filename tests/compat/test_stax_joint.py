"""Layers that act along the examples: their kernels are those of their outputs, and masks and networks go with them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit.compat.neural_tangents import stax

KEY = jax.random.key(0)
RNG = np.random.default_rng(3)


def inputs(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def close(a, b, tolerance=1e-4):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(
    ("layer", "pairs"),
    [
        (stax.DotGeneral(rhs=inputs(3, 2), dimension_numbers=(((0,), (0,)), ((), ()))), "pco,Pcd->pPod"),
        (stax.DotGeneral(lhs=inputs(2, 3), dimension_numbers=(((), ()), ((1,), (0,)))), "nopc,mdPc->nmodpP"),
        (stax.DotGeneral(rhs=inputs(3, 4), dimension_numbers=(((1,), (1,)), ((0,), (0,)))), "nc,mc->nm"),
        (stax.DotGeneral(rhs=inputs(4, 2, 3), dimension_numbers=(((1,), (0,)), ((0,), (2,)))), "nco,mcd->nmod"),
        (stax.ImageResize((5, -1, -1), "linear"), "npc,mPc->nmpP"),
        (stax.ImageResize((2, 3, -1), "nearest"), "npc,mPc->nmpP"),
        (stax.Index(stax.Slice[::-2, 1:]), "npc,mPc->nmpP"),
        (stax.Index(stax.Slice[1:2, 0]), "nc,mc->nm"),
    ],
)
def test_linear_maps_of_examples(layer, pairs, missing):
    """The kernel of a map without weights is that of its outputs; a masked value is a zero."""
    init_fn, apply_fn, kernel_fn = layer
    x1, x2 = inputs(3, 4, 5), inputs(3, 4, 5)
    more = {}
    if missing:
        x1[1, 2] = x2[0, :3] = 10.0
        more = {"mask_constant": 10.0}
    one, two = (apply_fn((), x, **more) for x in (x1, x2))
    expected = np.einsum(pairs, one, two) / 5
    kernel = kernel_fn(x1, x2, **more)
    assert init_fn(KEY, x1.shape)[0] == one.shape == kernel.shape1
    close(kernel.nngp, expected)
    if not kernel.diagonal_batch:
        close(kernel.cov1, np.einsum(pairs, one, one) / 5)
        close(kernel.cov2, np.einsum(pairs, two, two) / 5)


def test_networks_with_examples_that_are_taken():
    x = inputs(5, 4, 3)
    net = stax.serial(
        stax.Dense(8, 1.2, 0.1), stax.Index(stax.Slice[::2]), stax.Relu(), stax.GlobalAvgPool(), stax.Dense(2)
    )
    plain = stax.serial(stax.Dense(8, 1.2, 0.1), stax.Relu(), stax.GlobalAvgPool(), stax.Dense(2))
    shape, params = net[0](KEY, x.shape)
    assert shape == (3, 2)
    assert net[1](params, x).shape == shape
    close(net[2](x).ntk, plain[2](x[::2]).ntk, 1e-6)
    close(
        stax.serial(stax.Index(stax.Slice[::2]), stax.Relu())[2](stax.Dense(8)[2](x)).nngp,
        stax.serial(stax.Dense(8), stax.Relu())[2](x[::2]).nngp,
        1e-6,
    )
    nobody = stax.serial(stax.Dense(8), stax.Index(stax.Slice[1:1]), stax.Relu())
    assert nobody[2](x).nngp.shape == (0, 0, 4, 4)
    assert nobody[1](nobody[0](KEY, x.shape)[1], x).shape == (0, 4, 8)


def test_branches_beside_each_other_as_examples():
    x1, x2 = inputs(2, 3), inputs(4, 3)
    one, two = stax.serial(stax.Dense(6), stax.Relu(), stax.Dense(6, 0.8)), stax.Dense(6, 1.1, 0.2)
    net = stax.serial(stax.FanOut(2), stax.parallel(one, two), stax.FanInConcat(0), stax.Dense(1, 0.9))
    a, b = one[2](x1, x2), two[2](x1, x2)
    zeros = np.zeros((2, 4))
    found = net[2](x1, x2)
    close(found.nngp, 0.81 * np.block([[a.nngp, zeros], [zeros, b.nngp]]), 1e-5)
    tangents = np.block([[a.ntk, zeros], [zeros, b.ntk]])
    close(found.ntk, 0.81 * (tangents + np.block([[a.nngp, zeros], [zeros, b.nngp]])), 1e-5)
    assert found.shape2 == (8, 1)
    shape, params = net[0](KEY, x1.shape)
    assert shape == (4, 1)
    out = net[1](params, x1)
    branches = [f[1](p, x1) for f, p in zip((one, two), params[1], strict=True)]
    close(out, np.concatenate(branches) @ params[3][0] * 0.9 / np.sqrt(6), 1e-5)
    shared = stax.parallel(stax.Identity(), stax.Identity())
    compiled = jax.jit(net[2], static_argnames="get")
    close(compiled(x1, x2, "ntk"), found.ntk, 1e-5)
    with pytest.raises(ValueError, match="same random weights"):
        stax.serial(stax.Dense(6), stax.FanOut(2), shared, stax.FanInConcat(0))[2](x1)
    uncentred = stax.parallel(stax.serial(stax.Dense(6), stax.Relu()), stax.Dense(6))
    with pytest.raises(NotImplementedError, match="not Gaussian"):
        stax.serial(stax.FanOut(2), uncentred, stax.FanInConcat(0))[2](x1)


@pytest.mark.parametrize("axes", [(0, 2), (0, 1, 2)])
def test_norms_over_examples(axes):
    """As the outputs of a wide network are: of mean square one over the batch."""
    x1, x2 = inputs(3, 4, 5), inputs(2, 4, 5)
    x1[0, 2:] = 10.0
    net = stax.serial(stax.Dense(4096, 1.2, 0.4), stax.LayerNorm(axes))
    _, params = net[0](KEY, x1.shape)
    one, two = (net[1](params, x, mask_constant=10.0) for x in (x1, x2))
    kernel = net[2](x1, x2, mask_constant=10.0)
    found = np.einsum("npc,mPc->nmpP", one, two) / 4096
    np.testing.assert_allclose(kernel.nngp, found, atol=0.15)
    square = np.where(np.arange(4) < 2, 1, [[0], [1], [1]]) * np.einsum("npp->np", kernel.cov1)
    over = tuple(a for a in axes if a != 2)
    present = np.where(np.arange(4) < 2, 1, [[0], [1], [1]])
    close(square.sum(over) / present.sum(over), np.ones_like(square.sum(over)), 1e-5)


def test_a_full_batch_passes_through_native_layers():
    x = inputs(3, 4)
    first = stax.serial(stax.Dense(5, 1.2, 0.3), stax.Relu(), stax.Dense(5))
    by_hand = stax.serial(stax.Erf(), stax.Dense(1))[2](first[2](x, None, diagonal_batch=False))
    whole = stax.serial(first, stax.Erf(), stax.Dense(1))[2](x, None, diagonal_batch=False)
    assert by_hand.cov1.shape == (3, 3)
    close(by_hand.cov1, whole.cov1, 1e-5)
    close(by_hand.cov1, jnp.asarray(by_hand.nngp), 1e-6)
