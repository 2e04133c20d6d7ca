"""Architectures as data: JSON, equality, widths, shapes, parameters, and what is refused at composition."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from tables import NETS


@pytest.mark.parametrize("name", NETS)
def test_json_round_trip(name):
    net = NETS[name][0]
    again = wl.from_json(wl.to_json(net))
    assert again == net
    x = np.eye(3)
    np.testing.assert_array_equal(wl.NTK(again)(x), wl.NTK(net)(x))


@pytest.mark.parametrize("name", NETS)
def test_width_changes_the_network_but_not_its_limit(name):
    net, x = NETS[name][0], np.random.default_rng(0).standard_normal((3, 4))
    wide = net.at_width(40)
    assert net.at_width(16) == net
    np.testing.assert_allclose(wl.NTK(wide)(x), wl.NTK(net)(x), rtol=1e-12)
    params = wide.init(jax.random.key(0), (4,))
    assert wide.apply(params, x).shape == (3, 1)
    if name != "linear":
        assert max(leaf.size for leaf in jax.tree.leaves(params)) > max(
            leaf.size for leaf in jax.tree.leaves(net.init(jax.random.key(0), (4,)))
        )


@pytest.mark.parametrize("name", NETS)
def test_the_network_is_what_the_formula_says(name):
    """Outputs of a batch are those of single examples, and every layer shows the shapes it promised."""
    net, x = NETS[name][0], jax.random.normal(jax.random.key(3), (4, 5))
    params = net.init(jax.random.key(0), (5,))
    batch = net.apply(params, x)
    np.testing.assert_allclose(batch, jnp.stack([net(params, row) for row in x]), rtol=1e-5, atol=1e-6)
    assert net.out_shape((5,)) == batch.shape[1:]


def test_dense_by_hand():
    layer = wl.Dense(3, 1.5, 0.1)
    params = layer.init(jax.random.key(0), (4,))
    x = np.arange(8.0).reshape(2, 4)
    expected = 1.5 / 2 * x @ params["weight"] + 0.1 * params["bias"]
    np.testing.assert_allclose(layer.apply(params, x), expected, rtol=1e-6)
    standard = wl.Dense(3, 1.5, 0.1, wl.StandardParameterization(4.0))
    np.testing.assert_allclose(standard.apply(params, x), x @ params["weight"] / 2 + params["bias"], rtol=1e-6)
    assert set(wl.Dense(3).init(jax.random.key(0), (4,))) == {"weight"}


@pytest.mark.parametrize("parameterization", [wl.NTKParameterization(), wl.StandardParameterization()])
@pytest.mark.parametrize("scale", [1, 16])
def test_initial_outputs_have_the_variance_of_the_limit(parameterization, scale):
    """Over 4000 networks of any width, E f^2 of a linear readout is exact: within four standard errors."""
    base = wl.serial(wl.Dense(8, 1.3, 0.2, parameterization), wl.Identity(), wl.Dense(1, 1.1, 0.3, parameterization))
    net, x = base.at_width(8 * scale), np.array([[0.5, -1.0, 2.0]])
    outputs = jax.vmap(lambda key: net.apply(net.init(key, (3,)), x)[0, 0])(jax.random.split(jax.random.key(0), 4000))
    squares = np.asarray(outputs, np.float64) ** 2
    exact = float(wl.NNGP(net)(x)[0, 0])
    assert abs(squares.mean() - exact) < 4 * squares.std() / np.sqrt(len(squares))


def test_readable_repr_and_hash():
    net = wl.serial(wl.Dense(8, 1.5), wl.Relu(), wl.Dense(1))
    assert "Dense(width=8, weight_std=1.5" in repr(net)
    assert net == wl.serial(wl.Dense(8, 1.5), wl.Relu(), wl.Dense(1))
    assert net != wl.serial(wl.Dense(8, 1.6), wl.Relu(), wl.Dense(1))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: wl.Dense(0), "width is 0; expected a positive integer"),
        (lambda: wl.Dense(2.0), "width is 2.0"),
        (lambda: wl.Dense(2, -1.0), "weight_std is -1.0"),
        (lambda: wl.Dense(2, float("nan")), "weight_std is nan"),
        (lambda: wl.Dense(2, "wide"), "weight_std is 'wide'"),
        (lambda: wl.Dense(2, 1.0, -0.1), "bias_std is -0.1"),
        (lambda: wl.StandardParameterization(0.0), "scale is 0.0"),
        (lambda: wl.serial(), "no layers"),
        (lambda: wl.serial(wl.Dense(2), jnp.tanh), "layer 1 of serial"),
        (lambda: wl.serial(wl.Dense(2), wl.Relu(), wl.Erf()), r"layer 2: Erf.*not Gaussian.*Put a Dense"),
        (lambda: wl.serial(wl.Dense(2), wl.serial(wl.Sin()), wl.residual(wl.Abs(), wl.Dense(2))), "layer 2"),
        (lambda: wl.residual(wl.residual(wl.Dense(2))), "End the branch with a Dense layer"),
        (lambda: wl.serial(wl.Dense(4), wl.residual(wl.Dense(5))).init(jax.random.key(0), (3,)), "Give its last Dense"),
        (lambda: wl.serial(wl.Dense(4)).at_width(0), "width is 0"),
        (lambda: wl.from_json("{"), "not valid JSON"),
        (lambda: wl.from_json("[]"), "no architecture"),
        (lambda: wl.from_json('{"widelimit": 99, "net": {}}'), "update widelimit"),
        (lambda: wl.from_json('{"widelimit": 1, "net": {"type": "os.system"}}'), "unknown type 'os.system'"),
        (lambda: wl.from_json('{"widelimit": 1, "net": {"type": "Dense", "evil": 1}}'), "no field 'evil'"),
        (lambda: wl.from_json('{"widelimit": 1, "net": {"type": "Dense"}}'), "cannot be built"),
        (lambda: wl.from_json('{"widelimit": 1, "net": {"type": "Erf"}}'), "expected a layer"),
        (
            lambda: wl.from_json(
                json.dumps({"widelimit": 1, "net": {"type": "Series", "fn": {"function": "os:system"}}})
            ),
            "unknown function",
        ),
        (lambda: wl.to_json(wl.serial(wl.Dense(2), wl.Elementwise(lambda u: u), wl.Dense(1))), "no public name"),
    ],
)
def test_bad_architectures_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
