"""Layers that users wrote for neural-tangents themselves: kernel functions from `Kernel` to `Kernel`.

They are called on the `Kernel` in front of them, and the layers around them are cut there: correct, but without the
gap form and the means that native layers pass on. A native layer is better; docs/architecture.md shows one.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

from ..._typing import Callable
from ._get import Names
from ._layer import Record


class Own(NamedTuple):
    """A layer that is no native one: functions that a user wrote, or a series that holds such a layer.

    Attributes
    ----------
    init_fn, apply_fn, kernel_fn
        Its functions; ``kernel_fn`` takes a `Kernel`, or a list of them, and gives one.
    name
        Its name.
    joint
        Whether it needs the covariances between different examples of one batch.
    run
        ``run(params, samples, where, rng, kwargs) -> (samples, where)`` on samples and their axes, for layers that know
        masks; None for those that take arrays.
    first
        From the number of axes of the input to the axes that the layer asks for; None where it takes any.
    independent
        Whether it joins branches that must be independent.
    """

    init_fn: Callable
    apply_fn: Callable
    kernel_fn: Callable
    name: str
    joint: bool = False
    run: Callable | None = None
    first: Callable[[Any], Any] | None = None
    independent: bool = False


class Bool(enum.IntEnum):
    """Three values: no, maybe, yes; ``&`` is the least."""

    NO = 0
    MAYBE = 1
    YES = 2

    def __and__(self, other: int) -> Bool:
        """Return the lesser of two."""
        return Bool(min(int(self), int(other)))

    __rand__ = __and__


class Diagonal(NamedTuple):
    """Whether covariances of different entries may be left out, at the input and at the output of a function.

    ``a >> b`` is first a, then b; ``a << b`` first b; ``a & b`` side by side. True if both sides are diagonal.
    """

    input: Bool = Bool.YES
    output: Bool = Bool.NO

    def __rshift__(self, other: Diagonal) -> Diagonal:
        """Return what a function needs and gives that is first this, then the other."""
        if self.output is Bool.YES:
            return self
        if self.output > Bool.NO and other.input > Bool.NO:
            first = self.input
        elif self.output is Bool.NO and other.input < Bool.YES:
            first = Bool.NO
        else:
            first = self.input & other.input
        return Diagonal(first, other.output)

    def __lshift__(self, other: Diagonal) -> Diagonal:
        """Return what a function needs and gives that is first the other, then this."""
        return other >> self

    def __and__(self, other: Diagonal) -> Diagonal:
        """Return what two functions side by side need and give."""
        return Diagonal(self.input & other.input, self.output & other.output)

    def __bool__(self) -> bool:
        """Return whether both sides are diagonal."""
        return self.input is Bool.YES and self.output > Bool.NO


def requires(**requirements: Any) -> Callable:
    """Return a decorator that notes what a kernel function needs; axes and spaces are kept by the layers themselves."""

    def note(kernel_fn: Callable) -> Callable:
        kernel_fn.input_req = dict(requirements)  # type: ignore[attr-defined]
        return kernel_fn

    return note


def supports_masking(remask_kernel: bool) -> Callable:
    """Return a decorator of layers that know masks; missing positions are cleared behind every layer here."""
    del remask_kernel
    return lambda make: make


def wants_ntk(get: str | Names | None) -> bool:
    """Return whether the tangent kernel is among what is asked for."""
    names = (get,) if isinstance(get, str) else get
    return names is None or any(name.lower() == "ntk" for name in names)


def own_of(functions: Any) -> Own | None:
    """Return the functions of a user behind a layer, None for a native one."""
    found = getattr(functions[2], "own", None) if isinstance(functions, tuple | list) and len(functions) >= 3 else None
    if found is not None or not isinstance(functions, tuple | list) or len(functions) < 3:
        return found
    if isinstance(getattr(functions[2], "record", None), Record):
        return None
    init_fn, apply_fn, kernel_fn = functions[:3]
    return Own(init_fn, apply_fn, kernel_fn, "own") if all(callable(f) for f in functions[:3]) else None
