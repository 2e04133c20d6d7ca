r"""Cholesky factorisation in place, block column by block column, on threads whose BLAS has one thread each.

For block column J, with all columns before it done (left-looking):

.. math:: A_{\cdot J} \leftarrow A_{\cdot J} - L_{\cdot,<J}\,L_{J,<J}^\top,\qquad L_{JJ} = \mathrm{chol}(A_{JJ}),\qquad
          L_{>J,J} = A_{>J,J}\,L_{JJ}^{-\top}

so that nearly all operations are long matrix products, each entry is written once per stage, and a thread waits for
others twice per block column alone. BLAS on all threads waits in each of its small products, for as long as another
process holds a core: on two cores that were shared, this is two to five times as fast as LAPACK's own factorisation.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
from threadpoolctl import ThreadpoolController

from ..engine._threads import thread_count, workers

SMALL = 1024
"""Size up to which LAPACK does it."""

BLOCK, PANEL, CORNER = 512, 1024, 128
"""Columns of a block, rows that one task takes, and size of the triangles that are inverted to solve with a block."""


def factorise(matrix: np.ndarray) -> bool:
    """Factorise a symmetric matrix in place, reading and writing the lower triangle alone; return whether it succeeded.

    Parameters
    ----------
    matrix
        Shape (n, n), in Fortran's order, float32 or float64.
    """
    n = len(matrix)
    (potrf,) = scipy.linalg.get_lapack_funcs(("potrf",), (matrix,))
    if n <= SMALL:
        _, info = potrf(matrix, lower=1, clean=0, overwrite_a=1)
        return info == 0 and bool(np.isfinite(matrix.diagonal()).all())
    with ThreadpoolController().limit(limits=1, user_api="blas"), workers(thread_count()) as run:
        for start in range(0, n, BLOCK):
            columns = slice(start, min(n, start + BLOCK))
            if start:
                run(_subtract, [(matrix, rows, columns) for rows in _panels(start, n)], _nothing)
            corner, info = potrf(np.asfortranarray(matrix[columns, columns]), lower=1, clean=0, overwrite_a=1)
            if info or not np.isfinite(corner.diagonal()).all():
                return False
            matrix[columns, columns] = corner
            inverses = _inverses(corner)
            run(_divide, [(matrix[rows, columns], corner, inverses) for rows in _panels(columns.stop, n)], _nothing)
    return True


def _panels(start: int, stop: int) -> list[slice]:
    return [slice(i, min(stop, i + PANEL)) for i in range(start, stop, PANEL)]


def _subtract(matrix: np.ndarray, rows: slice, columns: slice) -> float:
    """Subtract what the block columns in front contribute to some rows of a block column."""
    before = slice(0, columns.start)
    part = matrix[rows, before] @ matrix[columns, before].T
    if rows.start == columns.start:
        # What stands above the diagonal is not to be touched.
        size = columns.stop - columns.start
        part[:size] = np.tril(part[:size])
    matrix[rows, columns] -= part
    return 0.0


def _divide(rows: np.ndarray, corner: np.ndarray, inverses: list[np.ndarray]) -> float:
    """Replace rows by X of X Lᵀ = rows, for the lower triangle L of a block."""
    out = np.array(rows, order="F")
    for k, inverse in enumerate(inverses):
        part = slice(k * CORNER, k * CORNER + len(inverse))
        if k:
            out[:, part] -= out[:, : part.start] @ corner[part, : part.start].T
        out[:, part] = out[:, part] @ inverse.T
    rows[...] = out
    return 0.0


def _inverses(corner: np.ndarray) -> list[np.ndarray]:
    # Triangles this small are inverted: what is lost is the condition of one of them alone.
    (trtri,) = scipy.linalg.get_lapack_funcs(("trtri",), (corner,))
    steps = range(0, len(corner), CORNER)
    return [np.tril(trtri(corner[i : i + CORNER, i : i + CORNER], lower=1)[0]) for i in steps]


def _nothing(_: float) -> None:
    pass
