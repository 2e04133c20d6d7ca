"""How many threads compiled loops run on, and running them so that Ctrl-C ends all of them."""

import concurrent.futures
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Workers = Callable[[Callable[..., None], list[tuple]], None]
"""``run(function, arguments)``: call the function with each of the tuples on all threads; it must release the GIL."""


def thread_count() -> int:
    """Return NUMBA_NUM_THREADS or OMP_NUM_THREADS where they are set, else the number of cores of this process.

    Raises
    ------
    ValueError
        If the variable that is set is not a positive integer.
    """
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
    """Give a function that runs many short calls on ``threads`` threads.

    An exception or Ctrl-C in between waits for the calls that run, drops those that wait, and leaves no thread behind.
    """
    if threads == 1:
        yield _one_by_one
        return
    pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="widelimit")

    def run(function: Callable[..., None], arguments: list[tuple]) -> None:
        calls = [pool.submit(function, *args) for args in arguments]
        for call in calls:
            call.result()

    try:
        yield run
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _one_by_one(function: Callable[..., None], arguments: list[tuple]) -> None:
    for args in arguments:
        function(*args)
