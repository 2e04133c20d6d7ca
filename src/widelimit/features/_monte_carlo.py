"""Features of random finite networks, for any model with ``init`` and ``apply``."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._precision import evaluate
from .._typing import ApplyFn, Array, Callable, Key, Params, PyTree
from ..empirical import Problem, flatten
from ._base import AbstractFeatureMap


class OutputFeatures(AbstractFeatureMap):
    r"""All outputs of S random networks: of a wide last hidden layer, features of the NNGP.

    .. math:: \varphi(x) = \frac1{\sqrt{So}}\big(f_a(x;\theta_s)\big)_{s,a},\qquad
              E\,\varphi(x)\cdot\varphi(x') = \frac1o\sum_aE\,f_a(x;\theta)\,f_a(x';\theta)

    Parameters
    ----------
    init_params
        ``init(key) -> params``, such as ``lambda key: hidden.init(key, shape)``.
    apply
        ``apply(params, batch) -> outputs``, (n, ...): the network without its readout.
    samples
        Number S of networks.
    key
        Key of JAX from which they are drawn.
    """

    init_params: Callable[[Key], Params]
    apply: ApplyFn
    samples: int = eqx.field(static=True)
    key: Key

    def __check_init__(self) -> None:
        """Check the number and the functions."""
        _check_model(self.init_params, self.apply)
        _check.positive_int(self.samples, "samples")

    def init(self, x: np.ndarray) -> list[Params]:  # noqa: ARG002
        """Draw the networks."""
        return [self.init_params(key) for key in jax.random.split(self.key, self.samples)]

    def block(self, state: list[Params], x: np.ndarray) -> np.ndarray:
        """Return the features."""
        parts = [evaluate(_outputs, self.apply, params, x, compute=x.dtype, result=x.dtype) for params in state]
        found = np.concatenate([np.asarray(part) for part in parts], 1)
        return found / np.asarray(found.shape[1] ** 0.5, found.dtype)

    def mixing(self, state: list[Params]) -> None:  # noqa: ARG002
        """Return None: the features are the block."""
        return

    def diagonal(self, state: list[Params], x: np.ndarray) -> None:  # noqa: ARG002
        """Return None: the variance of the features is that of the kernel."""
        return


class GradientFeatures(AbstractFeatureMap):
    r"""Derivatives of random networks along random directions: features of the NTK of any model.

    .. math:: \varphi_j(x) = \frac1{\sqrt{mo}}\,u_j^\top\,\nabla_\theta f(x;\theta_{s(j)})\,\eta^{1/2}v_j,\qquad
              E\,\varphi(x)\cdot\varphi(x') = \frac1o\sum_a E\,\nabla_\theta f_a(x)\cdot\eta\,\nabla_\theta f_a(x')

    with random signs v of the parameters and u of the outputs. One forward derivative for each feature; the error of a
    product falls as :math:`m^{-1/2}` with features and :math:`S^{-1/2}` with networks.

    Parameters
    ----------
    init_params
        ``init(key) -> params``; a constant for the kernel of one network.
    apply
        ``apply(params, batch) -> outputs``, (n, ...), with examples treated independently.
    count
        Number m of features.
    key
        Key of JAX for networks and directions.
    networks
        Number S of networks, among which features are divided evenly.
    learning_rates
        Factors as for `EmpiricalNTK`; None for ones.
    """

    init_params: Callable[[Key], Params]
    apply: ApplyFn
    count: int = eqx.field(static=True)
    key: Key
    networks: int = eqx.field(static=True, default=1, kw_only=True)
    learning_rates: PyTree = eqx.field(default=None, kw_only=True)

    def __check_init__(self) -> None:
        """Check the numbers and the functions."""
        _check_model(self.init_params, self.apply)
        _check.positive_int(self.count, "count")
        _check.positive_int(self.networks, "networks")
        if self.count % self.networks:
            raise ValueError(f"count is {self.count}; expected a multiple of networks, {self.networks}.")

    def init(self, x: np.ndarray) -> list[tuple[Params, Key]]:  # noqa: ARG002
        """Draw the networks, and keys of the directions."""
        keys = jax.random.split(self.key, (self.networks, 2))
        return [(self.init_params(k[0]), k[1]) for k in keys]

    def block(self, state: list[tuple[Params, Key]], x: np.ndarray) -> np.ndarray:
        """Return the features."""
        each = self.count // self.networks
        parts = []
        for params, key in state:
            problem = Problem(self.apply, params, self.learning_rates)
            parts.append(evaluate(_derivatives, problem, key, each, x, compute=x.dtype, result=x.dtype))
        found = np.concatenate([np.asarray(part) for part in parts], 1)
        return found / np.asarray(self.count**0.5, found.dtype)

    def mixing(self, state: Any) -> None:  # noqa: ARG002
        """Return None: the features are the block."""
        return

    def diagonal(self, state: Any, x: np.ndarray) -> None:  # noqa: ARG002
        """Return None: the variance of the features is that of the kernel."""
        return


@eqx.filter_jit
def _outputs(apply: ApplyFn, params: Params, x: Array) -> Array:
    return jnp.reshape(apply(params, x), (x.shape[0], -1))


@eqx.filter_jit
def _derivatives(problem: Problem, key: Key, count: int, x: Array) -> Array:
    flat = flatten(problem)
    scales = [jnp.sqrt(jnp.asarray(rate, leaf.dtype)) for leaf, rate in zip(flat.leaves, flat.rates, strict=True)]

    def outputs(leaves: list[Array]) -> Array:
        return jax.vmap(lambda a: flat.one(leaves, a))(x)

    def feature(key: Key) -> Array:
        first, *keys = jax.random.split(key, 1 + len(scales))
        drawn = zip(keys, scales, flat.leaves, strict=True)
        tangents = [jnp.broadcast_to(s, a.shape) * jax.random.rademacher(k, a.shape, a.dtype) for k, s, a in drawn]
        _, moved = jax.jvp(outputs, (flat.leaves,), (tangents,))
        size = moved.shape[1]
        return moved @ jax.random.rademacher(first, (size,), moved.dtype) / size**0.5

    return jax.lax.map(feature, jax.random.split(key, count)).T


def _check_model(init: Any, apply: Any) -> None:
    for name, value in (("init_params", init), ("apply", apply)):
        if not callable(value):
            raise ValueError(f"{name} is {value!r}; expected a function.")
