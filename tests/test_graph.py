"""Graphs: the limit of aggregation against its definition, finite networks, edge lists, masks, and node kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit import arch, kernels

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4, 2))
A = RNG.uniform(0, 1, (3, 4, 4)) * (RNG.uniform(0, 1, (3, 4, 4)) < 0.6)
BODY = (wl.Dense(16, 1.3, 0.2), wl.Erf(), arch.Aggregate(), wl.Dense(16, 1.1, 0.1), wl.Erf())
NET = wl.serial(*BODY, arch.GlobalAvgPool(), wl.Dense(1, 1.2, 0.3))
NODES = wl.serial(*BODY, arch.Aggregate(), wl.Dense(1, 1.2, 0.3))


def edges(adjacency, padding=2):
    """Return the edge lists of adjacency matrices, padded to one length."""
    lists = [np.argwhere(a) for a in adjacency]
    most = max(map(len, lists)) + padding
    ends = np.full((len(lists), most, 2), -1)
    weights = np.full((len(lists), most), 7.0)
    for i, found in enumerate(lists):
        ends[i, : len(found)] = found
        weights[i, : len(found)] = adjacency[i][tuple(found.T)]
    return arch.Edges(ends, weights)


def mean_over_networks(net, x, shape, seeds=200):
    """Return mean and standard error of the empirical NTK of random networks, between all outputs."""

    def one(key):
        params = net.init(key, shape)
        return wl.EmpiricalNTK(net.apply, params, outputs=wl.Full()).block(x)

    found = np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(jax.random.key(0), seeds)))
    return found.mean(0), found.std(0, ddof=1) / np.sqrt(seeds)


def test_one_aggregation_is_a_matrix_product():
    net = wl.serial(arch.Aggregate(), wl.Dense(8, 1.3, 0.2), arch.GlobalSumPool())
    got = wl.NNGP(net)(arch.Sample(X, graph=A))
    moments = np.einsum("ipq,iqc,jrc,jsr->ijps", A, X, X, A) / X.shape[-1]
    np.testing.assert_allclose(got, (1.3**2 * moments + 0.2**2).sum((2, 3)), rtol=1e-12)


def test_edges_are_the_matrix():
    dense, sparse = arch.Sample(X, graph=A), arch.Sample(X, graph=edges(A))
    for kernel in (wl.NNGP(NET), wl.NTK(NET)):
        np.testing.assert_allclose(kernel(dense), kernel(sparse), rtol=1e-12)
    params = NET.init(jax.random.key(0), X.shape[1:])
    np.testing.assert_allclose(NET.apply(params, dense), NET.apply(params, sparse), rtol=1e-5)


def test_unweighted_edges_and_integer_matrices():
    ones = (A > 0).astype(int)
    sparse = arch.Sample(X, graph=arch.Edges(edges(A).ends))
    np.testing.assert_allclose(wl.NTK(NET)(arch.Sample(X, graph=ones)), wl.NTK(NET)(sparse), rtol=1e-12)


def test_space_of_two_axes():
    x, a = X.reshape(3, 2, 2, 2), A.reshape(3, 2, 2, 2, 2)
    np.testing.assert_allclose(wl.NTK(NET)(arch.Sample(x, graph=a)), wl.NTK(NET)(arch.Sample(X, graph=A)), rtol=1e-12)


def test_missing_nodes_do_not_count():
    mask = np.array([[1, 1, 1, 0]] * 3, bool)
    spoiled = np.where(mask[..., None], X, np.nan)
    small = arch.Sample(X[:, :3], graph=A[:, :3, :3])
    masked = arch.Sample(spoiled, mask, A)
    np.testing.assert_allclose(wl.NTK(NET)(masked), wl.NTK(NET)(small), rtol=1e-10)
    params = NET.init(jax.random.key(0), X.shape[1:])
    np.testing.assert_allclose(NET.apply(params, masked), NET.apply(params, small), rtol=1e-5)


def test_nodes_of_one_graph():
    """The kernel between nodes is that of finite networks which keep the nodes."""
    sample = arch.Sample(X[0], graph=A[0])
    nngp, ntk = kernels.node_kernels(NODES, sample)
    assert nngp.dtype == ntk.dtype == np.float64
    np.testing.assert_allclose(ntk, ntk.T, rtol=1e-12)
    assert np.linalg.eigvalsh(nngp).min() > -1e-12
    one = arch.Sample(jnp.asarray(X[:1], jnp.float32), graph=jnp.asarray(A[:1], jnp.float32))
    mean, error = mean_over_networks(NODES.at_width(256), one, X.shape[1:])
    mean, error = mean[0, 0, :, 0, :, 0], error[0, 0, :, 0, :, 0]
    assert (np.abs(mean - ntk) < 4 * error + 8 / 256 * np.abs(ntk).max()).all()


def test_pooled_nodes_are_the_kernel_of_graphs():
    """The last layer of a network that pools is linear, so its kernel is a mean over that of the nodes."""
    head = wl.serial(*BODY[:-1], wl.Dense(1, 1.2))
    pooled = wl.serial(*BODY[:-1], wl.Dense(1, 1.2), arch.GlobalAvgPool())
    block = kernels.node_kernels(head, arch.Sample(X[0], graph=A[0]))
    x = arch.Sample(X[:1], graph=A[:1])
    np.testing.assert_allclose(block.nngp.mean(), wl.NNGP(pooled)(x)[0, 0], rtol=1e-12)
    np.testing.assert_allclose(block.ntk.mean(), wl.NTK(pooled)(x)[0, 0], rtol=1e-12)


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (None, "without a graph"),
        (A[:, :3], "adjacency matrices"),
        (arch.Edges(np.zeros((3, 5, 2))), "expected integers"),
        (arch.Edges(np.full((3, 5, 2), 4)), "ends at position 4"),
        (arch.Edges(np.zeros((3, 5, 2), int), np.ones((3, 4))), "have weights of shape"),
    ],
)
def test_wrong_graphs_are_refused(graph, words):
    with pytest.raises(ValueError, match=words):
        wl.NTK(NET)(arch.Sample(X, graph=graph))


def test_other_refusals():
    with pytest.raises(ValueError, match="as nodes of a graph"):
        arch.Aggregate().out_shape((3,))
    with pytest.raises(ValueError, match="ends without space"):
        kernels.node_kernels(NET, arch.Sample(X[0], graph=A[0]))
    changed = wl.serial(wl.Dense(8), arch.AvgPool(2), arch.Aggregate(), wl.Dense(1), arch.GlobalAvgPool())
    with pytest.raises(ValueError, match="without a graph"):
        wl.NTK(changed)(arch.Sample(X, graph=A))


def test_json_keeps_the_layer():
    assert arch.from_json(arch.to_json(NODES)) == NODES
