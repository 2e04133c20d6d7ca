"""Traced programs on disk, beside JAX's compiled code: what was traced once on a machine is not traced again.

JAX keeps compiled code under a key that it finds by tracing and lowering; for the small networks of the lab these take
longer than everything else. So the lowered program itself is kept (`jax.export`), in the folder in which JAX keeps
compiled code, where there is one. Its key is made of the source of this package, the versions of JAX, equinox and
NumPy, the function, its static argument and the shapes of the others. A file that is no such program, or cannot be
read or written, is treated as if it were not there.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import pathlib
from collections.abc import Hashable
from typing import Any

import equinox as eqx
import jax
import jax.export
import numpy as np

from ..._typing import Callable

PACKAGE = pathlib.Path(__file__).parents[2]
NOT_TRACED = ("compat", "lab", "torch")
"""Parts of the package that no traced program comes from."""


def traced(fn: Callable[..., Any], static: Hashable, args: tuple[Any, ...]) -> Callable[..., Any]:
    """Return a function of arrays that does what ``fn(static, *args)`` does, from disk if it was traced before.

    Parameters
    ----------
    fn
        A pure function.
    static
        Its first argument; its ``repr`` says all about it.
    args
        The others: arrays, or `jax.ShapeDtypeStruct` in their place, in tuples, dictionaries and registered
        named tuples.
    """
    plain = functools.wraps(fn)(functools.partial(fn, static))
    folder = _folder()
    if folder is None:
        return plain
    path = folder / f"widelimit-{fn.__name__}-{_key(fn, static, args)}.program"
    found = _read(path)
    if found is None:
        found = jax.export.export(jax.jit(plain))(*args)
        _write(path, found)

    @functools.wraps(fn)
    def call(*args: Any) -> Any:
        return found.call(*args)

    return call


def _folder() -> pathlib.Path | None:
    name = _setting("jax_compilation_cache_dir")
    # With flatbuffers JAX writes programs; it comes with the lab alone.
    known = name and os.path.isdir(name) and importlib.util.find_spec("flatbuffers")
    return pathlib.Path(name) if known else None


def _setting(name: str) -> Any:
    return getattr(jax.config, name)


def _key(fn: Callable[..., Any], static: Hashable, args: tuple[Any, ...]) -> str:
    leaves, tree = jax.tree.flatten(args)
    shapes = [(np.shape(leaf), str(leaf.dtype)) for leaf in leaves]
    settings = [_setting(name) for name in ("jax_default_matmul_precision", "jax_default_prng_impl")]
    place = (jax.default_backend(), *settings)
    told = (_source(), fn.__module__, fn.__qualname__, repr(static), str(tree), shapes, place)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:40]


@functools.cache
def _source() -> str:
    # Of everything that a traced program can depend on, apart from its arguments.
    digest = hashlib.sha256(f"{jax.__version__} {eqx.__version__} {np.__version__}".encode())
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] not in NOT_TRACED:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: pathlib.Path) -> jax.export.Exported | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, program = data[:32], data[32:]
    if hashlib.sha256(program).digest() != digest:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # What was used longest ago is deleted first.
    return jax.export.deserialize(bytearray(program))


def _write(path: pathlib.Path, exported: jax.export.Exported) -> None:
    program = bytes(exported.serialize())
    begun = path.with_suffix(f".{os.getpid()}-{id(exported)}")
    with contextlib.suppress(OSError):
        begun.write_bytes(hashlib.sha256(program).digest() + program)
        begun.replace(path)
