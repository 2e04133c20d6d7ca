"""How the functions of a live run become compiled code: a reader waits for it, so that it has to be quick.

Three things take time. *Tracing and lowering* hold Python's lock, so that they are done one after the other; threads
would only hinder each other. *Compiling* leaves the lock alone, and is done beside them. A program that was traced
before on this machine is read from the disk instead (`_stored`), and its compiled code from JAX's own cache.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Hashable, Iterator
from typing import Any

import jax
import numpy as np

from ..._typing import Callable
from . import _stored

QUICK = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}
"""XLA's older way to compile elementwise code: half the time; and a program in one piece, which is linked sooner."""

_made: dict[tuple[Program, Hashable, Hashable], Callable[..., Any]] = {}


class Program:
    """A function of a static first argument and of arrays, compiled at an optimisation level of XLA.

    Code for each first argument and for each set of shapes stands alone, so that `drop` can let go of it. Everything
    is computed in double precision.

    Parameters
    ----------
    fn
        The function; what it returns depends on its arguments alone.
    level
        0 is for what runs once for each run, where compiling takes longer than running; 1 for what runs often.
    given_up
        Which of the arguments behind the first is not used again by who calls, so that its memory can be written to.
    """

    def __init__(self, fn: Callable[..., Any], level: int, given_up: int | None = None) -> None:
        functools.update_wrapper(self, fn)
        self._fn, self._level, self._given_up = fn, level, given_up

    def __call__(self, static: Hashable, *args: Any) -> Any:
        """Return the value of the function; what is not compiled yet is compiled first."""
        key = (self, static, _shapes(args))
        if key not in _made:
            self.begin(static, *args)()
        with _precision():
            return _made[key](*args)

    def begin(self, static: Hashable, *args: Any) -> Callable[[], None]:
        """Trace and lower for arguments of these shapes, and return what compiles, which any thread may call.

        Parameters
        ----------
        static
            The first argument.
        args
            Arrays, or `jax.ShapeDtypeStruct` in their place.
        """
        key = (self, static, _shapes(args))
        if key in _made:
            return _nothing
        with _precision():
            traced = _stored.traced(self._fn, static, args)
            jitted = self._jit(traced, QUICK)
            lowered = jitted.lower(*args)

        def finish() -> None:
            nonlocal jitted
            with _precision():
                try:
                    lowered.compile()
                except (RuntimeError, ValueError):
                    # This release of XLA does not know an option; if it is something else, it is said below.
                    jitted = self._jit(traced, {})
                    jitted.lower(*args).compile()
            _made.setdefault(key, jitted)

        return finish

    def _jit(self, traced: Callable[..., Any], more: dict[str, Any]) -> Any:
        options = {"xla_backend_optimization_level": self._level, **more}
        # Said, because arrays that come from a program that was kept say more of their place than others do.
        place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        return jax.jit(
            traced,
            in_shardings=place,
            out_shardings=place,
            donate_argnums=() if self._given_up is None else self._given_up,
            compiler_options=options,
        )


def program(level: int, given_up: int | None = None) -> Callable[[Callable[..., Any]], Program]:
    """Return a decorator that makes a `Program` of a function."""
    return lambda fn: Program(fn, level, given_up)


def drop(static: Hashable) -> None:
    """Let go of the compiled code of all programs for a first argument."""
    for key in [key for key in tuple(_made) if key[1] == static]:
        _made.pop(key, None)


def drop_all() -> None:
    """Let go of the compiled code of all programs."""
    _made.clear()


@contextlib.contextmanager
def _precision() -> Iterator[None]:
    # Precision and kind of random numbers are those of a thread.
    with jax.enable_x64(True), jax.threefry_partitionable(True):
        yield


def _shapes(args: Any) -> Hashable:
    leaves, tree = jax.tree.flatten(args)
    return tree, tuple((np.shape(leaf), str(leaf.dtype)) for leaf in leaves)


def _nothing() -> None:
    pass
