"""Small functions ``f(params, batch)`` in which parameters meet data in every way with a rule, and in some without.

Each is (f, shapes of parameters, example): parameters are drawn in float64, the example is a shape or a list of dtypes
and shapes. ``route`` names what `describe` must say for the first parameter.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


class Model(NamedTuple):
    f: Any
    params: Any
    x: Any = (5,)
    route: str | None = "product"


def _conv(x, w, strides=1, padding="SAME", spec=None, **how):
    space = w.ndim - 2
    letters = "DHW"[3 - space :]
    spec = spec or (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    return lax.conv_general_dilated(x, w, (strides,) * space, padding, dimension_numbers=spec, **how)


def _pool(x):
    return x.reshape(len(x), -1, x.shape[-1]).mean(1)


def _attention(p, x):
    q, k, v = (jnp.einsum("ntd,dhk->nhtk", x, w) for w in p[:3])
    weights = jax.nn.softmax(jnp.einsum("nhtk,nhsk->nhts", q, k))
    mixed = jnp.einsum("nhts,nhsk->nthk", weights, v)
    return jnp.einsum("nthk,hkd->ntd", mixed, p[3]).mean(1)


def _fused_attention(p, x):
    q, k, v = jnp.split(x @ p[0], 3, -1)
    return (jax.nn.softmax(jnp.einsum("ntk,nsk->nts", q, k)) @ v).mean(1)


def _lstm(p, x):
    def step(carry, u):
        h, c = carry
        i, f, g, o = jnp.split(u @ p[0] + h @ p[1] + p[2], 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zeros = jnp.zeros((len(x), 3), x.dtype)
    return lax.scan(step, (zeros, zeros), jnp.swapaxes(x, 0, 1))[0][0]


def _nested_scan(p, x):
    def layer(u, w):
        return lax.scan(lambda h, _: (jnp.tanh(h @ w + u @ p[1]), None), u, length=2)[0], None

    return lax.scan(layer, x, p[0])[0]


def _scan_scaled(p, x):
    return lax.scan(lambda h, w: (jnp.tanh(h @ (0.5 * w.T) + h @ (2 * p[1]).T), h.sum()), x, p[0])[0]


def _embedding(p, ids):
    return jnp.tanh(p[0][ids] @ p[1]).mean(1)


@jax.custom_vjp
def _doubled_gradient(w, x):
    return x @ w


_doubled_gradient.defvjp(lambda w, x: (x @ w, (w, x)), lambda r, g: (2 * r[1].T @ g, g @ r[0].T))


@jax.custom_jvp
def _custom(w, x):
    return jnp.sin(x @ w)


_custom.defjvp(lambda p, t: (_custom(*p), jnp.cos(p[1] @ p[0]) * (t[1] @ p[0] + p[1] @ t[0])))


def _moe(p, x):
    gates = jax.nn.softmax(x @ p[0])
    return jnp.einsum("ne,neo->no", gates, jnp.einsum("nd,edo->neo", x, p[1]))


def _norm(x, scale, shift):
    return (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-3) * scale + shift


IMAGE, TOKENS = (6, 5, 2), [("int32", (4,))]
MODELS = {
    "dense": Model(lambda p, x: jnp.tanh(x @ p[0]) @ p[1], [(5, 4), (4, 3)]),
    "dense_left": Model(lambda p, x: jnp.einsum("ij,nj->ni", p[0], x), [(3, 5)]),
    "dense_transposed": Model(lambda p, x: x @ p[0].T, [(3, 5)]),
    "dense_positions": Model(lambda p, x: jnp.tanh(x @ p[0]).sum(1) @ p[1], [(3, 4), (4, 2)], (6, 3)),
    "dense_many_axes": Model(lambda p, x: jnp.einsum("nabc,cbd->nad", x, p[0]).sum(1), [(2, 3, 4)], (2, 3, 2)),
    "dense_batched": Model(lambda p, x: jnp.einsum("nhd,hdk->nhk", jnp.sin(x), p[0]), [(2, 3, 4)], (2, 3)),
    "dense_batched_positions": Model(
        lambda p, x: jnp.tanh(jnp.einsum("ntd,tdk->ntk", x, p[0])).sum(1), [(4, 3, 2)], (4, 3)
    ),
    "mixer": Model(lambda p, x: jnp.tanh(jnp.einsum("ntd,ts->nsd", x, p[0]) @ p[1]).mean(1), [(4, 3), (3, 2)], (4, 3)),
    "outer_product": Model(lambda p, x: jnp.einsum("nd,k->ndk", jnp.sin(x), p[0]), [(2,)], (3,), None),
    "conv1": Model(lambda p, x: _pool(jnp.tanh(_conv(x, p[0]))), [(3, 2, 4)], (7, 2)),
    "conv2": Model(lambda p, x: _pool(jnp.tanh(_conv(x, p[0]))) @ p[1], [(3, 3, 2, 4), (4, 2)], IMAGE),
    "conv2_flatten": Model(
        lambda p, x: _conv(jnp.tanh(_conv(x, p[0], 2)), p[1], 2), [(3, 3, 2, 3), (2, 2, 3, 2)], IMAGE
    ),
    "conv2_strided_valid": Model(lambda p, x: _pool(jnp.tanh(_conv(x, p[0], 2, "VALID"))), [(3, 2, 2, 4)], IMAGE),
    "conv2_one_by_one": Model(lambda p, x: _pool(jnp.tanh(_conv(x, p[0]))), [(1, 1, 2, 4)], IMAGE),
    "conv2_patches": Model(lambda p, x: _pool(jnp.tanh(_conv(x, p[0], 2, "VALID"))), [(2, 2, 2, 4)], (6, 4, 2)),
    "conv2_dilated": Model(lambda p, x: _pool(jnp.tanh(_conv(x, p[0], rhs_dilation=(2, 1)))), [(2, 3, 2, 4)], IMAGE),
    "conv2_explicit_padding": Model(
        lambda p, x: _pool(jnp.tanh(_conv(x, p[0], 2, ((2, 0), (-1, 1))))), [(3, 2, 2, 3)], IMAGE
    ),
    "conv2_transposed": Model(
        lambda p, x: _pool(jnp.tanh(lax.conv_transpose(x, p[0], (2, 2), "SAME"))), [(3, 3, 2, 3)], IMAGE
    ),
    "conv2_transposed_kernel": Model(
        lambda p, x: _pool(
            jnp.tanh(
                lax.conv_transpose(
                    x, p[0], (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"), transpose_kernel=True
                )
            )
        ),
        [(3, 3, 3, 2)],
        IMAGE,
    ),
    "conv2_groups": Model(
        lambda p, x: _pool(jnp.tanh(_conv(x, p[0], feature_group_count=2))), [(3, 3, 2, 6)], (6, 5, 4)
    ),
    "conv2_depthwise": Model(
        lambda p, x: _pool(jnp.tanh(_conv(x, p[0], feature_group_count=3))), [(3, 3, 1, 6)], (4, 5, 3)
    ),
    "conv2_nchw": Model(
        lambda p, x: jnp.tanh(_conv(x, p[0], spec=("NCHW", "OIHW", "NCHW"))).mean((2, 3)), [(4, 2, 3, 2)], (2, 6, 5)
    ),
    "conv2_odd_layout": Model(
        lambda p, x: jnp.tanh(_conv(x, p[0], spec=("NWCH", "IHOW", "HCNW"))).mean((0, 3)).T,
        [(2, 3, 4, 2)],
        (5, 2, 6),
    ),
    "conv3": Model(lambda p, x: _pool(jnp.tanh(_conv(x, p[0], 2))), [(3, 2, 3, 2, 3)], (4, 3, 5, 2)),
    "tied": Model(lambda p, x: jnp.tanh(x @ p[0]) @ p[0], [(4, 4)], (4,)),
    "tied_transposed": Model(lambda p, x: jnp.tanh(x @ p[0]) @ p[0].T, [(5, 4)], (5,), "computed"),
    "tied_with_elementwise": Model(lambda p, x: jnp.tanh(x @ p[0]) * p[0][0], [(5, 4)], (5,), "computed"),
    "tied_scaled": Model(lambda p, x: jnp.tanh(x @ (2 * p[0])) @ (p[0] / 3), [(4, 4)], (4,)),
    "embedding": Model(_embedding, [(7, 4), (4, 3)], TOKENS),
    "embedding_take": Model(lambda p, x: jnp.tanh(jnp.take(p[0], x, axis=0)).mean(1), [(7, 4)], TOKENS),
    "embedding_out_of_bounds": Model(
        lambda p, x: jnp.tanh(p[0].at[x].get(mode="fill", fill_value=0)).sum(1), [(4, 3)], TOKENS
    ),
    "embedding_scalar": Model(lambda p, x: jax.vmap(lambda i: jnp.tanh(p[0][i]))(x), [(7, 4)], [("int32", ())]),
    "embedding_tied": Model(
        lambda p, x: jnp.tanh(p[0][x] @ p[1]).mean(1) @ p[0].T, [(7, 4), (4, 4)], TOKENS, "computed"
    ),
    "one_hot": Model(lambda p, x: jnp.tanh(jax.nn.one_hot(x, 7) @ p[0]).mean(1), [(7, 4)], TOKENS),
    "positional": Model(lambda p, x: jnp.tanh((x + p[1]) @ p[0]).mean(1), [(3, 2), (4, 3)], (4, 3)),
    "attention": Model(_attention, [(3, 2, 2), (3, 2, 2), (3, 2, 2), (2, 2, 3)], (4, 3)),
    "attention_fused": Model(_fused_attention, [(3, 6)], (4, 3)),
    "slices_of_one": Model(lambda p, x: jnp.tanh(x @ p[0][:, :4]) @ p[0][:4, 4:], [(5, 7)]),
    "split_of_one": Model(lambda p, x: (lambda q, k: jnp.tanh(x @ q) * (x @ k))(*jnp.split(p[0], 2, 1)), [(5, 6)]),
    "overlapping_slices": Model(lambda p, x: jnp.tanh(x @ p[0][:, :4]) * (x @ p[0][:, 2:]), [(5, 6)], (5,), "computed"),
    "stacked_layers": Model(lambda p, x: jnp.tanh(jnp.tanh(x @ p[0][0]) @ p[0][1]), [(3, 4, 4)], (4,)),
    "reshaped": Model(lambda p, x: x @ p[0].reshape(5, 4), [(20,)]),
    "reversed": Model(lambda p, x: jnp.tanh(x @ p[0][::-1].T), [(4, 5)]),
    "scaled": Model(lambda p, x: jnp.tanh(x @ (p[0] * (2 / np.sqrt(5)))), [(5, 4)]),
    "scaled_by_parameter": Model(lambda p, x: jnp.tanh(x @ (p[0] * p[1])), [(5, 4), ()], (5,), "computed"),
    "weight_norm": Model(
        lambda p, x: jnp.tanh(x @ (p[1] * p[0] / jnp.linalg.norm(p[0], axis=0))), [(5, 4), (4,)], (5,), "computed"
    ),
    "weight_product": Model(lambda p, x: jnp.tanh(x @ (p[0] @ p[1])), [(5, 2), (2, 4)], (5,), "computed"),
    "weights_concatenated": Model(lambda p, x: jnp.tanh(x @ jnp.concatenate(p, 1)), [(5, 2), (5, 3)], (5,), "computed"),
    "stopped": Model(lambda p, x: jnp.tanh(x @ p[0]) @ lax.stop_gradient(p[0]), [(4, 4)], (4,), "computed"),
    "cast": Model(lambda p, x: x @ p[0].astype(x.dtype), [(5, 4)]),
    "lstm": Model(_lstm, [(2, 12), (3, 12), (12,)], (4, 2)),
    "scan_stacked": Model(lambda p, x: lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, p[0])[0], [(3, 4, 4)], (4,)),
    "scan_scaled": Model(_scan_scaled, [(3, 4, 4), (4, 4)], (4,)),
    "scan_nested": Model(_nested_scan, [(2, 3, 3), (3, 3)], (3,)),
    "scan_reversed_conv": Model(
        lambda p, x: _pool(lax.scan(lambda h, w: (jnp.tanh(_conv(h, w)), h), x, p[0], reverse=True, unroll=2)[0]),
        [(2, 3, 2, 2)],
        (5, 2),
    ),
    "scan_embedding": Model(
        lambda p, x: lax.scan(lambda h, i: (jnp.tanh(h + p[0][i]), None), jnp.zeros((len(x), 3)), x.T)[0],
        [(7, 3)],
        TOKENS,
    ),
    "scan_initial_state": Model(
        lambda p, x: lax.scan(
            lambda h, u: (jnp.tanh(h @ p[0] + u), None), jnp.broadcast_to(p[1], x[:, 0].shape), x.swapaxes(0, 1)
        )[0],
        [(3, 3), (3,)],
        (4, 3),
    ),
    "scan_parameter_output": Model(
        lambda p, x: lax.scan(lambda h, w: (h @ w, 2 * w), x, p[0])[1].sum(0) * x.sum(1)[:, None, None],
        [(2, 3, 3)],
        (3,),
        "computed",
    ),
    "fori_loop": Model(lambda p, x: lax.fori_loop(0, 3, lambda i, h: jnp.tanh(h @ p[0]), x), [(4, 4)], (4,)),
    "fori_loop_indexed": Model(
        lambda p, x: lax.fori_loop(0, 3, lambda i, h: jnp.tanh(h @ p[0][i]), x), [(3, 4, 4)], (4,), None
    ),
    "cond": Model(
        lambda p, x: lax.cond(x[0, 0] > 0, lambda: x @ p[0], lambda: jnp.sin(x) @ p[0]), [(5, 3)], (5,), "direct"
    ),
    "cond_on_the_path": Model(lambda p, x: lax.cond(x[0, 0] > 0, jnp.sin, jnp.tanh, x @ p[0]) @ p[1], [(5, 4), (4, 3)]),
    "bias_repeated": Model(
        lambda p, x: (jnp.tanh(x @ p[0] + jnp.broadcast_to(p[1], (len(x), 4, 3)))).mean(1), [(2, 3), (3,)], (4, 2)
    ),
    "remat": Model(lambda p, x: jax.checkpoint(lambda p, x: jnp.tanh(x @ p[0]) @ p[1])(p, x), [(5, 4), (4, 3)]),
    "jit": Model(jax.jit(lambda p, x: jnp.tanh(jax.jit(jnp.matmul)(x, p[0])) @ p[1]), [(5, 4), (4, 3)]),
    "custom_jvp_activation": Model(lambda p, x: jax.nn.silu(jax.nn.relu(x @ p[0]) @ p[1]), [(5, 4), (4, 3)]),
    "custom_jvp_of_weight": Model(lambda p, x: _custom(p[0], x), [(5, 3)], (5,), "direct"),
    "custom_vjp_of_weight": Model(lambda p, x: _doubled_gradient(p[0], x), [(5, 3)], (5,), "direct"),
    "bias_only": Model(lambda p, x: jnp.tanh(x + p[0]), [(5,)], (5,), "direct"),
    "layer_norm": Model(lambda p, x: _norm(x @ p[0], p[1], p[2]), [(5, 4), (4,), (4,)]),
    "gating": Model(lambda p, x: (x @ p[0]) * jax.nn.sigmoid(x @ p[1]), [(5, 4), (5, 4)]),
    "mixture_of_experts": Model(_moe, [(5, 2), (2, 5, 3)]),
    "max_sort_cumsum": Model(
        lambda p, x: jnp.sort(jnp.cumsum(x @ p[0], 1), 1) + (x @ p[1]).max(1, keepdims=True), [(5, 4), (5, 3)]
    ),
    "max_pool": Model(
        lambda p, x: _pool(lax.reduce_window(_conv(x, p[0]), -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")),
        [(3, 3, 2, 3)],
        IMAGE,
    ),
    "linear_solve": Model(
        lambda p, x: jnp.linalg.solve(p[0] @ p[0].T + 5 * jnp.eye(4), x[..., None])[..., 0], [(4, 4)], (4,), "computed"
    ),
    "unused": Model(lambda p, x: x @ p[0], [(5, 3), (7,)]),
    "constant_output": Model(lambda p, x: jnp.broadcast_to(p[0], (len(x), 3)), [(3,)], (5,), "direct"),
    "some_outputs_without": Model(lambda p, x: jnp.concatenate([x @ p[0], x[:, :2]], 1), [(5, 2)]),
    "scalar_output": Model(lambda p, x: jnp.tanh(x @ p[0]), [(5,)]),
    "tree_outputs": Model(lambda p, x: {"b": x @ p[0], "a": [jnp.tanh(x @ p[0]) @ p[1], x.sum(1)]}, [(5, 4), (4, 2)]),
    "tree_inputs": Model(
        lambda p, x: jnp.tanh(x[0] @ p[0]) + (p[1][x[1]]).mean(1),
        [(5, 4), (7, 4)],
        [("float64", (5,)), ("int32", (3,))],
    ),
    "dictionary": Model(lambda p, x: jnp.tanh(x @ p["w"]) + p["b"], {"w": (5, 4), "b": (4,)}, (5,), None),
}


def draw(model):
    """Return the parameters of a model in float64."""
    rng = np.random.default_rng(5)
    return jax.tree.map(
        lambda s: jnp.asarray(rng.standard_normal(s)), model.params, is_leaf=lambda s: isinstance(s, tuple)
    )


def batch(model, n, seed):
    """Return a batch for a model."""
    rng = np.random.default_rng(seed)
    kinds = [("float64", model.x)] if isinstance(model.x, tuple) else model.x
    leaves = [
        jnp.asarray(rng.integers(0, 7, (n, *shape)) if kind == "int32" else rng.standard_normal((n, *shape)), kind)
        for kind, shape in kinds
    ]
    return leaves if len(leaves) > 1 else leaves[0]
