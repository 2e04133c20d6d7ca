"""Several networks on the same inputs: in one pass where they begin with the same layers."""

import contextlib
from collections.abc import Sequence

from .._typing import PyTree
from ..arch import AbstractLayer
from ._auto import Auto
from ._base import AbstractEngine, Block, Wanted
from ._lowering import NoNativeForm
from ._native import Native


def blocks(
    engine: AbstractEngine, nets: Sequence[AbstractLayer], x1: PyTree, x2: PyTree, *, wanted: Wanted = Wanted()
) -> list[Block]:
    """Return NNGP and NTK of several networks, as ``engine.block`` does for each, those that `Native` runs together."""
    native = Native() if isinstance(engine, Auto) else engine
    found: dict[int, Block] = {}
    if isinstance(native, Native):
        chosen = [i for i, net in enumerate(nets) if native is engine or _runs_natively(engine, net, (x1, x2))]
        # The series of an activation may turn out too long for these inputs.
        with contextlib.suppress(NoNativeForm) if native is not engine else contextlib.nullcontext():
            made = native.together([nets[i] for i in chosen], x1, x2, wanted=wanted)
            found = dict(zip(chosen, made, strict=True))
    return [found[i] if i in found else engine.block(net, x1, x2, wanted=wanted) for i, net in enumerate(nets)]


def _runs_natively(engine: AbstractEngine, net: AbstractLayer, batches: tuple[PyTree, PyTree]) -> bool:
    return isinstance(engine, Auto) and isinstance(engine.select(net, *batches).engine, Native)
