r"""A pull to the start ends in ridge regression: :math:`f_0 + \Theta(x,X)(\Theta+\lambda I)^{-1}(y-f_0)`.

The one side trains: the linearised network runs down the gradient of
:math:`\tfrac12\sum_i (f_{lin}(x_i;\theta) - y_i)^2 + \tfrac\lambda2\|\theta-\theta_0\|^2` by differentiation, step by
step, until nothing moves; no linear system is solved and no kernel is made. The other is the formula, with the
library's kernel.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from ..._typing import Array, Params
from ...arch import Serial
from ...kernels import EmpiricalNTK
from .._witness import Witness
from ._common import compare, network, points

RIDGE = 0.1
STEPS = 2000


def run() -> Witness:
    """Compare the linearised network, trained with a pull to its start, with the kernel formula."""
    x, y, other = points()
    net = network()
    with jax.enable_x64(True):
        params = net.init(jax.random.key(0), (1,))
        f0, f0_other = (np.asarray(net.apply(params, jnp.asarray(inputs)))[:, 0] for inputs in (x, other))
        kernel = EmpiricalNTK(net.apply, params)
        theta, theta_other = np.asarray(kernel(x)), np.asarray(kernel(other, x))
        # Below 2/(λ_max + λ) every mode falls; the slowest, those the data do not see, as (1 - rate λ)^k.
        rate = 1.5 / (float(np.linalg.eigvalsh(theta)[-1]) + RIDGE)
        left = trained(net, params, (x, y, other), rate)
    right = f0_other + theta_other @ scipy.linalg.solve(theta + RIDGE * np.eye(len(x)), y - f0, assume_a="pos")
    unpulled = f0_other + theta_other @ np.linalg.solve(theta, y - f0)
    apart = float(np.linalg.norm(right - unpulled) / np.linalg.norm(unpulled))
    words = (
        f"The linearised network, trained for {STEPS} steps with a pull of {RIDGE:g} towards its start, ends at the "
        f"ridge solution, {apart:.1%} away from where training without the pull ends."
    )
    return compare("eq_ridge", words, ("‖f‖ of the trained network", left), ("‖f‖ from the kernel", right), 1e-8)


def trained(net: Serial, start: Params, data: tuple[Any, Any, Any], rate: float) -> np.ndarray:
    """Return the linearised network on other inputs after gradient descent with the pull."""
    x, y, other = map(jnp.asarray, data)

    def linear(params: Params, inputs: Array) -> Array:
        away = jax.tree.map(jnp.subtract, params, start)
        value, change = jax.jvp(lambda p: net.apply(p, inputs)[:, 0], (start,), (away,))
        return value + change

    def loss(params: Params) -> Array:
        pull = sum(jnp.sum((a - b) ** 2) for a, b in zip(*map(jax.tree.leaves, (params, start)), strict=True))
        return 0.5 * jnp.sum((linear(params, x) - y) ** 2) + 0.5 * RIDGE * pull

    def step(_: Any, params: Params) -> Params:
        return jax.tree.map(lambda p, g: p - rate * g, params, jax.grad(loss)(params))

    return np.asarray(linear(jax.jit(lambda p: jax.lax.fori_loop(0, STEPS, step, p))(start), other))
