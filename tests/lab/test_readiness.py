"""Readiness in the outline: true of the page as it is, and false once something that a section needs is taken away."""

import msgspec
import pytest

from widelimit.lab import _page
from widelimit.lab._content import load
from widelimit.lab._readiness import NEEDS, lacking
from widelimit.lab.parts import PARTS

CONTENTS = {part.key: load(part) for part in PARTS}


def without(section, **changes):
    """Return what a section lacks once its content is changed."""
    return lacking(section, {**CONTENTS, section: msgspec.structs.replace(CONTENTS[section], **changes)})


def test_every_section_has_its_needs_and_is_ready():
    assert [section.key for section in CONTENTS["shell"].sections] == list(NEEDS)
    assert {key: lacking(key, CONTENTS) for key in NEEDS} == dict.fromkeys(NEEDS, ())


@pytest.mark.parametrize(
    ("section", "changes", "words"),
    [
        ("intuition", {"question": " "}, "the question"),
        ("intuition", {"after": ""}, "the words around the picture"),
        ("math", {"equations": CONTENTS["math"].equations[:4]}, "5 equations"),
        ("math", {"derivation": ()}, "a derivation"),
        ("code", {"trap_witness": "nothing"}, "witnesses of both"),
        ("code", {"lines": ()}, "lines linked to equations"),
        ("demo", {"presets": CONTENTS["demo"].presets[:2]}, "3 states"),
        ("demo", {"predictions": ()}, "a prediction with its explanation"),
    ],
)
def test_what_is_missing_is_named(section, changes, words):
    assert without(section, **changes) == (words,)


def test_an_equation_without_a_witness_is_not_ready():
    first, *others = CONTENTS["math"].equations
    changed = (msgspec.structs.replace(first, witness="eq_nothing"), *others)
    assert without("math", equations=changed) == ("a witness of every equation",)


def test_a_section_without_content_is_not_ready():
    assert lacking("math", {}) == ("its content",)
    assert lacking("epilogue", CONTENTS) == ("its content",)


def test_the_outline_says_so(monkeypatch):
    assert _page.render().count(CONTENTS["outline"].missing) == 0
    environment = _page.environment()
    monkeypatch.setitem(environment.globals, "lacking", lambda section: ("a derivation",) * (section == "math"))
    environment.cache.clear()
    assert f"{CONTENTS['outline'].missing}: a derivation" in _page.render()
    environment.cache.clear()
