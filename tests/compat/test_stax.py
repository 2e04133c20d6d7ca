"""Layers of neural-tangents: shapes, parameters, axes, masks, requests, and kernels passed from layer to layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widelimit.compat import neural_tangents as nt
from widelimit.compat.neural_tangents import stax

KEY = jax.random.key(0)


def images(n, seed=0, shape=(3, 4, 2)):
    return np.cos(np.random.default_rng(seed).standard_normal((n, *shape)))


def small(width=4):
    return stax.serial(
        stax.Conv(width, (2, 2), padding="SAME", W_std=1.2, b_std=0.1),
        stax.Relu(),
        stax.AvgPool((2, 2), strides=(1, 2)),
        stax.Conv(width, (2, 1), padding="CIRCULAR"),
        stax.Erf(),
        stax.GlobalAvgPool(),
        stax.Dense(1, 1.3, 0.2),
    )


def close(a, b, tolerance=1e-12):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance), a, b)


@pytest.mark.parametrize("spec", ["NHWC", "NCHW", "CNHW", "HWCN", "WNCH"])
def test_axes_may_stand_anywhere(spec):
    """A network on other axes is the same network: outputs of the same weights, kernels, and shapes."""
    batch, channel = spec.index("N"), spec.index("C")
    flat = int(batch > channel), int(batch < channel)
    moved = [("NHWC".index(c)) for c in spec]
    # Axes of space keep their letters: windows are named by the letters of the filter.
    numbers = (spec, "HWIO", spec)
    net = stax.serial(
        stax.Conv(4, (2, 1), (1, 2), "SAME", 1.2, 0.1, numbers),
        stax.LayerNorm((channel,), batch_axis=batch, channel_axis=channel),
        stax.Relu(),
        stax.Conv(4, (2, 2), None, "CIRCULAR", 1.1, None, numbers),
        stax.GlobalAvgPool(batch, channel),
        stax.Dense(3, 1.1, 0.2, *flat),
    )
    plain = stax.serial(
        stax.Conv(4, (2, 1), (1, 2), "SAME", 1.2, 0.1),
        stax.LayerNorm(),
        stax.Relu(),
        stax.Conv(4, (2, 2), None, "CIRCULAR", 1.1, None),
        stax.GlobalAvgPool(),
        stax.Dense(3, 1.1, 0.2),
    )
    x1, x2 = images(2), images(3, 1)
    there = [np.transpose(x, moved) for x in (x1, x2)]
    shape, params = net[0](KEY, there[0].shape)
    shape_plain, params_plain = plain[0](KEY, x1.shape)
    assert shape == ((2, 3) if flat == (0, 1) else (3, 2))
    assert shape_plain == (2, 3)
    out = net[1](params, there[0])
    close(out if flat == (0, 1) else out.T, plain[1](params_plain, x1), 1e-6)
    found, expected = net[2](*there), plain[2](x1, x2)
    close(
        (found.nngp, found.ntk, found.cov1, found.cov2),
        (expected.nngp, expected.ntk, expected.cov1, expected.cov2),
        1e-6,
    )
    assert found.shape1 == shape
    assert found.batch_axis == flat[0]


def test_filters_may_have_their_axes_in_any_order():
    x = images(2)
    net = stax.Conv(4, (2, 1), (1, 2), "VALID", 1.2, 0.1, ("NHWC", "OWIH", "NWHC"))
    plain = stax.Conv(4, (1, 2), (2, 1), "VALID", 1.2, 0.1)
    (shape, params), (shape_plain, params_plain) = net[0](KEY, x.shape), plain[0](KEY, x.shape)
    assert params[0].shape == (4, 2, 2, 1)
    assert params_plain[0].shape == (1, 2, 2, 4)
    weight = jnp.transpose(params_plain[0], (3, 1, 2, 0))
    close(net[1]((weight, params_plain[1]), x), jnp.swapaxes(plain[1](params_plain, x), 1, 2), 1e-6)
    assert shape == (2, shape_plain[2], shape_plain[1], 4)
    found, expected = net[2](x, get="nngp"), plain[2](x, get="nngp")
    close(found, jnp.transpose(expected, (0, 1, 4, 5, 2, 3)), 1e-6)


def test_layers_whose_axes_do_not_meet_are_refused():
    x = images(2)
    wrong = stax.serial(stax.Conv(3, (1, 1), dimension_numbers=("NHWC", "HWIO", "NCHW")), stax.GlobalAvgPool())
    with pytest.raises(ValueError, match="expects examples on axis 0 and channels on axis 3"):
        wrong[2](x)
    with pytest.raises(ValueError, match="channels on axis"):
        wrong[0](KEY, x.shape)


@pytest.mark.parametrize("same", [True, False])
def test_what_is_asked_for(same):
    _, _, kernel_fn = small()
    x1, x2 = images(2), None if same else images(3, 1)
    kernel = kernel_fn(x1, x2)
    assert isinstance(kernel, nt.Kernel)
    assert kernel.shape1 == (2, 1)
    assert kernel.is_gaussian
    assert (kernel.cov2 is None) == same
    close(kernel_fn(x1, x2, "ntk"), kernel.ntk)
    both = kernel_fn(x1, x2, ("NNGP", "cov1"))
    assert type(both).__name__ == "AnalyticKernel"
    assert both._fields == ("nngp", "cov1")
    close(both.nngp, kernel.nngp)
    full = kernel_fn(x1, x2, diagonal_batch=False)
    close(full.cov1, kernel_fn(x1, None, "nngp"), 1e-6)
    with pytest.raises(ValueError, match="mixes positions"):
        kernel_fn(x1, x2, diagonal_spatial=True)


def test_kernels_pass_from_layer_to_layer():
    """A network cut anywhere gives the kernel of the whole; what was not Gaussian stays so."""
    x1, x2 = images(2), images(3, 1)
    layers = [
        stax.Conv(4, (2, 2), padding="SAME"),
        stax.Relu(),
        stax.Conv(4, (1, 2)),
        stax.Erf(),
        stax.Flatten(),
        stax.Dense(1),
    ]
    whole = stax.serial(*layers)[2](x1, x2)
    for cut in (1, 2, 3):
        first, second = stax.serial(*layers[:cut])[2](x1, x2), stax.serial(*layers[cut:])[2]
        assert first.is_gaussian == (cut != 2)
        close(second(first).ntk, whole.ntk, 1e-5)
    with pytest.raises(ValueError, match="not Gaussian"):
        stax.Relu()[2](stax.serial(*layers[:2])[2](x1, x2))


def test_space_is_kept_where_it_is_wanted():
    x = images(2)
    conv = stax.serial(stax.Conv(1, (2, 2), padding="SAME"), stax.Relu(), stax.Conv(1, (2, 2), padding="SAME"))
    full, diagonal = conv[2](x), conv[2](x, diagonal_spatial=True)
    assert full.nngp.shape == (2, 2, 3, 3, 4, 4)
    assert diagonal.nngp.shape == (2, 2, 3, 4)
    close(np.einsum("abiijj->abij", full.nngp), diagonal.nngp, 1e-6)
    close(np.einsum("abiijj->abij", full.ntk), diagonal.ntk, 1e-6)
    flat = stax.serial(conv, stax.Flatten())
    close(flat[2](x).ntk, flat[2](x, diagonal_spatial=True).ntk, 1e-6)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_repeat_is_a_series(n):
    layer = stax.serial(stax.Dense(3, 1.2, 0.1), stax.Relu(), stax.Dense(3, 0.9, 0.2))
    series = stax.serial(*[layer] * n) if n else stax.Identity()
    repeated = stax.repeat(layer, n)
    x = np.random.default_rng(0).standard_normal((2, 3))
    (shape, params), (shape_repeated, params_repeated) = series[0](KEY, x.shape), repeated[0](KEY, x.shape)
    assert shape == shape_repeated == (2, 3)
    close(repeated[1](params_repeated, x), series[1](params, x), 1e-6)
    for get in ("ntk", ("nngp", "cov1")):
        close(repeated[2](x, None, get), series[2](x, None, get), 1e-6)


def test_branches_and_trees_of_inputs():
    net = stax.serial(
        stax.parallel(stax.Dense(4, 1.2), stax.serial(stax.Dense(4), stax.Relu(), stax.Dense(4))),
        stax.FanInSum(),
        stax.Dense(1),
    )
    x1, x2 = ([np.random.default_rng(i).standard_normal((n, 3)) for i in (0, 1)] for n in (2, 4))
    shape, params = net[0](KEY, [(2, 3), (2, 3)])
    assert shape == (2, 1)
    assert net[1](params, x1).shape == (2, 1)
    a = stax.Dense(4, 1.2)[2](x1[0], x2[0])
    b = stax.serial(stax.Dense(4), stax.Relu(), stax.Dense(4))[2](x1[1], x2[1])
    close(net[2](x1, x2).ntk, stax.serial(stax.FanInSum(), stax.Dense(1))[2]([a, b]).ntk, 1e-6)
    twice = stax.serial(stax.Dense(4), stax.FanOut(2), stax.parallel(stax.Identity(), stax.Identity()), stax.FanInSum())
    with pytest.raises(ValueError, match="same random weights"):
        twice[2](x1[0])


@pytest.mark.parametrize("constant", [10.0, np.nan])
def test_masks(constant):
    """What a mask hides does not count, and a network knows the same as its kernel: a shorter input."""
    net = stax.serial(stax.Dense(8, 1.2, 0.3), stax.Relu(), stax.GlobalAvgPool(), stax.Dense(1))
    x = np.random.default_rng(0).standard_normal((2, 5, 3))
    hidden = x.copy()
    hidden[:, 3:] = constant
    close(net[2](hidden, None, "ntk", mask_constant=constant), net[2](x[:, :3], None, "ntk"), 1e-6)
    _, params = net[0](KEY, x.shape)
    close(net[1](params, hidden, mask_constant=constant), net[1](params, x[:, :3]), 1e-6)
    kernel = stax.Dense(8)[2](hidden, None, mask_constant=constant)
    assert kernel.mask1.shape == (2, 5, 1)
    assert bool(kernel.mask1[0, 4, 0])
    assert not bool(kernel.mask1[0, 0, 0])
    close(
        stax.serial(stax.Relu(), stax.GlobalAvgPool())[2](kernel).nngp,
        stax.serial(stax.Dense(8), stax.Relu(), stax.GlobalAvgPool())[2](x[:, :3]).nngp,
        1e-6,
    )


def test_parameters_are_pairs_that_code_may_take_apart():
    _, params = stax.serial(stax.Dense(4, 1.0, 0.1), stax.Relu(), stax.Dense(2))[0](KEY, (-1, 3))
    (weight, bias), nothing, (last, none) = params
    assert weight.shape == (3, 4)
    assert bias.shape == (1, 4)
    assert nothing == ()
    assert last.shape == (4, 2)
    assert none is None
    x = np.ones((2, 3))
    out = stax.Dense(4, 2.0, 0.5, parameterization="standard")[1]((weight, 1.0), x)
    close(out, x @ np.asarray(weight) + 1.0, 1e-6)


def test_names_and_bad_calls():
    assert stax.Flatten()[0].__name__ == "Flatten"
    assert stax.GlobalAvgPool()[2].__name__ == "GlobalAvgPool"
    with pytest.raises(ValueError, match="expected 'ntk' or 'standard'"):
        stax.Dense(3, parameterization="mup")
    with pytest.raises(ValueError, match="layer 1 of serial"):
        stax.serial(stax.Dense(3), np.tanh)
    with pytest.raises(TypeError, match="unknown keyword 'masks'"):
        stax.Dense(3)[2](np.ones((2, 3)), masks=1)
    with pytest.raises(ValueError, match="keep probability"):
        stax.Dropout(0.0)


def test_compiled_and_batched():
    x1, x2 = images(2), images(4, 1)
    kernel_fn = small()[2]
    compiled = jax.jit(kernel_fn, static_argnames="get")
    close(compiled(x1, x2, "ntk"), kernel_fn(x1, x2, "ntk"), 1e-5)
    close(nt.batch(kernel_fn, batch_size=2)(x1, x2, "ntk"), kernel_fn(x1, x2, "ntk"), 1e-6)


def test_layers_that_users_wrote_for_themselves():
    """A kernel function from `Kernel` to `Kernel`, alone and in a series."""

    @stax.layer
    def Rbf(gamma):
        @stax.requires(batch_axis=0, channel_axis=-1)
        def kernel_fn(k, **kwargs):
            cov2 = k.cov1 if k.cov2 is None else k.cov2
            return k.replace(nngp=jnp.exp(-gamma * (k.cov1[:, None] + cov2[None] - 2 * k.nngp)), is_gaussian=False)

        return lambda rng, shape: (shape, ()), lambda params, x, **kwargs: x, kernel_fn

    x1, x2 = (np.random.default_rng(i).standard_normal((n, 3)) for i, n in ((0, 2), (1, 4)))
    own = Rbf(0.7)
    expected = stax.serial(stax.Dense(4, 1.1, 0.2), stax.Rbf(0.7))[2](x1, x2, "nngp")
    close(stax.serial(stax.Dense(4, 1.1, 0.2), own)[2](x1, x2, "nngp"), expected, 1e-5)
    distances = ((x1[:, None] - x2[None]) ** 2).sum(-1) / 3
    close(own[2](x1, x2, "nngp"), np.exp(-0.7 * distances), 1e-5)
    shape, params = stax.serial(stax.Dense(4), own, stax.Dense(2))[0](KEY, (2, 3))
    assert shape == (2, 2)
    assert len(params) == 3
    after = stax.serial(stax.Dense(4, 1.1, 0.2), own, stax.Dense(1, 1.5))[2](x1, x2, "nngp")
    close(after, 1.5**2 * expected, 1e-5)


def test_what_may_be_left_out():
    values = [stax.Diagonal(i, o) for i in stax.Bool for o in stax.Bool]
    for a in values:
        for b in values:
            for c in values:
                assert (a >> b) >> c == a >> (b >> c) == c << (b << a)
    assert bool(stax.Diagonal(stax.Bool.YES, stax.Bool.YES))
    assert not stax.Diagonal()


def test_trees_whose_second_half_is_none():
    net = stax.serial(stax.parallel(stax.Dense(4), stax.Dense(4)), stax.FanInSum(), stax.Dense(1))
    x = tuple(np.random.default_rng(i).standard_normal((2, 3)) for i in (0, 1))
    close(net[2](x, (None, None), "ntk"), net[2](x, None, "ntk"))


def test_masks_inside_compiled_code():
    net = stax.serial(stax.Dense(8, 1.2, 0.3), stax.Relu(), stax.GlobalAvgPool(), stax.Dense(1))
    x = np.random.default_rng(0).standard_normal((2, 4, 3))
    x[:, 2:] = 10.0
    compiled = jax.jit(net[2], static_argnums=(2,))
    close(compiled(x, x, "ntk", mask_constant=10.0), net[2](x[:, :2], x[:, :2], "ntk"), 1e-5)


def test_a_kernel_passed_by_hand_hides_its_mean():
    """A sum of two uncentred kernels, and a norm, need means that a `Kernel` does not hold: refused, never wrong."""
    x = np.random.default_rng(0).standard_normal((3, 4))
    branch = stax.serial(stax.Dense(5, 1.2, 0.3), stax.Relu())
    after, gaussian = branch[2](x), stax.Dense(5)[2](x)
    with pytest.raises(ValueError, match="mean of branch 0 is not known"):
        stax.FanInSum()[2]([after, after])
    with pytest.raises(ValueError, match="LayerNorm subtracts the mean"):
        stax.LayerNorm()[2](after)
    # One uncentred branch beside a centred one has no product of means.
    total = stax.FanInSum()[2]([after, gaussian])
    close(total.nngp, after.nngp + gaussian.nngp, 1e-6)
    assert not total.is_gaussian
    with pytest.raises(ValueError, match="LayerNorm subtracts the mean"):
        stax.LayerNorm()[2](total)
    # In one network the means are known.
    whole = stax.serial(stax.FanOut(2), stax.parallel(branch, branch), stax.FanInSum())[2](x)
    mean = np.sqrt(np.diag(np.asarray(stax.Dense(5, 1.2, 0.3)[2](x, None, "nngp"))) / (2 * np.pi))
    close(whole.nngp, 2 * after.nngp + 2 * mean[:, None] * mean, 1e-5)


@pytest.mark.parametrize("cut", [1, 2])
def test_dropout_knows_the_diagonal_of_a_kernel_passed_by_hand(cut):
    layers = [stax.Dense(5, 1.2, 0.3), stax.Relu(), stax.Dropout(0.7), stax.Dense(1)]
    x = np.random.default_rng(0).standard_normal((4, 3))
    first, second = stax.serial(*layers[:cut])[2], stax.serial(*layers[cut:])[2]
    for x2 in (None, x.copy(), x[::-1].copy()[:3]):
        whole = stax.serial(*layers)[2](x, x2)
        kernel = first(x, x2)
        assert bool(kernel.x1_is_x2) == (x2 is None or len(x2) == 4)
        if x2 is None or len(x2) == 4:
            close((second(kernel).nngp, second(kernel).ntk), (whole.nngp, whole.ntk), 1e-5)
            by_blocks = nt.batch(second, batch_size=3)(kernel)
            close((by_blocks.nngp, by_blocks.ntk), (whole.nngp, whole.ntk), 1e-5)
            assert bool(by_blocks.x1_is_x2)
    # Parts that overlap know which of their entries are of one example.
    part = second(first(x).slice(slice(0, 3), slice(1, 4)))
    close(part.nngp, second(first(x)).nngp[:3, 1:], 1e-5)


def test_a_graph_passes_through_layers_that_keep_space():
    x = images(2)
    graph = np.random.default_rng(5).standard_normal((2, 3, 4, 3, 4))
    net = stax.serial(stax.Conv(4, (2, 2), padding="SAME"), stax.Relu(), stax.Aggregate(), stax.Dense(3))
    before = stax.serial(stax.Conv(4, (2, 2), padding="SAME"), stax.Relu())[2](x)
    mixed = np.einsum("npqrs,mPQRS,nmpPqQ->nmrRsS", graph, graph, before.nngp)
    close(net[2](x, None, "nngp", pattern=graph), mixed, 1e-4)
    _, params = net[0](KEY, x.shape)
    assert net[1](params, x, pattern=graph[0][None].repeat(2, 0)).shape == (2, 3, 4, 3)


def test_a_graph_of_later_places_and_of_one_branch():
    """A pattern has the shape of the space in front of the layer that reads it, on whichever branch that stands."""
    x = images(2)
    graph = np.random.default_rng(6).standard_normal((2, 2, 4, 2, 4))
    net = stax.serial(stax.Conv(4, (2, 1)), stax.Relu(), stax.Aggregate(), stax.GlobalAvgPool(), stax.Dense(3))
    before = stax.serial(stax.Conv(4, (2, 1)), stax.Relu())[2](x, None, "nngp")
    expected = np.einsum("npqrs,mPQRS,nmpPqQ->nm", graph, graph, before) / 64
    close(net[2](x, None, "nngp", pattern=graph), expected, 1e-4)
    assert net[1](net[0](KEY, x.shape)[1], x, pattern=graph).shape == (2, 3)
    both = stax.serial(stax.parallel(stax.serial(stax.Dense(3), stax.GlobalAvgPool()), net), stax.FanInSum())
    one = stax.serial(stax.Dense(3), stax.GlobalAvgPool())[2](np.sin(x), None, "nngp")
    close(both[2]([np.sin(x), x], None, "nngp", pattern=graph), one + expected, 1e-4)


def test_an_activation_of_a_layer_is_a_function_of_arrays_of_any_shape():
    """Code takes ``apply_fn`` of an activation for the activation itself."""
    for shape in ((), (3,), (2, 3)):
        x = np.random.default_rng(0).standard_normal(shape)
        close(stax.Erf()[1]((), x), jax.scipy.special.erf(x), 1e-6)
    x = np.random.default_rng(1).standard_normal((3, 4))
    numerical = stax.serial(stax.Dense(5), stax.ElementwiseNumerical(lambda u: stax.Gelu()[1]((), u), deg=25))
    close(numerical[2](x, None, "ntk"), stax.serial(stax.Dense(5), stax.Gelu())[2](x, None, "ntk"), 1e-5)
