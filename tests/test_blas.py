"""Small matrices take one thread of BLAS, large ones all; afterwards everything is as it was."""

import numpy as np
from threadpoolctl import threadpool_info

from widelimit._blas import SMALL, blas_threads


def counts():
    assert np.linalg.eigvalsh(np.eye(2))[0] == 1
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


def test_threads_of_blas():
    before = counts()
    with blas_threads(SMALL):
        assert counts() == {1}
    assert counts() == before
    with blas_threads(SMALL + 1):
        assert counts() == before
