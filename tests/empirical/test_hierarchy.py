"""The velocity of the kernel: against steps that are really taken, the third-order kernel, and its fall with width."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import widelimit as wl
from widelimit.empirical import Diagonal, empirical_ntk, flow_direction, kernel_velocity

half_squares = wl.SumOfSquares().value


def problem(width=4, outputs=2, seed=0):
    """Return a network, its parameters, a training set and two batches."""
    net = wl.serial(
        wl.Dense(width, 1.3, 0.2), wl.Erf(), wl.Dense(width, 1.3, 0.2), wl.Erf(), wl.Dense(outputs, 1.3, 0.2)
    )
    keys = jax.random.split(jax.random.key(seed), 5)
    params = net.init(keys[0], (3,))
    x, y = jax.random.normal(keys[1], (5, 3)), jax.random.normal(keys[2], (5, outputs))
    return net, params, (x, y), jax.random.normal(keys[3], (4, 3)), jax.random.normal(keys[4], (3, 3))


def test_the_direction_is_minus_the_gradient_times_the_rates(x64):
    net, params, (x, y), *_ = problem()
    gradient = jax.grad(lambda p: half_squares(net.apply(p, x), y))(params)
    for got, g in zip(
        *map(jax.tree.leaves, (flow_direction(net.apply, params, x, y, half_squares), gradient)), strict=True
    ):
        np.testing.assert_allclose(got, -g, rtol=1e-12, atol=1e-14)
    flat, treedef = jax.tree.flatten(params)
    rates = jax.tree.unflatten(treedef, [False, 0.5, *[2.0] * (len(flat) - 2)])
    moves = jax.tree.leaves(flow_direction(net.apply, params, x, y, half_squares, learning_rates=rates))
    for move, g, rate in zip(moves, jax.tree.leaves(gradient), jax.tree.leaves(rates), strict=True):
        np.testing.assert_allclose(move, -rate * g, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("outputs", [wl.Trace(), Diagonal(), wl.Full()], ids=lambda o: type(o).__name__)
def test_velocity_is_the_change_of_the_kernel_in_a_small_step(outputs, x64):
    net, params, (x, y), x1, x2 = problem()
    direction = flow_direction(net.apply, params, x, y, half_squares)
    moving = kernel_velocity(net.apply, params, direction, x1, x2, outputs=outputs)

    def kernel(eta):
        stepped = jax.tree.map(lambda p, d: p + eta * d, params, direction)
        return np.asarray(empirical_ntk(net.apply, stepped, x1, x2, outputs=outputs))

    np.testing.assert_allclose(moving.kernel, kernel(0.0), rtol=1e-12)
    eta = 1e-4
    central = (kernel(eta) - kernel(-eta)) / (2 * eta)
    assert moving.velocity.shape == central.shape
    # The central difference is off by a third derivative times eta².
    np.testing.assert_allclose(moving.velocity, central, rtol=0, atol=1e-5 * np.abs(central).max())
    # A real step of gradient descent moves the kernel by eta times its velocity, to first order in eta.
    change = kernel(eta) - kernel(0.0)
    error = np.linalg.norm(change - eta * moving.velocity) / np.linalg.norm(change)
    assert error < 0.05
    speed = np.linalg.norm(moving.velocity) / np.linalg.norm(moving.kernel)
    assert float(moving.relative_speed) == pytest.approx(speed, rel=1e-12)


def test_velocity_is_the_contraction_of_the_third_order_kernel(x64):
    net, params, (x, y), x1, x2 = problem(width=3)
    flat, unflatten = ravel_pytree(params)

    def jacobian(p, x):
        return jax.jacobian(lambda p: net.apply(unflatten(p), x))(p)

    @jax.jit
    def third(flat):
        hessian1, hessian2 = (jax.jacobian(lambda p, x=x: jacobian(p, x))(flat) for x in (x1, x2))
        j1, j2, j = (jacobian(flat, x) for x in (x1, x2, x))
        return jnp.einsum("napq,mbp,icq->nmabic", hessian1, j2, j) + jnp.einsum("nap,mbpq,icq->nmabic", j1, hessian2, j)

    slope = net.apply(params, x) - y
    expected = -jnp.einsum("nmabic,ic->nmab", third(flat), slope)
    direction = flow_direction(net.apply, params, x, y, half_squares)
    moving = kernel_velocity(net.apply, params, direction, x1, x2, outputs=wl.Full())
    np.testing.assert_allclose(moving.velocity, expected, rtol=0, atol=1e-12 * float(jnp.abs(expected).max()))
    own = kernel_velocity(net.apply, params, direction, x1, outputs=wl.Full()).velocity
    np.testing.assert_allclose(own, jnp.transpose(own, (1, 0, 3, 2)), rtol=0, atol=1e-12 * float(jnp.abs(own).max()))


def test_the_kernel_of_a_wide_network_moves_like_one_over_its_width():
    widths, seeds = [32, 128, 512], 64
    x, y, x1 = (np.random.default_rng(i).standard_normal(shape) for i, shape in enumerate([(20, 3), (20, 1), (6, 3)]))
    speeds = np.empty((len(widths), seeds))
    for i, width in enumerate(widths):
        net = wl.serial(wl.Dense(width, 1.3, 0.2), wl.Erf(), wl.Dense(1, 1.3, 0.2))

        @jax.jit
        @jax.vmap
        def speed(key, net=net):
            params = net.init(key, (3,))
            direction = flow_direction(net.apply, params, x, y, half_squares)
            return kernel_velocity(net.apply, params, direction, x1).relative_speed

        speeds[i] = speed(jax.random.split(jax.random.key(i), seeds))
    # Independent networks at each width: the slope of the mean of the logarithms, and its standard error.
    centred = np.log(widths) - np.log(widths).mean()
    weights = centred / (centred @ centred)
    slope = weights @ np.log(speeds).mean(1)
    error = np.sqrt(weights**2 @ np.log(speeds).var(1, ddof=1) / seeds)
    print(slope, error)
    assert error < 0.08
    assert abs(slope + 1) < 3 * error


def test_learning_rates_scale_kernel_and_velocity(x64):
    net, params, (x, y), x1, x2 = problem()
    rates = jax.tree.map(lambda _: 1.0, params)
    leaves, treedef = jax.tree.flatten(rates)
    rates = jax.tree.unflatten(treedef, [0.5, False, *leaves[2:]])
    direction = flow_direction(net.apply, params, x, y, half_squares, learning_rates=rates)
    moving = kernel_velocity(net.apply, params, direction, x1, x2, learning_rates=rates)
    # Scaling a parameter by the root of its rate is the same thing.
    root = jax.tree.map(lambda r: float(r) ** 0.5, rates)

    def scaled(p, x):
        return net.apply(jax.tree.map(lambda p0, r, p: p0 + r * (p - p0), params, root, p), x)

    same = kernel_velocity(scaled, params, flow_direction(scaled, params, x, y, half_squares), x1, x2)
    np.testing.assert_allclose(moving.kernel, same.kernel, rtol=1e-12)
    np.testing.assert_allclose(moving.velocity, same.velocity, rtol=1e-10, atol=1e-12)


def test_parameters_that_are_no_floating_arrays_stay(x64):
    def f(p, x):
        return x @ p["w"] ** p["power"]

    params = {"w": jnp.asarray([[0.5], [2.0]]), "power": jnp.asarray(2)}
    x, y = jnp.asarray([[1.0, 2.0], [0.0, 1.0]]), jnp.zeros((2, 1))
    direction = flow_direction(f, params, x, y, half_squares)
    assert direction["power"] == 0
    moving = kernel_velocity(f, params, direction, x)
    # Θ = 4 Σ x w² x', so its velocity is 8 Σ x w ẇ x'.
    w, d = params["w"][:, 0], direction["w"][:, 0]
    np.testing.assert_allclose(moving.velocity, 8 * jnp.einsum("np,mp,p,p->nm", x, x, w, d), rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f, p, x: kernel_velocity(f, p, [1.0], x), "direction has the structure"),
        (lambda f, p, x: kernel_velocity(f, p, jnp.ones(2), x), r"leaves of shapes \[\(2,\)\]"),
        (
            lambda f, p, x: flow_direction(f, p, x, x[:, 0], lambda f, y: (f - y) ** 2),
            r"shape \(4,\) .* Sum or average",
        ),
        (lambda f, p, x: flow_direction(f, p, x, x, lambda f, y: 1), "dtype int"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(lambda p, x: x @ p, jnp.ones(3), jnp.ones((4, 3)))
