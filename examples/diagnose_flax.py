"""The regime of a Flax model from the checkpoints of one's own training loop."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

import widelimit as wl
from widelimit import regime

try:
    from flax import linen
except ImportError:
    print("this example needs Flax: pip install flax")
    sys.exit()


class Model(linen.Module):
    """A small network that also hands out what its hidden layer computes."""

    @linen.compact
    def __call__(self, x):
        """Return outputs."""
        h = jnp.tanh(linen.Dense(64)(x))
        self.sow("intermediates", "hidden", h)
        return linen.Dense(1)(h)


rng = np.random.default_rng(0)
x, x_test = rng.standard_normal((2, 32, 5)).astype(np.float32)
y = np.tanh(x[:, :1] + x[:, 1:2] * x[:, 2:3])
model = Model()
initial = model.init(jax.random.key(0), x)["params"]


def f(params, x):
    """Return outputs of the model at parameters."""
    return model.apply({"params": params}, x)


def features(params, x):
    """Return the hidden representation."""
    return {"hidden": model.apply({"params": params}, x, mutable="intermediates")[1]["intermediates"]["hidden"][0]}


optimizer = optax.sgd(0.15)


@jax.jit
def step(params, state):
    """Take one step of full-batch gradient descent."""
    gradient = jax.grad(lambda p: jnp.mean((f(p, x) - y) ** 2) / 2)(params)
    updates, state = optimizer.update(gradient, state)
    return optax.apply_updates(params, updates), state


params, state, checkpoints, steps = initial, optimizer.init(initial), [], []
for k in range(1, 301):
    params, state = step(params, state)
    if k in (1, 3, 10, 30, 100, 300):
        checkpoints.append(params)
        steps.append(k)

run = regime.Checkpoints(checkpoints, steps, learning_rate=0.15, loss=wl.MeanSquares())
print(regime.diagnose(f, initial, x, y, train=run, x_test=x_test, features=features))
