"""Layers of neural-tangents' ``stax`` with weights: dense and convolutional."""

from __future__ import annotations

import enum
from typing import Any

import jax.numpy as jnp

from ... import arch
from ..._typing import Params, PyTree, Shape
from ._axes import Axes, axes
from ._functions import layer
from ._layer import Layer, Record


class Padding(enum.Enum):
    """What a filter sees beyond the border."""

    CIRCULAR = "CIRCULAR"
    SAME = "SAME"
    VALID = "VALID"


PADDINGS = {Padding.CIRCULAR: arch.Circular(), Padding.SAME: arch.Zeros(), Padding.VALID: arch.Valid()}


def Dense(
    out_dim: int,
    W_std: float = 1.0,
    b_std: float | None = None,
    batch_axis: int = 0,
    channel_axis: int = -1,
    parameterization: str = "ntk",
    s: tuple[int, int] = (1, 1),
) -> Layer:
    r"""Return a fully connected layer; parameters are ``(W, b)``.

    Parameters
    ----------
    out_dim
        Number of outputs, times ``s[1]`` in the standard parameterization.
    W_std, b_std
        Scales of weights and biases; None for no biases.
    batch_axis, channel_axis
        Axes of examples and channels.
    parameterization
        ``'ntk'`` or ``'standard'``.
    s
        Width scaling of inputs and outputs in the standard parameterization.
    """
    kind, width = parameterized(parameterization, s, out_dim)
    net = arch.Dense(width, W_std, b_std, kind)

    def pack(params: Params) -> PyTree:
        return params["weight"], packed_bias(params, (1, -1))

    def unpack(params: PyTree) -> Params:
        return unpacked(params, params[0], b_std is not None, width)

    def first(ndim: int) -> Axes:
        return axes(batch_axis, channel_axis, ndim)

    return layer(Record("Dense", lambda _: net, first, fixed("Dense", first), pack, unpack))


def Conv(
    out_chan: int,
    filter_shape: Shape,
    strides: Shape | None = None,
    padding: str = "VALID",
    W_std: float = 1.0,
    b_std: float | None = None,
    dimension_numbers: tuple[str, str, str] | None = None,
    parameterization: str = "ntk",
    s: tuple[int, int] = (1, 1),
) -> Layer:
    r"""Return a convolution over any number of spatial axes; parameters are ``(W, b)``.

    Parameters
    ----------
    out_chan
        Number of output channels, times ``s[1]`` in the standard parameterization.
    filter_shape, strides
        In the order of the spatial letters of the filter in ``dimension_numbers``; strides None for ones.
    padding
        ``'VALID'``, ``'SAME'`` (zeros) or ``'CIRCULAR'``.
    W_std, b_std
        Scales of weights and biases; None for no biases.
    dimension_numbers
        Letters of the axes of inputs, filter and outputs; None for channels last.
    parameterization, s
        As in `Dense`.
    """
    return convolution(
        "Conv",
        arch.Conv,
        (out_chan, filter_shape, strides, padding),
        (W_std, b_std),
        dimension_numbers,
        (parameterization, s),
    )


def ConvTranspose(
    out_chan: int,
    filter_shape: Shape,
    strides: Shape | None = None,
    padding: str = "VALID",
    W_std: float = 1.0,
    b_std: float | None = None,
    dimension_numbers: tuple[str, str, str] | None = None,
    parameterization: str = "ntk",
    s: tuple[int, int] = (1, 1),
) -> Layer:
    """Return a transposed convolution; arguments as in `Conv`."""
    return convolution(
        "ConvTranspose",
        arch.ConvTranspose,
        (out_chan, filter_shape, strides, padding),
        (W_std, b_std),
        dimension_numbers,
        (parameterization, s),
    )


def ConvLocal(
    out_chan: int,
    filter_shape: Shape,
    strides: Shape | None = None,
    padding: str = "VALID",
    W_std: float = 1.0,
    b_std: float | None = None,
    dimension_numbers: tuple[str, str, str] | None = None,
    parameterization: str = "ntk",
    s: tuple[int, int] = (1, 1),
) -> Layer:
    """Return a convolution whose weights differ from position to position; arguments as in `Conv`.

    Parameters are those of the native layer in a tuple; ``dimension_numbers`` may move axes of inputs and outputs.
    """
    return convolution(
        "ConvLocal",
        arch.LocallyConnected,
        (out_chan, filter_shape, strides, padding),
        (W_std, b_std),
        dimension_numbers,
        (parameterization, s),
    )


def convolution(name: str, kind: Any, window: tuple, scales: tuple, numbers: Any, style: tuple) -> Layer:
    """Return a layer around one of the native convolutions."""
    out_chan, filter_shape, strides, padding = window
    lhs, rhs, out = specs(numbers, len(filter_shape))
    letters = [c for c in lhs if c not in "NC"]
    by_letter = [c for c in rhs if c not in "IO"]
    parameterization, width = parameterized(style[0], style[1], out_chan)
    conv = kind(
        width,
        tuple(filter_shape[by_letter.index(c)] for c in letters),
        *scales,
        strides=None if strides is None else tuple(strides[by_letter.index(c)] for c in letters),
        padding=PADDINGS[Padding(padding)],
        parameterization=parameterization,
    )
    order = tuple(letters.index(c) for c in out if c not in "NC")
    moved = order != tuple(range(len(order)))
    # Native weights are (*window, in, out), the window in the order of the input.
    native = "".join(letters) + "IO"
    shared = name != "ConvLocal"

    def pack(params: Params) -> PyTree:
        params = params[0] if moved else params
        weight = jnp.transpose(params["weight"], [native.index(c) for c in rhs]) if shared else params["weight"]
        return weight, packed_bias(params, [-1 if c == "C" else 1 for c in out] if shared else None)

    def unpack(params: PyTree) -> Params:
        weight = jnp.transpose(params[0], [rhs.index(c) for c in native]) if shared else params[0]
        found = unpacked(params, weight, scales[1] is not None, width if shared else None)
        return (found, {}) if moved else found

    def first(ndim: int) -> Axes:
        if not len(lhs) == len(rhs) == len(out) == len(filter_shape) + 2:
            raise ValueError(
                f"dimension_numbers is {numbers}; expected {len(filter_shape) + 2} letters each for a filter of "
                f"{len(filter_shape)} axes."
            )
        return axes(lhs.index("N"), lhs.index("C"), ndim)

    net = arch.serial(conv, arch.Transpose(order)) if moved else conv
    leave = Axes(out.index("N"), out.index("C"), len(out))
    return layer(Record(name, lambda _: net, first, fixed(name, first, leave, len(lhs)), pack, unpack))


def specs(numbers: Any, depth: int) -> tuple[str, str, str]:
    """Return letters of the axes of inputs, filter and outputs."""
    space = "".join(c for c in "HWDZXYABEFGJKLMPQRSTUV")[:depth]
    if numbers is None:
        return f"N{space}C", f"{space}IO", f"N{space}C"
    lhs, rhs, out = (
        default if spec is None else spec
        for spec, default in zip(numbers, (f"N{space}C", f"{space}IO", f"N{space}C"), strict=True)
    )
    return lhs, rhs, out


def fixed(name: str, first: Any, leave: Axes | None = None, ndim: int | None = None) -> Any:
    """Return the flow of a layer that stands on its own axes."""

    def flow(where: Any) -> Axes:
        if not isinstance(where, Axes):
            raise ValueError(f"{name} got {len(where)} branches; expected one signal.")
        if ndim is not None and where.ndim != ndim:
            raise ValueError(f"{name} expects arrays of {ndim} axes and got arrays of {where.ndim}.")
        wanted = first(where.ndim)
        if wanted != where:
            raise ValueError(
                f"{name} expects examples on axis {wanted.batch} and channels on axis {wanted.channel}, and gets them "
                f"on axes {where.batch} and {where.channel}. Give all layers the same axes."
            )
        return where if leave is None else leave

    return flow


def parameterized(name: str, s: tuple[int, int], width: int) -> tuple[arch.AbstractParameterization, int]:
    """Return the native parameterization, and the width of the layer in it."""
    if name.lower() == "ntk":
        return arch.NTKParameterization(), width
    if name.lower() == "standard":
        return arch.StandardParameterization(float(s[0])), width * s[1]
    raise ValueError(f"parameterization is {name!r}; expected 'ntk' or 'standard'.")


def packed_bias(params: Params, shape: Any) -> Any:
    """Return the bias in a shape that adds to outputs; None if there is none."""
    bias = params.get("bias")
    return None if bias is None else bias if shape is None else bias.reshape(tuple(shape))


def unpacked(params: PyTree, weight: Any, biased: bool, width: int | None) -> Params:
    """Return native parameters; a bias may also be a number."""
    if not biased:
        return {"weight": weight}
    bias = jnp.asarray(params[1])
    if width is not None:
        bias = jnp.broadcast_to(bias.reshape(-1) if bias.ndim else bias, (width,))
    return {"weight": weight, "bias": bias}
