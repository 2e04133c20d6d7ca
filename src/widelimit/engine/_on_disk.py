"""Compiled loops are kept on disk where there is a place for them, and compiled anew when their source changes."""

import pathlib
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np


def is_loaded(function: Any, kind: np.dtype) -> bool:
    """Whether a compiled function is in memory for arrays of one precision.

    If it is not, its first call belongs into the thread that Ctrl-C reaches, because it may have to compile.
    """
    single = kind == np.float32
    return any(("float32" in str(signature)) == single for signature in function.signatures)


def fixed(a: np.ndarray) -> np.ndarray:
    """Return a view that cannot be written; compiled functions tell such arrays from others."""
    view = a.view()
    view.flags.writeable = False
    return view


def on_disk(build: Callable[[int, bool], Any], files: tuple[str, ...]) -> Any:
    """Return ``build(stamp, cache)``: functions compiled by Numba, with ``cache`` as the place on disk allows.

    Parameters
    ----------
    build
        Compiles functions that close over ``stamp``, a number that is not zero. Numba looks at the file of a function
        alone to tell whether it has changed; what a function closes over is a part of its key.
    files
        All files with source that is compiled into these functions.
    """
    stamp = 1 + zlib.crc32(b"".join(pathlib.Path(file).read_bytes() for file in files))
    try:
        return build(stamp, True)
    except RuntimeError:
        # No folder can be written: Numba's own, the user's cache, or NUMBA_CACHE_DIR.
        return build(stamp, False)
