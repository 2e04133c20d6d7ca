"""Taylor expansions of a model in its parameters."""

import functools

import jax
import jax.numpy as jnp

from .._typing import ApplyFn, Array, Params


def linearize(f: ApplyFn, params0: Params) -> ApplyFn:
    r"""Return the linearisation of ``f`` in its parameters, again a function ``f(params, x)``.

    .. math:: f_{\mathrm{lin}}(\theta, x) = f(\theta_0, x) + \nabla_\theta f(\theta_0, x)\cdot(\theta - \theta_0)

    Parameters
    ----------
    f
        ``f(params, batch) -> outputs``, any pytree of outputs.
    params0
        The point of expansion :math:`\theta_0`.
    """
    return taylor_expand(f, params0, 1)


def taylor_expand(f: ApplyFn, params0: Params, order: int) -> ApplyFn:
    r"""Return the Taylor polynomial of ``f`` in its parameters, again a function ``f(params, x)``.

    .. math:: f_k(\theta, x) = \sum_{j=0}^{k} \frac1{j!}\,
              \frac{d^j}{ds^j} f(\theta_0 + s(\theta - \theta_0), x)\Big|_{s=0}

    by nested forward derivatives: the cost is about :math:`2^k` evaluations.

    Parameters
    ----------
    f
        ``f(params, batch) -> outputs``, any pytree of outputs.
    params0
        The point of expansion :math:`\theta_0`.
    order
        Degree :math:`k \ge 0` of the polynomial.

    Raises
    ------
    ValueError
        If ``order`` is not a whole number of zero or more, or ``params`` does not match ``params0``.
    """
    if isinstance(order, bool) or not isinstance(order, int) or order < 0:
        raise ValueError(f"order is {order!r}; expected a whole number of zero or more.")

    def expanded(params: Params, x: Array) -> Array:
        _match(params, params0)
        direction = jax.tree.map(lambda p, p0: jnp.asarray(p - p0, jnp.result_type(p0)), params, params0)

        def along(s: Array) -> Array:
            return f(jax.tree.map(lambda p0, d: p0 + s.astype(d.dtype) * d, params0, direction), x)

        total, derivative, factorial = along(jnp.zeros(())), along, 1.0
        for j in range(1, order + 1):
            derivative, factorial = _derivative(derivative), factorial * j
            term = derivative(jnp.zeros(()))
            total = jax.tree.map(functools.partial(_add, 1 / factorial), total, term)
        return total

    return expanded


def _derivative(g):
    return lambda s: jax.jvp(g, (s,), (jnp.ones_like(s),))[1]


def _add(factor: float, total: Array, term: Array) -> Array:
    return total + factor * term


def _match(params: Params, params0: Params) -> None:
    structure, expected = jax.tree.structure(params), jax.tree.structure(params0)
    if structure != expected:
        raise ValueError(f"params has the structure {structure}; expected that of params0, {expected}.")
    shapes = [jnp.shape(p) for p in jax.tree.leaves(params)]
    if shapes != [jnp.shape(p) for p in jax.tree.leaves(params0)]:
        raise ValueError(f"params has leaves of shapes {shapes}; expected those of params0.")
