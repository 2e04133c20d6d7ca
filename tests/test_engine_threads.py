"""Callers side by side: each on one thread, and BLAS is given back."""

import threading

import numpy as np
from threadpoolctl import threadpool_info

import widelimit as wl
from widelimit.engine import Native, on_one_thread, thread_count


def blas():
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


def test_one_thread_inside_and_as_before_outside(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    before = blas()
    with on_one_thread():
        assert thread_count() == 1
        with on_one_thread():
            assert (thread_count(), blas()) == (1, {1})
        assert (thread_count(), blas()) == (1, {1})
    assert (thread_count(), blas()) == (3, before)


def test_other_threads_keep_theirs(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    found = []
    with on_one_thread():
        thread = threading.Thread(target=lambda: found.append(thread_count()))
        thread.start()
        thread.join()
    assert found == [3]


def test_bytes_do_not_depend_on_the_number_of_threads(monkeypatch):
    """Of products, whose panels are as high as threads allow."""
    x = np.random.default_rng(0).standard_normal((300, 200)).astype(np.float32)
    kernel = wl.NTK(wl.serial(wl.Dense(8, 1.4, 0.1), wl.Relu(), wl.Dense(1)), engine=Native())
    found = []
    for threads in ("1", "2", "7"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        with on_one_thread():
            found.append(np.asarray(kernel(x)).tobytes())
    assert len(set(found)) == 1
