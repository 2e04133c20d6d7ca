r"""Outputs move by the kernel: :math:`\partial_t f_t(x) = -\Theta_t(x,X)(f_t(X)-y)`, exact at every width."""

import jax
import jax.numpy as jnp
import numpy as np

from ...kernels import EmpiricalNTK
from .._witness import Witness
from ._common import compare, network, points

STEP = 1e-5


def run() -> Witness:
    """Compare a central difference of the outputs along the gradient flow with the kernel times residuals."""
    x, y, other = points()
    net = network()
    with jax.enable_x64(True):
        params = net.init(jax.random.key(0), (1,))
        gradient = jax.grad(lambda p: 0.5 * jnp.sum((net.apply(p, jnp.asarray(x))[:, 0] - y) ** 2))(params)

        def moved(time: float) -> np.ndarray:
            there = jax.tree.map(lambda p, g: p - time * g, params, gradient)
            return np.asarray(net.apply(there, jnp.asarray(other)))[:, 0]

        left = (moved(STEP) - moved(-STEP)) / (2 * STEP)
        residual = np.asarray(net.apply(params, jnp.asarray(x)))[:, 0] - y
        right = -np.asarray(EmpiricalNTK(net.apply, params)(other, x)) @ residual
    words = "A network of width 32 that runs down its gradient moves as its kernel says."
    # The central difference is off by STEP² times a third derivative, and by rounding over STEP.
    return compare("eq_ode", words, ("‖∂f/∂t‖ by difference", left), ("‖Θ (f − y)‖", right), 1e-8)
