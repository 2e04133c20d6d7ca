"""An architecture as a short list of primitive operations: all that a compiled engine sees of it.

The numbers of operations are Python's, or those of JAX while it traces, which engines refuse that need numbers.
"""

from typing import Any, NamedTuple

from .._typing import Shape
from ..dual import AbstractDual

Number = Any
"""A float, or the array that JAX traces in its place."""


class Geometry(NamedTuple):
    """A window that slides over space of known size.

    Attributes
    ----------
    shape, strides, dilation
        Size of the window, its step and the distance of its positions, along each axis.
    pads
        Positions that are added before and behind each axis.
    circular
        Whether what is added is space again from its other end; zeros otherwise.
    space, places
        Sizes of space in front of the window, and number of its places, along each axis.
    """

    shape: Shape
    strides: Shape
    dilation: Shape
    pads: tuple[tuple[int, int], ...]
    circular: bool
    space: Shape
    places: Shape


class Linear(NamedTuple):
    r"""Weights: :math:`K' = g A(K) + o,\ \Theta' = s_W A(K) + s_b + t A(\Theta)`, the numbers of `arch.Limit`.

    In gap form the gap is multiplied by the gain: :math:`g' = g A(g)`. A is the mean over the window of a convolution,
    both positions moving together, and the identity where ``window`` is None.
    """

    gain: Number
    offset: Number
    weight: Number
    bias: Number
    tangent: Number
    window: Geometry | None = None


class Dual(NamedTuple):
    """An element-wise activation that is not linear; its hyperparameters are numbers."""

    dual: AbstractDual


class Pool(NamedTuple):
    """Sums over windows (``total``) or means; with ``inside`` means over what is inside the border."""

    window: Geometry
    total: bool
    inside: bool = False


class GlobalPool(NamedTuple):
    """The mean, or the sum, over all of space: (*space,) to ()."""

    total: bool
    space: Shape


class Flatten(NamedTuple):
    """The mean over positions, each with itself: (*space,) to ()."""

    space: Shape


class Norm(NamedTuple):
    """Subtract the mean and divide by the standard deviation, over the channels and some axes of space.

    ``affine`` is the rate of gains and offsets, zero where there are none. ``means`` says whether the signal has a
    mean over channels, which is subtracted.
    """

    axes: tuple[int, ...]
    eps: Number
    affine: Number
    means: bool


class Scale(NamedTuple):
    """Multiply the signal by a number."""

    constant: Number


class Save(NamedTuple):
    """Keep the signal in a slot, and go on with it."""

    slot: int


class Load(NamedTuple):
    """Go on with the signal of a slot."""

    slot: int


class Add(NamedTuple):
    """Add the signal of a slot, which is independent; ``means`` says whether both have means over channels."""

    slot: int
    means: bool


Operation = Linear | Dual | Pool | GlobalPool | Flatten | Norm | Scale | Save | Load | Add


class Program(NamedTuple):
    """What a network does to the second moments of a pair of inputs, operation by operation.

    Attributes
    ----------
    operations
        In the order in which they are carried out.
    shapes
        Shape of one example, (*space, channels), in front of each operation, and behind the last.
    slots
        How many slots `Save` uses, counted from zero.
    paths
        Where the layer stands in the architecture that an operation comes from: ``"2.0"``.
    """

    operations: tuple[Operation, ...]
    shapes: tuple[Shape, ...]
    slots: int
    paths: tuple[str, ...]

    def has(self, kind: Any) -> bool:
        """Whether any operation is of a kind, or of one of several."""
        return any(isinstance(op, kind) for op in self.operations)

    @property
    def needs_means(self) -> bool:
        """Whether the means over channels are needed anywhere."""
        return any(op.means for op in self.operations if isinstance(op, Norm | Add))
