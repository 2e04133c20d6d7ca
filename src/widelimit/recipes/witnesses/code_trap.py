"""Without biases a ReLU network on scalar input has a kernel of rank 2 at every width; with biases it learns sin 3x."""

import itertools
from collections.abc import Iterable

import numpy as np

from .._witness import Witness
from .code_kernel_cell import run_program

WIDTHS = (64, 512, 4096)


def half_lines(x: np.ndarray) -> np.ndarray:
    """Return the two functions such a network can combine, (n, 2)."""
    return np.stack([np.maximum(x, 0), np.maximum(-x, 0)], 1)


def cell(width: int, bias: float) -> tuple[float, int]:
    """Return the error that the cell prints at a width and a scale of the biases, and the rank of its kernel."""
    changes = {"width, ridge = 512,": f"width, ridge = {width},", "bias = 1.0": f"bias = {bias}"}
    names = run_program("_kernel_cell.py", changes)
    values = np.linalg.eigvalsh(names["theta"])[::-1]
    return float(names["error"]), int(np.sum(values > 1e-10 * values[0]))


def run() -> Witness:
    """Compare the error without biases with that of the best two half-lines, and see it fall with biases."""
    bare, biased = ([cell(width, bias) for width in WIDTHS] for bias in (0.0, 1.0))
    ranks, errors = [rank for _, rank in bare], [error for error, _ in biased]
    x, grid = np.linspace(-1, 1, 40), np.linspace(-1, 1, 200)
    best = np.linalg.lstsq(half_lines(x), np.sin(3 * x), rcond=None)[0]
    expected = float(np.mean((half_lines(grid) @ best - np.sin(3 * grid)) ** 2))
    error = max(abs(e - expected) for e, _ in bare)
    falls = all(wide < narrow for narrow, wide in itertools.pairwise(errors)) and errors[0] < expected / 10
    words = (
        f"At widths {_list(WIDTHS)} the kernel without biases has rank {_list(ranks)}; with one bias per neuron its "
        f"rank is {_list(rank for _, rank in biased)}, and the error {_list(f'{e:.1e}' for e in errors)}."
    )
    left, right = ("error without biases", bare[-1][0]), ("error of the best two half-lines", expected)
    passed = error <= 1e-4 and set(ranks) == {2} and min(rank for _, rank in biased) > 2 and falls
    return Witness("code_trap", words, left, right, error, 1e-4, passed)


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
