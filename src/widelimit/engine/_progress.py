"""A bar on the terminal while a long evaluation runs; nothing where it is short, or where nobody looks."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ._threads import is_alone

SECONDS = 3.0
"""Estimated time from which on a bar is shown."""


@contextmanager
def progress(what: str, total: float, seconds: float) -> Iterator[Callable[[float], None]]:
    """Give a function that is told how much of ``total`` has been done since it was called last."""
    if seconds < SECONDS or is_alone() or not sys.stderr.isatty():
        yield lambda done: None  # noqa: ARG005
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)
