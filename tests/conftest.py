"""Fixtures shared by all tests."""

import pathlib

import jax
import pytest

SHARED = pathlib.Path(__file__).parents[2] / "shared"


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
