"""Dropout."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Params, Scalar, Tracer
from . import _plainly
from ._base import AbstractLayer
from ._pair import Pair
from ._sample import Sample
from ._signal import Gaussianity, Signal


class Dropout(AbstractLayer):
    r"""Set entries to zero at random, and divide the others by what is left: :math:`u' = \varepsilon u/(1 - r)`.

    .. math:: K'(x_p, y_{p'}) = \frac{K(x_p, y_{p'})}{1 - r}\ \text{if } x = y \text{ and } p = p',\qquad
              K' = K\ \text{otherwise},

    and the NTK likewise (Schoenholz et al. 2017, arXiv 1611.01232, section 5). Each input has a mask of its own, the
    same whenever the input comes up: the limit is that of one network with dropout in training, whose random masks
    are functions of the input. Two inputs count as the same where all their numbers agree, and their keys if both
    have one, in whatever batches they come; so the diagonal of ``kernel(x)`` carries the factor, and any block of it
    agrees with it.

    The finite network drops only where inputs carry a key, `Sample(x, key=keys)` with one random key per example.

    Parameters
    ----------
    rate
        Probability r with which an entry is dropped, :math:`0\le r<1`; a leaf.

    Raises
    ------
    ValueError
        If the rate is out of range.
    """

    rate: Scalar

    init = _plainly.no_params
    learning_rates = _plainly.no_rates
    resized = _plainly.same_width
    out_shape = _plainly.same_shape
    spatial_needed = _plainly.same_space

    def __check_init__(self) -> None:
        """Check the rate."""
        if isinstance(self.rate, Tracer):
            return
        if not isinstance(self.rate, int | float | np.generic | np.ndarray | jax.Array) or not 0 <= self.rate < 1:
            raise ValueError(f"rate is {self.rate!r}; expected the probability to drop an entry, from 0 to below 1.")

    def forward(self, params: Params, x: Sample) -> Sample:  # noqa: ARG002
        """Return the output for one example; without a key nothing is dropped."""
        if x.key is None:
            return x
        here, later = jax.random.split(x.key)
        kept = jax.random.bernoulli(here, 1 - self.rate, x.values.shape)
        values = jnp.where(kept, x.values / (1 - self.rate), 0)
        return dataclasses.replace(x, values=values, key=later)

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        more = self.rate / (1 - self.rate)
        place = jnp.ones(pair.xx.shape, bool)
        if pair.gap_x is not None:
            place = jnp.eye(pair.xx.size, dtype=bool).reshape(pair.xx.shape * 2)
        shared = place & (jnp.zeros((), bool) if pair.same is None else pair.same)

        def gap(gap: Array, q1: Array, q2: Array, shared: Array) -> Array:
            # Masks of their own add r / (1 - r) of each variance; a common one multiplies.
            return gap + more * jnp.where(shared, gap, (q1 + q2) / 2)

        x, y = pair.first(pair.xx), pair.first(pair.yy)
        return dataclasses.replace(
            pair,
            xx=pair.xx / (1 - self.rate),
            yy=pair.yy / (1 - self.rate),
            gap=gap(pair.gap, x, pair.yy, shared),
            ntk=pair.ntk * (1 + more * shared),
            gap_x=None if pair.gap_x is None else gap(pair.gap_x, x, pair.xx, place),
            gap_y=None if pair.gap_y is None else gap(pair.gap_y, y, pair.yy, place),
        )

    def transmit(self, signal: Signal) -> Signal:
        """Return a signal that is not Gaussian: its channels have masks."""
        return dataclasses.replace(_plainly.same_signal(self, signal), gaussianity=Gaussianity.NOT_GAUSSIAN)
