"""The contract of a layer: one object for the finite network and for its limit."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _check
from .._typing import Key, Params, PyTree, Shape
from ._pair import Pair
from ._sample import Sample, as_samples, batch, cleared, example_shape, is_sample
from ._signal import Signal
from ._space import Space

if TYPE_CHECKING:
    from ._describe import Description


class AbstractLayer(eqx.Module):
    """A layer, or a whole network: a frozen pytree whose hyperparameters are leaves.

    A layer is written for ONE example, a `Sample` with values of shape ``(*space, channels)``, and for ONE pair of
    inputs; batches are made by `jax.vmap` here and in the engines. To add one, give the eight methods below;
    everything else follows. The functions of ``_plainly`` give those of a layer without parameters.

    Where branches part, examples, pairs, shapes and signals are tuples (see `Parallel`).
    """

    reads_tokens: ClassVar[bool] = False
    """Whether the layer reads token numbers instead of features."""

    @abc.abstractmethod
    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape of the output for one input of shape ``shape``, refusing shapes that do not fit."""

    @abc.abstractmethod
    def init(self, key: Key, shape: Shape) -> Params:
        """Return random parameters for inputs of shape ``shape`` (one example: ``x.shape[1:]``)."""

    @abc.abstractmethod
    def forward(self, params: Params, x: Sample) -> Sample:
        """Return the output for one example, with its mask."""

    @abc.abstractmethod
    def learning_rates(self, params: Params) -> PyTree:
        r"""Return the factor of the learning rate of each leaf of ``params``, such as :math:`n^{-c}`: same structure.

        Gradient descent at rate :math:`\eta` in the network's parameterization takes the step
        :math:`\theta \leftarrow \theta - \eta\,\mathrm{factor}\cdot\nabla_\theta\mathcal L` leaf by leaf.
        """

    @abc.abstractmethod
    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer, in the limit of infinite width.

        The pair comes in `Space.FULL` if this layer or a later one needs it, and keeps its space.
        """

    @abc.abstractmethod
    def transmit(self, signal: Signal) -> Signal:
        """Return what is known of the signal behind the layer, refusing signals that have no limit here."""

    @abc.abstractmethod
    def spatial_needed(self, space: Space) -> Space:
        """Return which pairs of positions the layer needs to give those that the rest of the network needs."""

    @abc.abstractmethod
    def resized(self, width: int, factor: float, readout: bool) -> "tuple[AbstractLayer, float]":
        """Return the layer at another width with the same limit, and the factor by which its output grew.

        Parameters
        ----------
        width
            Number of channels of every layer with weights.
        factor
            By how much the number of incoming channels has grown.
        readout
            Whether this is the last part of the network, whose last weights keep their width.
        """

    def at_width(self, width: int) -> "AbstractLayer":
        """Return the network with every hidden layer ``width`` wide; readout and infinite limit stay the same."""
        _check.positive_int(width, "width")
        return self.resized(width, 1.0, readout=True)[0]

    def describe(self, shape: Any, width: int | None = None) -> "Description":
        """Return a table of layers, output shapes, parameters, space, and the cost of one kernel entry.

        Parameters
        ----------
        shape
            Of one example, ``x.shape[1:]``; a tuple of them for several inputs.
        width
            Of the hidden layers; None as they are.
        """
        from ._describe import describe

        return describe(self, shape, width)

    def __call__(self, params: Params, x: Any) -> Any:
        r"""Return the output for one example of shape (\*input_shape), an array, a `Sample` or a tuple of them."""
        out = self.forward(params, cleared(as_samples(x)))
        return jax.tree.map(lambda sample: sample.cleared().values, out, is_leaf=is_sample)

    def apply(self, params: Params, x: Any) -> Any:
        r"""Return the outputs for a batch of inputs of shape (n, \*input_shape), shape (n, \*output_shape).

        Parameters
        ----------
        params
            As `init` gives them.
        x
            An array, a `Sample` of arrays, or a tuple of them for a network of several inputs.
        """
        x = batch(x, "x")
        self.out_shape(example_shape(x))
        return jax.vmap(self, (None, 0))(params, jax.tree.map(jnp.asarray, x))
