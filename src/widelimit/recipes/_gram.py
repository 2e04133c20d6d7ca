"""Kernel matrices of data in files."""

import pathlib

import jax
import numpy as np

from .. import arch, kernels
from .._typing import Callable
from ..engine import Auto, Selection
from ._table import DAMAGE, encode, listed, read_csv

KERNELS: dict[str, Callable] = {"ntk": kernels.NTK, "nngp": kernels.NNGP}


def read_inputs(path: pathlib.Path, key: str | None = None) -> np.ndarray:
    r"""Return the inputs (n, \*shape) in a file, as float64; nothing is scaled or centred.

    Parameters
    ----------
    path
        ``.npy``, ``.npz``, or a ``.csv`` table of which all columns are inputs; text columns become one 0/1 feature
        per value.
    key
        The array of an NPZ file; by default ``x``, or the only one.

    Raises
    ------
    ValueError
        If there is no such file or array, or it holds anything but finite numbers.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}; expected inputs in a .npy, .npz or .csv file.")
    if path.suffix not in READERS:
        raise ValueError(f"{path.name} is no .npy, .npz or .csv file; write it with numpy.save(file, x).")
    if key is not None and path.suffix != ".npz":
        raise ValueError(f"key is {key!r}, but {path.name} is no .npz file; leave key out.")
    x = READERS[path.suffix](path, key)
    if x.dtype.kind not in "fiub" or x.ndim < 2 or not len(x):
        raise ValueError(
            f"{path.name} holds an array of shape {x.shape} and type {x.dtype}; expected numbers (n, ...) with "
            "at least one axis behind the examples."
        )
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(f"{path.name} has {x[first]} at {first}; expected finite numbers. Remove or replace it.")
    return x


def gram_plan(net: arch.AbstractLayer, x1: np.ndarray, x2: np.ndarray | None = None) -> Selection:
    """Return which engine would compute a kernel matrix, why, and in what time and memory.

    Parameters
    ----------
    net
        The network.
    x1, x2
        Inputs; ``x2`` None for ``x1`` again.
    """
    net.out_shape(x1.shape[1:])
    return Auto().select(net, x1, x2)


def gram(net: arch.AbstractLayer, x1: np.ndarray, x2: np.ndarray | None = None, *, kernel: str = "ntk") -> np.ndarray:
    """Return the kernel matrix of inputs with themselves, or with others, in the dtype of ``x1``.

    Parameters
    ----------
    net
        The network.
    x1, x2
        Inputs (n1, ...) and (n2, ...); ``x2`` None for ``x1`` again.
    kernel
        ``ntk`` or ``nngp``.

    Raises
    ------
    ValueError
        If there is no such kernel, or the inputs do not fit the network or each other.
    """
    with jax.enable_x64(x1.dtype == np.float64):
        return np.asarray(kernel_named(kernel)(net)(x1, x2))


def kernel_named(kernel: str) -> Callable:
    """Return what makes a kernel of a network.

    Raises
    ------
    ValueError
        If there is no such kernel.
    """
    if kernel not in KERNELS:
        raise ValueError(f"kernel is {kernel!r}; expected one of {', '.join(KERNELS)}.")
    return KERNELS[kernel]


def _array(path: pathlib.Path, key: str | None) -> np.ndarray:  # noqa: ARG001
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path.name} is damaged or holds no plain array: {error}") from None


def _archive(path: pathlib.Path, key: str | None) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = archive.files
            name = key or ("x" if "x" in names or len(names) != 1 else names[0])
            if name not in names:
                raise ValueError(f"{path.name} has no array {name!r}; it has {listed(names)}. Give its key.")
            return archive[name]
    except DAMAGE as error:
        raise ValueError(f"{path.name} is damaged: {error}. Write it again with numpy.savez.") from None


def _table(path: pathlib.Path, key: str | None) -> np.ndarray:  # noqa: ARG001
    return encode(read_csv(path), path)[0]


READERS = {".npy": _array, ".npz": _archive, ".csv": _table}
