"""One wide network, two answers: the Bayesian posterior (NNGP) and the ensemble of trained networks (NTK)."""

import numpy as np

import widelimit as wl
from widelimit.dynamics import posteriors

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(-2, 2, (12, 1)), axis=0)
y = np.sin(2 * x[:, 0]) + 0.1 * rng.standard_normal(12)
grid = np.linspace(-3, 3, 7)[:, None]

net = wl.serial(wl.Dense(512, 1.5, 0.5), wl.Erf(), wl.Dense(512, 1.5, 0.5), wl.Erf(), wl.Dense(1, 1.5, 0.5))
found = posteriors(net, x, y, grid, noise=0.01)

print("     x   Bayesian posterior   trained ensemble")
for i, at in enumerate(grid[:, 0]):
    rows = [f"{one.mean[i]:+.3f} ± {one.std[i]:.3f}" for one in found]
    print(f"{at:+6.1f}   {rows[0]:>18} {rows[1]:>18}")
