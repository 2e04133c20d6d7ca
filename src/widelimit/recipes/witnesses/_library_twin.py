import jax
import jax.numpy as jnp
import numpy as np

import widelimit as wl

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(0)
width, ridge = 512, 1e-3
x, grid = np.linspace(-1, 1, 40)[:, None], np.linspace(-1, 1, 200)[:, None]
y = np.sin(3 * x)

w, b, v = (jnp.asarray(p) for p in rng.normal(size=(3, width)))


def f(params, x):
    w, b, v = params
    return jax.nn.relu(x * w + b) @ v / jnp.sqrt(width)


kernel = wl.EmpiricalNTK(f, (w, b, v))
theta = kernel(x)
flow = wl.network_flow(kernel, x, y[:, 0], lambda x: f((w, b, v), x), ridge=ridge)
prediction = flow.at(np.inf, grid)
