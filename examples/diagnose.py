"""Is a network a kernel machine? The same network, step for step, in the NTK parameterization and in µP."""

import os

import jax
import numpy as np

import widelimit as wl
from widelimit import regime
from widelimit.arch import MuP

small = os.environ.get("WIDELIMIT_EXAMPLE_SIZE") == "small"
width = 64 if small else 512
rng = np.random.default_rng(0)
x, x_test = rng.standard_normal((2, 24, 4))
y = np.sin(2 * x[:, 0]) * x[:, 1]

for name, parameterization in (("NTK", wl.NTKParameterization()), ("µP", MuP())):

    def dense(width, parameterization=parameterization):
        """Return a layer."""
        return wl.Dense(width, 1.5, 0.1, parameterization)

    net = wl.serial(dense(width), wl.Erf(), dense(1))
    params = net.init(jax.random.key(0), x.shape[1:])
    rate = 1 / regime.sharpness(net, params, x, y[:, None], loss=wl.MeanSquares())
    trainer = regime.GradientDescentTrainer(rate, 200, wl.MeanSquares())
    report = regime.diagnose(net, params, x, y[:, None], train=trainer, x_test=x_test)
    print(f"{name}: {report.verdict.sentence}")
    print("  " + "\n  ".join(report.verdict.change))

report.plot().savefig("regime-mup.png")
