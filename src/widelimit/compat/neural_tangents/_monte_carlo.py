"""Kernels of an infinitely wide network as means over random finite ones."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import Any

import equinox as eqx
import jax

from ... import _check
from ..._typing import Callable, Key, Params, PyTree
from ._batch import batch
from ._empirical import NtkImplementation, empirical_kernel_fn
from ._get import Names
from ._layout import AxisNumbers


def monte_carlo_kernel_fn(
    init_fn: Callable,
    apply_fn: Callable,
    key: Key,
    n_samples: int | Iterable[int],
    batch_size: int = 0,
    device_count: int = -1,
    store_on_device: bool = True,
    trace_axes: AxisNumbers = (-1,),
    diagonal_axes: AxisNumbers = (),
    vmap_axes: Any = None,
    implementation: NtkImplementation | int = NtkImplementation.JACOBIAN_CONTRACTION,
    _j_rules: bool = True,
    _s_rules: bool = True,
    _fwd: bool | None = None,
) -> Callable:
    """Return ``kernel_fn(x1, x2, get, **kwargs)``, the mean of the empirical kernels of networks drawn at random.

    Parameters
    ----------
    init_fn
        ``init_fn(key, input_shape) -> (output_shape, params)``; shapes are nested as inputs are.
    apply_fn
        ``apply_fn(params, x, rng=key, **kwargs)``; the random key is always given.
    key
        Random key; the same networks are drawn at every call.
    n_samples
        Number of networks; or several numbers, for a generator of the means over the first so many.
    batch_size, device_count, store_on_device
        As in `batch`.
    trace_axes, diagonal_axes, vmap_axes, implementation, _j_rules, _s_rules, _fwd
        As in `empirical_ntk_fn`.

    Raises
    ------
    ValueError
        If a number of networks is not a positive whole number.
    """
    counts = _counts(n_samples)
    draw = eqx.filter_jit(lambda key, shape: init_fn(key, shape)[1])
    empirical = empirical_kernel_fn(
        apply_fn, trace_axes, diagonal_axes, vmap_axes, implementation, _j_rules, _s_rules, _fwd
    )

    def kernel_of(x1: PyTree, x2: PyTree | None, get: str | Names | None, params: Params, **kwargs: Any) -> PyTree:
        return empirical(x1, x2, get, params, **kwargs)

    by_blocks = batch(kernel_of, batch_size, device_count, store_on_device)

    def means(x1: PyTree, x2: PyTree | None, get: str | Names | None, kwargs: dict[str, Any]) -> Iterator[PyTree]:
        total, rest, shape = None, key, jax.tree.map(lambda x: x.shape, x1)
        for n in range(1, max(counts) + 1):
            rest, sample = jax.random.split(rest)
            of_params, of_network = jax.random.split(sample)
            new = by_blocks(x1, x2, get, draw(of_params, shape), rng=of_network, **kwargs)
            total = new if total is None else jax.tree.map(operator.add, total, new)
            if n in counts:
                yield jax.tree.map(lambda k, n=n: k / n, total)

    def kernel_fn(x1: PyTree, x2: PyTree | None, get: str | Names | None = None, **apply_fn_kwargs: Any) -> Any:
        """Return the mean kernels, or a generator of them."""
        generator = means(x1, x2, get, apply_fn_kwargs)
        return next(generator) if isinstance(n_samples, int) else generator

    return kernel_fn


def _counts(n_samples: int | Iterable[int]) -> set[int]:
    counts = {n_samples} if isinstance(n_samples, int) else set(n_samples)
    for n in counts:
        _check.positive_int(n, "n_samples")
    if not counts:
        raise ValueError("n_samples is empty; expected at least one number of networks.")
    return counts
