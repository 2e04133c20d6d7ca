"""Small problems in function space that the tests share."""

import jax.numpy as jnp
import numpy as np

import widelimit as wl
from widelimit.kernels import AbstractKernel

X = np.array([(1, 0), (0, 1), (0.6, 0.8)])
Y = np.array([(1, 0.2), (-1, 1), (0.5, -0.3)])
TEST = np.array([(0.8, 0.6), (-1, 0)])


class Smooth(AbstractKernel):
    """A kernel that costs nothing to compile: a constant plus linear plus Gaussian."""

    constant: float = 0.3
    smooth: float = 1.0

    def block(self, x1, x2=None):
        x2 = x1 if x2 is None else x2
        distance = jnp.sum((x1[:, None] - x2[None]) ** 2, -1)
        return self.constant + x1 @ x2.T + self.smooth * jnp.exp(-distance)

    def diagonal(self, x):
        return self.constant + jnp.sum(x**2, -1) + self.smooth


def start(x):
    """Two outputs at initialisation."""
    return np.stack([np.sin(2 * x[:, 0]), 0.5 * np.cos(x[:, 1])], 1)


def flow(optimizer=wl.GradientFlow(), y=Y, x=X, kernel=Smooth(), initial=start, **strategies):
    """A network's training in function space."""
    return wl.network_flow(kernel, x, y, initial, optimizer=optimizer, **strategies)
