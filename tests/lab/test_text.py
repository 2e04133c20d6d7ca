"""Prose and formulas: what is written, and how a browser has to set it."""

import re
from html import unescape
from xml.etree import ElementTree

import msgspec
import pytest

from widelimit.lab import _content, _page
from widelimit.lab._objects import Item
from widelimit.lab._text import markdown, mathml
from widelimit.lab.parts import PARTS

ITEM = Item("eq:a", "equation", "A", "math")


def presentation(tex, display=False):
    """Return the row of a formula, without its annotation."""
    return ElementTree.fromstring(str(mathml(tex, display)))[0][0]


def operators(tex, text):
    return [one for one in presentation(tex).iter("mo") if one.text == text]


@pytest.mark.parametrize(
    ("tex", "form"),
    [
        ("a = -b", "prefix"), ("-b", "prefix"), ("(-b)", "prefix"), ("e^{-t}", "prefix"),
        ("a - b", None), ("f(x) - b", None), ("a^2 - b", None),
    ],
)  # fmt: skip
def test_a_minus_is_a_sign_only_where_an_expression_begins(tex, form):
    (minus,) = operators(tex, "−")
    assert minus.get("form") == form


def test_an_exponent_of_a_parenthesis_belongs_to_the_whole_pair():
    power = presentation(r"\bigl(\Theta(X,X) + \lambda I\bigr)^{-1}").find("msup")
    pair = power[0]
    assert pair.tag == "mrow"
    assert [pair[0].text, pair[-1].text] == ["(", ")"]
    assert [pair[0].get("form"), pair[-1].get("form")] == ["prefix", "postfix"]
    assert pair[0].get("symmetric") == pair[-1].get("symmetric") == "true"
    assert "".join(power[1].itertext()) == "−1"


@pytest.mark.parametrize("tex", ["a)", "(a", "[0, 1)", r"\|a\|", "(a]"])
def test_fences_without_a_partner_stay_as_they_are(tex):
    assert "".join(presentation(tex).itertext()) == tex.replace(" ", "").replace(r"\|", "‖")


@pytest.mark.parametrize(("tex", "space"), [(r"\sin 3x", True), (r"\sin(3x)", False), (r"\sin", False)])
def test_a_function_keeps_a_space_before_what_it_is_applied_to(tex, space):
    assert (presentation(tex).find("mspace") is not None) == space


def test_infinity_and_names_are_no_operators():
    for tex, text in ((r"t\to\infty", "∞"), (r"\lambda_{\max}", "max"), (r"a^{\top}", "⊤")):
        assert not operators(tex, text)
        assert text in [one.text for one in presentation(tex).iter("mi")]


def test_every_formula_of_the_page_keeps_its_letters():
    html = _page.render()
    formulas = set(re.findall(r'x-tex">([^<]*)</annotation>', html))
    assert len(formulas) > 30
    for tex in formulas:
        tex = unescape(tex)
        # Greek, blackboard letters and functions are commands in LaTeX; the other letters and digits are as written.
        written = re.sub(r"\\mathbb\{.\}|\\[A-Za-z]+|[^A-Za-z0-9]", "", tex)
        shown = "".join(one.text or "" for one in presentation(tex).iter() if one.tag in ("mi", "mn"))
        assert sorted(re.sub("max|min|sin|[^A-Za-z0-9]", "", shown)) == sorted(written), tex


def test_links_lead_to_objects_anchors_and_https_only():
    converter = markdown({"eq:a": ITEM})
    assert converter.renderInline("[a](eq:a)") == '<a class="object-link" data-key="eq:a" href="#eq/a">a</a>'
    assert 'rel="noreferrer noopener"' in converter.renderInline("[a](https://a.org)")
    for target in ("eq:b", "http://a.org", "/etc"):
        with pytest.raises(ValueError, match="no object of the page"):
            converter.renderInline(f"[a]({target})")


def test_a_dangling_link_is_told_with_file_and_field():
    part = next(part for part in PARTS if part.key == "math")
    content = _content.load(part)
    first = msgspec.structs.replace(content.equations[0], note="See [this](eq:nowhere).")
    broken = msgspec.structs.replace(content, equations=(first, *content.equations[1:]))
    with pytest.raises(ValueError, match=r"math.toml: .*'eq:nowhere'.* at `\$.equations\[0\].note`"):
        _content.check_links(broken, part.file, _page.objects())
    _content.check_links(content, part.file, _page.objects())


def test_markup_in_a_text_stays_text():
    assert "<script>" not in markdown({}).render("a <script>alert(1)</script>")
