"""Branches: one signal becomes several, each goes its way, and they are joined again."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._typing import Array, Key, Params, PyTree
from . import _plainly
from ._base import AbstractLayer
from ._join import concatenate_pairs, multiply_pairs, sum_pairs
from ._pair import Pair
from ._sample import Sample
from ._signal import Gaussianity, Signal, branches, check_independent, check_means, combine, copies
from ._space import Space, most
from ._step import step


class FanOut(AbstractLayer):
    """Give the signal to several branches.

    Parameters
    ----------
    count
        Number of branches.
    """

    count: int = eqx.field(static=True)

    init = _plainly.no_params
    learning_rates = _plainly.no_rates

    def __check_init__(self) -> None:
        """Check the number of branches."""
        _check.positive_int(self.count, "count")

    def out_shape(self, shape: Any) -> Any:
        """Return one shape per branch."""
        return (shape,) * self.count

    def forward(self, params: Params, x: Any) -> Any:  # noqa: ARG002
        """Return one signal per branch, each with a key of its own."""
        return tuple(_with_key(x, i) for i in range(self.count))

    def propagate(self, pair: Any) -> Any:
        """Return one pair per branch."""
        return (pair,) * self.count

    def transmit(self, signal: Any) -> Any:
        """Return one signal per branch, all with the same roots."""
        return (signal,) * self.count

    def spatial_needed(self, space: Any) -> Space:
        """Return what the most demanding branch needs."""
        return most(space) if isinstance(space, tuple) else space

    def resized(self, width: int, factor: float, readout: bool) -> Any:  # noqa: ARG002
        """Return the layer itself, and the growth in each branch."""
        return self, (factor,) * self.count


class Parallel(AbstractLayer):
    """Networks side by side, each on its own input: a tuple goes in, a tuple comes out.

    Parameters
    ----------
    branches
        One layer or network per input. Parameters are a tuple; each branch has weights of its own, also where the
        same object is given twice.
    """

    branches: tuple[AbstractLayer, ...] = eqx.field(converter=tuple)

    def __check_init__(self) -> None:
        """Check that every branch is a layer."""
        if not self.branches:
            raise ValueError("parallel got no branches; expected at least one layer.")
        for i, branch in enumerate(self.branches):
            if not isinstance(branch, AbstractLayer):
                raise ValueError(f"branch {i} of parallel is {branch!r}; expected a layer, such as Dense(64).")

    def out_shape(self, shape: Any) -> Any:
        """Return one shape per branch."""
        return self._each("out_shape", shape)

    def init(self, key: Key, shape: Any) -> Params:
        """Return a tuple with the parameters of each branch."""
        keys = tuple(jax.random.split(key, len(self.branches)))
        return self._each("init", keys, shape)

    def forward(self, params: Params, x: Any) -> Any:
        """Return one output per branch."""
        return self._each("forward", params, x)

    def learning_rates(self, params: Params) -> PyTree:
        """Return a tuple with the factors of each branch."""
        return self._each("learning_rates", params)

    def propagate(self, pair: Any) -> Any:
        """Return one pair per branch."""
        self._match(pair)
        return tuple(step(branch, p) for branch, p in zip(self.branches, pair, strict=True))

    def transmit(self, signal: Any) -> Any:
        """Return what is known of each branch."""
        if isinstance(signal, Signal) and signal.given:
            signal = copies(signal, len(self.branches))
        return self._each("transmit", signal)

    def spatial_needed(self, space: Any) -> Any:
        """Return what each branch needs."""
        space = space if isinstance(space, tuple) else (space,) * len(self.branches)
        return self._each("spatial_needed", space)

    def resized(self, width: int, factor: Any, readout: bool) -> Any:
        """Return the branches at another width, and the growth of each."""
        factors = factor if isinstance(factor, tuple) else (factor,) * len(self.branches)
        new = [b.resized(width, f, readout) for b, f in zip(self.branches, factors, strict=True)]
        if all(a is b for (a, _), b in zip(new, self.branches, strict=True)):
            return self, tuple(f for _, f in new)
        return Parallel(tuple(b for b, _ in new)), tuple(f for _, f in new)

    def _match(self, given: Any) -> None:
        if not isinstance(given, tuple | list) or len(given) != len(self.branches):
            found = len(given) if isinstance(given, tuple | list) else "one signal that is not a tuple"
            raise ValueError(
                f"parallel has {len(self.branches)} branches and got {found}; expected a tuple with one entry per "
                "branch. Put FanOut before it to give all branches the same signal."
            )

    def _each(self, method: str, *columns: Any) -> tuple:
        for column in columns:
            self._match(column)
        found = []
        for i, (branch, *args) in enumerate(zip(self.branches, *columns, strict=True)):
            try:
                found.append(getattr(branch, method)(*args))
            except ValueError as error:
                raise ValueError(f"branch {i}: {error}") from None
        return tuple(found)


class Sum(AbstractLayer):
    r"""Add the branches: :math:`u = \sum_i u_i`.

    .. math:: K' = \sum_i K_i + \sum_{i\ne j} m_i m_j^\top,\qquad \Theta' = \sum_i \Theta_i

    with the means :math:`m_i` over channels. Exact because the branches are independent: no two may come out of the
    same weights.
    """

    init = _plainly.no_params
    learning_rates = _plainly.no_rates

    def out_shape(self, shape: Any) -> Any:
        """Return the common shape, refusing branches of different shapes."""
        _tuple(shape, "a sum")
        if len(set(shape)) != 1:
            raise ValueError(f"the branches of a sum have shapes {shape}; expected the same shape for all.")
        return shape[0]

    def forward(self, params: Params, x: Any) -> Sample:  # noqa: ARG002
        """Return the sum for one example; a position is present if it is so in any branch."""
        total = functools.reduce(jnp.add, [s.values for s in x])
        return dataclasses.replace(x[0], values=total, mask=_any([s.mask for s in x]))

    def propagate(self, pair: Any) -> Pair:
        """Return the moments of the sum."""
        return sum_pairs(pair)

    def transmit(self, signal: Any) -> Signal:
        """Return what is known of the sum, refusing branches that are correlated or have unknown means."""
        signal = branches(signal, "a sum")
        check_independent(signal, "a sum")
        check_means(signal, "a sum")
        return combine(signal)

    def spatial_needed(self, space: Space) -> Space:
        """Return ``space``."""
        return space

    def resized(self, width: int, factor: Any, readout: bool) -> Any:  # noqa: ARG002
        """Return the layer itself, and the growth of the branches."""
        return self, _common(factor, "a sum")


class Product(AbstractLayer):
    r"""Multiply the branches element by element: :math:`u = \prod_i u_i`.

    .. math:: K' = \prod_i K_i,\qquad \Theta' = \sum_i \Theta_i \prod_{j\ne i} K_j

    Exact because the branches are independent: no two may come out of the same weights.
    """

    init = _plainly.no_params
    learning_rates = _plainly.no_rates

    def out_shape(self, shape: Any) -> Any:
        """Return the common shape, refusing branches of different shapes."""
        _tuple(shape, "a product")
        if len(set(shape)) != 1:
            raise ValueError(f"the branches of a product have shapes {shape}; expected the same shape for all.")
        return shape[0]

    def forward(self, params: Params, x: Any) -> Sample:  # noqa: ARG002
        """Return the product for one example; a position is present if it is so in every branch."""
        values = functools.reduce(jnp.multiply, [s.values for s in x])
        masks = [s.mask for s in x if s.mask is not None]
        return dataclasses.replace(
            x[0], values=values, mask=functools.reduce(jnp.logical_and, masks) if masks else None
        )

    def propagate(self, pair: Any) -> Pair:
        """Return the moments of the product."""
        return functools.reduce(multiply_pairs, pair)

    def transmit(self, signal: Any) -> Signal:
        """Return what is known of the product, refusing branches that are correlated."""
        signal = branches(signal, "a product")
        check_independent(signal, "a product")
        return dataclasses.replace(combine(signal), gaussianity=Gaussianity.NOT_GAUSSIAN)

    def spatial_needed(self, space: Space) -> Space:
        """Return ``space``."""
        return space

    def resized(self, width: int, factor: Any, readout: bool) -> Any:  # noqa: ARG002
        """Return the layer itself, and the growth of the branches."""
        return self, _common(factor, "a product")


class Concatenate(AbstractLayer):
    r"""Put the branches beside each other along one axis.

    Along the channels, :math:`K' = \sum_i n_i K_i / \sum_i n_i` with the channels :math:`n_i` of the finite network,
    and likewise the NTK; the channels then differ in variance, so that no activation can follow at once. Along an
    axis of space, positions of different branches are independent.

    Parameters
    ----------
    axis
        Axis of one example: -1 for the channels, 0, 1, ... for space.
    """

    axis: int = eqx.field(static=True, default=-1)

    init = _plainly.no_params
    learning_rates = _plainly.no_rates

    def out_shape(self, shape: Any) -> Any:
        """Return the shape with the sizes along the axis added up."""
        _tuple(shape, "a concatenation")
        axis = self._axis(len(shape[0]))
        if len({(*s[:axis], *s[axis + 1 :]) for s in shape}) != 1 or len({len(s) for s in shape}) != 1:
            raise ValueError(f"the branches have shapes {shape}; expected them to differ along axis {self.axis} only.")
        return (*shape[0][:axis], sum(s[axis] for s in shape), *shape[0][axis + 1 :])

    def forward(self, params: Params, x: Any) -> Sample:  # noqa: ARG002
        """Return the branches beside each other."""
        axis = self._axis(x[0].values.ndim)
        values = jnp.concatenate([s.values for s in x], axis)
        if axis == x[0].values.ndim - 1:
            return dataclasses.replace(x[0], values=values, mask=_any([s.mask for s in x]))
        masks = None
        if any(s.mask is not None for s in x):
            masks = [jnp.ones(s.values.shape[:-1], bool) if s.mask is None else s.mask for s in x]
        return dataclasses.replace(x[0], values=values, mask=None if masks is None else jnp.concatenate(masks, axis))

    def propagate(self, pair: Any) -> Pair:
        """Return the moments of the branches beside each other."""
        return concatenate_pairs(pair, self._axis(pair[0].xx.ndim + 1))

    def transmit(self, signal: Any) -> Signal:
        """Return what is known of the branches beside each other."""
        signal = branches(signal, "a concatenation")
        joined = combine(signal)
        if self.axis != -1:
            check_independent(signal, "a concatenation along space")
            check_means(signal, "a concatenation along space")
            return joined
        if len(signal) == 1:
            return joined
        return dataclasses.replace(joined, gaussianity=Gaussianity.NOT_GAUSSIAN, alike=False)

    def spatial_needed(self, space: Space) -> Space:
        """Return ``space``."""
        return space

    def resized(self, width: int, factor: Any, readout: bool) -> Any:  # noqa: ARG002
        """Return the layer itself, and the growth of the branches."""
        return self, _common(factor, "a concatenation")

    def _axis(self, ndim: int) -> int:
        if not -ndim <= self.axis < ndim:
            raise ValueError(f"axis is {self.axis}; expected -{ndim} to {ndim - 1} for examples of {ndim} axes.")
        return self.axis % ndim


def parallel(*branches: AbstractLayer) -> Parallel:
    """Return networks side by side, each on its own entry of a tuple of inputs.

    Parameters
    ----------
    *branches
        One layer or network per input.
    """
    return Parallel(branches)


def _with_key(x: Any, i: int) -> Any:
    if not isinstance(x, Sample) or x.key is None:
        return x
    return dataclasses.replace(x, key=jax.random.fold_in(x.key, i))


def _any(masks: Sequence[Array | None]) -> Array | None:
    # Present where any branch is.
    known = [m for m in masks if m is not None]
    return functools.reduce(jnp.logical_or, known) if len(known) == len(masks) else None


def _tuple(value: Any, what: str) -> None:
    if not isinstance(value, tuple) or (value and isinstance(value[0], int)):
        raise ValueError(f"{what} got one signal; expected a tuple of branches. Put FanOut and parallel before it.")


def _common(factor: Any, what: str) -> float:
    factors = set(factor) if isinstance(factor, tuple) else {factor}
    if len(factors) > 1:
        raise ValueError(
            f"the branches of {what} grow by different factors {sorted(factors)} at another width. Give their last "
            "layers the width that they should have."
        )
    return factors.pop()
