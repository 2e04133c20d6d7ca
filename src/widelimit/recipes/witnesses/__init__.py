"""Witnesses: both sides of an equation or claim computed, one file each, with a function ``run() -> Witness``."""

import hashlib
import importlib
import importlib.resources
import pkgutil

from .._witness import Witness

ALSO_READ = {"code_kernel_cell": ("_kernel_cell.py", "_library_twin.py"), "code_trap": ("_kernel_cell.py",)}


def names() -> tuple[str, ...]:
    """Return the names of all witnesses."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def run(name: str) -> Witness:
    """Run a witness.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in names():
        raise ValueError(f"there is no witness {name!r}; there are {', '.join(names())}.")
    return importlib.import_module(f"{__name__}.{name}").run()


def witness_hash(name: str) -> str:
    """Return the SHA-256 of a witness' source and of the programs it runs."""
    folder, digest = importlib.resources.files(__name__), hashlib.sha256()
    for file in (f"{name}.py", *ALSO_READ.get(name, ())):
        digest.update((folder / file).read_bytes())
    return digest.hexdigest()
