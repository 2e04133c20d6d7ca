"""The table of layers: a new layer is one row here, and every property test runs over it.

name -> (network, shape of one example, whether it is smooth). Spaces are tiny, so that the explicit Jacobians and the
many compilations stay cheap; hidden layers have width 16, and `at_width` makes them wider.
"""

import widelimit as wl
from widelimit import arch


def dense(width=16, weight_std=1.3, bias_std=0.2):
    return wl.Dense(width, weight_std, bias_std)


def conv(window, width=16, **options):
    return arch.Conv(width, window, 1.2, 0.1, **options)


def local(window, **options):
    return arch.LocallyConnected(16, window, 1.2, 0.1, **options)


def transpose(window, **options):
    return arch.ConvTranspose(16, window, 1.2, 0.1, **options)


def flat(*layers):
    """Return a network that ends with each position by itself."""
    return wl.serial(*layers, wl.Flatten(), dense(1))


def pooled(*layers):
    """Return a network that ends with the mean over space, which needs all pairs of positions."""
    return wl.serial(*layers, arch.GlobalAvgPool(), dense(1))


STANDARD = wl.StandardParameterization()


def attention(**options):
    return arch.SelfAttention(16, 2, 4, 4, query_std=1.2, value_std=0.9, out_std=1.3, bias_std=0.1, **options)


LAYERS = {
    "conv_valid": (wl.serial(conv(2), wl.Relu(), wl.Flatten(), dense(1)), (4, 2), False),
    "conv_zeros": (wl.serial(conv(3, padding=arch.Zeros()), wl.Sin(), wl.Flatten(), dense(1)), (4, 2), True),
    "conv_circular": (wl.serial(conv(3, padding=arch.Circular()), wl.Sin(), wl.Flatten(), dense(1)), (4, 2), True),
    "conv_strided_dilated": (
        wl.serial(conv((2, 2), strides=(2, 1), dilation=(1, 2)), wl.Sin(), wl.Flatten(), dense(1)),
        (4, 4, 2),
        True,
    ),
    "conv_groups": (
        wl.serial(dense(16), wl.Sin(), conv(2, groups=4), wl.Sin(), wl.Flatten(), dense(1)),
        (3, 2),
        True,
    ),
    "conv_transpose_groups_dilated": (
        wl.serial(
            dense(16),
            wl.Sin(),
            arch.ConvTranspose(16, (2,), 1.2, 0.1, strides=(2,), dilation=(2,), groups=4, padding=arch.Zeros()),
            wl.Sin(),
            arch.GlobalAvgPool(),
            dense(1),
        ),
        (3, 2),
        True,
    ),
    "local_groups": (
        wl.serial(
            dense(16),
            wl.Sin(),
            arch.LocallyConnected(16, (2,), 1.2, 0.1, groups=4),
            wl.Sin(),
            arch.GlobalAvgPool(),
            dense(1),
        ),
        (3, 2),
        True,
    ),
    "conv_pointwise_of_vectors": (wl.serial(conv(()), wl.Sin(), dense(1)), (3,), True),
    "conv_standard": (
        wl.serial(
            conv(2, parameterization=wl.StandardParameterization()),
            wl.Sin(),
            conv(2, parameterization=wl.StandardParameterization()),
            wl.Sin(),
            wl.Flatten(),
            wl.Dense(1, 1.1, 0.2, wl.StandardParameterization()),
        ),
        (4, 2),
        True,
    ),
    "avg_pool": (
        wl.serial(conv(2), wl.Sin(), arch.AvgPool((2,), strides=(1,)), conv(2), wl.Sin(), wl.Flatten(), dense(1)),
        (4, 2),
        True,
    ),
    "avg_pool_edges": (
        wl.serial(
            conv(2),
            wl.Relu(),
            arch.AvgPool((3,), strides=(1,), padding=arch.Zeros(), normalize_edges=True),
            wl.Flatten(),
            dense(1),
        ),
        (4, 2),
        False,
    ),
    "sum_pool_circular": (
        wl.serial(
            conv(2), wl.Sin(), arch.SumPool((2,), padding=arch.Circular()), dense(16), wl.Sin(), wl.Flatten(), dense(1)
        ),
        (5, 2),
        True,
    ),
    "global_avg_pool": (wl.serial(conv((2, 2)), wl.Relu(), arch.GlobalAvgPool(), dense(1)), (3, 3, 2), False),
    "global_sum_pool": (wl.serial(conv(2), wl.Sin(), arch.GlobalSumPool(), dense(1)), (3, 2), True),
    "sum_of_branches": (
        wl.serial(
            dense(16),
            arch.FanOut(3),
            arch.parallel(wl.Identity(), wl.serial(wl.Sin(), dense(16)), wl.serial(wl.Relu(), dense(16), wl.Relu())),
            arch.Sum(),
            dense(1),
        ),
        (3,),
        False,
    ),
    "sum_of_activations": (
        wl.serial(
            arch.FanOut(2),
            arch.parallel(wl.serial(dense(16), wl.Relu()), wl.serial(dense(16), wl.Relu())),
            arch.Sum(),
            dense(1),
        ),
        (3,),
        False,
    ),
    "post_activation_residual": (
        wl.serial(dense(16), wl.Relu(), wl.residual(dense(16), wl.Relu()), wl.residual(dense(16), wl.Relu()), dense(1)),
        (3,),
        False,
    ),
    "product": (
        wl.serial(
            dense(16),
            arch.FanOut(2),
            arch.parallel(wl.serial(wl.Sin(), dense(16)), wl.serial(dense(16), wl.Relu())),
            arch.Product(),
            dense(1),
        ),
        (3,),
        False,
    ),
    "concatenated_channels": (
        wl.serial(
            arch.FanOut(2),
            arch.parallel(wl.serial(dense(16), wl.Sin()), wl.serial(dense(16, 0.8), wl.Relu())),
            arch.Concatenate(-1),
            dense(1),
        ),
        (3,),
        False,
    ),
    "concatenated_space": (
        wl.serial(
            arch.FanOut(2),
            arch.parallel(conv(2), wl.serial(conv(3), wl.Sin(), conv(1))),
            arch.Concatenate(0),
            wl.Sin(),
            arch.GlobalAvgPool(),
            dense(1),
        ),
        (4, 2),
        True,
    ),
    "repeat": (wl.serial(dense(16), arch.repeat(wl.serial(wl.Sin(), dense(16)), 3), dense(1)), (3,), True),
    "repeat_residual": (
        wl.serial(dense(16), arch.repeat(wl.residual(wl.Relu(), dense(16)), 3), wl.Relu(), dense(1)),
        (3,),
        False,
    ),
    "frozen": (
        wl.serial(arch.frozen(dense(16)), wl.Sin(), arch.with_learning_rate(dense(16), 0.3), wl.Sin(), dense(1)),
        (3,),
        True,
    ),
    "local": (flat(local(2), wl.Relu()), (4, 2), False),
    "local_circular": (pooled(conv(2), wl.Sin(), local(3, padding=arch.Circular()), wl.Sin()), (4, 2), True),
    "local_strided": (
        pooled(local((2, 2), strides=(2, 1), dilation=(1, 2), padding=arch.Zeros()), wl.Sin()),
        (3, 3, 2),
        True,
    ),
    "local_standard": (flat(dense(), wl.Sin(), local(2, parameterization=STANDARD), wl.Sin()), (3, 2), True),
    "transpose": (flat(transpose(3, strides=(2,)), wl.Relu()), (3, 2), False),
    "transpose_zeros": (
        pooled(conv((1, 1)), wl.Sin(), transpose((2, 1), strides=(1, 2), padding=arch.Zeros()), wl.Sin()),
        (2, 2, 2),
        True,
    ),
    "transpose_circular": (pooled(transpose(4, strides=(2,), padding=arch.Circular()), wl.Sin()), (2, 2), True),
    "transpose_standard": (flat(dense(), wl.Sin(), transpose(2, parameterization=STANDARD), wl.Sin()), (2, 2), True),
    "layer_norm": (
        wl.serial(dense(), arch.LayerNorm(), wl.Relu(), dense(), arch.LayerNorm(), wl.Sin(), dense(1)),
        (3,),
        False,
    ),
    "layer_norm_of_data": (wl.serial(arch.LayerNorm(eps=0.1), dense(), wl.Sin(), dense(1)), (4,), True),
    "layer_norm_of_activation": (flat(dense(), wl.Relu(), arch.LayerNorm((0, -1)), conv(2)), (3, 2), False),
    "layer_norm_of_space": (pooled(conv((2, 1)), arch.LayerNorm((0, 2), 1e-3), wl.Sin()), (3, 2, 2), True),
    "layer_norm_affine": (
        wl.serial(dense(), wl.Relu(), arch.LayerNorm(affine=True), dense(), wl.Sin(), dense(1)),
        (3,),
        False,
    ),
    "layer_norm_affine_slow": (
        flat(dense(), arch.with_learning_rate(arch.LayerNorm((0, -1), affine=True), 0.7), conv(2), wl.Sin()),
        (3, 2),
        True,
    ),
    "dropout": (
        wl.serial(dense(), wl.Relu(), arch.Dropout(0.3), dense(), wl.Sin(), arch.Dropout(0.2), dense(1)),
        (3,),
        False,
    ),
    "dropout_in_space": (
        pooled(conv(2), wl.Sin(), arch.Dropout(0.3), arch.AvgPool(2, strides=1), conv(1), wl.Sin()),
        (4, 2),
        True,
    ),
    "index": (flat(conv((1, 1)), arch.Index(arch.Slice[1:, ::-2]), wl.Sin()), (3, 3, 2), True),
    "index_of_one": (
        pooled(conv((2, 1)), wl.Sin(), arch.Index(arch.Slice[..., -1]), conv(1), wl.Sin()),
        (3, 2, 2),
        True,
    ),
    "resize": (pooled(conv(2), arch.Resize((4,)), wl.Sin()), (4, 2), True),
    "resize_smaller": (pooled(conv((1, 1)), arch.Resize((2, -1)), wl.Sin()), (5, 2, 2), True),
    "resize_nearest": (pooled(conv(2), arch.Resize((5,), arch.Nearest()), wl.Sin()), (4, 2), True),
    "linear_map": (
        flat(conv(1), wl.Sin(), arch.LinearMap([[1.0, -0.5, 0.3], [0.0, 2.0, 0.4]]), conv(1), wl.Sin()),
        (3, 2),
        True,
    ),
    "contraction": (
        wl.serial(conv((1, 1)), wl.Sin(), arch.LinearMap([[1.0, -0.5], [0.7, 0.2]], (0, 1)), dense(1)),
        (2, 2, 2),
        True,
    ),
    "scale": (pooled(conv(1), arch.Scale([1.0, -0.5, 2.0]), wl.Sin(), arch.Scale(0.7), conv(1)), (3, 2), True),
    "embedding": (flat(arch.Embedding(4, 16, 1.2), wl.Relu()), (3,), False),
    "embedding_pooled": (
        pooled(arch.Embedding(4, 16, 1.2, parameterization=STANDARD), conv(2), wl.Sin()),
        (4,),
        True,
    ),
    "attention_softmax": (
        wl.serial(dense(16), wl.Sin(), attention(positions=arch.SumPositions(0.7)), wl.Sin(), wl.Flatten(), dense(1)),
        (3, 2),
        True,
    ),
    "attention_relu_causal_standard": (
        wl.serial(
            dense(16),
            wl.Sin(),
            attention(
                scaling=arch.LinearScaling(arch.ReluMechanism()),
                causal=True,
                parameterization=wl.StandardParameterization(),
            ),
            arch.GlobalAvgPool(),
            dense(1),
        ),
        (3, 2),
        True,
    ),
    "attention_sqrt_concatenated": (
        wl.serial(
            dense(16),
            wl.Sin(),
            attention(scaling=arch.SqrtScaling(), positions=arch.ConcatPositions(0.8, values=True)),
            wl.Sin(),
            arch.GlobalAvgPool(),
            dense(1),
        ),
        (2, 2, 2),
        True,
    ),
    "cross_attention": (
        wl.serial(
            arch.FanOut(2),
            arch.parallel(dense(16), wl.serial(conv(2), wl.Sin(), dense(16))),
            arch.CrossAttention(16, 2, 4, 4, query_std=1.2, bias_std=0.1),
            wl.Sin(),
            arch.GlobalAvgPool(),
            dense(1),
        ),
        (3, 2),
        True,
    ),
}
