"""Combinators of neural-tangents' ``stax``: layers in series, side by side, repeated, and joined."""

from __future__ import annotations

from typing import Any

import jax

from ... import arch
from ._axes import Axes
from ._functions import layer
from ._layer import Layer, Record, branch_graphs, no_parameters, nothing, record_of
from ._stax_chain import chain
from ._stax_joint import concatenation
from ._stax_own import own_of
from ._stax_series import series


def serial(*layers: Any) -> Layer:
    """Return layers one after another; without layers the identity.

    Parameters
    ----------
    *layers
        Triples of functions.
    """
    if not layers:
        return Identity()
    own = [own_of(one) for one in layers]
    if any(own):
        return chain(
            [record_of(one, "a layer of serial") if o is None else o for one, o in zip(layers, own, strict=True)]
        )
    return layer(series([record_of(one, f"layer {i} of serial") for i, one in enumerate(layers)]))


def parallel(*layers: Any) -> Layer:
    """Return layers side by side, each on its own entry of a list of inputs.

    Parameters
    ----------
    *layers
        Triples of functions.
    """
    records = [record_of(one, f"branch {i} of parallel") for i, one in enumerate(layers)]

    def first(ndim: Any) -> Any:
        ndims = ndim if isinstance(ndim, tuple) else (ndim,) * len(records)
        found = tuple(r.first(n) for r, n in zip(records, ndims, strict=True))
        if isinstance(ndim, tuple):
            return found
        return next((f for f in found if f is not None), None)

    def examples(where: Any) -> tuple[slice, ...]:
        found = [r.examples(w) for r, w in zip(records, _tuple(where, len(records)), strict=True)]
        if any(parts != found[0] for parts in found):
            raise ValueError(f"the branches of parallel index the examples by {found}; expected the same in all.")
        return found[0]

    return layer(
        Record(
            "parallel",
            lambda where: arch.Parallel(
                tuple(r.net(w) for r, w in zip(records, _tuple(where, len(records)), strict=True))
            ),
            first,
            lambda where: tuple(r.flow(w) for r, w in zip(records, _tuple(where, len(records)), strict=True)),
            lambda params: [r.pack(p) for r, p in zip(records, params, strict=True)],
            lambda params: tuple(r.unpack(p) for r, p in zip(records, params, strict=True)),
            branch_graphs(records),
            examples,
        )
    )


def repeat(layer_: Any, n: int) -> Layer:
    """Return a layer ``n`` times in series, as one loop; it has to keep its shape.

    Parameters
    ----------
    layer_
        A triple of functions.
    n
        How often; zero for the identity.
    """
    record = record_of(layer_, "the layer of repeat")
    if n == 0:
        return Identity()

    def flow(where: Any) -> Any:
        leaving = record.flow(where)
        if leaving != where:
            raise ValueError(f"the layer of repeat moves its axes from {where} to {leaving}; expected the same axes.")
        return where

    return layer(
        Record(
            "repeat",
            lambda where: arch.Repeat(record.net(where), n),
            record.first,
            flow,
            lambda params: jax.vmap(record.pack, axis_size=n)(params),
            lambda params: jax.vmap(record.unpack, axis_size=n)(params),
            record.graph,
            lambda where: record.examples(where) * n,
        )
    )


def Identity() -> Layer:
    """Return the layer that changes nothing."""
    return plain("Identity", arch.Identity())


def FanOut(num: int) -> Layer:
    """Return the layer that gives its input to ``num`` branches.

    Parameters
    ----------
    num
        Number of branches.
    """
    return plain("FanOut", arch.FanOut(num), lambda where: (where,) * num)


def FanInSum() -> Layer:
    """Return the sum of the branches.

    Branches that come out of the same weights are refused, where neural-tangents gives a wrong kernel. A list of
    `Kernel` passed by hand counts as independent branches, which only the caller can know.
    """
    return plain("FanInSum", arch.Sum(), _joined)


def FanInProd() -> Layer:
    """Return the product of the branches, element by element."""
    return plain("FanInProd", arch.Product(), _joined)


def FanInConcat(axis: int = -1) -> Layer:
    """Return the branches beside each other along an axis of their arrays.

    Parameters
    ----------
    axis
        The channels, an axis of space, or 0 for the examples, which come first then.
    """
    if axis == 0:
        return concatenation(axis)

    def native(where: Any) -> arch.Concatenate:
        # The native layer counts axes of space and has the channels last.
        found = _joined(where)
        if not -found.ndim <= axis < found.ndim:
            raise ValueError(f"axis is {axis}; expected an axis of arrays with {found.ndim} axes.")
        if axis % found.ndim == found.batch:
            raise ValueError(
                f"axis is {axis}, that of the examples; they are joined along axis 0 alone. Put the examples first."
            )
        return arch.Concatenate(-1 if axis % found.ndim == found.channel else found.spatial(axis % found.ndim))

    return plain("FanInConcat", native, _joined)


def plain(name: str, net: Any, flow: Any = None, first: Any = None, examples: Any = None) -> Layer:
    """Return a layer without parameters.

    Parameters
    ----------
    name
        Its name.
    net
        The native layer, or a function from the axes of the input to it.
    flow
        What it does to axes; None for nothing.
    first
        Which axes it asks for; None for any.
    examples
        Which examples it takes; None for all.
    """
    return layer(
        Record(
            name,
            (lambda where: net) if isinstance(net, arch.AbstractLayer) else net,  # noqa: ARG005
            (lambda ndim: None) if first is None else first,  # noqa: ARG005
            (lambda where: where) if flow is None else flow,
            nothing,
            no_parameters,
            examples=(lambda where: ()) if examples is None else examples,  # noqa: ARG005
            value=net.dual.value if isinstance(net, arch.Activation) else None,
        )
    )


def _joined(where: Any) -> Axes:
    if isinstance(where, Axes) or not isinstance(where, tuple):
        raise ValueError("branches are joined, but there is one signal only; put FanOut and parallel before it.")
    if len(set(where)) != 1:
        raise ValueError(f"the branches have their axes at {where}; expected the same batch and channel axes in all.")
    return where[0]


def _tuple(where: Any, count: int) -> tuple:
    if isinstance(where, Axes) or not isinstance(where, tuple) or len(where) != count:
        raise ValueError(f"parallel has {count} branches and got {where}; expected a list with one input per branch.")
    return where
