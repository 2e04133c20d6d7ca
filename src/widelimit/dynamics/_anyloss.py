"""Losses without a closed form: cross-entropy, and any function of the outputs."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._typing import Array, Callable, Shape


class AbstractReduction(eqx.Module):
    """What one unit of time or of learning rate means: the factor of the sum over examples."""

    @abc.abstractmethod
    def factor(self, shape: Shape) -> float:
        """Return the factor for outputs of shape (n, o)."""


class Sum(AbstractReduction):
    """The sum over examples."""

    def factor(self, shape: Shape) -> float:  # noqa: ARG002
        """Return one."""
        return 1.0


class ExampleMean(AbstractReduction):
    """The mean over examples, as most training code has it."""

    def factor(self, shape: Shape) -> float:
        """Return 1/n."""
        return 1.0 / shape[0]


class EntryMean(AbstractReduction):
    """The mean over examples and outputs, as `MeanSquares` has it: 1/o of the mean over examples."""

    def factor(self, shape: Shape) -> float:
        """Return 1/(no)."""
        return 1.0 / (shape[0] * shape[1])


class AbstractLoss(eqx.Module):
    """A loss of all outputs (n, o) for targets; training needs `ODE` in continuous time, `Steps` in steps."""

    @abc.abstractmethod
    def value(self, f: Array, y: Array) -> Array:
        """Return the loss of outputs ``f`` of shape (n, o) for targets as `targets` returns them."""

    @abc.abstractmethod
    def targets(self, y: Any, shape: Shape) -> Array:
        """Return targets in the form that `value` takes, refusing what cannot be one for outputs of that shape."""

    @abc.abstractmethod
    def factor(self, shape: Shape) -> float:
        """Return the factor s of the sum over examples; ridge carries it."""

    @abc.abstractmethod
    def curvature(self, shape: Shape) -> float:
        """Return a bound on the second derivative of the loss in the outputs, its largest eigenvalue."""


class CrossEntropy(AbstractLoss):
    r"""Softmax cross-entropy, :math:`-s\sum_{i,a} y_{ia}\log\mathrm{softmax}(f(x_i))_a`.

    Targets are class numbers (n,), or probabilities (n, o) that sum to one. The derivative in the outputs is
    :math:`s(\mathrm{softmax}(f) - y)`, the second derivative at most :math:`s/2`.

    Parameters
    ----------
    reduction
        Fixes :math:`s`: `ExampleMean` (default) 1/n, `Sum` 1, `EntryMean` 1/(no) as in neural-tangents' examples.
    """

    reduction: AbstractReduction = ExampleMean()

    def value(self, f: Array, y: Array) -> Array:
        """Return the loss."""
        return -self.reduction.factor(f.shape) * jnp.sum(y * jax.nn.log_softmax(f, axis=-1))

    def targets(self, y: Any, shape: Shape) -> Array:
        """Return probabilities (n, o)."""
        n, o = shape
        if o < 2:
            raise ValueError(
                "the outputs have one column; CrossEntropy expects one per class, two or more. For labels 0 and 1 and "
                "one output use AnyLoss(lambda f, y: (jax.nn.softplus(f[:, 0]) - y * f[:, 0]).mean())."
            )
        y = _check.real(y, "y_train")
        if y.shape == (n,) and jnp.issubdtype(y.dtype, jnp.integer):
            if np.min(y) < 0 or np.max(y) >= o:
                raise ValueError(f"y_train holds classes {np.min(y)} to {np.max(y)}; expected 0 to {o - 1}.")
            return np.eye(o, dtype=np.float32)[np.asarray(y)]  # pyright: ignore[reportReturnType]
        if y.shape != (n, o):
            raise ValueError(
                f"y_train has shape {y.shape} and dtype {y.dtype}; expected whole class numbers of shape ({n},) or "
                f"probabilities of shape ({n}, {o})."
            )
        if np.min(y) < 0 or np.abs(np.sum(y, 1) - 1).max() > 1e-5:
            raise ValueError("y_train has rows that are no probabilities; expected entries of zero or more, sum one.")
        return y

    def factor(self, shape: Shape) -> float:
        """Return s."""
        return self.reduction.factor(shape)

    def curvature(self, shape: Shape) -> float:
        """Return s/2: a softmax has no larger second derivative."""
        return self.reduction.factor(shape) / 2


class AnyLoss(AbstractLoss):
    """Any differentiable loss of all outputs.

    Parameters
    ----------
    fn
        ``fn(f, y) -> number`` for outputs (n, o), also where the network gives (n,), and targets as the user gave
        them, as an array.
    bound
        A bound on the largest eigenvalue of its second derivative in the outputs, from which the largest stable step
        follows; None if unknown.
    """

    fn: Callable[[Array, Array], Array]
    bound: float | None = None

    def value(self, f: Array, y: Array) -> Array:
        """Return the loss."""
        return self.fn(f, y)

    def targets(self, y: Any, shape: Shape) -> Array:
        """Return the targets as an array with a row per example."""
        y = _check.real(y, "y_train")
        if y.ndim == 0 or y.shape[0] != shape[0]:
            raise ValueError(f"y_train has shape {y.shape}; expected {shape[0]} rows, one per input.")
        return y

    def factor(self, shape: Shape) -> float:  # noqa: ARG002
        """Return one."""
        return 1.0

    def curvature(self, shape: Shape) -> float:  # noqa: ARG002
        """Return the bound."""
        if self.bound is None:
            raise ValueError("the curvature of AnyLoss is unknown; give AnyLoss(fn, bound=...) to ask for a step size.")
        return self.bound
