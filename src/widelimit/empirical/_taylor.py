"""Taylor expansions of a model in its parameters."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._jaxpr import trace
from .._jaxpr_taylor import coefficients
from .._typing import ApplyFn, Array, Callable, Params, PyTree


def linearize(f: ApplyFn, params0: Params) -> ApplyFn:
    r"""Return the linearisation of ``f`` in its parameters, again a function ``f(params, x)``.

    .. math:: f_{\mathrm{lin}}(\theta, x) = f(\theta_0, x) + \nabla_\theta f(\theta_0, x)\cdot(\theta - \theta_0)

    Parameters
    ----------
    f
        ``f(params, batch) -> outputs``, any pytree of outputs.
    params0
        The point of expansion :math:`\theta_0`.

    Raises
    ------
    ValueError
        If ``params0`` holds NaN or infinity, or ``params`` does not match it.
    """
    return taylor_expand(f, params0, 1)


def taylor_expand(f: ApplyFn, params0: Params, order: int) -> ApplyFn:
    r"""Return the Taylor polynomial of ``f`` in its parameters, again a function ``f(params, x)``.

    .. math:: f_k(\theta, x) = \sum_{j=0}^{k} \frac1{j!}\,
              \frac{d^j}{ds^j} f(\theta_0 + s(\theta - \theta_0), x)\Big|_{s=0}

    by propagating the k + 1 coefficients through the operations of ``f`` together (Taylor mode): at most 2k + 1
    products per matrix product with a weight, also in loops. An operation without a rule costs :math:`2^k` of its own
    evaluations.

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
        If ``order`` is not a whole number of zero or more, ``params0`` holds NaN or infinity, or ``params`` does not
        match it.
    """
    terms = taylor_terms(f, params0, order)

    def expanded(params: Params, x: PyTree) -> PyTree:
        total, *rest = terms(params, x)
        for term in rest:
            total = jax.tree.map(jnp.add, total, term)
        return total

    return expanded


def taylor_terms(f: ApplyFn, params0: Params, order: int) -> Callable[[Params, PyTree], list[PyTree]]:
    r"""Return the function ``(params, x)`` that gives the terms of the Taylor polynomial one by one.

    .. math:: \frac1{j!}\,\frac{d^j}{ds^j} f(\theta_0 + s(\theta - \theta_0), x)\Big|_{s=0}, \qquad j = 0, \dots, k

    Parameters
    ----------
    f
        ``f(params, batch) -> outputs``, any pytree of outputs.
    params0
        The point of expansion :math:`\theta_0`.
    order
        Degree :math:`k \ge 0`.

    Raises
    ------
    ValueError
        If ``order`` is not a whole number of zero or more, ``params0`` holds NaN or infinity, or ``params`` does not
        match it.
    """
    if isinstance(order, bool) or not isinstance(order, int) or order < 0:
        raise ValueError(f"order is {order!r}; expected a whole number of zero or more.")
    _check.parameters(params0, "params0")

    def terms(params: Params, x: PyTree) -> list[PyTree]:
        _match(params, params0)
        leaves0, treedef = jax.tree.flatten(params0)
        # Parameters that are no floating arrays are those of the expansion point.
        moving = [i for i, leaf in enumerate(leaves0) if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)]
        start = [jnp.asarray(leaves0[i]) for i in moving]
        leaves = jax.tree.leaves(params)
        steps = [jnp.asarray(leaves[i] - leaves0[i], p0.dtype) for i, p0 in zip(moving, start, strict=True)]

        def along(leaves: list[Array]) -> PyTree:
            full = list(leaves0)
            for i, leaf in zip(moving, leaves, strict=True):
                full[i] = leaf
            return jax.tree.map(jnp.asarray, f(jax.tree.unflatten(treedef, full), x))

        if order == 0:
            return [along(start)]
        if order == 1:
            return list(jax.jvp(along, (start,), (steps,)))
        closed, shapes = trace(along, start), jax.eval_shape(along, start)
        columns = coefficients(closed, start, list(steps), order)
        return [jax.tree.unflatten(jax.tree.structure(shapes), row) for row in zip(*columns, strict=True)]

    return terms


class SecondOrder(eqx.Module):
    r"""The first two terms of the expansion of a model, outputs of the shape of ``f``.

    Attributes
    ----------
    first
        :math:`\nabla f\cdot\Delta\theta`.
    second
        :math:`\tfrac12\,\Delta\theta^\top\,\nabla^2 f\,\Delta\theta`.
    """

    first: PyTree
    second: PyTree

    @property
    def ratio(self) -> Array:
        r"""Norm of the second term over that of the first: small where the model is nearly linear in its parameters."""
        first, second = _norm(self.first), _norm(self.second)
        # A step of zero is linear.
        return jnp.where(second > 0, second / first, 0.0)


def second_order(f: ApplyFn, params0: Params) -> Callable[[Params, PyTree], SecondOrder]:
    r"""Return the function ``(params, x)`` that gives the first and second term of the change of ``f``.

    .. math:: f(\theta) - f(\theta_0) \approx \nabla f\cdot\Delta\theta
              + \tfrac12\,\Delta\theta^\top\,\nabla^2 f\,\Delta\theta, \qquad \Delta\theta = \theta - \theta_0

    Parameters
    ----------
    f
        ``f(params, batch) -> outputs``, any pytree of outputs.
    params0
        The point of expansion :math:`\theta_0`.
    """
    terms = taylor_terms(f, params0, 2)
    return lambda params, x: SecondOrder(*terms(params, x)[1:])


def _norm(tree: Any) -> Array:
    return jnp.sqrt(sum((jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves(tree)), start=jnp.zeros(())))


def _match(params: Params, params0: Params) -> None:
    structure, expected = jax.tree.structure(params), jax.tree.structure(params0)
    if structure != expected:
        raise ValueError(f"params has the structure {structure}; expected that of params0, {expected}.")
    shapes = [jnp.shape(p) for p in jax.tree.leaves(params)]
    if shapes != [jnp.shape(p) for p in jax.tree.leaves(params0)]:
        raise ValueError(f"params has leaves of shapes {shapes}; expected those of params0.")
