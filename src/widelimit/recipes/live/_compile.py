"""All compiled code of a run at once: its parts wait for nothing but processors."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import jax
import numpy as np

from ..._typing import Callable
from ._config import LiveConfig
from ._draws import LEAST, shapes_of, vectors
from ._network import Motion, Problem, Shape, limit, look, pad, start, train
from ._program import Program, drop, drop_all
from ._targets import grid, training_points

_ready: set[tuple[Shape, Shape, int, int]] = set()


def compiled(shape: Shape, infinite: Shape, points: int, inputs: int) -> None:
    """Compile all programs of a run: the next is traced while those before it are compiled.

    Tracing holds Python's lock, compiling leaves it alone. What has been compiled before costs nothing.
    """
    key = (shape, infinite, points, inputs)
    if key in _ready:
        return
    jobs = _jobs(*key)
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        for compiling in [pool.submit(program.begin(*args)) for program, *args in jobs]:
            compiling.result()
    _ready.add(key)


def compile_ahead(config: LiveConfig, wait: Callable[[], None]) -> None:
    """Compile what a state needs, one program after the other, in the thread that calls.

    Parameters
    ----------
    config
        The state, as clamped.
    wait
        Called before each program is traced, and before it is compiled; it may take its time.
    """
    x, _ = training_points(config)
    for program, *args in _jobs(Shape.of(config), Shape.of_limit(config), len(pad(x)), len(grid())):
        wait()
        compile_it = program.begin(*args)
        wait()
        compile_it()


def code_of(config: LiveConfig) -> tuple[Shape, int]:
    """Return what the compiled code of a state depends on, for `let_go`."""
    return Shape.of(config), len(pad(training_points(config)[0]))


def let_go(code: tuple[Shape, int]) -> None:
    """Let go of compiled code, at all numbers of points; the limit stays where other widths share it.

    What is asked for again is compiled again, or read from JAX's cache on disk; a run does so by itself.
    """
    shape, _ = code
    drop(shape)
    for key in [key for key in tuple(_ready) if key[0] == shape]:
        _ready.discard(key)


def _jobs(shape: Shape, infinite: Shape, points: int, inputs: int) -> list[tuple[Program, Any, *tuple[Any, ...]]]:
    # The programs of a run, each with its first argument and the shapes of the others; what compiles longest is first.
    def array(*size: int, kind: Any = np.float64) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(size, kind)

    one, whole = array(), array(kind=np.int64)
    params = tuple({name: array(*size) for name, size in own.items()} for own in shapes_of(shape.net(1.0, 1.0)))
    problem = Problem(array(points, 1), array(points), array(points), one, one, one, one, one, array(inputs, 1))
    motion = Motion(params, params, whole, one, one, array(kind=np.bool_))
    return [
        (look, shape, problem, params, params),
        (train, shape, problem, params, motion, whole),
        (vectors, LEAST, whole),
        (limit, infinite, problem),
        (start, shape, problem, params),
    ]


def forget() -> None:
    """Let go of all compiled code of this process, that of other computations included."""
    _ready.clear()
    drop_all()
    jax.clear_caches()
