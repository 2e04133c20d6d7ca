"""The kernel of the training inputs, factorised once and kept, as neural-tangents' predictors do."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from ..._precision import evaluate
from ..._result import Result
from ..._typing import Array, Scalar, Tracer
from ...dynamics import GradientFlow, Spectral
from ...gram import Dense
from ...solve import Cholesky, Factor, NoJitter, Spectrum
from ._layout import as_matrix

WORST_CONDITION = 1e12
"""Above it the end of training is taken from the spectrum, where directions without a signal stay as they are."""


class TrainingKernel:
    r"""A kernel of the training inputs with themselves, and functions of it applied to columns.

    Parameters
    ----------
    k
        The kernel, axes in pairs.
    size
        Number of all targets: the loss is half their mean squared error.
    diag_reg
        Multiple of the identity that is added, in units of the mean of the diagonal.
    absolute
        Whether it is in units of one instead.
    """

    def __init__(self, k: Array, size: int, diag_reg: Scalar, absolute: bool) -> None:
        """Keep the kernel; it is factorised when first needed."""
        self.k, self.size, self._reg = k, size, (diag_reg, absolute)

    @property
    def ridge(self) -> Array:
        """The multiple of the identity."""
        return self._now(_ridge, self.k, *self._reg)

    @functools.cached_property
    def spectrum(self) -> Spectrum:
        """The spectrum of the regularised matrix."""
        return self._now(_spectrum, self.k, *self._reg)

    @functools.cached_property
    def factor(self) -> Any:
        """Its Cholesky factor, or its spectrum if it is nearly singular or being traced."""
        if isinstance(self.k, Tracer):
            return self.spectrum
        factor, good = self._now(_factor, self.k, *self._reg)
        return factor if bool(good) else self.spectrum

    def state(self, t: Any) -> Any:
        """Return what `response` needs at time ``t``."""
        return self.factor if t is None else self.spectrum

    def _now(self, fn: Any, *args: Any) -> Any:
        # Inside a caller's jit as well, so that what is kept is a value.
        if any(isinstance(a, Tracer) for a in args):
            return evaluate(fn, *args, compute=jnp.float64, result=None)
        with jax.ensure_compile_time_eval():
            return evaluate(fn, *args, compute=jnp.float64, result=None)


def response(state: Any, size: int, t: Array | None, columns: Array) -> Array:
    r"""Return :math:`s\,\phi_t(s\Theta)` of columns (n, k), with :math:`s` one over the number of targets.

    ``t=None`` is the end of training, :math:`\Theta^{-1}`, without an axis for the time.
    """
    if not isinstance(state, Spectrum):
        return Cholesky().compute(state, columns).value
    if t is None:
        t = jnp.asarray(jnp.inf, columns.dtype)
    return Spectral().apply(state, GradientFlow(), 1 / size, t, columns)


def scaled_time(t: Any, learning_rate: Scalar, dtype: Any) -> Array | None:
    """Return ``t`` in units of time of the flow, None for None."""
    return None if t is None else jnp.asarray(t, dtype) * learning_rate


def _regularised(k: Array, diag_reg: Scalar, absolute: bool) -> tuple[Array, Scalar]:
    matrix = as_matrix(k)
    return matrix, _ridge(k, diag_reg, absolute)


def _ridge(k: Array, diag_reg: Scalar, absolute: bool) -> Scalar:
    matrix = as_matrix(k)
    return jnp.asarray(diag_reg, matrix.dtype) * (1 if absolute else jnp.trace(matrix) / len(matrix))


def _spectrum(k: Array, diag_reg: Scalar, absolute: bool) -> Spectrum:
    matrix, ridge = _regularised(k, diag_reg, absolute)
    return Spectral().init(Dense(matrix), ridge)


def _factor(k: Array, diag_reg: Scalar, absolute: bool) -> tuple[Factor, Array]:
    matrix, ridge = _regularised(k, diag_reg, absolute)
    factor = Cholesky(NoJitter()).init(Dense(matrix), ridge)
    solution = Cholesky().compute(factor, jnp.zeros(len(matrix), matrix.dtype))
    good = (solution.result == Result.successful) & (solution.stats["condition_estimate"] < WORST_CONDITION)
    return factor, good
