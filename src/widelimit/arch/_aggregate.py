"""Aggregation over the neighbours in a graph that comes with each input."""

from __future__ import annotations

import dataclasses

from .._typing import Params, Shape
from . import _plainly
from ._base import AbstractLayer
from ._graph import Graph, spread
from ._linear import mix
from ._pair import Pair
from ._sample import Sample


class Aggregate(AbstractLayer):
    r"""Sum over neighbours: :math:`u'_p = \sum_q A(p, q)\,u_q` with the adjacency matrix of each input.

    .. math:: K'(p, p') = \sum_{q,q'} A_x(p, q)\,K(q, q')\,A_y(p', q'),\qquad \Theta' = A_x\,\Theta\,A_y^\top

    (Du et al. 2019, arXiv 1905.13192). The graph is that of the `Sample`, a matrix or `Edges`, the same for all
    such layers; scale it beforehand for a mean over neighbours. Missing positions send nothing and receive nothing.

    Raises
    ------
    ValueError
        On use, if the inputs come without a graph or a layer before has changed their space.
    """

    init = _plainly.no_params
    learning_rates = _plainly.no_rates
    resized = _plainly.same_width
    transmit = _plainly.same_signal
    spatial_needed = _plainly.full_space

    def out_shape(self, shape: Shape) -> Shape:
        """Return ``shape``, refusing vectors."""
        if len(shape) < 2:
            raise ValueError(
                f"Aggregate got inputs of shape {shape}; expected (*space, channels), as nodes of a graph."
            )
        return shape

    def forward(self, params: Params, x: Sample) -> Sample:  # noqa: ARG002
        """Return the output for one example."""
        return x.with_values(spread(_given(x.graph), x.values.shape[:-1], x.values))

    def propagate(self, pair: Pair) -> Pair:
        """Return the second moments and the NTK behind the layer."""
        x, y = _given(pair.graph_x), _given(pair.graph_y)
        mixed = mix(pair, lambda a: spread(x, pair.xx.shape, a), lambda a: spread(y, pair.yy.shape, a))
        kept = {"mask_x": pair.mask_x, "mask_y": pair.mask_y, "graph_x": x, "graph_y": y}
        return dataclasses.replace(mixed, **kept)


def _given(graph: Graph | None) -> Graph:
    if graph is None:
        raise ValueError(
            "Aggregate got inputs without a graph. Give Sample(values, graph=adjacency) with one matrix per input, "
            "and put Aggregate before layers that change the space, such as pooling."
        )
    return graph
