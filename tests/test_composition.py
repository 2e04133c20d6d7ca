"""What is composed has a limit, or is refused with the layer and the remedy."""

import jax
import pytest

import widelimit as wl
from widelimit import arch


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: wl.NTK(wl.serial(wl.Conv(4, 2, groups=2), wl.Flatten(), wl.Dense(1))),
            "layer 0: 2 groups split channels",
        ),
        (lambda: wl.serial(wl.Dense(4), wl.Flatten(), wl.Conv(4, (), groups=2)), "layer 2: 2 groups split channels"),
        (
            lambda: wl.serial(wl.Dense(4), arch.FanOut(2), arch.parallel(wl.Identity(), wl.Relu()), arch.Sum()),
            "branches 0 and 1 of a sum come out of the same random weights",
        ),
        (
            lambda: wl.serial(wl.Dense(4), arch.FanOut(2), arch.parallel(wl.Erf(), wl.Relu()), arch.Product()),
            "branches 0 and 1 of a product",
        ),
        (lambda: wl.NTK(wl.serial(arch.parallel(wl.Identity(), wl.Identity()), arch.Sum(), wl.Dense(1))), "same data"),
        (lambda: wl.residual(wl.Relu()), "same random weights"),
        (lambda: wl.serial(wl.Dense(4), arch.Sum()), "expected a tuple of branches. Put FanOut"),
        (lambda: wl.serial(wl.Dense(4), arch.parallel(wl.Dense(4), wl.Dense(4))), "Put FanOut before it"),
        (lambda: wl.NTK(wl.serial(wl.Relu(), wl.Dense(1))), "layer 0: PiecewiseLinear.*not Gaussian"),
        (lambda: wl.serial(wl.Dense(4), arch.Embedding(5, 4)), "layer 1"),
        (lambda: wl.Conv(4, 2, groups=3), "expected a divisor of the width 4"),
        (lambda: wl.Conv(4, (2, 0)), "expected a tuple of positive integers"),
        (lambda: wl.Conv(4, 2, padding="SAME"), r"padding is 'SAME'; expected an object such as Zeros\(\)"),
        (lambda: wl.Conv(4, (2, 2), strides=(1,)), "expected 2 numbers"),
        (lambda: wl.Conv(4, (3,)).init(jax.random.key(0), (2, 3)), "does not fit into space"),
        (lambda: wl.Conv(4, (3,)).init(jax.random.key(0), (2, 2, 3)), "slides over 1 axes"),
        (lambda: arch.repeat(wl.Dense(3), 2).init(jax.random.key(0), (4,)), "maps shape .4,. to .3,."),
        (lambda: arch.repeat(wl.Dense(3), -1), "times is -1"),
        (lambda: wl.NNGP(wl.serial(wl.Dense(4), wl.Gaussian(1.0, 0.5), wl.Dense(1)))([[3.0, 4.0]]), "layer 1"),
        (lambda: arch.with_learning_rate(wl.Dense(3), -1.0), "factor is -1.0"),
    ],
)
def test_what_has_no_limit_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_what_has_one_is_not():
    """Skips of any kind, branches that end in activations, sums of sums: independent, so exact."""
    post = wl.residual(wl.Dense(8), wl.Relu())
    wl.serial(wl.Dense(8), wl.Relu(), post, post, wl.Dense(1))
    wl.serial(post, wl.Dense(1))
    branches = arch.parallel(wl.serial(wl.Dense(8), wl.Relu()), wl.serial(wl.Dense(8), wl.Erf()), wl.Identity())
    wl.NTK(wl.serial(arch.FanOut(3), branches, arch.Sum(), wl.Dense(1)))


def test_the_same_layer_twice_has_weights_of_its_own_each_time():
    """Branches made of one object are two networks: the sum of their kernels, not four times one of them."""
    layer = wl.Dense(8, 1.3)
    x = jax.random.normal(jax.random.key(0), (3, 4))
    twice = wl.serial(arch.FanOut(2), arch.parallel(layer, layer), arch.Sum())
    assert abs(wl.NNGP(twice)(x) / wl.NNGP(wl.serial(layer))(x) - 2).max() < 1e-5
    params = twice.init(jax.random.key(1), (4,))
    assert len(jax.tree.leaves(params)) == 2


def test_roles_inside_repeated_blocks():
    mu = wl.MuP()
    wide = wl.Dense(8, parameterization=mu)
    block = arch.repeat(wl.serial(wl.Erf(), wide), 3)
    net = wl.serial(wide, block, wl.Dense(1, parameterization=mu))
    net.init(jax.random.key(0), (4,))
    alone = wl.serial(arch.repeat(wl.serial(wide, wl.Erf()), 3), wl.Dense(1, parameterization=mu))
    with pytest.raises(ValueError, match="stands first or last"):
        alone.init(jax.random.key(0), (8,))
