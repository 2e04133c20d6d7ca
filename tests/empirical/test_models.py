"""Models as people write them: structured derivatives are the contraction of explicit Jacobians to 1e-10."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit.adapters import from_equinox, from_haiku, from_linen, from_nnx
from widelimit.empirical import Problem, StructuredDerivatives

nn = pytest.importorskip("flax.linen", reason="flax is not installed")
nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
hk = pytest.importorskip("haiku", reason="dm-haiku is not installed")

CLASSES, TOKENS = 3, 11


class MLP(nn.Module):
    """Three dense layers."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(CLASSES)(nn.tanh(nn.Dense(7)(nn.gelu(nn.Dense(9)(x)))))


class CNN(nn.Module):
    """Convolutions with stride, groups and dilation, pools, a dense readout."""

    @nn.compact
    def __call__(self, x):
        x = nn.max_pool(nn.relu(nn.Conv(4, (3, 3))(x)), (2, 2), (2, 2))
        x = nn.silu(nn.Conv(6, (3, 3), strides=2, padding="VALID")(x))
        x = nn.relu(nn.Conv(6, (2, 2), feature_group_count=2, kernel_dilation=2)(x))
        return nn.Dense(CLASSES)(nn.avg_pool(x, (2, 2), (2, 2)).reshape(len(x), -1))


class Block(nn.Module):
    """A basic residual block."""

    channels: int
    stride: int

    @nn.compact
    def __call__(self, x, train):
        def norm(h):
            return nn.BatchNorm(use_running_average=not train)(h)

        h = nn.relu(norm(nn.Conv(self.channels, (3, 3), self.stride, use_bias=False)(x)))
        h = norm(nn.Conv(self.channels, (3, 3), use_bias=False)(h))
        if x.shape != h.shape:
            x = norm(nn.Conv(self.channels, (1, 1), self.stride, use_bias=False)(x))
        return nn.relu(x + h)


class ResNet18(nn.Module):
    """Stem, four stages of two basic blocks, global average, dense: 18 layers with weights."""

    base: int

    @nn.compact
    def __call__(self, x, train=True):
        x = nn.Conv(self.base, (7, 7), 2, padding=3, use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        x = nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
        for stage in range(4):
            for block in range(2):
                x = Block(self.base * 2**stage, 2 if stage and not block else 1)(x, train)
        return nn.Dense(CLASSES)(x.mean((1, 2)))


class Encoder(nn.Module):
    """A transformer block: attention and MLP, each behind a layer norm and beside a skip."""

    @nn.compact
    def __call__(self, x):
        h = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(2)(h, h)
        return x + nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(10)(nn.LayerNorm()(x))))


class ViT(nn.Module):
    """Patches, class token, places, one block, readout of the class token."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(6, (4, 4), 4)(x).reshape(len(x), -1, 6)
        token = self.param("token", nn.initializers.normal(1.0), (1, 1, 6))
        x = jnp.concatenate([jnp.broadcast_to(token, (len(x), 1, 6)), x], 1)
        x = x + self.param("place", nn.initializers.normal(1.0), (1, x.shape[1], 6))
        return nn.Dense(CLASSES)(nn.LayerNorm()(Encoder()(x))[:, 0])


class Mixer(nn.Module):
    """An MLP-mixer of two blocks."""

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(5, (4, 4), 4)(x).reshape(len(x), -1, 5)
        for _ in range(2):
            h = nn.LayerNorm()(x).swapaxes(1, 2)
            x = x + nn.Dense(x.shape[1])(nn.gelu(nn.Dense(6)(h))).swapaxes(1, 2)
            x = x + nn.Dense(5)(nn.gelu(nn.Dense(8)(nn.LayerNorm()(x))))
        return nn.Dense(CLASSES)(x.mean(1))


class LinenLSTM(nn.Module):
    """A recurrent network over a scan."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(CLASSES)(nn.RNN(nn.OptimizedLSTMCell(5, param_dtype=x.dtype))(x)[:, -1])


class Language(nn.Module):
    """Tokens, one block, logits of the last place by the transposed table of the embedding."""

    @nn.compact
    def __call__(self, tokens):
        table = nn.Embed(TOKENS, 6)
        return table.attend(Encoder()(table(tokens))[:, -1])


class EquinoxLSTM(eqx.Module):
    """The same for one example."""

    cell: eqx.nn.LSTMCell
    head: eqx.nn.Linear

    def __call__(self, x):
        zero = jnp.zeros(5, x.dtype)
        (h, _), _ = jax.lax.scan(lambda state, row: (self.cell(row, state), None), (zero, zero), x)
        return self.head(h)


class NNXMLP(nnx.Module):
    """Two dense layers and a norm."""

    def __init__(self, rngs):
        self.first, self.second = nnx.Linear(5, 7, rngs=rngs), nnx.Linear(7, CLASSES, rngs=rngs)
        self.norm = nnx.LayerNorm(7, rngs=rngs)

    def __call__(self, x):
        return self.second(self.norm(jnp.tanh(self.first(x))))


def haiku_lstm(x):
    core = hk.LSTM(5)
    out, _ = hk.dynamic_unroll(core, x, core.initial_state(len(x)), time_major=False)
    return hk.Linear(CLASSES)(out[:, -1])


def filled(shapes):
    """Return weights of the scale of their fan-in; biases, scales and running variances are positive."""
    leaves, treedef = jax.tree.flatten(shapes)
    rng = np.random.default_rng(3)
    normal = [rng.standard_normal(leaf.shape) for leaf in leaves]
    scaled = [w / w[..., 0].size ** 0.5 if w.ndim > 1 else 0.7 + 0.3 * np.abs(w) for w in normal]
    return jax.tree.unflatten(treedef, list(map(jnp.asarray, scaled)))


def linen(module, **arguments):
    def build(x):
        variables = filled(jax.eval_shape(lambda: module.init(jax.random.key(0), x, **arguments)))
        return from_linen(module, variables, arguments=arguments)

    return build


def haiku(function):
    def build(x):
        transformed = hk.without_apply_rng(hk.transform(function))
        return from_haiku(transformed, filled(jax.eval_shape(transformed.init, jax.random.key(0), x)))

    return build


def equinox_lstm(x):
    keys = jax.random.split(jax.random.key(0))
    return from_equinox(
        EquinoxLSTM(eqx.nn.LSTMCell(x.shape[-1], 5, key=keys[0]), eqx.nn.Linear(5, CLASSES, key=keys[1]))
    )


ROWS, IMAGES, SMALL, SEQUENCES = (5,), (16, 16, 3), (8, 8, 2), (4, 3)
slow = pytest.mark.thorough
MODELS = {
    "mlp": (linen(MLP()), ROWS),
    "nnx_mlp": (lambda x: from_nnx(NNXMLP(nnx.Rngs(0))), ROWS),
    "cnn": (linen(CNN()), IMAGES),
    "vit": (linen(ViT()), SMALL),
    "mixer": (linen(Mixer()), SMALL),
    "lstm": (linen(LinenLSTM()), SEQUENCES),
    "haiku_lstm": (haiku(haiku_lstm), SEQUENCES),
    "equinox_lstm": (equinox_lstm, SEQUENCES),
    "tied_language_model": (linen(Language()), None),
    "resnet18": (linen(ResNet18(4), train=False), IMAGES),
}


def batches(shape):
    rng = np.random.default_rng(1)
    if shape is None:
        return tuple(jnp.asarray(rng.integers(0, TOKENS, (n, 4))) for n in (3, 2))
    return tuple(jnp.asarray(rng.standard_normal((n, *shape))) for n in (3, 2))


def explicit(f, params, x1, x2):
    """Return (n1, n2, o, o) from Jacobians of one example each."""
    leaves, treedef = jax.tree.flatten(params)

    @jax.jit
    def jacobian(leaves, x):
        rows = jax.vmap(jax.jacrev(lambda p, x: f(jax.tree.unflatten(treedef, p), x[None])[0]), (None, 0))(leaves, x)
        return jnp.concatenate([jnp.reshape(row, (*row.shape[:2], -1)) for row in rows], 2)

    every = jacobian(leaves, jnp.concatenate([x1, x2]))
    return np.einsum("nap,mbp->nmab", every[: len(x1)], every[len(x1) :])


@pytest.mark.parametrize("name", [pytest.param(name, marks=[slow] * (name == "resnet18")) for name in MODELS])
def test_structured_derivatives_are_the_contraction_of_explicit_jacobians(name, x64):
    build, shape = MODELS[name]
    x1, x2 = batches(shape)
    f, params = build(x1)
    params = jax.tree.map(lambda p: jnp.asarray(p, jnp.float64), params)
    expected = explicit(f, params, x1, x2)
    assert np.abs(expected).min(axis=(0, 1, 2, 3)) > 0
    kernel = StructuredDerivatives().block(Problem(f, params), x1, x2, wl.Full())
    np.testing.assert_allclose(kernel, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def test_the_residual_network_has_eighteen_layers():
    variables = jax.eval_shape(lambda: ResNet18(4).init(jax.random.key(0), jnp.zeros((1, *IMAGES)), train=False))
    layers = [leaf for leaf in jax.tree.leaves(variables["params"]) if leaf.ndim > 1]
    shortcuts = [leaf for leaf in layers if leaf.shape[:2] == (1, 1)]
    assert len(layers) - len(shortcuts) == 18
    assert len(shortcuts) == 3
