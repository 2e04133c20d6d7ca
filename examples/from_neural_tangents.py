"""Code written for neural-tangents, with its imports changed and nothing else.

Run it as it is: python examples/from_neural_tangents.py
"""

import jax
import jax.numpy as jnp

from widelimit.compat import neural_tangents as nt
from widelimit.compat.neural_tangents import stax

init_fn, apply_fn, kernel_fn = stax.serial(
    stax.Dense(512, W_std=1.5, b_std=0.05),
    stax.Erf(),
    stax.Dense(512, W_std=1.5, b_std=0.05),
    stax.Erf(),
    stax.Dense(1),
)

x_train = jnp.linspace(-3, 3, 12)[:, None]
y_train = jnp.sin(x_train)
x_test = jnp.linspace(-3, 3, 50)[:, None]

predict_fn = nt.predict.gradient_descent_mse_ensemble(kernel_fn, x_train, y_train, diag_reg=1e-4)
mean, covariance = predict_fn(x_test=x_test, get="ntk", compute_cov=True)
print(f"test error of the infinite ensemble: {float(jnp.sqrt(jnp.mean((mean - jnp.sin(x_test)) ** 2))):.3f}")
print(f"largest standard deviation: {float(jnp.sqrt(jnp.diag(covariance).max())):.3f}")

_, params = init_fn(jax.random.key(0), (-1, 1))
finite = nt.empirical_ntk_fn(apply_fn)(x_train, None, params)
limit = kernel_fn(x_train, None, "ntk")
print(f"finite network against the limit: {float(jnp.linalg.norm(finite - limit) / jnp.linalg.norm(limit)):.3f}")
assert bool(jnp.all(jnp.isfinite(mean)))
