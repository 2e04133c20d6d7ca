"""Training predicted without training: what is learned when, how fast one may go, and what the scores will be."""

import jax
import numpy as np

import widelimit as wl
from widelimit.dynamics import (
    CrossEntropy,
    Krylov,
    Momentum,
    Steps,
    catapult_band,
    learning_modes,
    nngp_posterior,
    sgd_noise_scale,
)

rng = np.random.default_rng(0)
x = rng.normal(size=(60, 2))
labels = (x[:, 0] * x[:, 1] > 0).astype(int)
y = 2.0 * labels - 1
x_test = rng.normal(size=(200, 2))
test_labels = (x_test[:, 0] * x_test[:, 1] > 0).astype(int)
net = wl.serial(wl.Dense(256, 1.5, 0.1), wl.Erf(), wl.Dense(256, 1.5, 0.1), wl.Erf(), wl.Dense(1, 1.5, 0.1))
kernel = wl.NTK(net)
theta = kernel(x)

modes = learning_modes(theta, y, loss=wl.MeanSquares())
band = catapult_band(theta, loss=wl.MeanSquares())
print(f"stable below {band.lower:.2f}, a wide network catapults up to about {band.upper:.2f}")
print(f"half of the target is in {1 + int(np.argmax(np.cumsum(modes.shares) > 0.5))} modes of {len(x)}")
print(f"its largest mode is learned to 1 % by time {modes.times[1, np.argmax(modes.shares)]:.1f}")
noise = sgd_noise_scale(theta, -y)
print(f"batches beyond {noise.scale:.0f} examples buy little at the start of training")

# Squares, closed form: the whole ensemble after any number of steps.
optimizer = Momentum(float(band.lower) / 2, 0.9)
flow = wl.infinite_ensemble(net, x, y, optimizer=optimizer, loss=wl.MeanSquares(), method=Krylov())
for steps in (10, 100, 1000):
    g = flow.at(steps, x_test)
    right = np.mean((g.mean > 0) == test_labels)
    print(f"{steps:>5} steps: {right:.1%} right on average, typical spread {np.median(g.std):.2f}")
posterior = nngp_posterior(net, x, y, noise=0.1).at(x=x_test[:3])
print("Bayesian posterior:", np.round(posterior.mean, 2), "±", np.round(posterior.std, 2))
print("one draw:", np.round(posterior.sample(jax.random.key(0), 1)[0], 2))

# Cross-entropy, step by step, in function space.
trained = wl.network_flow(
    kernel,
    x,
    labels,
    lambda z: np.zeros((len(z), 2)),
    loss=CrossEntropy(),
    optimizer=wl.GradientDescent(1.0),
    method=Steps(),
)
for steps, scores in zip((10, 100, 1000), trained.at([10, 100, 1000], x_test), strict=True):
    print(f"{steps:>5} steps of cross-entropy: {np.mean(scores.argmax(-1) == test_labels):.1%} right")
