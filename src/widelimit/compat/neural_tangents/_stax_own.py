"""Layers that users wrote for neural-tangents themselves: kernel functions from `Kernel` to `Kernel`.

They are called on the `Kernel` in front of them, and the layers around them are cut there: correct, but without the
gap form and the means that native layers pass on. A native layer is better; docs/architecture.md shows one.
"""

from __future__ import annotations

import enum
import functools
from typing import Any, NamedTuple

import jax

from ..._typing import Callable, PyTree
from ._get import Names, select
from ._kernel import Kernel
from ._layer import Layer, Record


class Own(NamedTuple):
    """The functions that a user wrote, or a series that holds such a layer."""

    init_fn: Callable
    apply_fn: Callable
    kernel_fn: Callable
    name: str


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


def layer(make: Callable) -> Callable:
    """Return a function that makes layers of the functions ``(init_fn, apply_fn, kernel_fn)`` that ``make`` returns.

    ``kernel_fn`` takes a `Kernel` and keywords and returns a `Kernel`.
    """

    @functools.wraps(make)
    def made(*args: Any, **kwargs: Any) -> Layer:
        init_fn, apply_fn, kernel_fn = make(*args, **kwargs)[:3]
        return triple(Own(init_fn, apply_fn, kernel_fn, make.__name__))

    return made


def triple(own: Own) -> Layer:
    """Return the functions of a layer around those of a user."""

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, PyTree]:
        return own.init_fn(rng, input_shape)

    def apply_fn(params: PyTree, x: PyTree, **kwargs: Any) -> PyTree:
        return own.apply_fn(params, x, **kwargs)

    def kernel_fn(x1: PyTree, x2: PyTree = None, get: str | Names | None = None, **kwargs: Any) -> Any:
        kernel = x1 if isinstance(x1, Kernel) else as_kernel(x1, x2, get, kwargs)
        found = own.kernel_fn(kernel, **kwargs)
        return found if get is None else select("AnalyticKernel", get, lambda name: getattr(found, name))

    return _named(own, init_fn, apply_fn, kernel_fn)


def as_kernel(x1: PyTree, x2: PyTree, get: str | Names | None, kwargs: dict[str, Any]) -> Kernel:
    """Return the `Kernel` of the inputs themselves."""
    from ._stax_core import Identity

    kernel = Identity().kernel_fn(x1, x2, None, **kwargs)
    return kernel.replace(is_input=True) if wants_ntk(get) else kernel.replace(is_input=True, ntk=None)


def wants_ntk(get: str | Names | None) -> bool:
    """Return whether the tangent kernel is among what is asked for."""
    names = (get,) if isinstance(get, str) else get
    return names is None or any(name.lower() == "ntk" for name in names)


def chain(layers: list[Layer]) -> Layer:
    """Return layers in series of which some are a user's own: each gets what the one before returns."""

    def init_fn(rng: Any, input_shape: Any) -> tuple[Any, PyTree]:
        params = []
        for key, one in zip(jax.random.split(rng, len(layers)), layers, strict=True):
            input_shape, p = one[0](key, input_shape)
            params.append(p)
        return input_shape, params

    def apply_fn(params: PyTree, x: PyTree, *, rng: Any = None, **kwargs: Any) -> PyTree:
        keys = [None] * len(layers) if rng is None else jax.random.split(rng, len(layers))
        for key, p, one in zip(keys, params, layers, strict=True):
            x = one[1](p, x, **kwargs) if key is None else one[1](p, x, rng=key, **kwargs)
        return x

    def kernel_fn(x1: PyTree, x2: PyTree = None, get: str | Names | None = None, **kwargs: Any) -> Any:
        kernel = x1 if isinstance(x1, Kernel) else as_kernel(x1, x2, get, kwargs)
        for one in layers:
            kernel = one[2](kernel, **kwargs)
        return kernel if get is None else select("AnalyticKernel", get, lambda name: getattr(kernel, name))

    own = Own(init_fn, apply_fn, kernel_fn, "serial")
    return _named(own, init_fn, apply_fn, kernel_fn)


def own_of(functions: Any) -> Own | None:
    """Return the functions of a user behind a layer, None for a native one."""
    found = getattr(functions[2], "own", None) if isinstance(functions, tuple | list) and len(functions) >= 3 else None
    if found is not None or not isinstance(functions, tuple | list) or len(functions) < 3:
        return found
    if isinstance(getattr(functions[2], "record", None), Record):
        return None
    init_fn, apply_fn, kernel_fn = functions[:3]
    return Own(init_fn, apply_fn, kernel_fn, "own") if all(callable(f) for f in functions[:3]) else None


def _named(own: Own, *functions: Callable) -> Layer:
    for fn in functions:
        fn.__name__ = own.name
        fn.own = own  # type: ignore[attr-defined]
    return Layer(*functions)
