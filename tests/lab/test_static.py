"""What the browser loads: vendored files, modules, styles, and the page that the server writes."""

import collections
import gzip
import hashlib
import html.parser
import json
import re

import pytest

from widelimit.lab import _page, _static

STATIC = _static.FOLDER
VERSIONS = {
    name: record for name, record in json.loads((STATIC / "vendor/VERSIONS.json").read_text()).items() if name != "note"
}
SCRIPTS = sorted(path for path in STATIC.rglob("*.js") if "vendor" not in path.parts)
STYLES = sorted((STATIC / "style").rglob("*.css"))
SHIPPED = [*SCRIPTS, *(STATIC / "vendor" / name for name in VERSIONS if name.endswith("js"))]
IMPORT = re.compile(r"""(?:^|[;}\s])(?:import|export)\s*(?:[\w*\s{},$]+?\s*from\s*)?["']([^"']+)["']""")
DYNAMIC = re.compile(r"""\bimport\(\s*(?:[\w.]+\s*\?\s*)?["'`]([^"'`]+)["'`](?:\s*:\s*["'`]([^"'`]+)["'`])?""")
NAMED = re.compile(r"""["'`](lab/[\w/.-]+\.js)["'`]""")


def relative(path):
    return path.relative_to(STATIC).as_posix()


def without_comments(text):
    return re.sub(r"/\*.*?\*/|(?<![:\"'\w])//[^\n]*", "", text, flags=re.S)


def imports(path):
    """Return the names that a module imports at once, and those that it imports later."""
    text = path.read_text(encoding="utf-8")
    text = text if "vendor" in path.parts else without_comments(text)
    later = {name for pair in DYNAMIC.findall(text) for name in pair if name}
    return set(IMPORT.findall(text)), later


# Vendored files


@pytest.mark.parametrize("name", VERSIONS)
def test_a_vendored_file_is_the_release(name):
    record = VERSIONS[name]
    assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == record["sha256"]
    licence = STATIC / "vendor/licences" / f"{record['package'].lstrip('@').replace('/', '-')}.txt"
    assert len(licence.read_text()) > 1000, f"{name} has no licence text"


def test_every_vendored_file_is_listed_and_used():
    files = {path.name for path in (STATIC / "vendor").iterdir() if path.is_file()} - {"VERSIONS.json"}
    assert files == set(VERSIONS)
    assert set(_static.VENDOR.values()) == {name for name in VERSIONS if name.endswith("js")}


def test_every_font_has_a_licence():
    families = {re.sub(r"(-math|-4|-italic)+$", "", path.stem) for path in (STATIC / "fonts").glob("*.woff2")}
    licences = {path.stem.removeprefix("LICENSE-") for path in (STATIC / "fonts").glob("LICENSE-*.txt")}
    assert families == licences
    for path in (STATIC / "fonts").glob("LICENSE-*.txt"):
        assert "SIL Open Font License" in path.read_text(encoding="utf-8")


# Modules


@pytest.mark.parametrize("path", SHIPPED, ids=relative)
def test_a_module_imports_only_names_of_the_map(path):
    now, later = imports(path)
    unknown = {name for name in now | later if name not in _static.modules() and "${" not in name}
    assert not unknown


def test_every_module_is_reached_from_the_entry():
    modules = _static.modules()
    seen, waiting = set(), ["lab/app.js", *(name for name in modules if name.startswith("lab/parts/"))]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = STATIC / modules[name]
        now, later = imports(path)
        named = set(NAMED.findall(path.read_text(encoding="utf-8"))) if name.startswith("lab/") else set()
        waiting += [other for other in now | later | named if other in modules]
    assert seen == set(modules)


def test_a_script_of_a_part_belongs_to_a_part():
    keys = {part.key for part in _page.PARTS}
    scripts = {path.stem for path in (STATIC / "parts").glob("*.js")}
    assert scripts <= keys
    for path in (STATIC / "parts").glob("*.js"):
        assert re.search(r"export (async )?function attach\(|export const attach\b", path.read_text(encoding="utf-8"))


def test_what_the_entry_needs_is_small():
    """What loads before anything is near the view; the browser suite measures what really loads."""
    modules = _static.modules()
    seen, waiting = set(), ["lab/app.js"]
    while waiting:
        name = waiting.pop()
        seen.add(name)
        waiting += [other for other in imports(STATIC / modules[name])[0] if other not in seen]
    assert "uplot" not in seen
    assert sum(len(gzip.compress((STATIC / modules[name]).read_bytes())) for name in seen) < 30_000


@pytest.mark.parametrize("path", SCRIPTS, ids=relative)
def test_a_script_is_short_and_draws_with_the_colours_of_the_page(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("//"), "it begins with a line that says what it is"
    assert text.count("\n") <= 300
    assert not re.findall(r"""["'`]#[0-9a-fA-F]{3,8}["'`]|\brgba?\(\s*\d""", text), "colours come from the tokens"
    assert not re.findall(r"\beval\(|new Function\(|innerHTML\s*=|document\.write|insertAdjacentHTML", text)


# Styles


def test_every_style_is_imported_and_every_import_exists():
    index = (STATIC / "style/index.css").read_text()
    imported = re.findall(r'@import "([^"]+)"', index)
    assert len(imported) == len(set(imported))
    assert set(imported) == {path.relative_to(STATIC / "style").as_posix() for path in STYLES} - {"index.css"}


@pytest.mark.parametrize(
    "path", [p for p in STYLES if p.name not in ("tokens.css", "print.css", "components.css")], ids=relative
)
def test_a_style_uses_the_tokens(path):
    text = without_comments(path.read_text())
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[^{]*[;}])|\brgba?\(|\bhsla?\(", text), "colours come from the tokens"
    sizes = re.findall(r"font(?:-size)?:[^;}]*?\b(\d*\.?\d+(?:px|rem|pt))", text)
    assert not sizes, "sizes of type come from the scale"


def test_every_token_in_use_is_defined():
    text = without_comments("".join(path.read_text() for path in STYLES))
    scripts = "".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    defined = set(re.findall(r"(--[\w-]+)\s*:", text)) | set(re.findall(r"""["'`](--[\w-]+)["'`]""", scripts))
    assert set(re.findall(r"var\((--[\w-]+)", text)) <= defined


# Colours: contrast by the formula of WCAG 2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio

TOKEN = re.compile(r"--([\w-]+):\s*light-dark\(\s*(#[0-9a-f]{6}),\s*(#[0-9a-f]{6})\s*\)")
COLOURS = {name: pair for name, *pair in TOKEN.findall((STATIC / "style/tokens.css").read_text())}
GROUNDS, SCHEMES = ("ground", "raised", "sunken"), {"light": 0, "dark": 1}
TEXTS = ("ink", "soft", "finite", "linear", "infinite", "target", "theory", "good", "bad", "accent")


def luminance(colour):
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_formula():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=5e-4)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", TEXTS)
def test_text_and_direct_labels_can_be_read(name, scheme):
    for ground in GROUNDS:
        assert contrast(COLOURS[name][SCHEMES[scheme]], COLOURS[ground][SCHEMES[scheme]]) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
def test_edges_of_controls_can_be_seen(scheme):
    for ground in GROUNDS:
        assert contrast(COLOURS["edge"][SCHEMES[scheme]], COLOURS[ground][SCHEMES[scheme]]) >= 3


@pytest.mark.parametrize(("scheme", "least"), [("light", 1.4), ("dark", 1.18)])
def test_the_three_models_differ_in_luminance(scheme, least):
    for one, other in (("finite", "linear"), ("linear", "infinite"), ("finite", "infinite")):
        assert contrast(COLOURS[one][SCHEMES[scheme]], COLOURS[other][SCHEMES[scheme]]) >= least


# The page as the server writes it


class Reader(html.parser.HTMLParser):
    """Collects what the tests ask of the page."""

    def __init__(self):
        html.parser.HTMLParser.__init__(self)
        self.ids, self.links, self.headings, self.inline, self.described = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "a" and attributes.get("href", "").startswith("#"):
            self.links.append(attributes["href"][1:])
        for name in ("aria-labelledby", "aria-describedby", "aria-controls", "for"):
            self.described += attributes.get(name, "").split()
        if tag == "style" or any(name == "style" or name.startswith("on") for name in attributes):
            self.inline.append(self.get_starttag_text())
        if (
            tag == "script"
            and attributes.get("type") not in ("importmap", "application/json")
            and not attributes.get("src")
        ):
            self.inline.append(self.get_starttag_text())


@pytest.fixture(scope="module")
def written():
    reader = Reader()
    reader.feed(_page.render())
    return reader


def test_ids_are_unique(written):
    assert [name for name, count in collections.Counter(written.ids).items() if count > 1] == []


def test_there_is_one_h1_and_no_level_is_skipped(written):
    assert written.headings.count(1) == 1
    assert written.headings[0] == 1
    assert [(a, b) for a, b in zip(written.headings, written.headings[1:], strict=False) if b > a + 1] == []


def test_links_and_references_lead_somewhere(written):
    objects = {item.anchor for item in _page.objects().values()}
    assert set(written.links) - set(written.ids) - objects == set()
    assert set(written.described) - set(written.ids) == set()


def test_nothing_is_inline(written):
    assert written.inline == []


def test_the_text_of_the_page_is_on_the_page():
    """Every object without which the argument would have a hole stands in what the server writes."""
    text = _page.render()
    for item in _page.objects().values():
        if item.kind in ("concept", "equation", "source", "code", "claim", "misconception"):
            assert f'id="{item.anchor}"' in text, f"{item.key} is not readable without scripts"


def test_the_data_in_the_page_cannot_end_its_element():
    found = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', _page.render(), re.S)
    assert "<" not in found[1]
    assert json.loads(found[1])["objects"].keys() == _page.objects().keys()
