"""Finite networks approach the limit at the rates of the theory (REFERENCE.md, section 8)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import widelimit as wl
from tables import NETS
from widelimit._slope import fit_slope

X = np.array([[0.3, -1.0, 0.5], [0.9, 0.2, -0.4], [0.3, -1.0, 0.5]], np.float32)


def empirical(net, seeds, first=0):
    """Return the empirical NTK of many random networks, (seeds, n, n)."""

    @jax.jit
    def one(key):
        params = net.init(key, (3,))
        return wl.EmpiricalNTK(net.apply, params).block(jnp.asarray(X), jnp.asarray(X))

    return np.asarray(jax.lax.map(one, jax.random.split(jax.random.key(first), seeds), batch_size=16), np.float64)


@pytest.mark.parametrize("name", [n for n in NETS if n != "linear"])
def test_mean_over_networks_agrees_with_the_limit(name):
    """Monte Carlo with its standard error, plus the O(1/n) bias that a finite width leaves."""
    net = NETS[name][0].at_width(256)
    exact = wl.NTK(net)(X.astype(np.float64))
    samples = empirical(net, 96)
    error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    bias = 8 / 256 * np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert (np.abs(samples.mean(0) - exact) < 4 * error + bias).all()


@pytest.mark.parametrize("name", ["deep_erf", "mixed", "residual", "standard"])
def test_fluctuations_fall_as_the_square_root_of_the_width(name):
    widths = [16, 64, 256]
    spread = [empirical(NETS[name][0].at_width(w), 192).std(0, ddof=1).mean() for w in widths]
    slope = fit_slope(widths, np.array(spread)[:, None])
    assert slope.exponent == pytest.approx(-0.5, abs=0.1)


@pytest.mark.thorough
def test_the_mean_over_networks_converges_as_one_over_width():
    """E Theta - Theta_inf is O(1/n): measured on many small networks, where the bias stands out of the noise."""
    net, widths = NETS["mixed"][0], np.array([4, 8, 16, 32])
    exact = wl.NTK(net)(X.astype(np.float64))[0, 1]
    samples = [empirical(net.at_width(int(w)), 12000)[:, 0, 1] - exact for w in widths]
    bias = np.array([s.mean() for s in samples])
    error = np.array([s.std(ddof=1) / np.sqrt(len(s)) for s in samples])
    assert (np.abs(bias) > 5 * error).all()
    # Each log bias is known to error / bias, and so is the slope through them.
    centred = np.log(widths) - np.log(widths).mean()
    noise = np.sqrt(np.sum((centred * error / bias) ** 2)) / np.sum(centred**2)
    slope = fit_slope(widths, np.abs(bias)[:, None])
    assert slope.exponent == pytest.approx(-1.0, abs=0.1 + 4 * noise)


@pytest.mark.thorough
def test_band_of_200_trained_networks():
    """Mean and standard deviation of 200 trained networks of width 2048 against the closed form, in standard errors."""
    from widelimit.recipes import load
    from widelimit.recipes._training import Trainer

    data = load("sine", n_train=8, n_test=16)
    net = wl.serial(wl.Dense(2048, 1.5, 0.1), wl.Erf(), wl.Dense(2048, 1.5, 0.1), wl.Erf(), wl.Dense(1, 1.5, 0.1))
    theta = wl.NTK(net)(data.x_train)
    rate, steps, seeds = 1 / float(np.linalg.eigvalsh(theta)[-1]), 24, 200
    flow = wl.infinite_ensemble(net, data.x_train, data.y_train, optimizer=wl.GradientDescent(rate))
    g = flow.at(steps, data.x_test)
    x, y, xt = (jnp.asarray(a, jnp.float32) for a in (data.x_train, data.y_train, data.x_test))
    trainer, outputs = Trainer(net, wl.SumOfSquares(), rate, x, y), []
    for batch in range(20):
        params = trainer.init(jax.random.split(jax.random.key(batch), seeds // 20))
        params, _, _ = trainer.advance(params, xt, jnp.zeros(steps, bool))
        outputs.append(np.asarray(trainer.outputs(params, xt), np.float64))
    samples = np.concatenate(outputs)[..., 0]
    mean, std = g.mean[:, 0], g.std[:, 0]
    # Standard errors of a mean and of a standard deviation of Gaussians.
    assert (np.abs(samples.mean(0) - mean) < 4 * std / np.sqrt(seeds)).all()
    assert (np.abs(samples.std(0, ddof=1) - std) < 4 * std / np.sqrt(2 * (seeds - 1))).all()
