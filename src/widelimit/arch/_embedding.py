"""Embedding of token numbers."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _check
from .._typing import Key, Params, PyTree, Scalar, Shape, Tracer
from . import _plainly, _weights
from ._base import AbstractLayer
from ._pair import Pair
from ._parameterization import AbstractParameterization, NTKParameterization
from ._sample import Sample
from ._signal import Gaussianity, Signal, fresh


class Embedding(AbstractLayer):
    r"""Random vectors for tokens: (\*space,) integers to (\*space, width).

    .. math:: z_p = \sigma_W W_{t_p},\qquad K'(p, p') = \Theta'(p, p') = \sigma_W^2\,[t_p = t_{p'}]

    in the NTK parameterization: a `Dense` layer on one-hot codes, of fan-in 1. It must be the first layer. Positions
    behind the end of a text are left out by a mask: ``Sample(tokens, mask)``.

    Parameters
    ----------
    vocabulary
        Number of different tokens, numbered from 0.
    width
        Number of output channels.
    weight_std
        :math:`\sigma_W`.
    parameterization
        Where the width goes.

    Raises
    ------
    ValueError
        If an argument is out of range or the input is no sequence of token numbers. A number that is not in the
        vocabulary is refused by kernels; in a network under `jax.jit` or `jax.vmap` it gives NaN.
    """

    reads_tokens: ClassVar[bool] = True

    vocabulary: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    weight_std: Scalar = 1.0
    parameterization: AbstractParameterization = eqx.field(default=NTKParameterization(), kw_only=True)

    spatial_needed = _plainly.same_space

    @property
    def bias_std(self) -> None:
        """None: there are no biases."""
        return

    def __check_init__(self) -> None:
        """Check the arguments."""
        _check.positive_int(self.vocabulary, "vocabulary")
        _check.positive_int(self.width, "width")
        _check.nonnegative(self.weight_std, "weight_std")

    def out_shape(self, shape: Shape) -> Shape:
        r"""Return (\*space, width)."""
        return (*shape, self.width)

    def init(self, key: Key, shape: Shape) -> Params:  # noqa: ARG002
        """Return ``{"weight": (vocabulary, width)}``."""
        return _weights.draw(self, key, (self.vocabulary, self.width), (1, self.width), ())

    def forward(self, params: Params, x: Sample) -> Sample:
        """Return the output for one example."""
        check_tokens(x.values, self.vocabulary, "x")
        known = (x.values >= 0) & (x.values < self.vocabulary)
        rows = params["weight"][jnp.where(known, x.values, 0)]
        z = _weights.scale(self, params, rows, (1, self.width))
        return x.with_values(jnp.where(known[..., None], z, jnp.nan))

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        return _weights.weigh(self, pair, 1, self.width)

    def learning_rates(self, params: Params) -> PyTree:
        """Return the factor of the learning rate."""
        return _weights.rates(self, params, (1, self.width))

    def transmit(self, signal: Signal) -> Signal:
        """Return a fresh Gaussian signal; refuse features."""
        unknown = signal.given and signal.gaussianity is Gaussianity.UNKNOWN
        if not signal.tokens and not unknown:
            raise ValueError(
                "Embedding got features; expected token numbers. Make it the first layer of the network, or use Dense "
                "for features."
            )
        return fresh()

    def resized(self, width: int, factor: float, readout: bool) -> tuple[Embedding, float]:
        """Return the layer at another width, and the factor by which its output grew."""
        new = self.width if readout else width
        parameterization = self.parameterization.rescaled(factor)
        return dataclasses.replace(self, width=new, parameterization=parameterization), new / self.width


def check_tokens(tokens: Any, vocabulary: int, name: str) -> None:
    """Refuse what are no token numbers of the vocabulary; tracers of integers pass."""
    if not jnp.issubdtype(jnp.result_type(tokens), jnp.integer):
        raise ValueError(f"{name} has dtype {jnp.result_type(tokens)}; expected token numbers, which are integers.")
    if isinstance(tokens, Tracer) or not isinstance(tokens, jax.Array | np.ndarray):
        return
    found = np.asarray(tokens)
    wrong = (found < 0) | (found >= vocabulary)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"{name}{list(where)} is token {found[where]}; expected numbers from 0 to {vocabulary - 1}. Give Embedding "
            "a larger vocabulary, or mask positions that are padding."
        )
