r"""The closed form solves the linear equation: :math:`f_0 + \Theta\,\Theta^{-1}(I-e^{-\Theta t})(y-f_0)`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate

from ...dynamics import network_flow
from ...kernels import NTK
from .._witness import Witness
from ._common import compare, network, points

TIME = 3.0


def run() -> Witness:
    """Compare the closed form of the library with a numerical integration of the equation."""
    x, y, other = points()
    net = network()
    with jax.enable_x64(True):
        params = net.init(jax.random.key(0), (1,))

        def start(inputs: Any) -> jax.Array:
            return net.apply(params, jnp.asarray(inputs))[:, 0]

        kernel = NTK(net)
        left = network_flow(kernel, x, y, start).at(TIME, other)
        both = np.concatenate([x, other])
        theta, f0 = np.asarray(kernel(both, x)), np.asarray(start(both))
    solved = scipy.integrate.solve_ivp(
        lambda _, f: -theta @ (f[: len(x)] - y), (0, TIME), f0, method="DOP853", rtol=1e-12, atol=1e-12
    )
    right = solved.y[len(x) :, -1]
    words = f"The closed form at time {TIME:g} is where a step-by-step integration of the equation arrives."
    return compare("eq_solution", words, ("‖f_t‖ in closed form", left), ("‖f_t‖ integrated", right), 1e-9)
