"""Models of Flax, Equinox and Haiku: the same weights give the same kernel, and nothing is recompiled."""

import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit.adapters import from_equinox, from_function, from_haiku, from_linen, from_nnx

linen = pytest.importorskip("flax.linen", reason="flax is not installed")
nnx = pytest.importorskip("flax.nnx", reason="flax is not installed")
hk = pytest.importorskip("haiku", reason="dm-haiku is not installed")

X = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)
KEY = jax.random.key(0)


class LinenNet(linen.Module):
    """Dense, batch normalisation, dropout, dense."""

    @linen.compact
    def __call__(self, x, train=True):
        x = linen.BatchNorm(use_running_average=not train)(linen.Dense(6)(x))
        return linen.Dense(2)(linen.Dropout(0.5, deterministic=not train)(linen.tanh(x)))

    def half(self, x):
        return self(x, train=False) / 2


class NNXNet(nnx.Module):
    """The same."""

    def __init__(self, rngs):
        self.first, self.second = nnx.Linear(5, 6, rngs=rngs), nnx.Linear(6, 2, rngs=rngs)
        self.norm, self.drop = nnx.BatchNorm(6, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.second(self.drop(jnp.tanh(self.norm(self.first(x)))))


class EquinoxNet(eqx.Module):
    """The same, for one example."""

    first: eqx.nn.Linear
    norm: eqx.nn.BatchNorm
    drop: eqx.nn.Dropout
    second: eqx.nn.Linear

    def __call__(self, x, state):
        x, state = self.norm(self.first(x), state)
        return self.second(self.drop(jnp.tanh(x))), state


class Batched(eqx.Module):
    """A module that takes a batch."""

    inner: eqx.nn.MLP

    def __call__(self, x):
        return jax.vmap(self.inner)(x)


def haiku_net(x, is_training):
    x = hk.BatchNorm(True, True, 0.9)(hk.Linear(6)(x), is_training)
    x = hk.dropout(hk.next_rng_key(), 0.5, x) if is_training else x
    return hk.Linear(2)(jnp.tanh(x))


def weights():
    """Return the weights of one network: two dense layers, scale and shift, running mean and variance."""
    rng = np.random.default_rng(1)
    shapes = {"w1": (5, 6), "b1": (6,), "scale": (6,), "shift": (6,), "mean": (6,), "w2": (6, 2), "b2": (2,)}
    drawn = {name: jnp.asarray(rng.standard_normal(shape), jnp.float32) for name, shape in shapes.items()}
    return {**drawn, "var": jnp.asarray(rng.uniform(0.5, 2, 6), jnp.float32)}


def plain(p, x):
    h = (x @ p["w1"] + p["b1"] - MEAN) / jnp.sqrt(VAR + 1e-5) * p["scale"] + p["shift"]
    return jnp.tanh(h) @ p["w2"] + p["b2"]


W = weights()
MEAN, VAR = W["mean"], W["var"]


def from_plain():
    return from_function(plain, {k: v for k, v in W.items() if k not in ("mean", "var")})


def from_plain_per_example():
    return from_function(plain, from_plain()[1], per_example=True)


def linen_variables():
    params = {
        "Dense_0": {"kernel": W["w1"], "bias": W["b1"]},
        "BatchNorm_0": {"scale": W["scale"], "bias": W["shift"]},
        "Dense_1": {"kernel": W["w2"], "bias": W["b2"]},
    }
    return {"params": params, "batch_stats": {"BatchNorm_0": {"mean": W["mean"], "var": W["var"]}}}


def linen_model():
    return from_linen(LinenNet(), linen_variables(), arguments={"train": False})


def nnx_model():
    net = NNXNet(nnx.Rngs(0))
    net.first.kernel[...], net.first.bias[...] = W["w1"], W["b1"]
    net.second.kernel[...], net.second.bias[...] = W["w2"], W["b2"]
    net.norm.scale[...], net.norm.bias[...] = W["scale"], W["shift"]
    net.norm.mean[...], net.norm.var[...] = W["mean"], W["var"]
    return from_nnx(net)


def equinox_parts():
    first, second = eqx.nn.Linear(5, 6, key=KEY), eqx.nn.Linear(6, 2, key=KEY)
    norm = eqx.nn.BatchNorm(6, "batch", mode="batch")
    net = EquinoxNet(first, norm, eqx.nn.Dropout(0.5), second)
    where = [lambda n: n.first.weight, lambda n: n.first.bias, lambda n: n.norm.weight, lambda n: n.norm.bias]
    where += [lambda n: n.second.weight, lambda n: n.second.bias]
    values = [W["w1"].T, W["b1"], W["scale"], W["shift"], W["w2"].T, W["b2"]]
    for place, value in zip(where, values, strict=True):
        net = eqx.tree_at(place, net, value)
    state = eqx.nn.State(net)
    state = state.set(norm.batch_state_index, (W["mean"], W["var"]))
    return net, state


EQUINOX = equinox_parts()


def equinox_model():
    net, state = EQUINOX
    return from_equinox(net, state=state)


def haiku_parts():
    transformed = hk.transform_with_state(haiku_net)
    params, state = transformed.init(KEY, X, True)
    params = {
        "linear": {"w": W["w1"], "b": W["b1"]},
        "batch_norm": {"scale": W["scale"][None], "offset": W["shift"][None]},
        "linear_1": {"w": W["w2"], "b": W["b2"]},
    }
    state = {name: dict(value) for name, value in state.items()}
    state["batch_norm/~/mean_ema"]["average"] = W["mean"][None]
    state["batch_norm/~/var_ema"]["average"] = W["var"][None]
    return transformed, params, state


HAIKU = haiku_parts()


def haiku_model():
    transformed, params, state = HAIKU
    return from_haiku(transformed, params, state=state, arguments={"is_training": False})


MODELS = [from_plain, from_plain_per_example, linen_model, nnx_model, equinox_model, haiku_model]


@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_the_same_weights_give_the_same_outputs_and_kernel(build):
    f, params = build()
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 5 * 6 + 6 + 6 + 6 + 6 * 2 + 2
    np.testing.assert_allclose(f(params, X), plain(W, X), rtol=1e-5, atol=1e-5)
    expected = wl.EmpiricalNTK(plain, from_plain()[1], wl.Full())(X)
    np.testing.assert_allclose(wl.EmpiricalNTK(f, params, wl.Full())(X), expected, rtol=1e-4, atol=1e-4)
    # NumPy input in float64 is computed in float64, state included.
    double = wl.EmpiricalNTK(f, params)(X.astype(np.float64))
    assert double.dtype == np.float64
    np.testing.assert_allclose(double, np.einsum("nmaa->nm", expected) / 2, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_adapting_again_compiles_nothing_again(build):
    traces = []

    @eqx.filter_jit
    def call(f, params, x):
        traces.append(1)
        return f(params, x)

    for _ in range(2):
        call(*build(), X)
    assert len(traces) == 1
    compiled = []
    wl.EmpiricalNTK(*build())(X)
    jax.monitoring.register_event_duration_secs_listener(_record(compiled))
    try:
        wl.EmpiricalNTK(*build())(X)
    finally:
        jax.monitoring.clear_event_listeners()
    assert not [event for event in compiled if "backend_compile" in event]


def _record(events):
    return lambda event, duration, **_: events.append(event)


def test_other_ways_to_call():
    half, params = from_linen(LinenNet(), linen_variables(), method="half")
    np.testing.assert_allclose(half(params, X), plain(W, X) / 2, rtol=1e-5, atol=1e-5)
    # A key makes a random module one fixed function.
    noisy, params = from_linen(linen.Dropout(0.5, deterministic=False), {"params": {}}, rngs={"dropout": KEY})
    np.testing.assert_array_equal(noisy(params, X), noisy(params, X))
    transformed = hk.without_apply_rng(hk.transform(lambda x: hk.Linear(2)(x)))
    params = transformed.init(KEY, X)
    f, params = from_haiku(transformed, params)
    np.testing.assert_allclose(f(params, X), X @ params["linear"]["w"], rtol=1e-5, atol=1e-6)
    mlp = eqx.nn.MLP(5, 2, 4, 1, key=KEY)
    whole, params = from_equinox(Batched(mlp), per_example=False)
    single, parameters = from_equinox(mlp)
    np.testing.assert_allclose(whole(params, X), single(parameters, X), rtol=1e-6)


def test_the_model_itself_is_left_alone():
    net = NNXNet(nnx.Rngs(0))
    from_nnx(net)
    assert not net.norm.use_running_average
    assert not net.drop.deterministic


PLAIN_HAIKU = hk.transform(lambda x: hk.Linear(2)(x))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: from_linen(plain, {}), "module is a builtins.function; expected a flax.linen.Module"),
        (lambda: from_linen(LinenNet, {}), "module is the class LinenNet"),
        (lambda: from_linen(LinenNet().bind(linen_variables()), {}), "module.unbind"),
        (lambda: from_linen(LinenNet(), linen_variables()["params"]), r"variables holds \['Dense_0'"),
        (lambda: from_linen(LinenNet(), [1]), "variables holds a builtins.list"),
        (lambda: from_linen(LinenNet(), linen_variables(), arguments={"a": jnp.ones(2)}), r"arguments\['a'\] is a"),
        (
            lambda: call(from_linen(LinenNet(), linen_variables(), rngs={"dropout": KEY})),
            "the module changes its state",
        ),
        (lambda: from_nnx(LinenNet()), "for flax.linen use from_linen"),
        (lambda: from_equinox(plain), "expected an equinox.Module that can be called"),
        (lambda: from_haiku(haiku_net, {}), "expected the result of hk.transform"),
        (lambda: from_haiku(HAIKU[0], HAIKU[1]), "state is None"),
        (lambda: from_haiku(PLAIN_HAIKU, {}, state={}), "hk.transform has none"),
        (lambda: from_haiku(hk.without_apply_rng(PLAIN_HAIKU), {}, rng=KEY), "without_apply_rng takes none"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def call(model):
    f, params = model
    return f(params, X)


def test_a_missing_library_is_named():
    code = (
        "import sys; sys.modules['flax'] = sys.modules['haiku'] = None\n"
        "from widelimit import adapters\n"
        "for adapt, rest in ((adapters.from_linen, [0]), (adapters.from_nnx, []), (adapters.from_haiku, [0])):\n"
        "    try: adapt(0, *rest)\n"
        "    except ImportError as error: print(error)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == [
        f"this adapter needs {name}: pip install {name}" for name in ("flax", "flax", "dm-haiku")
    ]
