r"""Training with a constant kernel by discrete steps, in closed form.

With :math:`\mu_i` the eigenvalues of :math:`\Theta(X,X) + \rho`, V its eigenvectors and
:math:`g_k(\mu) = (1 - (1-\eta\mu)^k)/\mu`, a model that starts from :math:`f_0` is after k steps at

.. math:: f_k(x) = f_0(x) + B_k\,(y - f_0(X)), \qquad B_k = \Theta(x, X)\, V g_k(\mu) V^\top,

and over all initialisations of an infinite network, with K its NNGP (Lee et al. 2019, arXiv 1902.06720, eqs. 14-16),

.. math:: \mathbb E f_k(x) = B_k y, \qquad
          \operatorname{Var} f_k(x) = K(x,x) - 2 B_k K(X,x) + B_k K(X,X) B_k^\top.
"""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class ConstantKernel:
    """A kernel on training inputs (n, n) and of the grid with them (m, n), with step size and ridge."""

    train: np.ndarray
    cross: np.ndarray
    learning_rate: float
    ridge: float
    eigenvalues: np.ndarray
    vectors: np.ndarray

    @staticmethod
    def of(train: np.ndarray, cross: np.ndarray, learning_rate: float, ridge: float) -> ConstantKernel:
        """Decompose the kernel; eigenvalues come largest first."""
        values, vectors = np.linalg.eigh((train + train.T) / 2)
        order = slice(None, None, -1)
        return ConstantKernel(train, cross, learning_rate, ridge, np.maximum(values[order], 0.0), vectors[:, order])

    def weights(self, steps: int) -> np.ndarray:
        r"""Return :math:`V g_k(\mu) V^T`, (n, n)."""
        return self.vectors * _response(self.eigenvalues + self.ridge, self.learning_rate, steps) @ self.vectors.T

    def train_map(self, steps: int) -> np.ndarray:
        """Return the map from :math:`y - f_0(X)` to the change at training inputs, (n, n)."""
        return self.train @ self.weights(steps)

    def grid_map(self, steps: int) -> np.ndarray:
        """Return :math:`B_k`, (m, n)."""
        return self.cross @ self.weights(steps)

    @property
    def rank(self) -> int:
        """Number of eigenvalues above 1e-7 of the largest: angles near π are known to about 1e-8."""
        return int(np.sum(self.eigenvalues > 1e-7 * self.eigenvalues[0]))


def variance(b: np.ndarray, own: np.ndarray, cross: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return the variance over initialisations (m,), from :math:`B_k`, K(x, x), K(x, X) and K(X, X)."""
    return np.maximum(own - 2 * np.sum(b * cross, 1) + np.sum((b @ train) * b, 1), 0.0)


def _response(mu: np.ndarray, learning_rate: float, steps: int) -> np.ndarray:
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        slow = -np.expm1(steps * np.log1p(-np.minimum(learning_rate * mu, 0.5))) / mu
        fast = (1 - np.power(1 - learning_rate * mu, steps)) / mu
    found = np.where(learning_rate * mu < 0.5, slow, fast)
    found = np.where(mu * learning_rate < 1e-14, learning_rate * steps, found)
    return np.clip(found, -LARGEST, LARGEST)


LARGEST = 1e30
