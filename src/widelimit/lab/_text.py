"""Prose and formulas of the content files as HTML: Markdown, MathML from LaTeX, links between objects."""

import functools
import html
import re
from collections.abc import Sequence

import latex2mathml.converter
import markdown_it
import markupsafe
from markdown_it.token import Token
from mdit_py_plugins import dollarmath

from ._mathml import improve
from ._objects import Item, anchor


@functools.lru_cache(maxsize=2048)
def mathml(tex: str, display: bool = False) -> markupsafe.Markup:
    """Return a formula as MathML that keeps its LaTeX as an annotation."""
    inner = latex2mathml.converter.convert(tex, display="block" if display else "inline")
    body = improve(re.sub(r"^<math[^>]*>|</math>$", "", inner))
    shown = "block" if display else "inline"
    return markupsafe.Markup(
        f'<math display="{shown}"><semantics>{body}'
        f'<annotation encoding="application/x-tex">{html.escape(tex)}</annotation></semantics></math>'
    )


def markdown(objects: dict[str, Item]) -> markdown_it.MarkdownIt:
    r"""Return a converter that knows ``$x$``, ``$$x$$`` and links to objects, ``[the kernel](eq:ntk)``."""
    converter = markdown_it.MarkdownIt("commonmark", {"html": False, "typographer": True})
    converter.enable(["table", "smartquotes", "replacements"])
    converter.use(
        dollarmath.dollarmath_plugin,
        renderer=lambda tex, options: str(mathml(tex, options["display_mode"])),
        double_inline=True,
    )

    def link_open(_self: object, tokens: Sequence[Token], index: int, _options: object, _env: object) -> str:
        return _link(str(tokens[index].attrs["href"]), objects)

    converter.add_render_rule("link_open", link_open)
    return converter


def _link(target: str, objects: dict[str, Item]) -> str:
    if target in objects:
        return f'<a class="object-link" data-key="{html.escape(target)}" href="#{html.escape(anchor(target))}">'
    if target.startswith("#"):
        return f'<a href="{html.escape(target)}">'
    if target.startswith("https://"):
        return f'<a class="outgoing" rel="noreferrer noopener" target="_blank" href="{html.escape(target)}">'
    raise ValueError(f"a text links to {target!r}, which is no object of the page, no anchor and no https address.")
