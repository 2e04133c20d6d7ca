"""EmpiricalNTK and EmpiricalNNGP as users meet them: any pytrees, dtypes, masks, contributions, transformations."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit.empirical import (
    Auto,
    Diagonal,
    Full,
    JacobianContraction,
    NTKVectorProducts,
    Sketch,
    StructuredDerivatives,
    Trace,
)
from widelimit.kernels import EmpiricalNNGP, EmpiricalNTK

RNG = np.random.default_rng(0)
PARAMS = {
    "embed": RNG.standard_normal((4, 3)),
    "heads": (RNG.standard_normal((5, 2)), RNG.standard_normal((5, 4))),
    "steps": np.asarray(2),
}


def model(p, x):
    """Return a pytree of three outputs of a dictionary of tokens and numbers."""
    h = jnp.concatenate([p["embed"][x["tokens"]].sum(1), x["features"]], 1)
    h = jnp.tanh(h) * p["steps"]
    return {"a": h @ p["heads"][0], "b": (h @ p["heads"][1]).reshape(-1, 2, 2), "c": (h @ p["heads"][0])[:, 0] ** 2}


def batch(n):
    return {"tokens": RNG.integers(0, 4, (n, 3)), "features": RNG.standard_normal((n, 2))}


X1, X2 = batch(3), batch(2)


def jacobian(x):
    """Return d output / d (embed, heads), as a dict of lists of arrays (n, *s, *p)."""

    def of(trained):
        return model({"embed": trained[0], "heads": trained[1:], "steps": PARAMS["steps"]}, x)

    return jax.jacobian(of)([PARAMS["embed"], *PARAMS["heads"]])


def by_hand(rates=(1.0, 1.0, 1.0)):
    """Return the full kernel as a dict of dicts, from Jacobians by hand."""
    j1, j2 = jacobian(X1), jacobian(X2)

    def cross(key1, key2):
        total = 0
        for a, b, rate in zip(j1[key1], j2[key2], rates, strict=True):
            # Outputs without an axis of their own count as one.
            a, b = (u.reshape(len(u), 1, *u.shape[1:]) if u.ndim == 3 else u for u in (a, b))
            total = total + rate * np.einsum("n...pq,m...pq->nm...", *_spread(a, b))
        return total

    return {key1: {key2: cross(key1, key2) for key2 in "abc"} for key1 in "abc"}


def _spread(a, b):
    # (n, *s, p, q) and (m, *t, p, q) -> (n, *s, 1.., p, q) and (m, 1.., *t, p, q)
    s, t = a.shape[1:-2], b.shape[1:-2]
    return (
        a.reshape(len(a), *s, *[1] * len(t), *a.shape[-2:]),
        b.reshape(len(b), *[1] * len(s), *t, *b.shape[-2:]),
    )


def test_full_is_a_pytree_of_pytrees_with_cross_terms(x64):
    found = EmpiricalNTK(model, PARAMS, Full())(X1, X2)
    expected = by_hand()
    shapes = {"a": (2,), "b": (2, 2), "c": (1,)}
    for one in "abc":
        for two in "abc":
            assert found[one][two].shape == (3, 2, *shapes[one], *shapes[two])
            np.testing.assert_allclose(found[one][two], expected[one][two], rtol=0, atol=1e-12)
    assert np.abs(found["a"]["b"]).max() > 0.1  # the embedding couples the heads


def test_diagonal_and_trace_are_parts_of_full(x64):
    expected = by_hand()
    diagonal, trace = (EmpiricalNTK(model, PARAMS, kind)(X1, X2) for kind in (Diagonal(), Trace()))
    want = {
        "a": np.einsum("nmaa->nma", expected["a"]["a"]),
        "b": np.einsum("nmabab->nmab", expected["b"]["b"]),
        "c": expected["c"]["c"][..., 0],
    }
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-12), diagonal, want)
    flat = np.concatenate([leaf.reshape(3, 2, -1) for leaf in want.values()], 2)
    np.testing.assert_allclose(trace, flat.mean(-1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("outputs", [Trace(), Diagonal(), Full()], ids=["trace", "diagonal", "full"])
@pytest.mark.parametrize("kind", [EmpiricalNTK, EmpiricalNNGP])
def test_diagonal_of_the_kernel_is_that_of_the_matrix(kind, outputs, x64):
    kernel = kind(model, PARAMS, outputs)
    matrix, diagonal = kernel(X1), kernel.diagonal(X1)
    picked = jax.tree.map(lambda k: np.stack([k[i, i] for i in range(3)]), matrix)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-12), diagonal, picked)


def test_masks_and_contributions(x64):
    """Contributions stand in the place of their parameter and sum to the kernel; a mask keeps its terms."""
    whole = EmpiricalNTK(model, PARAMS, Full())
    parts = whole.contributions(X1, X2)
    assert jax.tree.structure(parts["heads"][0]) == jax.tree.structure(whole(X1, X2))
    assert parts["steps"] is None
    total = jax.tree.map(lambda *terms: sum(terms), parts["embed"], *parts["heads"])
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)  # noqa: E731
    jax.tree.map(close, total, by_hand())
    for i, part in enumerate([parts["embed"], *parts["heads"]]):
        jax.tree.map(close, part, by_hand(np.eye(3)[i]))
    mask = {"embed": True, "heads": False, "steps": False}
    masked = EmpiricalNTK(model, PARAMS, Full(), learning_rates=mask)
    jax.tree.map(close, masked(X1, X2), parts["embed"])
    assert masked.contributions(X1, X2)["heads"] == (None, None)


def test_nngp_is_the_product_of_outputs(x64):
    f1, f2 = model(PARAMS, X1), model(PARAMS, X2)
    full = EmpiricalNNGP(model, PARAMS, Full())(X1, X2)
    np.testing.assert_allclose(full["a"]["b"], np.einsum("na,mbc->nmabc", f1["a"], f2["b"]), rtol=1e-13)
    np.testing.assert_allclose(full["c"]["a"], np.einsum("n,ma->nma", f1["c"], f2["a"])[:, :, None], rtol=1e-13)
    diagonal = EmpiricalNNGP(model, PARAMS, Diagonal())(X1, X2)
    np.testing.assert_allclose(diagonal["b"], np.einsum("nab,mab->nmab", f1["b"], f2["b"]), rtol=1e-13)
    every = [np.concatenate([leaf.reshape(len(leaf), -1) for leaf in f.values()], 1) for f in (f1, f2)]
    trace = EmpiricalNNGP(model, PARAMS)(X1, X2)
    np.testing.assert_allclose(trace, every[0] @ every[1].T / 7, rtol=0, atol=1e-13)


def test_nngp_of_a_wide_readout_is_the_limit():
    """One network with 4000 outputs and hidden width 4000 is within sampling error of its limit."""
    width = 4000
    net = wl.serial(wl.Dense(width, 1.2, 0.3), wl.Erf(), wl.Dense(width, 1.2, 0.3))
    x = RNG.standard_normal((5, 3)).astype(np.float32)
    found = EmpiricalNNGP(net.apply, net.init(jax.random.key(0), (3,)))(x)
    limit = wl.NNGP(net)(x)
    # Mean of `width` products of Gaussians, and a hidden covariance that fluctuates as much: 4 standard errors.
    q = np.diag(limit)
    assert (np.abs(found - limit) < 4 * np.sqrt(2 * 2 / width) * np.sqrt(np.outer(q, q))).all()


def test_images_keep_their_output_axes(x64):
    kernel = EmpiricalNTK(lambda p, x: x[:, :, :, None] * p, jnp.ones(2), Full())
    x = RNG.standard_normal((3, 2, 4))
    found = kernel(x)
    assert found.shape == (3, 3, 2, 4, 2, 2, 4, 2)
    expected = np.einsum("nij,mkl,ab->nmijaklb", x, x, np.eye(2))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_dtypes_follow_the_input_and_tokens_the_default():
    kernel = EmpiricalNTK(model, PARAMS)
    double, single = kernel(X1), kernel({**X1, "features": X1["features"].astype(np.float32)})
    assert (double.dtype, single.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(single, double, rtol=1e-4)
    tokens = EmpiricalNTK(lambda p, x: p[x].sum(1), PARAMS["embed"])
    found = tokens(X1["tokens"])
    assert found.dtype == np.float32
    counts = (X1["tokens"][:, :, None] == np.arange(4)).sum(1)
    np.testing.assert_allclose(found, counts @ counts.T, rtol=1e-6)


def test_half_precision_is_accumulated_in_single(x64):
    """Entries of a bfloat16 kernel are exact sums rounded once, not sums of rounded terms."""
    x = jnp.ones((2, 1000), jnp.bfloat16)
    for method in (JacobianContraction(), Sketch(1000), StructuredDerivatives()):
        kernel = EmpiricalNTK(lambda w, x: x @ w, jnp.zeros(1000, jnp.bfloat16), method=method)
        found = kernel.block(x, x)
        assert found.dtype == jnp.bfloat16
        np.testing.assert_array_equal(np.asarray(found, float), float(jnp.bfloat16(1000)))


def test_parameters_may_hold_functions(x64):
    """An equinox model is its own parameters; its activation is a leaf that is passed on."""
    net = eqx.nn.MLP(2, 1, 8, 1, key=jax.random.key(0), dtype=jnp.float64)
    kernel = EmpiricalNTK(lambda net, x: jax.vmap(net)(x), net)
    x = jnp.asarray(X1["features"])
    gradients = jax.vmap(lambda x: eqx.filter_grad(lambda net: net(x)[0])(net))(x)
    flat = jnp.concatenate([g.reshape(3, -1) for g in jax.tree.leaves(gradients)], 1)
    np.testing.assert_allclose(kernel(x), flat @ flat.T, rtol=1e-12)
    assert kernel.contributions(x).layers[0].bias.shape == (3, 3)


def test_a_vector_of_inputs_and_a_list_are_batches(x64):
    kernel = EmpiricalNTK(lambda p, x: p * x, jnp.asarray(2.0))
    np.testing.assert_allclose(kernel([1.0, 3.0]), [[1, 3], [3, 9]])


def test_jit_and_grad_through_the_block(x64):
    x = jnp.asarray(X1["features"])
    w = jnp.asarray(PARAMS["heads"][0][:2])

    def total(w, x):
        return jnp.sum(EmpiricalNTK(lambda p, x: jnp.sin(x @ p), w, method=JacobianContraction(700)).block(x, x) ** 2)

    def dense(w, x):
        return jnp.sum((jnp.cos(x @ w) @ jnp.cos(x @ w).T / 2 * (x @ x.T)) ** 2)

    np.testing.assert_allclose(jax.jit(total)(w, x), dense(w, x), rtol=1e-12)
    for argument in (0, 1):
        found, expected = (jax.grad(fn, argument)(w, x) for fn in (total, dense))
        np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("x1", "x2", "words"),
    [
        ({**X1, "features": np.full((3, 2), np.nan)}, None, r"x1\['features'\]\[0, 0\] is nan"),
        ({**X1, "features": np.ones((2, 2))}, None, "differ in their number of examples: .*'tokens'.* has 3"),
        (X1, {"tokens": X2["tokens"]}, "x1 has the structure"),
        (X1, {**X2, "features": np.ones((2, 3))}, r"x1\['features'\] holds examples of shape \(2,\)"),
        (X1, {**X2, "features": np.full((2, 2), np.inf)}, r"x2\['features'\]\[0, 0\] is inf"),
        ({**X1, "features": 1.0}, None, r"x1\['features'\] is a float; expected an array"),
        ({**X1, "features": np.ones((3, 0))}, None, "no empty axis"),
        ({**X1, "features": np.asarray(["a"] * 3)}, None, "expected real numbers, integers or booleans"),
        ((), None, r"x1 has shape \(0,\)"),
        (np.asarray(1.0), None, r"x1 has shape \(\)"),
    ],
)
def test_bad_batches_are_refused(x1, x2, words):
    kernel = EmpiricalNTK(model, PARAMS)
    with pytest.raises(ValueError, match=words):
        kernel(x1, x2)
    with pytest.raises(ValueError, match=words):
        kernel.contributions(x1, x2)
    with pytest.raises(ValueError, match=words):
        kernel.operator(x1, x2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EmpiricalNTK(model, {**PARAMS, "embed": PARAMS["embed"] * np.nan}), r"params\['embed'\] holds NaN"),
        (lambda: EmpiricalNNGP(model, {**PARAMS, "embed": PARAMS["embed"] * np.nan}), r"params\['embed'\] holds NaN"),
        (lambda: EmpiricalNNGP(model, {**PARAMS, "embed": np.full((4, 3), np.inf)}), r"params\['embed'\] holds NaN or"),
        (lambda: wl.linearize(model, {**PARAMS, "embed": PARAMS["embed"] * np.nan}), r"params0\['embed'\] holds NaN"),
        (lambda: EmpiricalNTK(model, PARAMS, outputs="full"), "outputs is 'full'; expected an object such as Trace"),
        (lambda: EmpiricalNTK(model, PARAMS, method="auto"), "method is 'auto'; expected an object such as Auto"),
        (lambda: Auto(memory=0), "memory is 0"),
        (lambda: Auto(memory=1e9), "memory is 1000000000.0; expected a positive integer"),
        (lambda: Auto(balance=-1.0), "balance is -1.0"),
        (lambda: JacobianContraction(memory=-5), "memory is -5"),
        (lambda: NTKVectorProducts(memory=0), "memory is 0"),
        (lambda: Sketch(8, memory=-1), "memory is -1"),
        (lambda: EmpiricalNTK(model, PARAMS).contributions(X1, memory=-1), "memory is -1"),
        (lambda: EmpiricalNTK(model, PARAMS).operator(X1, memory=-1), "memory is -1"),
    ],
)
def test_bad_parameters_and_strategies_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_other_numbers_of_the_same_shapes_compile_nothing_anew():
    traced = []

    def counted(p, x):
        traced.append(1)
        return jnp.tanh(x @ p)

    for call in (
        lambda p, x: EmpiricalNTK(counted, p)(x),
        lambda p, x: EmpiricalNTK(counted, p).diagonal(x),
        lambda p, x: EmpiricalNTK(counted, p).contributions(x),
        lambda p, x: EmpiricalNNGP(counted, p)(x),
    ):
        call(np.ones((2, 3)), np.ones((4, 2)))
        before = len(traced)
        assert before > 0
        call(np.full((2, 3), 0.5), np.zeros((4, 2)))
        assert len(traced) == before


def test_bad_rates_are_refused_when_the_kernel_is_made():
    with pytest.raises(ValueError, match="zero or more"):
        EmpiricalNTK(model, PARAMS, learning_rates=-1.0)


@pytest.mark.parametrize(
    "f",
    [
        lambda p, x: x @ p - jnp.mean(x @ p, 0),
        lambda p, x: (x @ p) / jnp.std(x @ p + 1, 0, keepdims=True),
        lambda p, x: (x + 0.3 * x[::-1]) @ p,
    ],
    ids=["mean", "scale", "neighbour"],
)
def test_a_model_that_mixes_examples_is_refused(f):
    x = np.random.default_rng(0).standard_normal((4, 3))
    params = np.random.default_rng(1).standard_normal((3, 2))
    kernel = wl.EmpiricalNTK(f, params)
    with pytest.raises(ValueError, match=r"f mixes the examples of a batch: its output for x1\[0\] changes by"):
        kernel(x)
    assert kernel(x[:1]).shape == (1, 1)  # one example has no neighbour
