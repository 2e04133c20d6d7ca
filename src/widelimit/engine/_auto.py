"""The engine that chooses: compiled loops where there is a native form, else planes or the reference in XLA."""

import contextlib
import dataclasses
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .. import _check
from .._typing import PyTree, Tracer
from .._units import memory_in_words, time_in_words
from ..arch import AbstractLayer, Sample, as_samples, example_shape, is_sample
from ..arch._describe import NOTES
from ._base import AbstractEngine, Block, Wanted
from ._cost import MOMENTS, Cost, Size, native_cost, pairs_of_positions, planes_cost, reference_cost
from ._lowering import NoNativeForm, lowered
from ._native import Native, form_of, values_of
from ._planes import Planes, plain_values
from ._planes_plan import pools, stages_of
from ._reference import Reference
from ._threads import thread_count
from ._tiles import tiled, tiled_diagonal

POOLED = "planes of equal offsets need no moments of all pairs of positions"
"""Why planes are taken."""

NOTED = Size(1000, 1000, np.dtype(np.float32))
"""The size of which a description tells the time."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """The choice of `Auto`; print it to read it.

    Attributes
    ----------
    engine
        The engine that runs.
    reason
        Why, as a sentence.
    seconds, bytes
        Estimates of the time, and of the memory beside the inputs; None where the size is not known (under a
        transformation of JAX) or the layers cannot be counted.
    """

    engine: AbstractEngine
    reason: str
    seconds: float | None
    bytes: float | None

    def __str__(self) -> str:
        """Return engine, reason and estimates as a sentence or two."""
        name = type(self.engine).__name__
        if self.seconds is None or self.bytes is None:
            return f"{name}: {self.reason}."
        return f"{name}: {self.reason}. About {time_in_words(self.seconds)} and {memory_in_words(self.bytes)}."


class Auto(AbstractEngine):
    """Compiled loops (`Native`) where an architecture has a native form and inputs are numbers on the CPU, else XLA.

    Under a transformation of JAX (grad, jit, vmap), on other devices, and for activations without a native form,
    `Planes` runs where positions are pooled and the moments of all their pairs would not fit into ``memory``.
    `Reference` runs for all else, for few entries, and where the series of an activation turns out too long for the
    variances of the inputs; of what does not fit it makes tiles.

    Parameters
    ----------
    memory
        Bytes that the moments of the reference engine may take at once.
    few
        Pairs of positions, in all entries together, below which the reference runs: it needs about a second for a
        million, and so does loading the compiled loops, which the first time on a machine have to be compiled.
    """

    memory: int = eqx.field(static=True, default=2**30)
    few: int = eqx.field(static=True, default=10**6)

    def __check_init__(self) -> None:
        """Check the numbers."""
        _check.positive_int(self.memory, "memory")
        _check.positive_int(self.few, "few")

    def select(self, net: AbstractLayer, x1: PyTree, x2: PyTree = None) -> Selection:
        r"""Return which engine runs on two batches, why, and what it will take.

        Parameters
        ----------
        net
            The architecture.
        x1, x2
            Batches as for `block`; None for ``x1`` again. They are not read, but for their shape.
        """
        x2 = x1 if x2 is None else x2
        engine, reason = self._choose(net, x1, x2)
        price = _price(engine, net, x1, x2)
        if price is None:
            return Selection(engine, reason, None, None)
        if isinstance(engine, Reference) and price.bytes > self.memory:
            reason = f"{reason}; tile by tile, {memory_in_words(self.memory)} at a time"
            price = Cost(price.seconds, self.memory)
        return Selection(engine, reason, price.seconds, price.bytes)

    def block(self, net: AbstractLayer, x1: PyTree, x2: PyTree, *, wanted: Wanted = Wanted()) -> Block:
        """Return NNGP and NTK of two batches, each of shape (n1, n2), empty where not wanted."""
        engine, _ = self._choose(net, x1, x2)
        if isinstance(engine, Native):
            # Its series may turn out too long for these inputs.
            with contextlib.suppress(NoNativeForm):
                return engine.block(net, x1, x2, wanted=wanted)
            engine, _ = self._in_xla(net, (x1, x2), "")
        if isinstance(engine, Reference):
            return tiled(engine, net, (x1, x2), self.memory)
        return engine.block(net, x1, x2, wanted=wanted)

    def diagonal(self, net: AbstractLayer, x: PyTree) -> Block:
        """Return NNGP and NTK of each input with itself, each of shape (n,)."""
        engine, _ = self._choose(net, x, x)
        if isinstance(engine, Native):
            with contextlib.suppress(NoNativeForm):
                return engine.diagonal(net, x)
            engine, _ = self._in_xla(net, (x, x), "")
        if isinstance(engine, Reference):
            return tiled_diagonal(engine, net, x, self.memory)
        return engine.diagonal(net, x)

    def _choose(self, net: AbstractLayer, x1: PyTree, x2: PyTree) -> tuple[AbstractEngine, str]:
        try:
            values = [values_of(x) for x in (x1, x2)]
            program = lowered(net, values[0].shape[1:])
            moments = len(values[0]) * len(values[1]) * max(pairs_of_positions(program), default=1)
            if moments < self.few:
                return Reference(), f"for {moments} moments per layer it is not worth loading compiled loops"
            form_of(program)
        except NoNativeForm as refusal:
            return self._in_xla(net, (x1, x2), str(refusal))
        return Native(), "every layer has a native form, and the inputs are numbers in the memory of the CPU"

    def _in_xla(self, net: AbstractLayer, batches: tuple[PyTree, PyTree], refusal: str) -> tuple[AbstractEngine, str]:
        try:
            values = [plain_values(x) for x in batches]
            shape = values[0].shape[1:]
            pairs = len(values[0]) * len(values[1]) * max(pairs_of_positions(lowered(net, shape)), default=1)
            kept = MOMENTS * pairs * np.result_type(*(a.dtype for a in values)).itemsize
            if kept > self.memory and _has_planes(net, shape):
                return Planes(), f"{refusal}; {POOLED}, which would take {memory_in_words(kept)}"
        except NoNativeForm:
            pass
        return Reference(), refusal


def _price(engine: AbstractEngine, net: AbstractLayer, x1: PyTree, x2: PyTree) -> Cost | None:
    one, two = as_samples(x1), as_samples(x2)
    leaves = [s.values for s in jax.tree.leaves((one, two), is_leaf=is_sample)]
    if any(isinstance(leaf, Tracer) for leaf in leaves):
        return None
    shape = example_shape(one)
    kind: Any = np.result_type(*[a.dtype for a in leaves if np.issubdtype(a.dtype, np.floating)] or [np.float32])
    size = Size(leaves[0].shape[0], leaves[-1].shape[0], np.dtype(kind), x2 is x1)
    if isinstance(engine, Native) and isinstance(one, Sample):
        return native_cost(lowered(net, shape), size, thread_count())
    if isinstance(engine, Planes):
        return planes_cost(lowered(net, shape), size, thread_count())
    try:
        return reference_cost(net, shape, size)
    except ValueError:
        return None


def note(net: AbstractLayer, shape: Any) -> str:
    """Return which engine runs on large batches of examples of a shape, and what a kernel of them takes."""
    try:
        program = lowered(net, shape)
        form_of(program)
    except NoNativeForm as refusal:
        engine, reason, price = Reference(), str(refusal), reference_cost(net, shape, NOTED)
        if _has_planes(net, shape):
            engine, reason = Planes(), f"{reason}; {POOLED}"
            price = planes_cost(lowered(net, shape), NOTED, thread_count())
    else:
        engine, reason, price = Native(), "every layer has a native form", native_cost(program, NOTED, thread_count())
    size = f"for {NOTED.rows} x {NOTED.columns} entries in float32"
    return f"engine: {type(engine).__name__}, as {reason}; {size} about {time_in_words(price.seconds)}"


def _has_planes(net: AbstractLayer, shape: Any) -> bool:
    try:
        program = lowered(net, shape)
        return pools(program) and bool(stages_of(program))
    except NoNativeForm:
        return False


NOTES.append(note)
