"""Kernels as means over random networks, for models whose limit has no closed form."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._precision import evaluate, result_dtype
from .._typing import ApplyFn, Array, Callable, Key, Params, PyTree
from ..arch import cleared
from ..empirical import AbstractMethod, Auto
from ._base import AbstractKernel
from ._empirical import EmpiricalNNGP, EmpiricalNTK


class Estimate(NamedTuple):
    """A mean over random networks, with its standard error.

    Attributes
    ----------
    mean
        (n1, n2).
    standard_error
        (n1, n2): the standard deviation over networks, divided by the root of their number.
    samples
        Number of networks.
    """

    mean: Array
    standard_error: Array
    samples: int


class MonteCarloNNGP(AbstractKernel):
    r"""The mean of :math:`\frac1o\sum_a f_a(x) f_a(x')` over random networks of a finite width.

    .. math:: \hat K(x, x') = \frac1S\sum_{s=1}^S \frac1o\sum_a f_a(x;\theta_s)\,f_a(x';\theta_s),\qquad
              \theta_s \sim \mathrm{init}

    It tends to the `NNGP` of the limit with samples and width; the error of S samples falls as :math:`S^{-1/2}`. The
    networks are the same for every pair of inputs and for every block, so that the matrix is positive semi-definite.

    Parameters
    ----------
    init
        ``init(key) -> params``: random parameters, such as ``lambda key: net.init(key, shape)``.
    apply
        ``apply(params, batch) -> outputs`` with the batch axis first.
    samples
        Number of networks.
    key
        Key of JAX from which the networks are drawn.
    chunk
        How many networks are evaluated at once.

    Raises
    ------
    ValueError
        If the numbers are not positive; on evaluation, as for `EmpiricalNNGP`.
    """

    init: Callable[[Key], Params]
    apply: ApplyFn
    samples: int = eqx.field(static=True)
    key: Key
    chunk: int = eqx.field(static=True, default=1, kw_only=True)

    def __check_init__(self) -> None:
        """Check the numbers."""
        _check_sampling(self)

    def block(self, x1: Any, x2: Any = None) -> Array:
        """Return the mean kernel of two batches, (n1, n2)."""
        return _moments(self, _one_nngp, x1, None if x2 is x1 else x2)[0]

    def diagonal(self, x: Any) -> Array:
        """Return the mean kernel of each input with itself, (n,)."""
        return _moments(self, _one_nngp_diagonal, x, None)[0]

    def estimate(self, x1: Any, x2: Any = None) -> Estimate:
        r"""Return the kernel of two batches (n1, \*input_shape) and (n2, \*input_shape) with its standard error."""
        return _estimate(self, _one_nngp, x1, x2)


class MonteCarloNTK(AbstractKernel):
    r"""The mean of the empirical NTK over random networks of a finite width.

    .. math:: \hat\Theta(x, x') = \frac1S\sum_{s=1}^S \frac1o\sum_a
              \nabla_\theta f_a(x;\theta_s)\cdot\nabla_\theta f_a(x';\theta_s),\qquad \theta_s \sim \mathrm{init}

    It tends to the `NTK` of the limit with samples and width. The networks are the same for every pair of inputs and
    for every block, so that the matrix is positive semi-definite.

    Parameters
    ----------
    init
        ``init(key) -> params``: random parameters, such as ``lambda key: net.init(key, shape)``.
    apply
        ``apply(params, batch) -> outputs`` that treats examples independently, with the batch axis first.
    samples
        Number of networks.
    key
        Key of JAX from which the networks are drawn.
    method
        How the kernel of each network is computed.
    learning_rates
        Factors as for `EmpiricalNTK`; None for ones.
    chunk
        How many networks are evaluated at once.

    Raises
    ------
    ValueError
        If the numbers are not positive; on evaluation, as for `EmpiricalNTK`.
    """

    init: Callable[[Key], Params]
    apply: ApplyFn
    samples: int = eqx.field(static=True)
    key: Key
    method: AbstractMethod = eqx.field(default=Auto(), kw_only=True)
    learning_rates: PyTree = eqx.field(default=None, kw_only=True)
    chunk: int = eqx.field(static=True, default=1, kw_only=True)

    def __check_init__(self) -> None:
        """Check the numbers and the method."""
        _check_sampling(self)
        _check.instance(self.method, AbstractMethod, "method", "Auto()")

    def block(self, x1: Any, x2: Any = None) -> Array:
        """Return the mean kernel of two batches, (n1, n2)."""
        return _moments(self, _one_ntk, x1, None if x2 is x1 else x2)[0]

    def diagonal(self, x: Any) -> Array:
        """Return the mean kernel of each input with itself, (n,)."""
        return _moments(self, _one_ntk_diagonal, x, None)[0]

    def estimate(self, x1: Any, x2: Any = None) -> Estimate:
        r"""Return the kernel of two batches (n1, \*input_shape) and (n2, \*input_shape) with its standard error."""
        return _estimate(self, _one_ntk, x1, x2)


Sampled = MonteCarloNNGP | MonteCarloNTK
One = Callable[[Any, Params, Any, Any], Array]


def _one_nngp(kernel: MonteCarloNNGP, params: Params, x1: Any, x2: Any) -> Array:
    return EmpiricalNNGP(kernel.apply, params).block(x1, x2)


def _one_nngp_diagonal(kernel: MonteCarloNNGP, params: Params, x: Any, _: Any) -> Array:
    return EmpiricalNNGP(kernel.apply, params).diagonal(x)


def _one_ntk(kernel: MonteCarloNTK, params: Params, x1: Any, x2: Any) -> Array:
    return _network(kernel, params).block(x1, x2)


def _one_ntk_diagonal(kernel: MonteCarloNTK, params: Params, x: Any, _: Any) -> Array:
    return _network(kernel, params).diagonal(x)


def _network(kernel: MonteCarloNTK, params: Params) -> EmpiricalNTK:
    return EmpiricalNTK(kernel.apply, params, method=kernel.method, learning_rates=kernel.learning_rates)


@eqx.filter_jit
def _moments(kernel: Sampled, one: One, x1: Any, x2: Any) -> tuple[Array, Array]:
    """Return mean over networks and sum of squared deviations from it, merged chunk by chunk (Chan et al. 1979)."""
    keys = jax.random.split(kernel.key, kernel.samples)
    chunk = min(kernel.chunk, kernel.samples)
    whole = kernel.samples // chunk * chunk

    def of(keys: Key) -> tuple[Array, Array, Array]:
        if len(keys) == 1:
            values = one(kernel, kernel.init(keys[0]), x1, x2)[None]
        else:
            values = jax.vmap(lambda k: one(kernel, kernel.init(k), x1, x2))(keys)
        mean = jnp.mean(values, 0)
        return jnp.asarray(float(len(keys)), mean.dtype), mean, jnp.sum((values - mean) ** 2, 0)

    def merge(a: tuple, keys: Key) -> tuple[tuple, None]:
        (n, mean, square), (m, other, more) = a, of(keys)
        apart, total = other - mean, n + m
        return (total, mean + apart * (m / total), square + more + apart**2 * (n * m / total)), None

    found = of(keys[:chunk])
    found, _ = jax.lax.scan(merge, found, keys[chunk:whole].reshape(-1, chunk, *keys.shape[1:]))
    if whole < kernel.samples:
        found, _ = merge(found, keys[whole:])
    return found[1:]


def _estimate(kernel: Sampled, one: One, x1: Any, x2: Any) -> Estimate:
    if kernel.samples < 2:
        raise ValueError("samples is 1; expected at least two networks, so that they tell an error.")
    x1 = _check.batch(cleared(x1), "x1")
    if x2 is not None:
        x2 = _check.batch(cleared(x2), "x2")
        _check.same_batch(x1, x2)
    dtype = result_dtype(*jax.tree.leaves((x1, x2)))
    mean, square = evaluate(lambda k, a, b: _moments(k, one, a, b), kernel, x1, x2, compute=dtype, result=dtype)
    error = (square / (kernel.samples - 1) / kernel.samples) ** 0.5
    return Estimate(mean, error, kernel.samples)


def _check_sampling(kernel: Sampled) -> None:
    _check.positive_int(kernel.samples, "samples")
    _check.positive_int(kernel.chunk, "chunk")
    for name in ("init", "apply"):
        if not callable(getattr(kernel, name)):
            raise ValueError(f"{name} is {getattr(kernel, name)!r}; expected a function.")
