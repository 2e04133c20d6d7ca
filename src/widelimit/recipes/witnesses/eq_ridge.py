r"""A pull to the start ends in ridge regression: :math:`f_0 + \Theta(x,X)(\Theta+\lambda I)^{-1}(y-f_0)`."""

import jax
import jax.numpy as jnp
import numpy as np

from ...kernels import EmpiricalNTK
from .._witness import Witness
from ._common import compare, jacobian, network, points

RIDGE = 0.1


def run() -> Witness:
    """Compare the minimum of the regularised linear model, in its parameters, with the kernel formula."""
    x, y, other = points()
    net = network()
    with jax.enable_x64(True):
        params = net.init(jax.random.key(0), (1,))
        f0, f0_other = (np.asarray(net.apply(params, jnp.asarray(inputs)))[:, 0] for inputs in (x, other))
        j, j_other = jacobian(net, params, x), jacobian(net, params, other)
        kernel = EmpiricalNTK(net.apply, params)
        theta, theta_other = np.asarray(kernel(x)), np.asarray(kernel(other, x))
    # ½‖f₀ + Jδ − y‖² + ½λ‖δ‖² has its minimum where (JᵀJ + λ)δ = Jᵀ(y − f₀).
    delta = np.linalg.solve(j.T @ j + RIDGE * np.eye(j.shape[1]), j.T @ (y - f0))
    left = f0_other + j_other @ delta
    right = f0_other + theta_other @ np.linalg.solve(theta + RIDGE * np.eye(len(x)), y - f0)
    words = f"The linearised network with a pull of {RIDGE:g} towards its start ends at the ridge solution."
    return compare("eq_ridge", words, ("‖f‖ from parameters", left), ("‖f‖ from the kernel", right), 1e-10)
