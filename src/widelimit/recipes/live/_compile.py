"""All compiled code of a run at once: its parts wait for nothing but processors."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._typing import Callable
from ._config import LiveConfig
from ._draws import draw
from ._network import Motion, Problem, Shape, advance, limit, pad, tangents
from ._options import drop, drop_all
from ._targets import grid, training_points

_ready: set[tuple[Shape, Shape, int, int]] = set()


def compiled(shape: Shape, infinite: Shape, points: int, inputs: int) -> None:
    """Call every compiled function of a run once, on ones, each in a thread of its own.

    Compilation leaves Python's lock alone, so that it takes about half the time on two cores; the calls themselves are
    short. What has been compiled before costs those calls alone, and the same shapes are asked for once.
    """
    key = (shape, infinite, points, inputs)
    if key in _ready:
        return
    jobs = _jobs(*key)
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        for job in [pool.submit(_call, *job) for job in jobs]:
            job.result()
    _ready.add(key)


def compile_ahead(config: LiveConfig, wait: Callable[[], None]) -> None:
    """Compile what a state needs, one function after the other, in the thread that calls.

    Parameters
    ----------
    config
        The state, as clamped.
    wait
        Called before each function; it may take its time.
    """
    x, _ = training_points(config)
    for job in _jobs(Shape.of(config), Shape.of_limit(config), len(pad(x)), len(grid())):
        wait()
        _call(*job)


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


def _jobs(shape: Shape, infinite: Shape, points: int, inputs: int) -> list[tuple[Any, ...]]:
    # The compiled functions of a run, each with its arguments.
    with jax.enable_x64(True):
        one, zero = jnp.ones((), jnp.float64), jnp.zeros((), jnp.int64)
        x, curve, column = (jnp.asarray(np.ones(size)) for size in ((points, 1), (inputs, 1), (points,)))
        like = jax.eval_shape(lambda: Shape.net(shape, one, one).init(jax.random.key(0), (1,)))
        first = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), like)
        problem = Problem(x, column, column, one, one, one, one, one, curve)
        motion = Motion(first, zero, one, one, jnp.zeros((), bool))
    return [
        (advance, shape, problem, first, motion, zero),
        (draw, shape.net(1.0, 1.0), 0),
        (limit, infinite, problem),
        (tangents, shape, problem, first),
    ]


def _call(fn: Callable[..., Any], *args: Any) -> None:
    # The precision is that of a thread.
    with jax.enable_x64(True):
        jax.block_until_ready(fn(*args))


def forget() -> None:
    """Let go of all compiled code of this process, that of other computations included."""
    _ready.clear()
    drop_all()
    jax.clear_caches()
