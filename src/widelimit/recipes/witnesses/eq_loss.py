r"""The gradient of the loss, :math:`\nabla_\theta L = \sum_i (f(x_i)-y_i)\nabla_\theta f(x_i)`."""

import jax
import jax.numpy as jnp
import numpy as np

from .._witness import Witness
from ._common import compare, jacobian, network, points


def run() -> Witness:
    """Compare the gradient of the squared loss, by differentiation, with the sum written out."""
    x, y, _ = points()
    net = network()
    with jax.enable_x64(True):
        params = net.init(jax.random.key(0), (1,))
        gradient = jax.grad(lambda p: 0.5 * jnp.sum((net.apply(p, jnp.asarray(x))[:, 0] - y) ** 2))(params)
        left = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(gradient)])
        right = (np.asarray(net.apply(params, jnp.asarray(x)))[:, 0] - y) @ jacobian(net, params, x)
    words = "Differentiating the loss gives the residuals, each times the gradient at its point."
    return compare("eq_loss", words, ("‖∇L‖ by differentiation", left), ("‖Σ (f − y) ∇f‖", right), 1e-12)
