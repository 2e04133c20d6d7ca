"""Kernels for scikit-learn's Gaussian processes."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from sklearn.gaussian_process.kernels import Hyperparameter
from sklearn.gaussian_process.kernels import Kernel as SklearnKernel

from ..arch import AbstractLayer
from ..kernels import NNGP, NTK, AbstractKernel, prior_variances
from ._network import network

DOUBLE = np.dtype(np.float64)


class AbstractNetworkKernel(SklearnKernel, abc.ABC):
    """What the kernels have in common."""

    def __init__(
        self,
        *,
        depth: int = 3,
        activation: Any = None,
        weight_std: float = 2**0.5,
        bias_std: float = 0.1,
        weight_std_bounds: Any = (0.1, 10.0),
        bias_std_bounds: Any = (1e-3, 10.0),
    ) -> None:
        self.depth = depth
        self.activation = activation
        self.weight_std = weight_std
        self.bias_std = bias_std
        self.weight_std_bounds = weight_std_bounds
        self.bias_std_bounds = bias_std_bounds

    @abc.abstractmethod
    def _of(self, net: AbstractLayer) -> AbstractKernel:
        """Return the kernel of a network."""

    @property
    def hyperparameter_bias_std(self) -> Hyperparameter:
        """The scale of the biases, searched in its logarithm."""
        return Hyperparameter("bias_std", "numeric", self.bias_std_bounds)

    @property
    def hyperparameter_weight_std(self) -> Hyperparameter:
        """The scale of the weights, searched in its logarithm."""
        return Hyperparameter("weight_std", "numeric", self.weight_std_bounds)

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        r"""Return the kernel matrix, and its derivatives in the logarithms of the free hyperparameters if asked.

        Parameters
        ----------
        X, Y
            Inputs (n, d) and (m, d); None for ``X`` again.
        eval_gradient
            Also return :math:`\partial K/\partial\log\theta`, (n, n, hyperparameters), for ``Y`` None.
        """
        X = np.atleast_2d(np.asarray(X, np.float64))
        if eval_gradient and Y is not None:
            raise ValueError("eval_gradient is true and Y is given; expected the gradient of the kernel of X alone.")
        kernel = self._at(self.weight_std, self.bias_std)
        if Y is not None:
            return np.asarray(kernel(X, np.atleast_2d(np.asarray(Y, np.float64))))
        matrix = np.asarray(kernel(X))
        if not eval_gradient:
            return matrix
        free = tuple(h.name for h in self.hyperparameters if not h.fixed)
        slopes = [self._slope(name, X) for name in free]
        return matrix, np.stack(slopes, 2) if slopes else np.empty((len(X), len(X), 0))

    def diag(self, X: Any) -> Any:
        """Return the kernel of each input with itself, (n,)."""
        X = np.atleast_2d(np.asarray(X, np.float64))
        kernel = self._at(self.weight_std, self.bias_std)
        return prior_variances(kernel, X)

    def is_stationary(self) -> Any:
        """Return False: the kernel depends on where inputs are."""
        return False

    def _at(self, weight_std: Any, bias_std: Any) -> AbstractKernel:
        return self._of(network(self.depth, self.activation, weight_std, bias_std, None))

    def _slope(self, name: str, x: np.ndarray) -> np.ndarray:
        values = {"weight_std": self.weight_std, "bias_std": self.bias_std}
        with jax.enable_x64(True):
            return np.asarray(_derivative(self, name, values, jnp.asarray(x)))


@eqx.filter_jit
def _slopes(make: Any, name: str, values: dict, x: Any) -> Any:
    def of(logarithm: Any) -> Any:
        return make(**{**values, name: jnp.exp(logarithm)}).block(x)

    start = jnp.log(values[name])
    return jax.jvp(of, (start,), (jnp.ones_like(start),))[1]


def _derivative(kernel: AbstractNetworkKernel, name: str, values: dict, x: Any) -> Any:
    # The compiled code is found again by depth, activation and kernel; values are arguments.
    values = {key: jnp.asarray(value, DOUBLE) for key, value in values.items()}
    return _slopes(_Make(type(kernel), kernel.depth, kernel.activation), name, values, x)


class _Make(eqx.Module):
    # A kernel from its hyperparameters.
    kind: type = eqx.field(static=True)
    depth: int = eqx.field(static=True)
    activation: Any

    def __call__(self, weight_std: Any, bias_std: Any) -> AbstractKernel:
        return self.kind()._of(network(self.depth, self.activation, weight_std, bias_std, None))


class NTKKernel(AbstractNetworkKernel):
    r"""The neural tangent kernel of a dense network, as a kernel of `sklearn.gaussian_process`.

    Multiply it by a ``ConstantKernel`` and add a ``WhiteKernel`` for scale and noise.

    Parameters
    ----------
    depth
        Number of hidden layers.
    activation
        A layer such as ``wl.Erf()``; None for ``wl.Relu()``.
    weight_std, bias_std
        Scales of weights and biases: hyperparameters that a Gaussian process optimises.
    weight_std_bounds, bias_std_bounds
        Where it searches, or ``"fixed"``.
    """

    def _of(self, net: AbstractLayer) -> AbstractKernel:
        return NTK(net)


class NNGPKernel(AbstractNetworkKernel):
    """The kernel of a wide dense network at initialisation, as a kernel of `sklearn.gaussian_process`.

    Parameters are those of `NTKKernel`.
    """

    def _of(self, net: AbstractLayer) -> AbstractKernel:
        return NNGP(net)
