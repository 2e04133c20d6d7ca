"""Writing a result so that it is either complete or not there."""

import json
import os
import pathlib
import shutil
import tempfile
from typing import IO, Any

import numpy as np

from .._typing import Callable


def prepare_folder(folder: pathlib.Path) -> None:
    """Refuse, before any work, a folder that could not be written later.

    Raises
    ------
    ValueError
        If the path is a file, or the folder or its parent cannot be created or written.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out is {str(folder)!r}, which is a file; expected a folder, which may be new.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"out is {str(folder)!r}, which cannot be made: {error.strerror}.") from None
    where = folder if folder.exists() else folder.parent
    if not os.access(where, os.W_OK):
        raise ValueError(f"out is {str(folder)!r}, but {str(where)!r} is not writable.")


def prepare_file(path: pathlib.Path, suffix: str) -> None:
    """Refuse, before any work, a file that could not be written later.

    Raises
    ------
    ValueError
        If the path has another suffix, is a folder, or cannot be written.
    """
    if path.suffix != suffix:
        raise ValueError(f"out is {str(path)!r}; expected a file that ends in {suffix}.")
    if path.is_dir():
        raise ValueError(f"out is {str(path)!r}, which is a folder; expected a file, which may be new.")
    prepare_folder(path.parent)


def write_array(path: pathlib.Path, array: np.ndarray) -> None:
    """Write an array as NPY in one step: a file of that name is complete, old or new.

    Raises
    ------
    ValueError
        If the disk does not take it; then nothing is left behind.
    """
    write_one(path, lambda file: np.save(file, array, allow_pickle=False))


def write_one(path: pathlib.Path, fill: Callable[[IO[bytes]], Any]) -> None:
    """Write a file in one step: a file of that name is complete, old or new.

    Parameters
    ----------
    path
        Where to.
    fill
        Writes the content to an open file.

    Raises
    ------
    ValueError
        If the disk does not take it; then nothing is left behind.
    """
    path.parent.mkdir(exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            fill(file)
        pathlib.Path(name).chmod(0o644)
        os.replace(name, path)
    except OSError as error:
        raise ValueError(f"out is {str(path)!r}, which cannot be written: {error.strerror}.") from None
    finally:
        pathlib.Path(name).unlink(missing_ok=True)


def write_folder(folder: pathlib.Path, files: dict[str, Callable[[pathlib.Path], None]]) -> None:
    """Write files into a folder; whatever interrupts it, no half-written file appears there.

    All are written to a temporary folder beside it first. A new folder then appears in one step; in an existing
    one each file is replaced in one step, in the order given.

    Parameters
    ----------
    folder
        Where the files go.
    files
        For each name, a function that writes the file at the path it is given.
    """
    staging = pathlib.Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, write in files.items():
            write(staging / name)
        if folder.exists():
            for name in files:
                os.replace(staging / name, folder / name)
        else:
            staging.chmod(0o755)
            staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_text(text: str) -> Callable[[pathlib.Path], None]:
    """Return a writer of UTF-8 text."""
    return lambda path: _fill(path, text)


def write_json(document: dict[str, Any]) -> Callable[[pathlib.Path], None]:
    """Return a writer of JSON; NaN and infinity are refused, since they are not JSON."""
    return write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


def _fill(path: pathlib.Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
