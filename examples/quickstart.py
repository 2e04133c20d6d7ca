"""Kernel, closed-form training, a finite network, its linearisation and its own kernel, in ten lines."""

import jax
import numpy as np

import widelimit as wl

x_train = np.linspace(-1.5, 1.5, 8)[:, None]
y_train = np.sin(2 * x_train)
x_test = np.array([[-1.0], [0.25], [2.0]])

net = wl.serial(
    wl.Dense(512, weight_std=1.5, bias_std=0.1),
    wl.Erf(),
    wl.Dense(512, weight_std=1.5, bias_std=0.1),
    wl.Erf(),
    wl.Dense(1, weight_std=1.5, bias_std=0.1),
)
k = wl.NTK(net)(x_test, x_train)
flow = wl.infinite_ensemble(net, x_train, y_train)
g = flow.at(t=10.0, x=x_test)
print("kernel", k.shape)
print("infinite ensemble at t = 10:", np.round(g.mean[:, 0], 3), "±", np.round(2 * g.std[:, 0], 3))

params = net.init(jax.random.key(0), x_train.shape[1:])
f_lin = wl.linearize(net.apply, params)
theta = wl.EmpiricalNTK(net.apply, params)(x_test, x_train)
print("this network's kernel differs from its limit by", f"{np.abs(theta / k - 1).max():.0%} at most")
