"""abc parameterizations of attention, embedded positions and gains: symmetry, limit, finite width, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from widelimit import arch
from widelimit.arch import ABC, MuP, parameterize

NTP = ABC((0.0, 0.5, 0.5), 0.0, 0.0)
FAST_BELOW = ABC((0, 0.5, 0.5), (0, 0, 0.25), (-0.5, -0.5, 0.0))
X = np.random.default_rng(0).standard_normal((3, 3, 2))


# Every layer has 16 channels: where powers of the width cancel between layers, it must be one width.
def network(attention, norm=False, std=1.0, width=16):
    first = (wl.Dense(width, std, 1.0), *((arch.LayerNorm(affine=True),) if norm else (wl.Erf(),)))
    return wl.serial(*first, attention, wl.Erf(), arch.GlobalAvgPool(), wl.Dense(1, std))


def softmax(std, width=16):
    positions = arch.SumPositions(0.7, values=True)
    return arch.SelfAttention(width, 2, 4, 8, value_std=std, out_std=std, bias_std=1.0, positions=positions)


def linear(std, width=16):
    options = {"scaling": arch.SqrtScaling(), "positions": arch.SumPositions(0.8)}
    return arch.SelfAttention(width, 4, 4, 4, query_std=std, out_std=std, bias_std=1.0, **options)


NETS = {"softmax": network(softmax(1.2), True, 1.1), "linear": network(linear(1.2), False, 1.1)}
LIMITS = {
    "softmax": network(softmax(1.0), True),
    "linear": network(linear(1.0)),
    "first": wl.serial(softmax(1.0), wl.Erf(), arch.GlobalAvgPool(), wl.Dense(1)),
}


def finite(net):
    """Return the outputs of a network and its kernel, each parameter weighted by its learning rate."""
    params, x = net.init(jax.random.key(0), X.shape[1:]), jnp.asarray(X)
    jacobian = jax.jacrev(lambda q: net.apply(q, x)[:, 0])(params)

    def share(rate, j):
        return rate * j.reshape(len(x), -1) @ j.reshape(len(x), -1).T

    return net.apply(params, x), sum(jax.tree.leaves(jax.tree.map(share, net.learning_rates(params), jacobian)))


@pytest.mark.parametrize("name", NETS)
def test_equivalent_exponents_have_the_same_function_and_kernel(name, x64):
    """a + t, b - t, c - 2t in each role: the same function, and the same kernel with its learning rates."""
    p, shifts = MuP(), (0.25, -0.5, 0.125)
    q = ABC(
        tuple(a + t for a, t in zip(p.a, shifts, strict=True)),
        tuple(b - t for b, t in zip(p.b, shifts, strict=True)),
        tuple(c - 2 * t for c, t in zip(p.c, shifts, strict=True)),
    )
    for a, b in zip(*(finite(parameterize(NETS[name], one)) for one in (p, q)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", LIMITS)
def test_ntp_in_abc_form_has_the_kernel_of_the_ntk_parameterization(name):
    """At scales of one both forms have the same shares, whatever the embedding's scale."""
    one, two = parameterize(LIMITS[name], NTP), LIMITS[name]
    np.testing.assert_allclose(wl.NTK(one)(X), wl.NTK(two)(X), rtol=1e-10)
    np.testing.assert_allclose(wl.NNGP(one)(X), wl.NNGP(two)(X), rtol=1e-10)


@pytest.mark.parametrize("name", NETS)
def test_a_vanishing_readout_over_faster_layers_has_the_same_kernel(name, x64):
    """The powers of the width cancel at every width and in the limit; the function itself vanishes."""
    (small, one), (plain, two) = (finite(parameterize(NETS[name], p)) for p in (FAST_BELOW, NTP))
    np.testing.assert_allclose(small, 16**-0.25 * plain, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-8)
    one, two = (wl.NTK(parameterize(NETS[name], p))(X) for p in (FAST_BELOW, NTP))
    np.testing.assert_allclose(one, two, rtol=1e-10)


def test_what_learns_features_is_refused():
    for net in LIMITS.values():
        with pytest.raises(ValueError, match="learns features"):
            wl.NTK(parameterize(net, MuP()))
    gains = arch.LayerNorm(affine=MuP())
    with pytest.raises(ValueError, match="different abc"):
        wl.NTK(wl.serial(wl.Dense(8), gains, wl.Dense(1)))
    with pytest.raises(ValueError, match="affine is 'yes'"):
        arch.LayerNorm(affine="yes")


def test_gains_start_at_one_and_have_no_role():
    net = parameterize(wl.serial(wl.Dense(8), arch.LayerNorm(affine=True), wl.Dense(1)), MuP())
    assert [p.role for p in arch.parameterizations(net)] == [arch.Role.INPUT, arch.Role.OUTPUT]
    plain = parameterize(wl.serial(wl.Dense(8), arch.LayerNorm(), wl.Dense(1)), MuP())
    params = net.init(jax.random.key(0), (2,))
    np.testing.assert_allclose(net.apply(params, X[0]), plain.apply((params[0], {}, params[2]), X[0]), rtol=1e-5)
    assert arch.from_json(arch.to_json(net)) == net
