"""How many threads compiled loops run on, and running them so that Ctrl-C ends all of them."""

import concurrent.futures
import contextvars
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_COUNT = itertools.count()

_LIMIT: contextvars.ContextVar[int | None] = contextvars.ContextVar("limit", default=None)


class Workers:
    """A pool of threads for many calls of a function that releases the GIL.

    ``run(function, arguments, done)`` calls the function with each of the tuples, on all threads, and ``done`` with
    each result, in order. `stopped` says in the threads that nobody waits for the results any more.
    """

    def __init__(self, pool: concurrent.futures.Executor | None) -> None:
        self.pool, self.event = pool, threading.Event()

    def __call__(self, function: Callable[..., float], arguments: list[tuple], done: Callable[[float], None]) -> None:
        """Call ``function`` with each of ``arguments``."""
        if self.pool is None:
            for args in arguments:
                done(function(*args))
            return
        for call in [self.pool.submit(function, *args) for args in arguments]:
            done(call.result())

    def stopped(self) -> bool:
        """Whether the evaluation was interrupted."""
        return self.event.is_set()


def thread_count() -> int:
    """Return NUMBA_NUM_THREADS or OMP_NUM_THREADS where they are set, else the number of cores of this process.

    Inside `on_one_thread` it is one.

    Raises
    ------
    ValueError
        If the variable that is set is not a positive integer.
    """
    if (limit := _LIMIT.get()) is not None:
        return limit
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "")
        if not value:
            continue
        if not value.strip().isdigit() or int(value) < 1:
            raise ValueError(f"the environment variable {name} is {value!r}; expected a positive integer.")
        return int(value)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


@contextmanager
def workers(threads: int) -> Iterator[Workers]:
    """Give `Workers` on ``threads`` threads.

    An exception or Ctrl-C in between tells the calls that run, drops those that wait, and leaves no thread behind.
    """
    if threads == 1:
        yield Workers(None)
        return
    name = f"widelimit {next(_COUNT)}:"
    pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix=name)
    run = Workers(pool)
    try:
        yield run
    finally:
        run.event.set()
        pool.shutdown(wait=True, cancel_futures=True)
        # A thread is not known to the pool if Ctrl-C came while it was started.
        for thread in threading.enumerate():
            if thread.name.startswith(name):
                thread.join()


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Let compiled loops and NumPy's BLAS keep to the calling thread, for callers that run several at once.

    The caller that starts threads holds this around all of them: the limit of BLAS belongs to the process. The numbers
    of a kernel then do not depend on the number of cores: a product may be rounded otherwise in panels of another
    height.
    """
    from threadpoolctl import threadpool_limits

    token = _LIMIT.set(1)
    try:
        with threadpool_limits(1, "blas"):
            yield
    finally:
        _LIMIT.reset(token)


def is_alone() -> bool:
    """Whether the caller runs inside `on_one_thread`, beside others."""
    return _LIMIT.get() is not None
