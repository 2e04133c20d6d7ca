"""Without biases a ReLU network on scalar input has a kernel of rank 2 at every width, and cannot fit sin 3x."""

import numpy as np

from .._witness import Witness
from .code_kernel_cell import run_program

WIDTHS = (64, 512, 4096)


def half_lines(x: np.ndarray) -> np.ndarray:
    """Return the two functions such a network can combine, (n, 2)."""
    return np.stack([np.maximum(x, 0), np.maximum(-x, 0)], 1)


def run() -> Witness:
    """Compare the error of the cell without biases, at three widths, with that of the best two half-lines."""
    errors, ranks = [], []
    for width in WIDTHS:
        changes = {"width, ridge = 512,": f"width, ridge = {width},", "bias = 1.0": "bias = 0.0"}
        cell = run_program("_kernel_cell.py", changes)
        errors.append(float(cell["error"]))
        values = np.linalg.eigvalsh(cell["theta"])[::-1]
        ranks.append(int(np.sum(values > 1e-10 * values[0])))
    x, grid = np.linspace(-1, 1, 40), np.linspace(-1, 1, 200)
    best = np.linalg.lstsq(half_lines(x), np.sin(3 * x), rcond=None)[0]
    expected = float(np.mean((half_lines(grid) @ best - np.sin(3 * grid)) ** 2))
    error = max(abs(e - expected) for e in errors)
    words = f"At widths {', '.join(map(str, WIDTHS))} the kernel has rank {', '.join(map(str, ranks))}."
    left, right = ("error without biases", errors[-1]), ("error of the best two half-lines", expected)
    return Witness("code_trap", words, left, right, error, 1e-4, error <= 1e-4 and set(ranks) == {2})
