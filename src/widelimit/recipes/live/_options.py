"""How the functions of a live run are compiled: a reader waits for it, so that it has to be quick."""

from __future__ import annotations

import functools
from typing import Any

import jax

from ..._typing import Callable

UNFUSED = {"xla_cpu_use_fusion_emitters": False}
"""XLA's older way to compile elementwise code: half the time, and as fast code."""


def compiled_at(level: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that compiles a function of static first argument at an optimisation level of XLA.

    Level 0 is for what runs once for each run, where compiling takes longer than running; 1 for what runs often.
    """

    def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
        jitted = functools.cache(lambda: jax.jit(fn, static_argnums=0, compiler_options=options(level)))

        @functools.wraps(fn)
        def call(*args: Any) -> Any:
            return jitted()(*args)

        return call

    return decorate


@functools.cache
def options(level: int) -> dict[str, Any]:
    """Return options of the compiler; one that this release of XLA does not know is left out."""
    wanted: dict[str, Any] = {"xla_backend_optimization_level": level}
    try:
        jax.jit(lambda: 0, compiler_options=wanted | UNFUSED).lower().compile()
    except (RuntimeError, ValueError):
        return wanted
    return wanted | UNFUSED
