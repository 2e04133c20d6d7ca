"""One input with what travels along: which positions are present, the graph it lives on, the key of its dropout."""

from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._typing import Array, Key, PyTree
from ._graph import Graph, check_graph, kept


class Sample(eqx.Module):
    r"""Inputs of which some positions may be missing, or that live on a graph of their own.

    Kernels and networks take a batch of them wherever they take an array; each attribute then has the batch axis
    first. Values at missing positions do not count, whatever they are (also NaN).

    Attributes
    ----------
    values
        (n, \*space, channels), or token numbers (n, \*space).
    mask
        (n, \*space), true where a position is present; None if all are.
    graph
        Adjacency matrices (n, \*space, \*space) for `Aggregate`, or `Edges`; None if there is no graph.
    key
        Random keys (n,) for `Dropout`, in training; None where nothing is dropped. In a kernel, inputs of different
        keys drop different entries even if they are equal.
    """

    values: Array
    mask: Array | None = None
    graph: Graph | None = None
    key: Key | None = None

    def with_values(self, values: Array) -> "Sample":
        """Return the sample with other values at the same positions."""
        return Sample(values, self.mask, self.graph, self.key)

    def with_places(self, values: Array, mask: Array | None) -> "Sample":
        """Return other values at the places of a window."""
        return Sample(values, mask, kept(self.graph, self.values.shape[:-1], values.shape[:-1]), self.key)

    def cleared(self) -> "Sample":
        """Return the sample with zeros where a position is missing."""
        if self.mask is None:
            return self
        space = self.mask.ndim
        present = self.mask.reshape(*self.mask.shape, *(1,) * (self.values.ndim - space))
        # NumPy stays NumPy, so that float64 input is not rounded before the kernel sees it.
        where = np.where if isinstance(self.values, np.ndarray) else jnp.where
        return self.with_values(cast(Array, where(present, self.values, self.values.dtype.type(0))))


def any_present(mask: Array | None) -> Array | None:
    """Return whether any position of one example is present: the mask of a vector that comes from all of them."""
    return None if mask is None else jnp.any(mask)


def is_sample(node: Any) -> bool:
    """Whether a node of a pytree is a sample."""
    return isinstance(node, Sample)


def as_samples(x: PyTree) -> PyTree:
    """Return arrays, or tuples of arrays, as samples."""
    return jax.tree.map(lambda leaf: leaf if is_sample(leaf) else Sample(leaf), x, is_leaf=is_sample)


def cleared(x: PyTree) -> PyTree:
    """Return ``x`` with zeros in its samples where a position is missing; everything else as it is."""
    return jax.tree.map(lambda leaf: leaf.cleared() if is_sample(leaf) else leaf, x, is_leaf=is_sample)


def batch(x: PyTree, name: str) -> PyTree:
    r"""Return a batch for a network of this library as samples: arrays (n, \*input_shape), or tuples of them.

    Raises
    ------
    ValueError
        If an array is no batch, holds NaN or infinity where a position is present, or if they differ in their
        number of examples or a mask has another shape than its positions.
    """
    if isinstance(x, jax.Array | np.ndarray) or not jax.tree.leaves(x, is_leaf=is_sample):
        return Sample(_check.inputs(x, name))
    if isinstance(x, list) and not any(is_sample(a) or isinstance(a, jax.Array | np.ndarray) for a in x):
        return Sample(_check.inputs(x, name))
    x = _check.batch(cleared(as_samples(x)), name)
    for sample in jax.tree.leaves(x, is_leaf=is_sample):
        _check_mask(sample, name)
        shape = tuple(sample.values.shape)
        check_graph(sample.graph, shape if jnp.issubdtype(sample.values.dtype, jnp.integer) else shape[:-1], name)
    return x


def example_shape(x: PyTree) -> Any:
    """Return the shape of one example of a batch of samples, a tuple of them for several inputs."""
    return jax.tree.map(lambda s: tuple(s.values.shape[1:]), x, is_leaf=is_sample)


def _check_mask(sample: Sample, name: str) -> None:
    shape = tuple(sample.values.shape)
    if sample.mask is not None and tuple(sample.mask.shape) not in (shape, shape[:-1]):
        raise ValueError(
            f"the mask of {name} has shape {tuple(sample.mask.shape)}; expected {shape[:-1]}, one truth value per "
            "position (true where it is present)."
        )
