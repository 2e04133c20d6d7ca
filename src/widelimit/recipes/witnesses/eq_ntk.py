r"""The kernel is an inner product of gradients: :math:`\Theta(x,x') = \nabla_\theta f(x)\cdot\nabla_\theta f(x')`."""

import jax

from ...kernels import EmpiricalNTK
from .._witness import Witness
from ._common import compare, jacobian, network, points


def run() -> Witness:
    """Compare the library's kernel of a finite network with the product of its Jacobians."""
    x, _, other = points()
    net = network()
    with jax.enable_x64(True):
        params = net.init(jax.random.key(0), (1,))
        left = EmpiricalNTK(net.apply, params)(other, x)
        right = jacobian(net, params, other) @ jacobian(net, params, x).T
    words = "The kernel of the library, without a Jacobian, is the product of Jacobians."
    return compare("eq_ntk", words, ("‖Θ(x, X)‖ of the library", left), ("‖J(x) J(X)ᵀ‖", right), 1e-12)
