"""Where this user's caches and small private files go on this system."""

import os
import pathlib
import sys


def cache_folder() -> pathlib.Path:
    """Return the folder of what may be deleted at any time; it need not exist yet."""
    if sys.platform == "darwin":
        return pathlib.Path.home() / "Library" / "Caches" / "widelimit"
    return _local("XDG_CACHE_HOME", ".cache") / "widelimit"


def state_folder() -> pathlib.Path:
    """Return the folder of what should outlast the program; it need not exist yet."""
    if sys.platform == "darwin":
        return pathlib.Path.home() / "Library" / "Application Support" / "widelimit"
    return _local("XDG_STATE_HOME", ".local/state") / "widelimit"


def _local(variable: str, default: str) -> pathlib.Path:
    if sys.platform == "win32":
        return pathlib.Path(os.environ.get("LOCALAPPDATA") or pathlib.Path.home() / "AppData" / "Local")
    return pathlib.Path(os.environ.get(variable) or pathlib.Path.home() / default)
