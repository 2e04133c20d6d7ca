"""Fixtures shared by all tests."""

import os
import pathlib
import tempfile

# Compiled code is shared between the workers of a run, the commands that tests start, and later runs on this machine.
CACHE = pathlib.Path(tempfile.gettempdir()) / f"widelimit-tests-{os.getuid() if hasattr(os, 'getuid') else 0}"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import jax  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture
def x64():
    """float64 in JAX for the time of one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=[False, True], ids=["x32", "x64"])
def either_mode(request):
    """Run a test with JAX's x64 mode off and on."""
    with jax.enable_x64(request.param):
        yield request.param


@pytest.fixture(autouse=True, scope="module")
def compiled_code_is_dropped():
    """Drop what a module compiled: a worker that keeps all of it grows by gigabytes."""
    yield
    jax.clear_caches()
