"""Gradients through the closed form: descend the test error of the infinite network in its weight scale."""

import jax
import jax.numpy as jnp
import numpy as np

import widelimit as wl

rng = np.random.default_rng(0)
x, x_test = rng.uniform(-1.5, 1.5, (12, 1)), np.linspace(-1.5, 1.5, 40)[:, None]
y, y_test = np.sin(3 * x), np.sin(3 * x_test)


def error(log_weight_std):
    """Return the mean squared test error of the infinite network."""
    std = jnp.exp(log_weight_std)
    net = wl.serial(wl.Dense(1, std, 0.3), wl.Erf(), wl.Dense(1, std, 0.3), wl.Erf(), wl.Dense(1, std, 0.3))
    return jnp.mean((wl.infinite_ensemble(net, x, y, ridge=1e-3).at(np.inf, x_test).mean - y_test) ** 2)


value = 0.0
for step in range(8):
    loss, slope = jax.value_and_grad(error)(value)
    print(f"weight_std {np.exp(value):.3f}  test error {loss:.5f}  slope {slope:+.5f}")
    value -= 0.3 * 0.6**step * float(np.sign(slope))
