"""What an empirical kernel is asked of, in flat form: one example in, a vector of outputs out, a list of leaves."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import ApplyFn, Array, Callable, Params, PyTree, Tracer


class Problem(eqx.Module):
    r"""A model at its parameters, and how fast each parameter learns.

    Attributes
    ----------
    f
        ``f(params, batch) -> outputs``; batch and outputs are pytrees whose leaves have the batch axis first, and
        examples are treated independently.
    params
        A pytree of arrays. Leaves that are not floating arrays (integers, functions) are passed to ``f`` as they are.
    learning_rates
        Factor :math:`\eta_\theta \ge 0` of each parameter in the kernel
        :math:`\sum_\theta\eta_\theta\,\partial_\theta f\,\partial_\theta f'`: a pytree prefix of ``params`` whose
        leaves are numbers, booleans (trainable or not) or arrays that broadcast against the parameter. None: all one.

    Raises
    ------
    ValueError
        If the learning rates are no prefix of the parameters, negative, not finite or of a shape that does not
        broadcast, or a parameter is complex.
    """

    f: ApplyFn
    params: Params
    learning_rates: PyTree = None

    def __check_init__(self) -> None:
        """Check the parameters and their learning rates."""
        if not callable(self.f):
            raise ValueError(f"f is {self.f!r}; expected a function f(params, batch).")
        named = jax.tree_util.tree_leaves_with_path(self.params)
        rates = _spread(self.learning_rates, self.params, len(named))
        for (path, leaf), rate in zip(named, rates, strict=True):
            _check_leaf(leaf, f"params{jax.tree_util.keystr(path)}")
            _check_rate(rate, leaf, f"learning_rates of params{jax.tree_util.keystr(path)}")


class Flat(eqx.Module):
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
        shapes_of(out, 1)
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(out)])

    return Flat(one, [jnp.asarray(every[i]) for i in index], [rates[i] for i in index], index)


def require_trainable(problem: Problem) -> None:
    """Refuse a problem in which nothing is trained: its kernel is zero."""
    every = jax.tree.leaves(problem.params)
    rates = _spread(problem.learning_rates, problem.params, len(every))
    if not any(_trains(leaf, rate) for leaf, rate in zip(every, rates, strict=True)):
        raise ValueError(
            f"no parameter is trainable: params has {len(every)} leaves, of which none is a floating array with a "
            "learning rate above zero. Give floating parameters, or change learning_rates."
        )


def output_shapes(problem: Problem, x: PyTree) -> PyTree:
    r"""Return the outputs of one example as a pytree of shapes; an output without an axis of its own counts as (1,).

    Raises
    ------
    ValueError
        If there are no outputs, one is not floating, or one lacks the batch axis.
    """
    out = eqx.filter_eval_shape(problem.f, problem.params, x)
    return shapes_of(out, jax.tree.leaves(x)[0].shape[0])


def outputs_of(f: ApplyFn, params: Params, x: PyTree) -> tuple[Array, PyTree]:
    """Return the outputs of a batch in flat form, (n, o), and their shapes as from `output_shapes`."""
    out, n = f(params, x), jax.tree.leaves(x)[0].shape[0]
    shapes = shapes_of(out, n)
    return jnp.concatenate([jnp.reshape(leaf, (n, -1)) for leaf in jax.tree.leaves(out)], 1), shapes


def require_independent(problem: Problem, x: PyTree) -> None:
    """Refuse a model whose output for the first example of a batch depends on the second; tracers pass.

    One evaluation of two examples and one of the first alone are compared. Differences below 2 % of the largest output
    count as rounding, which low precision inside a model can make that large.
    """
    leaves = jax.tree.leaves((problem, x))
    if any(isinstance(leaf, Tracer) for leaf in leaves) or jax.tree.leaves(x)[0].shape[0] < 2:
        return
    change, largest = np.asarray(_beside(problem, jax.tree.map(_on_one_device, x)))
    if change > 0.02 * largest:
        raise ValueError(
            f"f mixes the examples of a batch: its output for x1[0] changes by {change:.2g} (outputs are up to "
            f"{largest:.2g}) when x1[1] is evaluated with it; expected a model that treats examples independently. "
            "Put batch normalisation and dropout into evaluation mode, and take nothing over the batch axis."
        )


def _on_one_device(a: Array) -> Any:
    return np.asarray(a) if isinstance(a, jax.Array) and len(a.sharding.device_set) > 1 else a


@eqx.filter_jit
def _beside(problem: Problem, x: PyTree) -> Array:
    both, _ = outputs_of(problem.f, problem.params, jax.tree.map(lambda a: a[:2], x))
    alone, _ = outputs_of(problem.f, problem.params, jax.tree.map(lambda a: a[:1], x))
    return jnp.stack([jnp.max(jnp.abs(both[0] - alone[0])), jnp.max(jnp.abs(both))])


def shapes_of(out: PyTree, n: int) -> PyTree:
    """Return the outputs of one example as a pytree of shapes, checking the outputs of n examples."""
    named = jax.tree_util.tree_leaves_with_path(out)
    if not named:
        raise ValueError("f returned no outputs; expected an array, or a pytree of arrays.")
    for path, leaf in named:
        name = f"the output{jax.tree_util.keystr(path)} of f"
        if not isinstance(leaf, jax.Array | jax.ShapeDtypeStruct | np.ndarray):
            raise ValueError(f"{name} is a {type(leaf).__name__}; expected an array.")
        if leaf.ndim == 0 or leaf.shape[0] != n:
            raise ValueError(
                f"{name} has shape {leaf.shape} for a batch of {n}; expected the batch axis first, ({n}, ...)."
            )
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise ValueError(f"{name} has dtype {leaf.dtype}; expected a floating dtype, since it is differentiated.")
        if 0 in leaf.shape:
            raise ValueError(f"{name} has shape {leaf.shape}; expected at least one entry.")
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:] or (1,), leaf.dtype), out)


def unflatten_block(block: Array, batch: int, shapes: PyTree) -> PyTree:
    r"""Return a kernel in flat form in the form of the outputs.

    Parameters
    ----------
    block
        ``batch`` leading axes, then none, one or two axes of all o outputs.
    batch
        How many axes are examples.
    shapes
        From `output_shapes`.

    Returns
    -------
    PyTree
        The block itself for no axis; a pytree like the outputs for one, (\*batch, \*s); for two a pytree of pytrees,
        as from `jax.hessian`, with entries (\*batch, \*s, \*s') for each pair of outputs.
    """
    if block.ndim == batch:
        return block
    leaves, treedef = jax.tree.flatten(shapes)
    lead, ends = block.shape[:batch], np.cumsum([math.prod(leaf.shape) for leaf in leaves])
    rows = [
        jnp.reshape(part, (*lead, *leaf.shape, *block.shape[batch + 1 :]))
        for part, leaf in zip(jnp.split(block, ends[:-1], batch), leaves, strict=True)
    ]
    if block.ndim == batch + 1:
        return jax.tree.unflatten(treedef, rows)
    pairs = [
        [
            jnp.reshape(part, (*row.shape[:-1], *leaf.shape))
            for part, leaf in zip(jnp.split(row, ends[:-1], row.ndim - 1), leaves, strict=True)
        ]
        for row in rows
    ]
    return jax.tree.unflatten(treedef, [jax.tree.unflatten(treedef, row) for row in pairs])


def scaled(gradients: list[Array], rates: list[Any]) -> list[Array]:
    """Return gradients (or anything whose trailing axes are the parameter's) times the learning rates."""
    return [
        g if isinstance(r, float) and r == 1 else g * jnp.asarray(r, g.dtype)
        for g, r in zip(gradients, rates, strict=True)
    ]


def _spread(rates: PyTree, params: Params, count: int) -> list[Any]:
    if rates is None:
        return [1.0] * count
    spread: list[Any] = []
    try:
        jax.tree.map(lambda rate, part: spread.extend([rate] * len(jax.tree.leaves(part))), rates, params)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"learning_rates has the structure {jax.tree.structure(rates)}; expected a prefix of that of params, "
            f"{jax.tree.structure(params)}: one number or boolean for each leaf, or for a whole subtree."
        ) from error
    return [float(r) if isinstance(r, bool | int | float | np.bool_ | np.floating | np.integer) else r for r in spread]


def _check_leaf(leaf: Any, name: str) -> None:
    if _is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.complexfloating):
        raise ValueError(f"{name} has dtype {leaf.dtype}; expected real parameters: keep real and imaginary parts.")


def _check_rate(rate: Any, leaf: Any, name: str) -> None:
    shape = getattr(rate, "shape", ())
    if not (isinstance(rate, float) or _is_array(rate)):
        raise ValueError(f"{name} is {rate!r}; expected a number, a boolean or an array.")
    try:
        fits = not shape or np.broadcast_shapes(shape, np.shape(leaf)) == np.shape(leaf)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} has shape {shape}; expected one that broadcasts to {np.shape(leaf)}.")
    if isinstance(rate, Tracer | jax.ShapeDtypeStruct):
        return
    values = np.asarray(rate)
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError(f"{name} is {rate}; expected finite numbers that are zero or more.")


def _trains(leaf: Any, rate: Any) -> bool:
    floating = isinstance(leaf, float) or (_is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.floating))
    return floating and not (isinstance(rate, float) and rate == 0)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct)
