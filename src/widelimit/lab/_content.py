"""The words of the page: TOML files read into typed records, one file and one record per part.

A part is a module of ``lab/parts`` with a record class `Content` (a `msgspec.Struct`) and a `PART` made of it. It
says which objects it holds (`items`), what the script of the part reads (`data`), and what must not be on the page
before the reader has committed to an answer (`sealed`).
"""

from __future__ import annotations

import functools
import importlib.resources
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import msgspec

from ._objects import PREFIXES, Item

FOLDER = importlib.resources.files("widelimit.lab") / "content"


class PartContent(Protocol):
    """What the record of a part offers."""

    def items(self) -> tuple[Item, ...]:
        """Return the objects that stand in this part."""
        ...

    def data(self) -> dict[str, Any]:
        """Return plain values that the script of the part reads; everyone can see them in the page."""
        ...

    def sealed(self) -> dict[str, Any]:
        """Return plain values by name that are fetched only after a prediction or a request for a hint."""
        ...


class Part(msgspec.Struct, frozen=True):
    """One part of the page: its file in ``content``, its record, its template in ``templates/parts``."""

    key: str
    record: type[Any]

    @property
    def file(self) -> str:
        """The content file."""
        return f"{self.key}.toml"

    @property
    def template(self) -> str:
        """The template."""
        return f"parts/{self.key}.html"


def read(text: str, record: type[Any], name: str) -> Any:
    """Return the record in a TOML text.

    Raises
    ------
    ValueError
        If it is no TOML, or a field is missing, unknown or of the wrong type; file and field are named.
    """
    try:
        return msgspec.convert(tomllib.loads(text), record)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{name} is no TOML: {error}.") from None
    except msgspec.ValidationError as error:
        raise ValueError(f"{name}: {error}.") from None


@functools.cache
def load(part: Part) -> PartContent:
    """Return the content of a part; see `read` for what is raised."""
    return read((FOLDER / part.file).read_text(encoding="utf-8"), part.record, part.file)


def check_links(content: Any, name: str, objects: Mapping[str, Item]) -> None:
    """Check that the links in the texts of a part lead to objects.

    Raises
    ------
    ValueError
        If one does not; file and field are named.
    """
    for field, text in _texts(msgspec.to_builtins(content), "$"):
        for target in LINK.findall(text):
            if target not in objects:
                raise ValueError(f"{name}: a text links to {target!r}, which is no object of the page - at `{field}`.")


LINK = re.compile(rf"\]\(((?:{'|'.join(PREFIXES)}):[^)\s]*)\)")
"""A link of a Markdown text to an object."""


def _texts(value: Any, field: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, f"{field}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{field}[{index}]")
