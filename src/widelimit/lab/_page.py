"""The page as HTML, written on the server so that it reads without scripts."""

from __future__ import annotations

import functools
import json
from typing import Any

import jinja2
import markupsafe

from ._content import check_links, load
from ._objects import Item, registry
from ._readiness import lacking
from ._static import import_map
from ._svg import curves, table
from ._text import markdown, mathml
from .parts import PARTS


@functools.cache
def objects() -> dict[str, Item]:
    """Return all objects of the page by key, once every text is known to link to objects that exist."""
    found = registry(tuple(item for part in PARTS for item in load(part).items()))
    for part in PARTS:
        check_links(load(part), part.file, found)
    return found


def page_data() -> dict[str, Any]:
    """Return what scripts read: objects, and the data of every part. It is the JSON twin of the page."""
    listed = {
        key: {"kind": i.kind, "title": i.title, "anchor": i.anchor, "part": i.part} for key, i in objects().items()
    }
    return {"objects": listed, "parts": {part.key: load(part).data() for part in PARTS}}


def sealed() -> dict[str, Any]:
    """Return what is fetched one by one, only after the reader has committed or asked."""
    return {f"{part.key}/{name}": value for part in PARTS for name, value in load(part).sealed().items()}


@functools.cache
def environment() -> jinja2.Environment:
    """Return the templates with the filters of the page: ``md``, ``line`` (Markdown without paragraph), ``math``."""
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("widelimit.lab"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    converter = markdown(objects())
    env.filters["md"] = lambda text: markupsafe.Markup(converter.render(text))
    env.filters["line"] = lambda text: markupsafe.Markup(converter.renderInline(text))
    env.globals["math"] = mathml
    env.globals["svg"] = curves
    env.globals["svg_table"] = table
    env.globals["objects"] = objects()
    contents = {part.key: load(part) for part in PARTS}
    env.globals["content"] = contents
    env.globals["lacking"] = lambda section: lacking(section, contents)
    env.globals["parts"] = {part.key: part.template for part in PARTS}
    return env


def render(data: dict[str, Any] | None = None, root: str = "/", imports: markupsafe.Markup | None = None) -> str:
    """Return the page.

    Parameters
    ----------
    data
        What scripts read instead of `page_data`.
    root
        Where the static files are: below the server, or, if empty, beside the page.
    imports
        The import map, by default that of the server.
    """
    text = markupsafe.Markup(json.dumps(page_data() if data is None else data, allow_nan=False).replace("<", "\\u003c"))
    page = environment().get_template("page.html")
    return page.render(data=text, root=root, import_map=import_map() if imports is None else imports)
