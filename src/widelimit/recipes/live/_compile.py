"""All compiled code of a run at once: its parts wait for nothing but processors."""

from __future__ import annotations

import concurrent.futures
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._typing import Callable
from ._draws import draw
from ._network import Motion, Problem, Shape, advance, limit, tangents


@functools.lru_cache(maxsize=256)
def compiled(shape: Shape, infinite: Shape, points: int, inputs: int) -> None:
    """Call every compiled function of a run once, on ones, each in a thread of its own.

    Compilation leaves Python's lock alone, so that it takes about half the time on two cores; the calls themselves are
    short. What has been compiled before costs those calls alone, and the same shapes are asked for once.
    """
    with jax.enable_x64(True):
        one, zero = jnp.ones((), jnp.float64), jnp.zeros((), jnp.int64)
        x, grid, column = (jnp.asarray(np.ones(size)) for size in ((points, 1), (inputs, 1), (points,)))
        like = jax.eval_shape(lambda: Shape.net(shape, one, one).init(jax.random.key(0), (1,)))
        first = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), like)
        problem = Problem(x, column, column, one, one, one, one, one, grid)
        motion = Motion(first, zero, one, one, jnp.zeros((), bool))
    jobs = [
        (advance, shape, problem, first, motion, zero),
        (draw, shape.net(1.0, 1.0), 0),
        (limit, infinite, problem),
        (tangents, shape, problem, first),
    ]
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        for job in [pool.submit(_call, *job) for job in jobs]:
            job.result()


def _call(fn: Callable[..., Any], *args: Any) -> None:
    # The precision is that of a thread.
    with jax.enable_x64(True):
        jax.block_until_ready(fn(*args))


def forget() -> None:
    """Let go of all compiled code of this process, that of other computations included.

    A shape takes about 30 MiB. What is asked for again is compiled again, or read from JAX's cache on disk.
    """
    compiled.cache_clear()
    jax.clear_caches()
