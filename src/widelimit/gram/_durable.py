"""Files that are complete or not there, whatever ends the process, and a lock that its death gives back."""

import os
import pathlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PART = ".part"
"""Behind the name of a file that is being written."""

LOCK = "build.lock"


class UnwritableError(Exception):
    """The disk did not take something; `reason` says why."""

    def __init__(self, error: OSError) -> None:
        self.reason = error.strerror or str(error)


def write_durably(path: pathlib.Path, data: bytes | memoryview) -> None:
    """Write a file in one step: under its name there is what was there before, or all of ``data``, on the disk.

    Raises
    ------
    UnwritableError
        If the disk does not take it; the file is as before.
    """
    part = path.with_name(path.name + PART)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise UnwritableError(error) from None


def append_durably(path: pathlib.Path, line: bytes) -> None:
    """Append a line that ends with a newline; what a killed process leaves of it has none.

    Raises
    ------
    UnwritableError
        If the disk does not take it; a part of the line may be there.
    """
    try:
        with path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UnwritableError(error) from None


def sync_folder(folder: pathlib.Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(folder: pathlib.Path) -> Iterator[None]:
    """Hold the lock of a folder; the operating system gives it back when the process ends, however it does.

    Raises
    ------
    ValueError
        If another process holds it.
    """
    path = folder / LOCK
    while True:
        handle = _opened(path)
        if not _take(handle):
            os.close(handle)
            raise ValueError(f"{folder} is being built by another process; wait for it, or give another path.")
        # The holder before may have removed the file in the meantime.
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            break
        os.close(handle)
    try:
        yield
    finally:
        # Removed while it is held, so that nobody else's is; Windows keeps a file that is open.
        try:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        finally:
            os.close(handle)


def _opened(path: pathlib.Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ValueError(f"{path.parent} cannot be written: {error.strerror}. Give another path.") from None


if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _take(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            os.close(handle)
            raise ValueError(
                f"the file system has no locks ({error.strerror}), without which two builds could mix; give a path on "
                "another disk."
            ) from None
        return True
