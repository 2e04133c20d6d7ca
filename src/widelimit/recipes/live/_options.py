"""How the functions of a live run are compiled: a reader waits for it, so that it has to be quick."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import Any

import jax

from ..._typing import Callable

UNFUSED = {"xla_cpu_use_fusion_emitters": False}
"""XLA's older way to compile elementwise code: half the time, and as fast code."""


_made: dict[tuple[Callable[..., Any], Hashable], Callable[..., Any]] = {}


def compiled_at(level: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that compiles a function of static first argument at an optimisation level of XLA.

    Level 0 is for what runs once for each run, where compiling takes longer than running; 1 for what runs often. The
    code for each first argument stands alone, so that `drop` can let go of it.
    """

    def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def call(static: Hashable, *args: Any) -> Any:
            jitted = _made.get((fn, static))
            if jitted is None:
                named = functools.wraps(fn)(functools.partial(fn, static))
                jitted = _made.setdefault((fn, static), jax.jit(named, compiler_options=options(level)))
            return jitted(*args)

        return call

    return decorate


def drop(static: Hashable) -> None:
    """Let go of the compiled code of all functions for a first argument."""
    for key in [key for key in tuple(_made) if key[1] == static]:
        _made.pop(key, None)


def drop_all() -> None:
    """Let go of the compiled code of all functions."""
    _made.clear()


@functools.cache
def options(level: int) -> dict[str, Any]:
    """Return options of the compiler; one that this release of XLA does not know is left out."""
    wanted: dict[str, Any] = {"xla_backend_optimization_level": level}
    try:
        jax.jit(lambda: 0, compiler_options=wanted | UNFUSED).lower().compile()
    except (RuntimeError, ValueError):
        return wanted
    return wanted | UNFUSED
