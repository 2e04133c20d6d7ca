"""What a network tells of itself: the table of its layers, and which layer overflows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from layers import LAYERS
from widelimit import arch

CNN = wl.serial(
    arch.Conv(16, (3, 3), 1.2, 0.1),
    wl.residual(wl.Relu(), wl.Dense(16)),
    arch.repeat(wl.serial(wl.Relu(), wl.Dense(16, 1.1, 0.1)), 3),
    arch.GlobalAvgPool(),
    wl.Dense(2),
)


@pytest.mark.parametrize("name", ["conv_strided_dilated", "sum_of_branches", "repeat_residual", "avg_pool"])
def test_parameters_and_shapes_are_those_of_the_network(name):
    net, shape, _ = LAYERS[name]
    for width in (None, 64):
        found = arch.describe(net, shape, width)
        wide = net if width is None else net.at_width(width)
        leaves = jax.tree.leaves(wide.init(jax.random.key(0), shape))
        assert found.parameters == sum(a.size for a in leaves)
        assert found.rows[-1].shape == wide.out_shape(shape)


def test_space_and_moments():
    rows = arch.describe(CNN, (4, 4, 3)).rows
    assert [r.path for r in rows] == ["0", "1.0.0", "1.0.1", "1", "2 x3.0", "2 x3.1", "3", "4"]
    assert [r.space for r in rows] == [arch.Space.FULL] * 6 + [arch.Space.DIAGONAL] * 2
    assert [r.moments for r in rows] == [2 * 4 * 4] * 6 + [2, 2]
    flat = wl.serial(arch.Conv(16, (3, 3)), wl.Relu(), wl.Flatten(), wl.Dense(2))
    assert [r.moments for r in arch.describe(flat, (4, 4, 3)).rows] == [8, 8, 2, 2]


def test_costs_grow_as_the_rule_says():
    """A dense layer costs the same few operations per moment; full space costs the square of positions."""
    dense = arch.describe(wl.serial(wl.Dense(16), wl.Relu(), wl.Dense(1)), (3,))
    assert dense.rows[0].flops == dense.rows[2].flops < 20
    pooled = [arch.describe(wl.serial(wl.Dense(8), wl.Relu(), arch.GlobalAvgPool()), (n, 3)).rows[1] for n in (8, 16)]
    assert 3.5 < pooled[1].flops / pooled[0].flops < 4.1
    repeated = [arch.describe(wl.serial(wl.Dense(8), arch.repeat(wl.Identity(), n)), (3,)).rows[-1] for n in (1, 5)]
    assert repeated[1].bytes == 5 * repeated[0].bytes


def test_graphs_attention_and_several_inputs():
    graph = wl.serial(arch.Aggregate(), wl.Dense(8), arch.GlobalAvgPool())
    assert arch.describe(graph, (3, 2)).rows[0].moments == 2 * 9
    cross = wl.serial(arch.parallel(wl.Dense(8), wl.Dense(8)), arch.CrossAttention(4, 2, 3, 3), wl.Flatten())
    found = arch.describe(cross, ((3, 2), (5, 2)))
    assert found.rows[2].moments == 2 * 9
    assert found.rows[2].parameters == 3 * 2 * 8 * 3 + 6 * 4


def test_the_table_reads():
    text = str(arch.describe(CNN, (4, 4, 3)))
    *lines, note = text.splitlines()
    assert len({len(line) for line in lines}) <= 2
    assert note.startswith("engine: Native, as every layer has a native form")
    graph = arch.describe(wl.serial(arch.Aggregate(), wl.Dense(8), arch.GlobalAvgPool()), (3, 2))
    assert str(graph).splitlines()[-1].startswith("engine: Reference, as layer 0 (Aggregate) has no native form")
    assert "engine: Native, as every layer has a native form" in str(arch.describe(wl.serial(*body(1.0)), (3,)))
    for words in ("Conv(16)", "Residual (sum)", "GlobalAvgPool", "total", "full", "448"):
        assert words in text


def test_what_cannot_be_described_is_refused():
    with pytest.raises(ValueError, match="net is 'cnn'"):
        arch.describe("cnn", (3,))
    with pytest.raises(ValueError, match="does not fit"):
        arch.describe(CNN, (2, 2, 3))


X = np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)


def body(std):
    return (wl.Dense(8), wl.Relu(), wl.Dense(8, std), wl.Relu())


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (wl.serial(*body(1e20), wl.Dense(1)), r"layer 2 of the network, Dense\("),
        (wl.serial(wl.serial(*body(1e20)), wl.Dense(1)), r"layer 0\.2 of"),
        (wl.serial(wl.Dense(8), wl.residual(wl.Relu(), wl.Dense(8, 1e20)), wl.Dense(1)), r"layer 1\.branch\.1 of"),
        (wl.serial(wl.Dense(8, 1e9), arch.repeat(wl.Dense(8, 1e9), 5), wl.Dense(1)), r"layer 1 \(repetition 1\) of"),
        (
            wl.serial(arch.FanOut(2), arch.parallel(wl.Dense(8), wl.Dense(8, 1e20)), arch.Sum(), wl.Dense(1)),
            r"layer 1\.1 of",
        ),
    ],
    ids=["serial", "nested", "residual", "repeat", "parallel"],
)
def test_an_overflow_names_the_layer(net, words):
    for kernel in (wl.NNGP(net), wl.NTK(net)):
        with pytest.raises(ValueError, match=words):
            kernel(X)
    with pytest.raises(ValueError, match=r"smaller weight_std .* or give float64 inputs"):
        wl.NTK(net)(X, X[:1])
    assert np.isfinite(wl.NTK(net)(X.astype(float))).all()


def test_the_message_names_the_pair_and_its_numbers():
    net, x = wl.serial(*body(1e10), wl.Dense(1)), X.copy()
    x[2] *= 1e10
    with pytest.raises(
        ValueError, match=r"the kernel at \[\d, 2\] is (inf|nan): layer 2 .*weight_std=10000000000.0.* to inf"
    ):
        wl.NTK(net)(x)
    with pytest.raises(ValueError, match=r"the kernel at \[2\] is"):
        wl.NTK(net).diagonal(jnp.asarray(x))


def test_inputs_that_overflow_are_named():
    with pytest.raises(ValueError, match="products of the inputs are not finite"):
        wl.NNGP(wl.serial(wl.Dense(8), wl.Dense(1)))(X * 1e25)


def test_traced_kernels_pass():
    net = wl.serial(*body(1e20), wl.Dense(1))
    assert not jnp.isfinite(jax.jit(lambda x: wl.NTK(net).block(x))(jnp.asarray(X))).all()
