"""Content: a mistake in a file is told with file and field; every key, link, hash and recording stands."""

import dataclasses
import json
import re

import msgspec
import pytest

from widelimit.lab import _content, _page, _recorded, _static, record
from widelimit.lab._objects import Item, registry
from widelimit.lab._svg import curves, ticks
from widelimit.lab._text import mathml
from widelimit.lab.parts import PARTS
from widelimit.recipes._exhibit import Axis, Curves, Series

BY_KEY = {part.key: part for part in PARTS}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.key)
def test_a_missing_and_an_unknown_field_are_named(part):
    text = (_content.FOLDER / part.file).read_text(encoding="utf-8")
    first = re.search(r"^(\w+) = ", text, re.MULTILINE)[1]
    without = re.sub(rf"^{first} = .*$", "", text, count=1, flags=re.MULTILINE)
    with pytest.raises(ValueError, match=rf"{part.file}: .*`{first}`"):
        _content.read(without, part.record, part.file)
    with pytest.raises(ValueError, match=rf"{part.file}: .*surplus"):
        _content.read(f"surplus = 1\n{text}", part.record, part.file)


def test_a_wrong_type_and_no_toml_are_told():
    with pytest.raises(ValueError, match=r"shell.toml: Expected `str`, got `int` - at `\$.title`"):
        _content.read("title = 5", BY_KEY["shell"].record, "shell.toml")
    with pytest.raises(ValueError, match=r"shell.toml is no TOML"):
        _content.read("title = ", BY_KEY["shell"].record, "shell.toml")


def test_two_objects_do_not_share_a_key_and_prefixes_fit():
    item = Item("eq:a", "equation", "A", "math")
    with pytest.raises(ValueError, match="'eq:a' appears twice"):
        registry((item, item))
    with pytest.raises(ValueError, match="kind 'source'"):
        registry((Item("eq:a", "source", "A", "math"),))


def test_objects_of_all_seven_kinds_exist_with_unique_anchors():
    objects = _page.objects()
    assert {item.kind for item in objects.values()} == {
        "concept", "equation", "source", "code", "claim", "misconception", "demo-state",
    }  # fmt: skip
    html = _page.render()
    for item in objects.values():
        assert html.count(f'id="{item.anchor}"') == 1, item.key


def test_every_cited_source_exists_and_every_source_is_cited():
    sources = {source.key for source in _content.load(BY_KEY["sources"]).sources}
    cited = set()
    for part in PARTS:
        if part.key != "sources":
            cited |= set(re.findall(r"source:[\w-]+", (_content.FOLDER / part.file).read_text(encoding="utf-8")))
    assert cited == sources


def test_every_link_between_objects_leads_somewhere():
    html = _page.render()
    ids = set(re.findall(r'id="([^"]+)"', html))
    for target in re.findall(r'href="#([^"]+)"', html):
        assert target in ids, target


def test_sealed_words_are_not_in_the_page():
    html = _page.render()
    for key, value in _page.sealed().items():
        for text in re.findall(r'"([^"]{40,})"', json.dumps(value, ensure_ascii=False)):
            assert text not in html, f"{key}: {text[:60]}"


def test_the_map_has_no_cycle():
    record_type = BY_KEY["map"].record
    content = _content.load(BY_KEY["map"])
    edges = [msgspec.to_builtins(edge) for edge in content.edges]
    edges.append({"kind": "next", "start": "concept:scaling/laws", "end": "concept:scaling/ntk", "words": "x"})
    with pytest.raises(msgspec.ValidationError, match="cycle"):
        msgspec.convert({**msgspec.to_builtins(content), "edges": edges}, record_type)
    edges[-1]["end"] = "concept:nowhere"
    with pytest.raises(msgspec.ValidationError, match="no concept of the map"):
        msgspec.convert({**msgspec.to_builtins(content), "edges": edges}, record_type)


def test_changed_lines_of_the_cell_and_a_changed_witness_are_noticed():
    content = _content.load(BY_KEY["code"])
    lines = [msgspec.to_builtins(one) for one in content.lines]
    lines[0]["hash"] = "0" * 12
    with pytest.raises(msgspec.ValidationError, match="review what is said"):
        msgspec.convert({**msgspec.to_builtins(content), "lines": lines}, BY_KEY["code"].record)
    evidence = _content.load(BY_KEY["review"]).evidence
    assert all(one.stands for one in evidence)
    assert not msgspec.structs.replace(evidence[0], hash="0" * 16).stands


def test_the_numbers_of_the_trap_are_what_the_cell_prints():
    from widelimit.recipes.witnesses.code_kernel_cell import run_program

    for row in _content.load(BY_KEY["code"]).trap.widths:
        for bias, expected, digits in (("0.0", row.without, 3), ("1.0", row.with_bias, 4)):
            changes = {"width, ridge = 512,": f"width, ridge = {row.width},", "bias = 1.0": f"bias = {bias}"}
            assert round(float(run_program("_kernel_cell.py", changes)["error"]), digits) == expected


@pytest.mark.parametrize("name", ["one_step", "kernel_freezes"])
def test_a_recording_is_what_its_recipe_gives_now(name):
    kept, now = _recorded.load(name), record.compute(name)
    assert kept.config == json.loads(json.dumps(now["config"]))
    for a, b in zip(kept.numbers, now["numbers"], strict=True):
        assert a.value == pytest.approx(b["value"], rel=2e-3, abs=1e-5)


def test_a_damaged_or_outdated_recording_is_refused():
    text = (_recorded.FOLDER / "one_step.json").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="fits neither"):
        _recorded.read(text.replace("0.1", "0.2"), "one_step")
    with pytest.raises(ValueError, match="damaged"):
        _recorded.read(text[:100], "one_step")
    with pytest.raises(ValueError, match="nothing is recorded"):
        _recorded.load("nothing")


def test_all_recordings_have_their_hashes():
    assert len(_recorded.names()) >= 6
    for name in _recorded.names():
        found = _recorded.load(name)
        assert len(found.steps) == len(found.captions) >= 5


def test_formulas_keep_their_source_and_carry_no_style():
    for tex in (r"\nabla_\theta f", r"\Theta(X,X)^{-1}", r"e^{-\Theta t}", r"\sum_i x_i", r"\mathbb{E} f_t"):
        found = str(mathml(tex, True))
        assert found.startswith('<math display="block">')
        assert not re.search(r"\sstyle=", found)
        assert "annotation" in found


def test_vendored_files_are_as_released():
    import hashlib

    listed = json.loads((_static.FOLDER / "vendor/VERSIONS.json").read_text())
    files = {p.name for p in (_static.FOLDER / "vendor").iterdir() if p.suffix in (".mjs", ".js", ".css")}
    assert files == set(listed) - {"note"}
    for name in files:
        assert hashlib.sha256((_static.FOLDER / "vendor" / name).read_bytes()).hexdigest() == listed[name]["sha256"]
        assert (_static.FOLDER / "vendor/licences").is_dir()


def test_modules_import_only_names_of_the_map():
    names = _static.modules()
    for path in names.values():
        text = (_static.FOLDER / path).read_text(encoding="utf-8")
        for name in re.findall(r'(?:^|[;}\s])(?:import|export)[^"\'();]*?from\s*["\']([^"\']+)', text):
            assert name in names, f"{path} imports {name}"


def test_a_static_chart_places_values_where_they_belong():
    panel = Curves("T", "D.", Axis("x"), Axis("y"), [Series("line", "finite", [0, 1], [0, 1])])
    svg = str(curves(panel, "k"))
    points = re.search(r'polyline class="curve role-finite" points="([^"]+)"', svg)[1].split()
    (x0, y0), (x1, y1) = (map(float, p.split(",")) for p in points)
    assert x0 < x1
    assert y0 > y1
    assert 'aria-labelledby="k-title k-text"' in svg
    assert ticks((0, 1), "linear")[0] == 0
    assert ticks((1, 1000), "log") == [1, 10, 100, 1000]
    with pytest.raises(ValueError, match="logarithmic"):
        curves(dataclasses.replace(panel, y=Axis("y", "log")), "k")
