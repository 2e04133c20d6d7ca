"""MathML as a browser sets it well: what a converter from LaTeX leaves to be said about operators and fences.

A browser takes the spaces of an operator from its form. So a minus that begins an expression is marked as a prefix,
infinity and names such as max are identifiers, a function keeps a thin space before its argument, and each pair of
parentheses stands in a row of its own, so that both grow alike and an exponent belongs to the whole of it.
"""

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

IDENTIFIERS = {"∞", "⊤", "max", "min"}
OPERATORS = {";", "±"}
SIGNS = {"−", "+", "±"}
BEFORE_SIGNS = set("=≈≤≥<>→,;([+−")
FUNCTIONS = {"sin", "cos", "tan", "exp", "log", "ln", "erf", "det", "tr"}
PAIRS = {"(": ")", "[": "]"}
THIN = "0.1667em"


def improve(mathml: str) -> str:
    """Return the inside of a ``math`` element with forms, spaces and rows of its operators set."""
    root = ElementTree.fromstring(f"<root>{mathml}</root>")
    for element in list(root.iter()):
        _name(element)
    for element in list(root.iter()):
        if element.tag in ("mrow", "mtd", "root"):
            _row(element)
    text = ElementTree.tostring(root, encoding="unicode")
    return text.removeprefix("<root>").removesuffix("</root>")


def _name(element: Element) -> None:
    text = element.text or ""
    if element.tag == "mo" and text in IDENTIFIERS:
        element.tag = "mi"
        element.attrib.clear()
        if len(text) == 1:
            element.set("mathvariant", "normal")
    elif element.tag == "mi" and text in OPERATORS:
        element.tag = "mo"
    if element.tag == "mo" and text == "/":
        element.set("lspace", "0")
        element.set("rspace", "0")


def _row(row: Element) -> None:
    children = _functions(list(row))
    for before, one in zip([None, *children], children, strict=False):
        if one.tag == "mo" and one.text in SIGNS and (before is None or _awaits(before)):
            one.set("form", "prefix")
            one.set("lspace", "0")
            one.set("rspace", "0")
    row[:] = _paired(children)


def _awaits(before: Element) -> bool:
    return before.tag == "mo" and before.text in BEFORE_SIGNS


def _paired(children: list[Element]) -> list[Element]:
    # Parentheses and what they hold become one row; an exponent of the closing one becomes an exponent of the row.
    open_at: list[int] = []
    out: list[Element] = []
    for one in children:
        out.append(one)
        if one.tag == "mo" and one.text in PAIRS:
            open_at.append(len(out) - 1)
            continue
        closing = one[0] if one.tag in ("msup", "msub", "msubsup") else one
        if not open_at or closing.tag != "mo" or closing.text != PAIRS[str(out[open_at[-1]].text)]:
            continue
        start = open_at.pop()
        group = Element("mrow")
        group[:] = [*out[start:-1], closing]
        _fence(group[0], "prefix")
        _fence(closing, "postfix")
        if closing is not one:
            one[0] = group
            group = one
        out[start:] = [group]
    return out


def _fence(one: Element, form: str) -> None:
    one.set("form", form)
    if one.get("stretchy") == "true":
        one.set("symmetric", "true")


def _functions(children: list[Element]) -> list[Element]:
    out: list[Element] = []
    for one, after in zip(children, [*children[1:], None], strict=True):
        out.append(one)
        if one.tag == "mi" and one.text in FUNCTIONS and after is not None and after.tag != "mo":
            out.append(Element("mspace", {"width": THIN}))
    return out
