"""Whether the lab works on this machine: installation, files, content, port, code cells, and every witness."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import json
import time
from collections.abc import Callable

from ..recipes import witnesses
from . import _recorded
from ._cell import Cells
from ._page import render
from ._serve import listen
from ._static import FOLDER
from ._worker import keep_compiled_code

Say = Callable[[str], None]
PACKAGES = ("widelimit", "jax", "starlette", "uvicorn", "websockets", "msgspec", "jinja2", "latex2mathml")


def check(host: str, port: int, say: Say) -> bool:
    """Run every check, say how each ended, and return whether all passed."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("packages", _packages),
        ("vendored files", _vendored),
        ("content", _content),
        ("recorded runs", _runs),
        ("port", lambda: _port(host, port)),
        ("code cells", _cells),
        *((f"witness {name}", _witness(name)) for name in witnesses.names()),
    ]
    failed = 0
    keep_compiled_code()
    for name, run in checks:
        began = time.monotonic()
        try:
            words, passed = run(), True
        except Exception as error:
            words, passed = str(error) or type(error).__name__, False
        failed += not passed
        say(f"{'pass' if passed else 'FAIL'}  {name:<28} {time.monotonic() - began:5.1f} s  {words}")
    say(f"{len(checks) - failed} of {len(checks)} passed." if failed else f"All {len(checks)} checks passed.")
    return not failed


def _packages() -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)


def _vendored() -> str:
    listed = json.loads((FOLDER / "vendor" / "VERSIONS.json").read_text(encoding="utf-8"))
    files = {name: entry for name, entry in listed.items() if name != "note"}
    for name, entry in files.items():
        if hashlib.sha256((FOLDER / "vendor" / name).read_bytes()).hexdigest() != entry["sha256"]:
            raise ValueError(f"{name} is not the released file of {entry['package']} {entry['version']}; reinstall.")
    return f"{len(files)} files are as released"


def _content() -> str:
    return f"the page is written, {len(render()) // 1000} kB"


def _runs() -> str:
    for name in _recorded.names():
        _recorded.load(name)
    return f"{len(_recorded.names())} recordings have their hashes"


def _port(host: str, port: int) -> str:
    listen(host, port).close()
    return f"{host}:{port} is free"


def _cells() -> str:
    found = asyncio.run(Cells().run("import numpy\nprint(numpy.arange(3).sum())"))
    if found.error or found.output.strip() != "3":
        raise ValueError(found.error or f"a cell printed {found.output!r} instead of 3.")
    return "a cell ran and was limited"


def _witness(name: str) -> Callable[[], str]:
    def run() -> str:
        found = witnesses.run(name)
        relation = "must exceed" if found.counter else "tolerance"
        words = f"{found.statement} Error {found.error:.2g}, {relation} {found.tolerance:.2g}."
        if not found.passed:
            raise ValueError(words)
        return words

    return run
