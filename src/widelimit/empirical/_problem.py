"""What an empirical kernel is asked of, in flat form: one example in, a vector of outputs out, a list of leaves."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import ApplyFn, Array, Callable, Params, PyTree


class Problem(eqx.Module):
    r"""A model at its parameters, and how fast each parameter learns.

    Attributes
    ----------
    f
        ``f(params, batch) -> outputs``; batch and outputs are pytrees whose leaves have the batch axis first, and
        examples are treated independently.
    params
        A pytree of arrays.
    learning_rates
        Factor :math:`\eta_\theta \ge 0` of each parameter in the kernel
        :math:`\sum_\theta\eta_\theta\,\partial_\theta f\,\partial_\theta f'`: a pytree prefix of ``params`` whose
        leaves are numbers, booleans (trainable or not) or arrays that broadcast against the parameter. None: all one.
    """

    f: ApplyFn
    params: Params
    learning_rates: PyTree = None


class Flat(NamedTuple):
    """A problem in flat form.

    Attributes
    ----------
    one
        ``one(leaves, x) -> (o,)``: all outputs of one example, ravelled and concatenated in the order of the output
        pytree.
    leaves
        The trainable leaves: floating arrays whose learning rate is not the number zero.
    rates
        Their learning rates: Python numbers where the user gave numbers, else arrays that broadcast.
    index
        Position of each trainable leaf in ``jax.tree.leaves(params)``.
    """

    one: Callable[[list[Array], PyTree], Array]
    leaves: list[Array]
    rates: list[Any]
    index: list[int]


def flatten(problem: Problem) -> Flat:
    """Return the flat form of a problem. Call it inside the compiled function, so that parameters stay arguments."""
    every, treedef = jax.tree.flatten(problem.params)
    rates = _spread(problem.learning_rates, problem.params, len(every))
    index = [i for i, (leaf, rate) in enumerate(zip(every, rates, strict=True)) if _trains(leaf, rate)]

    def one(leaves: list[Array], x: PyTree) -> Array:
        full = list(every)
        for i, leaf in zip(index, leaves, strict=True):
            full[i] = leaf
        out = problem.f(jax.tree.unflatten(treedef, full), jax.tree.map(lambda a: a[None], x))
        return jnp.concatenate([jnp.ravel(leaf[0]) for leaf in jax.tree.leaves(out)])

    return Flat(one, [jnp.asarray(every[i]) for i in index], [rates[i] for i in index], index)


def _spread(rates: PyTree, params: Params, count: int) -> list[Any]:
    if rates is None:
        return [1.0] * count
    spread: list[Any] = []
    jax.tree.map(lambda rate, part: spread.extend([rate] * len(jax.tree.leaves(part))), rates, params)
    return [float(r) if isinstance(r, bool | int | float) else r for r in spread]


def _trains(leaf: Any, rate: Any) -> bool:
    floating = jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
    return floating and not (isinstance(rate, float) and rate == 0)
