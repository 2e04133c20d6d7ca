"""The cell of the page and its twin in the library give the same kernel and the same prediction."""

import contextlib
import importlib.resources
import io
from collections.abc import Mapping

import jax
import numpy as np

from .._witness import Witness
from ._common import compare


def run_program(file: str, changes: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Run a program of this folder, with some of its lines changed, and return its names."""
    text = (importlib.resources.files("widelimit.recipes.witnesses") / file).read_text(encoding="utf-8")
    for old, new in changes.items():
        if text.count(old) != 1:
            raise ValueError(f"{file} does not have {old!r} once.")
        text = text.replace(old, new)
    names: dict[str, np.ndarray] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(text, file, "exec"), names)
    return names


def run() -> Witness:
    """Run both programs and compare the kernel and the prediction."""
    before = jax.config.read("jax_enable_x64")
    try:
        ours = run_program("_library_twin.py", {})
    finally:
        jax.config.update("jax_enable_x64", before)
    cell = run_program("_kernel_cell.py", {})
    both = [np.concatenate([np.ravel(names["theta"]), np.ravel(names["prediction"])]) for names in (cell, ours)]
    words = "The NumPy cell and the library agree on the kernel and on the prediction."
    return compare("code_kernel_cell", words, ("norm from NumPy", both[0]), ("norm from the library", both[1]), 1e-6)
