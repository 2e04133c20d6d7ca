"""The kernel of a model that is written in plain JAX, and how training it would go if the kernel stayed as it is."""

import jax
import jax.numpy as jnp
import numpy as np

import widelimit as wl


def model(params, x):
    """Return a gated unit; any function f(params, batch) will do."""
    hidden = jnp.tanh(x @ params["w"] + params["b"]) * jax.nn.sigmoid(x @ params["gate"])
    return hidden @ params["out"]


keys = jax.random.split(jax.random.key(0), 4)
width = 256
params = {
    "w": jax.random.normal(keys[0], (2, width)),
    "gate": jax.random.normal(keys[1], (2, width)),
    "b": jax.random.normal(keys[2], (width,)),
    "out": jax.random.normal(keys[3], (width, 2)) / width**0.5,
}
rng = np.random.default_rng(0)
x, y = rng.standard_normal((12, 2)), rng.standard_normal((12, 2))

kernel = wl.EmpiricalNTK(model, params, outputs=wl.Full())
flow = wl.network_flow(kernel, x, y, lambda x: model(params, x), optimizer=wl.GradientDescent(0.002))
print("largest stable learning rate", f"{float(flow.max_learning_rate):.4f}")
for step in (0, 10, 100, 1000):
    loss = 0.5 * np.sum((flow.at(step) - y) ** 2)
    print(f"step {step:5d}: loss of the linearised model {loss:.4f}")
