"""A function ``f(params, x, **kwargs)`` of any shapes in the form that methods for empirical kernels ask.

They give it parameters and a batch, and want outputs with the batch axis first. A function whose examples are
independent is given its examples; any other is asked about one example, which is all of its input.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._typing import Array, Params, PyTree, Shape
from ._arguments import is_array


class Layout(NamedTuple):
    """Where the examples of a function are: the axis of each array it takes and returns, None for the whole array."""

    inputs: tuple[int | None, ...]
    outputs: tuple[int | None, ...]


class Call(eqx.Module):
    """``f`` with its arrays in a list, and of its outputs those that are asked for.

    Attributes
    ----------
    f
        The function.
    constants
        Keywords that are no arrays.
    structure
        Of inputs and keywords that are.
    layout
        Axes of the examples.
    kept
        Which outputs are returned.
    """

    f: Any
    constants: dict[str, Any]
    structure: Any = eqx.field(static=True)
    layout: Layout = eqx.field(static=True)
    kept: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, params: Params, arrays: Any) -> Any:
        """Return the outputs for a batch."""
        given = [_taken(a, axis) for a, axis in zip(arrays, self.layout.inputs, strict=True)]
        x, kwargs = jax.tree.unflatten(self.structure, given)
        leaves = jax.tree.leaves(outputs(self.f, params, x, {**kwargs, **self.constants}))
        return [_batch_first(leaves[i], self.layout.outputs[i]) for i in self.kept]

    def batch(self, x: PyTree, kwargs: dict[str, Any]) -> list[Array]:
        """Return the arrays of a call, with the batch axis first."""
        arrays = jax.tree.leaves((x, arrays_of(kwargs)))
        mapped = [a.shape[axis] for a, axis in zip(arrays, self.layout.inputs, strict=True) if axis is not None]
        if len(set(mapped)) > 1:
            raise ValueError(f"inputs have {mapped} examples along the axes of vmap_axes; expected one number.")
        (n,) = set(mapped) or {1}
        return [_given(jnp.asarray(a), axis, n) for a, axis in zip(arrays, self.layout.inputs, strict=True)]


class Both(eqx.Module):
    """Two calls at once: the outputs of the first, then those of the second."""

    call: Call

    def __call__(self, params: Params, arrays: Any) -> Any:
        """Return the outputs for two inputs."""
        first, second = arrays
        return [*self.call(params, first), *self.call(params, second)]


def outputs(f: Any, params: Params, x: PyTree, kwargs: dict[str, Any]) -> PyTree:
    """Return the outputs of ``f`` as arrays."""
    return jax.tree.map(jnp.asarray, f(params, x, **kwargs))


def arrays_of(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords whose values are arrays, or nested arrays."""
    return {k: v for k, v in kwargs.items() if jax.tree.leaves(v) and all(map(is_array, jax.tree.leaves(v)))}


def constants_of(kwargs: dict[str, Any], other: dict[str, Any] | None) -> dict[str, Any]:
    """Return the other keywords, refusing values that differ between the two batches."""
    constants = {k: v for k, v in kwargs.items() if k not in arrays_of(kwargs)}
    if other is not None and constants != {k: v for k, v in other.items() if k not in arrays_of(other)}:
        raise ValueError(f"the keywords {sorted(constants)} differ between x1 and x2; expected that of arrays alone.")
    return constants


def layout_of(vmap_axes: Any, x: PyTree, kwargs: dict[str, Any], shapes: PyTree) -> Layout | None:
    """Return where ``vmap_axes`` says the examples are; None if it says that the function is no map over examples.

    Parameters
    ----------
    vmap_axes
        None; an axis, or a pytree of axes like the inputs; or (axes of inputs, of outputs, of keywords).
    x, kwargs
        Arguments of a call.
    shapes
        Its outputs.
    """
    triple = isinstance(vmap_axes, tuple) and len(vmap_axes) == 3
    of_x, of_outputs, of_kwargs = vmap_axes if triple else (vmap_axes, vmap_axes, {})
    arrays = arrays_of(kwargs)
    if isinstance(of_kwargs, int):
        of_kwargs = dict.fromkeys(arrays, of_kwargs)
    chosen = {name: _spread(of_kwargs.get(name), value) for name, value in arrays.items()}
    inputs = [axis for part in (_spread(of_x, x), *(chosen[name] for name in sorted(chosen))) for axis in part]
    if all(axis is None for axis in inputs):
        return None
    return Layout(tuple(inputs), tuple(_spread(of_outputs, shapes)))


def _spread(axes: Any, tree: PyTree) -> list[int | None]:
    leaves = jax.tree.leaves(tree)
    if axes is None:
        return [None] * len(leaves)
    chosen = [axes] * len(leaves) if isinstance(axes, int) else jax.tree.leaves(axes)
    if len(chosen) != len(leaves):
        raise ValueError(f"vmap_axes has the axes {axes}; expected one for each of {len(leaves)} arrays.")
    return [axis % len(leaf.shape) for axis, leaf in zip(chosen, leaves, strict=True)]


def without(shape: Shape, axis: int | None) -> Shape:
    """Return a shape without the axis of the examples."""
    return shape if axis is None else (*shape[:axis], *shape[axis + 1 :])


def _taken(a: Array, axis: int | None) -> Array:
    return a[0] if axis is None else jnp.moveaxis(a, 0, axis)


def _given(a: Array, axis: int | None, n: int) -> Array:
    return jnp.broadcast_to(a[None], (n, *a.shape)) if axis is None else jnp.moveaxis(a, axis, 0)


def _batch_first(a: Array, axis: int | None) -> Array:
    return a[None] if axis is None else jnp.moveaxis(a, axis, 0)
