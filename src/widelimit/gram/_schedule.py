"""Where tiles are computed: one after another, in threads of Dask, or on the workers of a Dask cluster."""

from __future__ import annotations

import abc
import concurrent.futures
import functools
import itertools
import threading
from importlib import util
from typing import Any

import equinox as eqx

from .. import _check
from .._typing import Callable
from ..engine import on_one_thread, thread_count

Task = Callable[[Any, Any], Any]
"""``task(shared, item)``: a function of a module, so that it can be sent to another process."""

Sink = Callable[[Any, Any], None]
"""``sink(item, result)``: called with one result at a time, in any order."""


class AbstractSchedule(eqx.Module):
    """Calls a task for many items somewhere, and hands over the results one at a time."""

    @property
    @abc.abstractmethod
    def at_once(self) -> int:
        """How many tasks run at once on this machine: if several, each of them keeps to one thread."""

    @property
    @abc.abstractmethod
    def is_here(self) -> bool:
        """Whether tasks run in this process, so that they may write what is written here."""

    @abc.abstractmethod
    def run(self, task: Task, shared: Any, items: list, sink: Sink) -> None:
        """Call ``sink(item, task(shared, item))`` for every item; ends with the first exception."""


class InTurn(AbstractSchedule):
    """One after another; each may use all threads of the machine, or all of its devices."""

    @property
    def at_once(self) -> int:
        """One."""
        return 1

    @property
    def is_here(self) -> bool:
        """They do."""
        return True

    def run(self, task: Task, shared: Any, items: list, sink: Sink) -> None:
        """Call ``sink(item, task(shared, item))`` for every item."""
        for item in items:
            sink(item, task(shared, item))


class Distributed(AbstractSchedule):
    """Tasks on Dask: threads of this machine, or the workers of a cluster.

    In threads each tile is computed on one thread. On a cluster the inputs are sent to every worker once, tiles come
    back as they are done, and at most two per thread of a worker are under way, so that memory is bounded here. What a
    lost worker had is computed elsewhere; workers that join get work. The dashboard of Dask shows the tasks.

    Parameters
    ----------
    client
        A `distributed.Client`, the connection to a cluster; None for threads of this machine. Workers need this
        version of widelimit.
    threads
        How many threads, where there is no client; None for NUMBA_NUM_THREADS or OMP_NUM_THREADS, else the number
        of cores.
    retries
        How often a tile whose computation failed is tried again on a cluster, and inputs whose last holder was lost
        are sent again.

    Raises
    ------
    ValueError
        If Dask is not installed, ``client`` is something else, or a number is not valid.
    """

    client: Any = eqx.field(default=None, static=True)
    threads: int | None = eqx.field(default=None, static=True)
    retries: int = eqx.field(default=3, static=True)

    def __check_init__(self) -> None:
        """Check that Dask is there, and the fields."""
        need_scale()
        if self.client is not None:
            from distributed import Client

            _check.instance(self.client, Client, "client", "distributed.Client('tcp://127.0.0.1:8786')")
        if self.threads is not None:
            _check.positive_int(self.threads, "threads")
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or self.retries < 0:
            raise ValueError(f"retries is {self.retries!r}; expected zero or a positive integer.")

    @property
    def at_once(self) -> int:
        """Threads here, or on the cluster."""
        if self.client is not None:
            return max(1, sum(self.client.nthreads().values()))
        return self.threads or thread_count()

    @property
    def is_here(self) -> bool:
        """They do where there is no client."""
        return self.client is None

    def run(self, task: Task, shared: Any, items: list, sink: Sink) -> None:
        """Call ``sink(item, task(shared, item))`` for every item."""
        if self.client is None:
            _in_threads(self.at_once, task, shared, items, sink)
        else:
            _Cluster(self.client, task, shared, sink, self.retries).run(items)


def in_order(items: list, add: Sink) -> Sink:
    """Return a sink that takes results in any order and hands them to ``add`` in the order of ``items``."""
    waiting: dict[Any, Any] = {}
    reached = 0

    def sink(item: Any, result: Any) -> None:
        nonlocal reached
        waiting[item] = result
        while reached < len(items) and items[reached] in waiting:
            add(items[reached], waiting.pop(items[reached]))
            reached += 1

    return sink


def need_scale() -> None:
    """Refuse to go on without Dask and Zarr."""
    missing = [name for name in ("dask", "distributed", "zarr") if util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"this needs {', '.join(missing)}; expected the extra [scale] to be installed. "
            "Install it with: pip install 'widelimit[scale]'"
        )


def _in_threads(threads: int, task: Task, shared: Any, items: list, sink: Sink) -> None:
    import dask.threaded

    lock, stop = threading.Lock(), threading.Event()

    def one(item: Any) -> None:
        # Whatever ends the run, no result is handed over behind it.
        if stop.is_set():
            return
        result = task(shared, item)
        with lock:
            if not stop.is_set():
                sink(item, result)

    graph = {f"tile-{number}": (functools.partial(one, item),) for number, item in enumerate(items)}
    # Held here for all of them: of several threads threadpoolctl lets one alone set the limit of BLAS.
    with on_one_thread(), concurrent.futures.ThreadPoolExecutor(threads) as pool:
        try:
            dask.threaded.get(graph, list(graph), pool=pool, num_workers=threads)
        finally:
            stop.set()


class _Cluster:
    # One run on a cluster: a window of futures that is kept full.
    def __init__(self, client: Any, task: Task, shared: Any, sink: Sink, retries: int) -> None:
        self.client, self.task, self.shared, self.sink, self.retries = client, task, shared, sink, retries
        self.under_way: dict[str, tuple[Any, Any]] = {}

    def run(self, items: list) -> None:
        for sent in itertools.count():
            try:
                items = self._attempt(items)
            finally:
                self._drop()
            if not items:
                return
            if sent >= self.retries:
                raise ValueError(
                    f"the inputs were lost with the workers that held them {sent + 1} times. Look into the logs of the "
                    "workers (are they out of memory?), and run this again."
                )

    def _attempt(self, items: list) -> list:
        """Return what is left to do where the inputs were lost with the last worker that held them."""
        from concurrent.futures import CancelledError

        from distributed import as_completed

        shared = self._send()
        waiting = iter(items)
        results = as_completed([self._submit(shared, item) for item in itertools.islice(waiting, self._window())])
        for future in results:
            _, item = self.under_way[future.key]
            try:
                result = future.result()
            except CancelledError:
                return [*(item for _, item in self.under_way.values()), *waiting]
            del self.under_way[future.key]
            self.sink(item, result)
            # Nobody holds the tile any more.
            del future, result
            for item in itertools.islice(waiting, max(0, self._window() - len(self.under_way))):
                results.add(self._submit(shared, item))
        return []

    def _send(self) -> Any:
        try:
            # A list is scattered element by element.
            return self.client.scatter([self.shared], broadcast=True, hash=False)[0]
        except TimeoutError as error:
            raise ValueError(f"the cluster has no workers: {error}. Start some with: dask worker ADDRESS") from None

    def _submit(self, shared: Any, item: Any) -> Any:
        future = self.client.submit(self.task, shared, item, pure=False, retries=self.retries)
        self.under_way[future.key] = future, item
        return future

    def _window(self) -> int:
        return max(2, 2 * sum(self.client.nthreads().values()))

    def _drop(self) -> None:
        if self.under_way:
            self.client.cancel([future for future, _ in self.under_way.values()], force=True)
        self.under_way = {}
