"""Learning modes, the catapult band in simulation, and the noise of stochastic gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flows import TEST, Smooth, X, Y, flow

import widelimit as wl
from widelimit.dynamics import (
    Momentum,
    MomentumFlow,
    catapult_band,
    learning_modes,
    sgd_max_learning_rate,
    sgd_noise_scale,
)

THETA = np.asarray(Smooth()(X))


@pytest.mark.parametrize("loss", [wl.SumOfSquares(), wl.MeanSquares()])
def test_modes_are_learned_when_they_say(loss):
    modes = learning_modes(THETA, Y, loss=loss, fractions=(0.5, 0.01))
    assert (np.diff(modes.eigenvalues) <= 0).all()
    np.testing.assert_allclose(modes.vectors @ np.diag(modes.eigenvalues) @ modes.vectors.T, THETA, atol=1e-12)
    np.testing.assert_allclose(modes.vectors @ modes.coefficients, Y, atol=1e-12)
    assert float(np.sum(modes.shares)) == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(modes.rates, loss.scale(6) * modes.eigenvalues, rtol=1e-12)
    trained = flow(loss=loss, initial=lambda x: np.zeros((len(x), 2)))
    for fraction, times in zip(modes.fractions, modes.times, strict=True):
        for i, t in enumerate(np.asarray(times)):
            left = modes.vectors[:, i] @ (Y - trained.at(t))
            np.testing.assert_allclose(left, fraction * modes.coefficients[i], atol=1e-12)


def slowest(optimizer, h):
    """The rate of the slowest root, from the eigenvalues of the map that one mode obeys."""
    if isinstance(optimizer, wl.GradientDescent):
        return -np.log(abs(1 - h))
    m = optimizer.momentum
    if isinstance(optimizer, Momentum):
        return -np.log(np.abs(np.linalg.eigvals([[1 + m - h, -m], [1, 0]])).max())
    return -np.linalg.eigvals([[0, 1], [-h, m - 1]]).real.max()


@pytest.mark.parametrize("optimizer", [wl.GradientDescent(0.3), Momentum(0.3, 0.5), MomentumFlow(0.3, 0.5)])
def test_rates_are_those_of_the_slowest_root(optimizer, x64):
    """Over-damped, under-damped and, in steps, alternating modes, up to beyond stability; and tiny ones."""
    values = np.array([1e-3, 0.05, 0.14, 0.5, 4.0, 9.0, 11.0])
    expected = [slowest(optimizer, 0.3 * v) for v in values]
    np.testing.assert_allclose(optimizer.rate(jnp.asarray(values)), expected, rtol=1e-9)
    tiny = optimizer.rate(jnp.asarray([0.0, 1e-18]))
    friction = 1.0 if isinstance(optimizer, wl.GradientDescent) else 0.5
    np.testing.assert_allclose(tiny, [0, 0.3e-18 / friction], rtol=1e-12)


def test_modes_that_are_never_learned(either_mode):
    """A duplicated input leaves a mode of eigenvalue zero; a step above the limit leaves a mode that grows."""
    theta = Smooth()(np.concatenate([X, X[:1]]))
    for optimizer in (wl.GradientFlow(), wl.GradientDescent(0.1), Momentum(0.1, 0.9), MomentumFlow(0.1, 0.9)):
        modes = learning_modes(theta, np.array([1.0, 0, 0, -1]), optimizer=optimizer)
        assert np.isfinite(modes.times[:, :3]).all()
        assert np.isinf(modes.times[:, 3]).all()
        assert float(modes.rates[3]) == 0
        assert float(modes.shares[3]) == pytest.approx(1)
        assert modes.coefficients.shape == (4,)
    modes = learning_modes(THETA, Y, optimizer=wl.GradientDescent(3 / np.linalg.eigvalsh(THETA)[-1]))
    assert float(modes.rates[0]) < 0
    assert np.isinf(modes.times[:, 0]).all()
    assert np.isfinite(modes.times[:, 1:]).all()
    assert float(np.sum(learning_modes(THETA, np.zeros(3)).shares)) == 0


def test_modes_of_a_kernel_that_keeps_outputs_apart():
    full = THETA[:, :, None, None] * np.array([[1.0, 0.3], [0.3, 2.0]])
    modes = learning_modes(full, Y, loss=wl.MeanSquares())
    matrix = full.transpose(0, 2, 1, 3).reshape(6, 6)
    np.testing.assert_allclose(modes.eigenvalues, np.linalg.eigvalsh(matrix)[::-1], rtol=1e-10)
    np.testing.assert_allclose(modes.vectors @ modes.coefficients, Y.ravel(), atol=1e-12)


def test_catapult_in_a_two_layer_linear_network():
    """f = v·u/√n at width 4096, six seeds (Lewkowycz et al. 2020): thresholds 2/λ and 4/λ, and the final kernel."""
    n, seeds = 4096, 6
    rng = np.random.default_rng(0)
    start = rng.normal(size=(2, seeds, n))

    @np.errstate(all="ignore")
    def train(c, steps=300):
        u, v = start
        first = (np.sum(u**2, 1) + np.sum(v**2, 1)) / n
        step, peak, begin = c / first, np.zeros(seeds), np.sum(u * v, 1) / n**0.5
        for _ in range(steps):
            f = np.sum(u * v, 1) / n**0.5
            peak = np.maximum(peak, np.abs(f))
            u, v = u - (step * f)[:, None] * v / n**0.5, v - (step * f)[:, None] * u / n**0.5
        last = (np.sum(u**2, 1) + np.sum(v**2, 1)) / n / first
        return last, peak / np.abs(begin), np.abs(f)

    band = catapult_band(np.array([[2.0]]))
    assert (float(band.lower), float(band.upper)) == (1.0, 2.0)
    assert float(catapult_band(THETA, loss=wl.MeanSquares(), outputs=2).upper) == pytest.approx(
        4 * 6 / np.linalg.eigvalsh(THETA)[-1], rel=1e-12
    )
    # c = ηλ0 -> the final kernel over the first, and its spread over seeds
    for c, low, high in [(1.9, 0.99, 1.001), (2.1, 0.89, 0.91), (2.5, 0.50, 0.525), (3.0, 0.05, 0.10), (3.9, 0.0, 0.6)]:
        kernel, peak, f = train(c, 300 if c < 3.5 else 3000)
        assert ((low < kernel) & (kernel < high)).all(), (c, kernel)
        assert (f < 1e-6).all()
        assert (peak <= 1).all() if c < 2 else (peak > 1.5).all()
    for c in (4.1, 4.5):
        assert not np.isfinite(train(c, 100)[0]).any()


@pytest.mark.parametrize("classes", [False, True])
def test_noise_scale_against_explicit_gradients(classes, x64):
    net = wl.serial(wl.Dense(8, 1.5, 0.1), wl.Erf(), wl.Dense(2, 1.5, 0.1))
    params = net.init(jax.random.key(3), (2,))
    x, y = np.concatenate([X, TEST]), np.eye(2)[[0, 1, 1, 0, 1]]

    def one(p, x, y):
        f = net.apply(p, x[None])[0]
        return -jnp.sum(y * jax.nn.log_softmax(f)) if classes else jnp.sum((f - y) ** 2) / 2

    tree = jax.vmap(jax.grad(one), (None, 0, 0))(params, x, y)
    g = np.concatenate([np.reshape(leaf, (5, -1)) for leaf in jax.tree.leaves(tree)], 1)
    f = net.apply(params, x)
    residual = (jax.nn.softmax(f) if classes else f) - y
    noise = sgd_noise_scale(wl.EmpiricalNTK(net.apply, params, outputs=wl.Full())(x), residual)
    mean = g.mean(0)
    assert float(noise.gradient_square) == pytest.approx(mean @ mean, rel=1e-10)
    assert float(noise.variance) == pytest.approx(((g - mean) ** 2).sum() / 5, rel=1e-10)
    assert float(noise.scale) == pytest.approx(((g - mean) ** 2).sum() / 5 / (mean @ mean), rel=1e-10)


def test_noise_scale_by_hand(either_mode):
    """Two orthogonal gradients of lengths 1 and 2; equal examples have no noise; opposite ones no mean."""
    noise = sgd_noise_scale(np.eye(2), np.array([1.0, 2.0]))
    np.testing.assert_allclose([noise.variance, noise.gradient_square, noise.scale], [1.25, 1.25, 1], rtol=1e-12)
    assert float(sgd_noise_scale(np.ones((3, 3)), np.ones(3)).scale) == 0
    assert np.isinf(sgd_noise_scale(np.ones((2, 2)), np.array([1.0, -1.0])).scale)
    shared = sgd_noise_scale(THETA, Y)
    apart = sgd_noise_scale(THETA[:, :, None, None] * np.eye(2), Y)
    assert float(shared.scale) == pytest.approx(float(apart.scale), rel=1e-12)


def growth(theta, step, batch):
    """Largest factor per step of the second moments of the residual, drawing with replacement: exact, by its matrix."""
    n = len(theta)
    mean, out = np.eye(n) - step * theta / n, np.zeros((n * n, n * n))
    for i in range(n * n):
        c = np.zeros(n * n)
        c[i] = 1
        c = c.reshape(n, n)
        noise = theta @ np.diag(np.diag(c)) @ theta / n - theta @ c @ theta / n**2
        out[:, i] = (mean @ c @ mean + step**2 / batch * noise).ravel()
    return np.abs(np.linalg.eigvals(out)).max()


@pytest.mark.parametrize("batch", [1, 2, 5, 1000])
def test_stochastic_steps_below_the_bound_converge(batch):
    theta = np.asarray(Smooth()(np.concatenate([X, TEST])))
    assert growth(theta, 0.999 * float(sgd_max_learning_rate(theta, batch)), batch) < 1
    # Orthogonal examples of equal length, one at a time: the bound is the threshold.
    edge = float(sgd_max_learning_rate(3 * np.eye(4), 1))
    assert growth(3 * np.eye(4), 0.999 * edge, 1) < 1 < growth(3 * np.eye(4), 1.001 * edge, 1)
    # Large batches: that of gradient descent.
    large = float(sgd_max_learning_rate(theta, 10**9))
    assert large == pytest.approx(float(wl.max_learning_rate(theta, loss=wl.MeanSquares())), rel=1e-6)
    apart = sgd_max_learning_rate(theta[:, :, None, None] * np.eye(2), batch)
    assert float(apart) == pytest.approx(float(sgd_max_learning_rate(theta, batch, outputs=2)), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: learning_modes(np.ones((2, 3)), np.ones(2)), r"expected \(n, n\)"),
        (lambda: learning_modes(THETA, np.ones(2)), r"y has shape \(2,\)"),
        (lambda: learning_modes(np.ones((3, 3, 2, 2)), np.ones(3)), r"expected \(3, 2\) to match ntk"),
        (lambda: learning_modes(THETA, Y, fractions=(1.5,)), "between zero and one"),
        (lambda: sgd_noise_scale(THETA, np.ones(2)), r"residual has shape \(2,\)"),
        (lambda: sgd_noise_scale(np.ones((3, 3, 2, 2)), np.ones(3)), r"expected \(3, 2\)"),
        (lambda: sgd_max_learning_rate(THETA, 0), "batch_size is 0"),
        (lambda: catapult_band(np.zeros((2, 2))), "no positive eigenvalue"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
