"""How many threads BLAS and LAPACK take for matrices of a size."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController

SMALL = 1000
"""Rows up to which one thread is used.

Threads of OpenBLAS wait for one another by spinning. Where other programs run as well, an eigendecomposition of 400
rows took 5 s on two threads and 0.1 s on one (two cores, load 9); on an idle machine one thread loses little.
"""


@contextmanager
def blas_threads(n: int) -> Iterator[None]:
    """Use one thread inside for matrices of up to 1,000 rows, and all threads for larger ones."""
    if n > SMALL:
        yield
        return
    with _controller().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
